"""Train a small static embedding model on a corpus, index it and search it with the same model."""

__version__ = "0.1.0"
