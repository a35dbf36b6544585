"""Rows of integers of different lengths in one array, which grows."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_Number = TypeVar("_Number", np.int32, np.int64)


class Ragged:
    """Rows of integers, known by their places in the order in which they were added."""

    def __init__(self) -> None:
        self._values: Values = np.empty(0, np.int32)
        self._offsets: Offsets = np.zeros(1, np.int64)
        self._rows = 0

    def extend(self, lengths: Offsets, values: Values) -> None:
        """Add rows of these lengths, whose values follow one another."""
        first, last = self._rows + 1, self._rows + 1 + len(lengths)
        begin = int(self._offsets[self._rows])
        self._offsets = _with_room(self._offsets, last)
        self._offsets[first:last] = begin + np.cumsum(lengths)
        self._values = _with_room(self._values, begin + len(values))
        self._values[begin : begin + len(values)] = values
        self._rows += len(lengths)

    def lengths(self, rows: Values) -> Offsets:
        """The lengths of some rows."""
        lengths: Offsets = self._offsets[rows + 1] - self._offsets[rows]
        return lengths

    def take(self, rows: Values) -> tuple[Values, Offsets]:
        """The values of some rows one after another, and where each row begins; the end is last."""
        lengths = self.lengths(rows)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        places = np.repeat(self._offsets[rows] - offsets[:-1], lengths)
        places += np.arange(len(places))
        return self._values[places], offsets


def _with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """The array or a larger copy of it, by twice at least, so that growing costs little."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
