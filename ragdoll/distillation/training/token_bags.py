"""Passages as bags of tokens on disk: sparse rows that are read through the page cache.

A row holds the share of each token in its passage, so that row times token vectors is the mean that
a static model computes. The files are mapped, which takes no memory of the process's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model2vec import StaticModel
    from scipy.sparse import csr_matrix

# The files of bags, and the type of their numbers.
_PARTS: dict[str, type[Any]] = {"columns": np.int32, "shares": np.float32, "offsets": np.int64}


def tokenize(model: StaticModel, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts, cut off where the model's own ``encode`` cuts them off."""
    longest = model.max_length  # None cuts off nothing
    characters = longest and longest * model.median_token_length
    return [ids[:longest] for ids in model.tokenize([text[:characters] for text in texts])]


def bags(ids: Sequence[Sequence[int]], width: int) -> csr_matrix:
    """Count token ids into a sparse matrix of shape (texts, width), whose rows sum to one.

    The row of a text without tokens is empty.
    """
    from scipy.sparse import csr_matrix

    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    flat = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=int(lengths.sum()))
    rows = np.repeat(np.arange(len(ids)), lengths)
    cells, counts = np.unique(rows * width + flat, return_counts=True)
    row, column = np.divmod(cells, width)
    ends = np.cumsum(np.bincount(row, minlength=len(ids)))
    share = (counts / np.maximum(lengths, 1)[row]).astype(np.float32)
    return csr_matrix(
        (share, column.astype(np.int32), np.concatenate([[0], ends]).astype(np.int32)),
        shape=(len(ids), width),
    )


@dataclass(frozen=True, slots=True)
class Bags:
    """Bags on disk: ``columns`` and ``shares`` of all rows, ``offsets`` where each row begins."""

    columns: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, start: int, stop: int) -> csr_matrix:
        """Return the rows from ``start`` up to ``stop``, of shape (rows, width), not copied."""
        from scipy.sparse import csr_matrix

        first, last = int(self.offsets[start]), int(self.offsets[stop])
        begins = (self.offsets[start : stop + 1] - first).astype(np.int32)
        return csr_matrix(
            (self.shares[first:last], self.columns[first:last], begins),
            shape=(stop - start, self.width),
            copy=False,
        )


@contextmanager
def writing(folder: Path, name: str) -> Iterator[Callable[[csr_matrix], None]]:
    """Yield a function that appends matrices of ``bags`` to files, for ``open_bags`` to map."""
    end = 0
    with ExitStack() as stack:
        files = {
            part: stack.enter_context((folder / f"{name}.{part}").open("wb")) for part in _PARTS
        }
        files["offsets"].write(np.zeros(1, dtype=np.int64).data)

        def append(matrix: csr_matrix) -> None:
            nonlocal end
            files["columns"].write(np.ascontiguousarray(matrix.indices, dtype=np.int32).data)
            files["shares"].write(np.ascontiguousarray(matrix.data, dtype=np.float32).data)
            files["offsets"].write((matrix.indptr[1:].astype(np.int64) + end).data)
            end += matrix.nnz

        yield append


def open_bags(folder: Path, name: str, width: int) -> Bags:
    """Map the files that ``writing`` wrote.

    Raises:
        OSError, ValueError: a file is missing or damaged.
    """
    # Products with a matrix do not check its indices: wrong ones would read foreign memory.
    parts = {part: mapped(folder / f"{name}.{part}", dtype) for part, dtype in _PARTS.items()}
    columns, offsets = parts["columns"], parts["offsets"]
    if (
        not len(offsets)
        or offsets[0] != 0
        or not len(columns) == len(parts["shares"]) == offsets[-1]
        or (np.diff(offsets) < 0).any()
        or (len(columns) and not 0 <= columns.min() <= columns.max() < width)
    ):
        raise ValueError(f"{folder / name} is damaged")
    return Bags(width=width, **parts)


def mapped(file: Path, dtype: type[Any]) -> npt.NDArray[Any]:
    """Map a file of numbers; an empty file, which cannot be mapped, becomes an empty array."""
    if file.stat().st_size == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(file, dtype=dtype, mode="r")
