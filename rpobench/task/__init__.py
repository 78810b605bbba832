"""The contract of a task, its three kinds and their metrics."""
