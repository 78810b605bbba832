"""What is on disk: specs and their identities, results, predictions, locks."""
