"""Static embedding models: their files, their identity, and the vectors they make of texts."""
