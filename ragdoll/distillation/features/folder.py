"""Files of a folder that may be anyone's: only those that lie in it.

The columns of features: texts, and the vectors that belong to them.

The features folder: passages and their target vectors, in parts that appear whole or not at all.

Parts are ``data/part-00000.parquet`` … with the columns ``text`` and ``embedding``, which
``datasets.load_dataset("parquet", data_dir=…/data)`` reads too; ``manifest.json`` lists them.
"""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragdoll.corpus.formats import parquet
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.distillation.features.manifest import (
    MANIFEST,
    PART,
    RESTART,
    Manifest,
    differences,
    is_ours,
    read_manifest,
)
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, number_of
from ragdoll.files import atomic_write, is_inside

if TYPE_CHECKING:
    import pyarrow as pa


def inside(folder: Path, file: Path) -> Path:
    """Return a file of a folder, which need not be there yet.

    Raises:
        FeaturesError: links lead from it out of the folder or in a circle, or it is a device or a
            pipe.
    """
    try:
        if not is_inside(file, folder):
            raise FeaturesError(
                f"{file} is a link out of the folder, where features are neither read nor written.",
                hint="Copy the file that it leads to into the folder.",
            )
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = stat.S_IFMT(file.stat().st_mode)
            if kind not in {stat.S_IFREG, stat.S_IFDIR}:
                raise FeaturesError(f"{file} is no file.")
    except (OSError, ValueError) as error:  # a link in a circle, a name with a NUL
        raise FeaturesError(f"{file} cannot be read: {error}") from error
    return file


def texts_of(table: pa.Table) -> list[str]:
    """Take the column ``text``; see ``texts_and_vectors``."""
    import pyarrow as pa

    # Reading does not look at what a file says of its own buffers; using them would.
    table.validate(full=True)
    if "text" not in table.column_names:
        raise ValueError("it has no column text")
    texts = table["text"]
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise ValueError(f"the text is {texts.type}")
    if texts.null_count:
        raise ValueError("a text is missing")
    found: list[str] = texts.to_pylist()
    return found


