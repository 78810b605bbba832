"""The contract of a method, and what the runner lends it."""
