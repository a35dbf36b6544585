"""Warnings that only a user of another library could act on."""

from __future__ import annotations

import re
import warnings


def ignore_warnings(modules: str) -> None:
    """Ignore the warnings of the modules whose names match, from now on.

    ``warnings.catch_warnings`` would do so for a while, but it puts aside the filters of the whole
    program: where a thread reads while another computes, the one that ends last may put back what
    the other had put in place.
    """
    entry = ("ignore", None, Warning, re.compile(modules), 0)
    # A test or another library may have put other filters in place since the last time.
    if entry not in warnings.filters:
        warnings.filterwarnings("ignore", module=modules)
