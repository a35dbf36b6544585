"""Documents into a table."""
