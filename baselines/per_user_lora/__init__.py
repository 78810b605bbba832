"""OPPU: one LoRA adapter a user."""
