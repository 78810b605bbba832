"""One LoRA adapter a user."""