def texts_and_vectors(table: pa.Table) -> tuple[list[str], Vectors]:
    """Take the columns ``text`` and ``embedding`` from a table that anyone may have written.

    A number that is too large for its type becomes infinite.

    Raises:
        ValueError, pyarrow.ArrowException: the table is damaged, or these are not texts and vectors
            of one length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts_of(table)
    if "embedding" not in table.column_names:
        raise ValueError("it has no column embedding")
    vectors = table["embedding"]
    kind = vectors.type
    is_list = any(
        is_kind(kind)
        for is_kind in (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    )
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise ValueError(f"the embedding is {kind}, no list of numbers")
    if vectors.null_count:
        raise ValueError("a vector is missing")
    if not len(texts):
        return [], np.zeros((0, 0), np.float32)
    lengths = pc.list_value_length(vectors).unique()
    if len(lengths) > 1:
        raise ValueError("the vectors are of different lengths")
    flat = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        numbers = np.asarray(flat, dtype=np.float32)
    return texts, numbers.reshape(len(texts), lengths[0].as_py())


logger = logging.getLogger(__name__)

# A part may hold any number; what is made of each text in between takes far more memory than it.
ROWS_AT_ONCE = 4096

# What ragdoll writes into the folder, and into ``data`` in it.
_KNOWN = re.compile(r"data|manifest\.json|\.manifest\.json\.tmp|\.featurize\.lock(\.pid)?")
_PART = re.compile(rf"{PART}|\.{PART}\.tmp")


class FeaturesFolder:
    """A features folder on disk, for writing part by part and for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> Manifest | None:
        """Read the manifest; None where the folder has none.

        Raises:
            FeaturesError: it is damaged, of another version, or not ragdoll's.
        """
        return read_manifest(inside(self.path, self.path / MANIFEST))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, whole or not at all."""
        with atomic_write(self.path / MANIFEST) as aside:
            aside.write_bytes(manifest.as_json())

    def write_part(
        self, number: int, texts: Sequence[str], vectors: Vectors, replaces: bool = False
    ) -> str:
        """Write a part, whole or not at all; return its name.

        ``replaces``: what the folder held is given up, once the part is whole.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"part-{number:05d}.parquet"
        folder = self.path / "data"
        if not number:
            # Later it is there, unless somebody has removed it with the parts before this one.
            folder.mkdir(parents=True, exist_ok=True)
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {
                "text": pa.array(texts, type=pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            }
        )
        with atomic_write(folder / name) as aside:
            pq.write_table(table, aside)
            if replaces:
                (self.path / MANIFEST).unlink(missing_ok=True)
                self.keep_only([aside.name])
        return name

    def drop_damaged(self, manifest: Manifest) -> None:
        """Take from a manifest the first part that is not on disk as it says, and all after it."""
        whole = (self._is_whole(part, manifest.dimension) for part in manifest.parts)
        count = sum(1 for _ in takewhile(bool, whole))
        if count < len(manifest.parts):
            logger.warning(
                "%s in %s is missing or damaged; it and what follows is made again.",
                manifest.parts[count]["file"],
                self.path,
            )
            del manifest.parts[count:]
            manifest.complete = False

    def refuse_other(self, manifest: Manifest, wanted: Mapping[str, Any]) -> None:
        """Check that features were made with the settings that are wanted.

        Raises:
            FeaturesError: they were not; the message lists the differences.
        """
        different = differences(manifest.settings, wanted)
        if different:
            raise FeaturesError(
                f"The features in {self.path} were made with other settings: "
                f"{'; '.join(different)}.",
                hint="Make them anew with --restart, or give another --output.",
            )

    def _is_whole(self, part: dict[str, Any], dimension: int) -> bool:
        import pyarrow as pa

        try:
            return self._extent(part) == (part["rows"], dimension)
        except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException):
            return False

    def check(self, manifest: Manifest) -> None:
        """Check that the parts are there and as large as the manifest says, by their footers.

        Raises:
            FeaturesError: a part is missing, damaged, or not as the manifest says.
        """
        for part in manifest.parts:
            file = self._file(part)
            with _damage_told(file):
                rows, dimension = self._extent(part)
            for name, here, said in (
                ("row", rows, part["rows"]),
                ("dimension", dimension, manifest.dimension),
            ):
                if here is not None and here != said:
                    raise FeaturesError(
                        f"{file} has {number_of(name, here)} where the manifest says {said}.",
                        hint=RESTART,
                    )

    def _extent(self, part: Mapping[str, Any]) -> tuple[int, int | None]:
        """The rows of a part and, where its type says, the dimensions of its vectors."""
        import pyarrow.parquet as pq

        # What was cut off has no footer.
        with pq.ParquetFile(self._file(part)) as file:
            layout = file.schema_arrow
            kind = layout.field("embedding").type if "embedding" in layout.names else None
            return file.metadata.num_rows, getattr(kind, "list_size", None)

    def refuse_gaps(self, manifest: Manifest) -> None:
        """Check that the parts of a manifest are all there still.

        Raises:
            FeaturesError: one is not.
        """
        for part in manifest.parts:
            if not (self.path / "data" / part["file"]).is_file():
                raise FeaturesError(
                    f"{self.path} has lost {part['file']} while the features were made.",
                    hint="The same command makes again what is missing.",
                )

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the parts of other names, whole or begun, and nothing else."""
        kept = set(names)
        for part in (self.path / "data").glob("*part-*"):
            if _PART.fullmatch(part.name) and part.name not in kept:
                part.unlink()

    def refuse_foreign(self) -> None:
        """Check that nothing is there but features, or what an interrupted run left of them.

        Raises:
            FeaturesError: there are other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise FeaturesError(f"{self.path} is a file.", hint="Give a folder by --output.")
        inside(self.path, self.path / "data")
        others = [
            path
            for folder, known in ((self.path, _KNOWN), (self.path / "data", _PART))
            for path in (folder.iterdir() if folder.is_dir() else ())
            if not known.fullmatch(path.name)
        ]
        manifest = self.path / MANIFEST
        if others or (manifest.is_file() and not is_ours(manifest)):
            raise FeaturesError(
                f"{self.path} holds other files and no features of ragdoll's.",
                hint="Give an empty or a new folder by --output.",
            )

    def batches(self) -> Iterator[tuple[list[str], Vectors]]:
        """Yield ``(texts, vectors)``, some rows of a part at a time.

        Raises:
            FeaturesError: a part is missing, damaged, or not as the manifest says.
        """
        manifest = self.manifest()
        for part in manifest.parts if manifest else []:
            for table in self._read(part, ["text", "embedding"]):
                with _damage_told(self._file(part)):
                    texts, vectors = texts_and_vectors(table)
                yield texts, vectors

    def texts(self) -> Iterator[str]:
        """Yield the texts alone, in the same order; vectors are not read.

        Raises:
            FeaturesError: as ``batches``.
        """
        manifest = self.manifest()
        for part in manifest.parts if manifest else []:
            for table in self._read(part, ["text"]):
                with _damage_told(self._file(part)):
                    texts = texts_of(table)
                yield from texts

    def _read(self, part: Mapping[str, Any], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read some columns of a part, which has the rows that the manifest says."""
        path = self._file(part)
        rows = 0
        with _damage_told(path):
            file = path.open("rb")
        with file:
            pieces = parquet.pieces(file, ROWS_AT_ONCE, columns)
            while True:
                with _damage_told(path):
                    piece = next(pieces, None)
                if piece is None:
                    break
                rows += piece.num_rows
                yield piece
        if rows != part["rows"]:
            raise FeaturesError(
                f"{path} has {number_of('row', rows)} where the manifest says {part['rows']}.",
                hint=RESTART,
            )

    def _file(self, part: Mapping[str, Any]) -> Path:
        return inside(self.path, self.path / "data" / str(part["file"]))


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    """Say of a part that cannot be read which it is, and what to do."""
    import pyarrow as pa

    try:
        yield
    except (
        *(OSError, pa.ArrowException, UnreadableError),
        *(AttributeError, KeyError, ValueError),
    ) as error:
        raise FeaturesError(f"{file} cannot be read: {error}", hint=RESTART) from error
