"""Features for training, read in flat memory: ragdoll's own folders and tokenlearn's two layouts.

tokenlearn 0.2 writes ``feature_N.json`` (texts) beside ``feature_N.npy`` (vectors); its development
version writes ``shard_N`` folders, each a dataset as ``datasets.Dataset.save_to_disk`` leaves it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.features.folder import (
    ROWS_AT_ONCE,
    FeaturesFolder,
    inside,
    texts_and_vectors,
    texts_of,
)
from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, first_line, number_of

if TYPE_CHECKING:
    import pyarrow as pa

Batch = tuple[list[str], Vectors]

# What a file of one array begins with; numpy reads pickles and archives, too.
_ARRAY = b"\x93NUMPY"

_NUMBERED = re.compile(r"(?:feature|shard)_(\d+)(?:\.json)?")


class _Source(Protocol):
    """What holds texts and vectors, which may be of any type of float and in any number at once."""

    def batches(self) -> Iterator[tuple[list[str], npt.NDArray[Any]]]: ...

    def texts(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Features:
    """Passages and their target vectors on disk, as often as they are asked for.

    ``rows`` counts also those with a NaN, which no batch has. ``teacher`` (its name),
    ``teacher_fingerprint`` and ``identity`` are None, and ``settings`` empty, where the folder does
    not say, as tokenlearn's do not. ``signature`` changes when the content does.
    """

    path: Path
    rows: int
    dimension: int
    teacher: str | None
    teacher_fingerprint: str | None
    identity: str | None
    signature: str
    settings: dict[str, Any]
    source: _Source

    def batches(self) -> Iterator[Batch]:
        """Yield ``(texts, vectors)``, however they lie on disk; vectors are (texts, dimension).

        Raises:
            FeaturesError: a file is missing or damaged, or they were made anew meanwhile.
        """
        for part, all_vectors in self.source.batches():
            for start in range(0, len(part), ROWS_AT_ONCE):
                stop = start + ROWS_AT_ONCE
                yield self._whole_rows(part[start:stop], all_vectors[start:stop])
        self._refuse_changed()

    def _whole_rows(self, texts: list[str], given: npt.NDArray[Any]) -> Batch:
        if given.shape[1] != self.dimension:
            raise FeaturesError(
                f"The features have vectors of {self.dimension} and of {given.shape[1]} "
                "dimensions: they were made by two teachers."
            )
        with np.errstate(over="ignore"):
            vectors = given.astype(np.float32, copy=False)
        whole = np.asarray(np.isfinite(vectors).all(axis=1))
        if whole.all():
            return texts, vectors
        return [text for text, good in zip(texts, whole, strict=True) if good], vectors[whole]

    def texts(self) -> Iterator[str]:
        """Yield every text, also of rows with a NaN: the vectors are not read.

        Raises:
            FeaturesError: as ``batches``.
        """
        yield from self.source.texts()
        self._refuse_changed()

    def _refuse_changed(self) -> None:
        """Check that the folder was not made anew meanwhile: half of the one, half of the other."""
        if open_features(self.path).signature != self.signature:
            raise FeaturesError(
                f"The features in {self.path} were made anew while they were read.",
                hint="Run the same command again.",
            )


def open_features(path: Path) -> Features:
    """Find out which features a folder holds, without reading their vectors.

    Raises:
        FeaturesError: nothing usable is there, or the corpus was not read to its end.
    """
    folder = FeaturesFolder(path)
    manifest = folder.manifest()
    if manifest is None:
        return _open_tokenlearn(path)
    if not manifest.complete:
        raise FeaturesError(
            f"The features in {path} are incomplete: {number_of('passage', manifest.rows)} so far.",
            hint="Run the same ragdoll featurize command again; it goes on where it stopped.",
        )
    if not manifest.rows:
        raise _nothing(path)
    folder.check(manifest)
    return Features(
        path=path,
        rows=manifest.rows,
        dimension=manifest.dimension,
        teacher=manifest.settings.get("teacher"),
        teacher_fingerprint=manifest.settings.get("teacher_fingerprint"),
        identity=manifest.identity,
        signature=manifest.identity,
        settings=manifest.settings,
        source=folder,
    )


def _nothing(path: Path) -> FeaturesError:
    return FeaturesError(f"No features in {path}.", hint="Make them: ragdoll featurize CORPUS")


def _open_tokenlearn(path: Path) -> Features:
    pairs = _numbered(path, "feature_*.json")
    shards = _numbered(path, "shard_*")
    source = _Pairs(pairs) if pairs else _Shards(shards)
    rows = source.rows()
    first = next((vectors for texts, vectors in source.batches() if texts), None)
    if first is None:
        raise _nothing(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    facts = [(str(file.relative_to(path)), file.stat()) for file in files]
    listing = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in facts])
    return Features(
        path=path,
        rows=rows,
        dimension=first.shape[1],
        teacher=None,
        teacher_fingerprint=None,
        identity=None,
        signature=hashlib.sha256(listing.encode("utf-8", "surrogatepass")).hexdigest(),
        settings={},
        source=source,
    )


def _numbered(path: Path, pattern: str) -> list[Path]:
    found = [(_NUMBERED.fullmatch(file.name), file) for file in path.glob(pattern)]
    numbered = sorted((int(match[1]), file) for match, file in found if match)
    return [inside(path, file) for _, file in numbered]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """``feature_N.json`` and ``feature_N.npy``."""

    files: list[Path]

    def rows(self) -> int:
        return sum(len(self._vectors(file)) for file in self.files)

    def batches(self) -> Iterator[tuple[list[str], npt.NDArray[Any]]]:
        for file in self.files:
            texts, vectors = self._texts(file), self._vectors(file)
            if len(texts) != len(vectors):
                raise FeaturesError(
                    f"{file} holds {len(texts)} texts, its .npy {len(vectors)} vectors."
                )
            yield texts, vectors

    def texts(self) -> Iterator[str]:
        for file in self.files:
            yield from self._texts(file)

    def _texts(self, file: Path) -> list[str]:
        try:
            texts = parse_json(file.read_bytes())
        except (OSError, ValueError) as error:
            raise FeaturesError(f"{file} cannot be read: {error}") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise FeaturesError(f"{file} is not a list of texts.")
        return texts

    def _vectors(self, file: Path) -> npt.NDArray[Any]:
        file = inside(file.parent, file.with_suffix(".npy"))
        try:
            with file.open("rb") as content:
                is_array = content.read(len(_ARRAY)) == _ARRAY
            vectors = np.load(file, mmap_mode="r", allow_pickle=False) if is_array else None
        except Exception as error:  # its parser of headers raises kinds of its own
            raise FeaturesError(f"{file} cannot be read: {first_line(error)}") from error
        if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
            raise FeaturesError(f"{file} is not a table of vectors.")
        return vectors


@dataclass(frozen=True, slots=True)
class _Shards:
    """Folders of Arrow files, in the order that each folder's ``state.json`` lists."""

    folders: list[Path]

    def rows(self) -> int:
        return sum(batch.num_rows for _, batch in self._record_batches())

    def batches(self) -> Iterator[Batch]:
        import pyarrow as pa

        for file, batch in self._record_batches():
            with _missing_column_told(file):
                texts, vectors = texts_and_vectors(pa.Table.from_batches([batch]))
            if texts:
                yield texts, vectors

    def texts(self) -> Iterator[str]:
        import pyarrow as pa

        for file, batch in self._record_batches():
            with _missing_column_told(file):
                texts = texts_of(pa.Table.from_batches([batch]))
            yield from texts

    def _record_batches(self) -> Iterator[tuple[Path, pa.RecordBatch]]:
        import pyarrow as pa

        for folder in self.folders:
            state = inside(folder, folder / "state.json")
            try:
                # Only names: what is listed cannot lie outside the folder.
                names = [
                    Path(entry["filename"]).name
                    for entry in parse_json(state.read_bytes())["_data_files"]
                ]
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                raise FeaturesError(f"{state} cannot be read: {error!r}") from error
            for name in names:
                file = inside(folder, folder / name)
                try:
                    with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as reader:
                        for batch in reader:
                            yield file, batch
                except (OSError, ValueError, pa.ArrowException) as error:
                    raise FeaturesError(f"{file} cannot be read: {error}") from error


@contextmanager
def _missing_column_told(file: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, AttributeError, ValueError) as error:
        raise FeaturesError(
            f"{file} cannot be read: {error}",
            hint="The columns text and embedding are needed.",
        ) from error
