"""Scores: of a run, of official files, and statistics by user."""
