"""Measuring models: systems side by side on the same questions."""
