"""The static model: where it is, what it is, and how it turns text into vectors."""
