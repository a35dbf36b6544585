"""Whether a model is any good: systems side by side on the same questions."""
