"""From the bytes of a file to the documents in it, one module a family of formats."""
