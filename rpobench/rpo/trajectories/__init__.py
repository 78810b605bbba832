"""What the module learns from: draft, analysis and rewrite, written by rules, by a teacher, or read from a file."""
