"""JSON from files that anyone may have made: bounded in memory before it is parsed."""

from __future__ import annotations

import json
import math
from typing import Any

# A value costs about a hundred bytes as an object, however few it has in the file. The largest
# tokenizers (a quarter of a million tokens, half a million merges) have two million values.
_MAX_VALUES = 8_000_000


def parse(content: bytes) -> Any:
    """Parse JSON of at most eight million values, whatever their nesting.

    Raises:
        ValueError: it is not JSON, has too many values, is nested too deeply, or holds a number
            that is not finite.
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > _MAX_VALUES:
        raise ValueError("too many values")
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refused(digits)


def _refused(number: str) -> float:
    raise ValueError(f"{number} is not a finite number")
