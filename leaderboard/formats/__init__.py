"""The tables as Markdown, LaTeX, CSV and JSON."""
