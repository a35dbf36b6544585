"""The readers of a part of features, which anyone may have written, for the wall's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragdoll.corpus.formats.behind_wall.parquet import open_parquet
from ragdoll.distillation.features.columns import ROWS_AT_ONCE, texts_and_vectors, texts_of


def read_part(path: Path, vectors: bool) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the texts of a part, some rows at a time; ``vectors`` adds their vectors.

    Vectors are the bytes of float32, with their ``shape`` in the header.
    """
    columns = ["text", "embedding"] if vectors else ["text"]
    with path.open("rb") as file, open_parquet(file) as part:
        for batch in part.iter_batches(ROWS_AT_ONCE, columns=columns, use_threads=False):
            table = pa.Table.from_batches([batch])
            if vectors:
                texts, numbers = texts_and_vectors(table)
                yield {"texts": texts, "shape": numbers.shape}, numbers.tobytes()
            else:
                yield {"texts": texts_of(table)}, b""


def read_extent(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the number of rows of a part, and the dimension if the type of the vectors has it."""
    # A file that was cut off has no footer.
    with path.open("rb") as file, open_parquet(file) as part:
        layout = part.schema_arrow
        kind = layout.field("embedding").type if "embedding" in layout.names else None
        dimension = getattr(kind, "list_size", None)
        yield {"rows": part.metadata.num_rows, "dimension": dimension}, b""
