"""Which profile items a model is shown: ranked, then cut to a token budget."""
