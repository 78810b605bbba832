"""Models on this machine: checkpoints through transformers."""
