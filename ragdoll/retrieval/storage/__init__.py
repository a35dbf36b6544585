"""LanceDB: the schema of a table, the table, and its database."""
