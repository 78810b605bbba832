"""Evidence: the profile items that a model is shown, ranked and cut alike for every method."""
