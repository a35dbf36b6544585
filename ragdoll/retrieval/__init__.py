"""The table that knows its model: documents into it, and searches over it."""
