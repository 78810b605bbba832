"""The training of the reflection module: supervised fine-tuning, then reinforcement or preferences."""
