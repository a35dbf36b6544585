"""The teacher: finding it, trusting it, and running it."""
