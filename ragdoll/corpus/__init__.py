"""Documents in: where they come from, what is in them, and how they are cut into passages."""
