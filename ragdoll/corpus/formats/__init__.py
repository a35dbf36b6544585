"""Readers of the formats of files, one module for each family."""
