"""Readers that take a file apart which anyone may have made, in a process with limits."""
