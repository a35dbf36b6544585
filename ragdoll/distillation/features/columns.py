"""The columns of features: texts, and the vectors that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ragdoll.embedding.vectors import Vectors

if TYPE_CHECKING:
    import pyarrow as pa

# A part may have any number of rows, and working on a text takes far more memory than the text.
ROWS_AT_ONCE = 4096


def texts_of(table: pa.Table) -> list[str]:
    """Return the column ``text`` of a table; see ``texts_and_vectors``."""
    import pyarrow as pa

    # Reading a file does not check its buffers; a wrong one would be used beyond its end.
    table.validate(full=True)
    texts = _column(table, "text")
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise ValueError(f"the text is {texts.type}")
    strings: list[str] = texts.to_pylist()
    return strings


def texts_and_vectors(table: pa.Table) -> tuple[list[str], Vectors]:
    """Return the columns ``text`` and ``embedding`` of a table that anyone may have written.

    Vectors are float32 of shape (texts, dimension); a number too large for that becomes infinite.

    Raises:
        ValueError, pyarrow.ArrowException: the table is damaged, or these columns are not texts and
            vectors of one length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts_of(table)
    vectors = _column(table, "embedding")
    kind = vectors.type
    is_list = isinstance(kind, pa.FixedSizeListType | pa.ListType | pa.LargeListType)
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise ValueError(f"the embedding is {kind}, no list of numbers")
    if not len(texts):
        return [], np.zeros((0, 0), np.float32)
    lengths = pc.list_value_length(vectors).unique()
    if len(lengths) > 1:
        raise ValueError("the vectors are of different lengths")
    flat = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        numbers = np.asarray(flat, dtype=np.float32)
    return texts, numbers.reshape(len(texts), lengths[0].as_py())


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names or table[name].null_count:
        raise ValueError(f"it has no column {name}, or a value in it is missing")
    return table[name]
