"""The settings of ``ragdoll.toml``: what they are, where each value comes from, and what it means.

A value comes from, in this order: a command-line option, the environment variable
``RAGDOLL_<SECTION>_<KEY>``, the file, the default. Paths in the file resolve against the file's
folder; paths in options and variables against the current folder.
"""

from ragdoll.config.precedence import load
from ragdoll.config.schema import Config

__all__ = ["Config", "load"]
