"""The trained model on disk and on the hub."""
