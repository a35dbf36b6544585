"""Searches over a table."""
