"""Reading documents from the places that hold them, and cutting them into passages."""
