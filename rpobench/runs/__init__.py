"""Plans carried out: fits, drafts, runs and their cost."""
