"""Features for training, read in flat memory: ragdoll's own folders and tokenlearn's two layouts.

tokenlearn 0.2 writes ``feature_N.json`` (texts) beside ``feature_N.npy`` (vectors); its development
version writes ``shard_N`` folders, each a dataset as ``datasets.Dataset.save_to_disk`` leaves it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.features.bucket import features_at
from ragdoll.distillation.features.columns import ROWS_AT_ONCE, texts_and_vectors, texts_of
from ragdoll.distillation.features.folder import FeaturesFolder, inside
from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, first_line, number_of

if TYPE_CHECKING:
    import pyarrow as pa

Batch = tuple[list[str], Vectors]
Result = TypeVar("Result")

# The first bytes of a file of one array; numpy would read pickles and archives too.
_ARRAY = b"\x93NUMPY"

_NUMBERED = re.compile(r"(?:feature|shard)_(\d+)(?:\.json)?")


@dataclass(frozen=True, slots=True)
class Features:
    """Passages and their target vectors on disk, which can be read any number of times.

    ``rows`` counts all rows, with those that the batches lack: rows with a NaN. ``sampled`` are the
    numbers of the rows that a sample has, in order; None has all. ``teacher`` (its
    name), ``teacher_fingerprint`` and ``identity`` are None, and ``settings`` is empty, if
    tokenlearn made the folder. ``signature`` changes when the content does.
    """

    path: Path | str
    rows: int
    dimension: int
    signature: str
    source: FeaturesFolder | _Pairs | _Shards
    teacher: str | None = None
    teacher_fingerprint: str | None = None
    identity: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    sampled: npt.NDArray[np.int64] | None = None

    def sample(self, most: int, seed: int) -> Features:
        """Return a random sample of ``most`` rows, or all if there are no more.

        The sample has all texts: they tell which words there are.
        """
        if self.rows <= most:
            return self
        chosen = np.random.default_rng(seed).choice(self.rows, most, replace=False, shuffle=False)
        return replace(self, rows=most, sampled=np.sort(chosen))

    def batches(self) -> Iterator[Batch]:
        """Yield ``(texts, vectors)`` without the rows with a NaN; vectors are (texts, dimension).

        Raises:
            FeaturesError: a file is missing or damaged, or the features were made anew meanwhile.
        """
        first = 0
        for part, all_vectors in self.source.batches():
            for start in range(0, len(part), ROWS_AT_ONCE):
                stop = start + ROWS_AT_ONCE
                texts, vectors = part[start:stop], all_vectors[start:stop]
                if self.sampled is not None:
                    bounds = np.searchsorted(self.sampled, [first, first + len(texts)])
                    rows = self.sampled[slice(*bounds)] - first
                    first += len(texts)
                    texts, vectors = [texts[row] for row in rows], vectors[rows]
                if texts:
                    yield self._finite_rows(texts, vectors)
        self._refuse_changed()

    def _finite_rows(self, texts: list[str], rows: npt.NDArray[Any]) -> Batch:
        if rows.shape[1] != self.dimension:
            raise FeaturesError(
                f"The features have vectors of {self.dimension} and of {rows.shape[1]} "
                "dimensions: they were made by two teachers."
            )
        with np.errstate(over="ignore"):
            vectors = rows.astype(np.float32, copy=False)
        finite = np.asarray(np.isfinite(vectors).all(axis=1))
        if finite.all():
            return texts, vectors
        return [text for text, kept in zip(texts, finite, strict=True) if kept], vectors[finite]

    def texts(self) -> Iterator[str]:
        """Yield every text, also of rows with a NaN; the vectors are not read.

        Raises:
            FeaturesError: see ``batches``.
        """
        yield from self.source.texts()
        self._refuse_changed()

    def _refuse_changed(self) -> None:
        """Check that the folder was not made anew meanwhile, which would mix two corpora."""
        if open_features(self.path).signature != self.signature:
            raise FeaturesError(
                f"The features in {self.path} were made anew while they were read.",
                hint="Try again.",
            )


def open_features(path: Path | str) -> Features:
    """Open the features in a folder, or below a URI, without reading their vectors.

    Raises:
        FeaturesError: the folder has no usable features, or the corpus was not read to its end.
    """
    folder = features_at(path)
    manifest = folder.manifest()
    if manifest is None:
        if folder.is_remote:
            raise _nothing(path)
        return _open_tokenlearn(Path(path))
    if not manifest.complete:
        raise FeaturesError(
            f"The features in {path} are incomplete: {number_of('passage', manifest.rows)} so far.",
            hint="Call `featurize(...)` again with the same settings; it goes on where it stopped.",
        )
    if not manifest.rows:
        raise _nothing(path)
    folder.check(manifest)
    return Features(
        path,
        manifest.rows,
        manifest.dimension,
        signature=manifest.identity,
        source=folder,
        teacher=manifest.settings.get("teacher"),
        teacher_fingerprint=manifest.settings.get("teacher_fingerprint"),
        identity=manifest.identity,
        settings=manifest.settings,
    )


def _nothing(path: Path | str) -> FeaturesError:
    return FeaturesError(f"No features in {path}.", hint="Make them with `featurize(...)`.")


def _open_tokenlearn(path: Path) -> Features:
    pairs = _numbered(path, "feature_*.json")
    shards = _numbered(path, "shard_*")
    source = _Pairs(pairs) if pairs else _Shards(shards)
    first = next((vectors for texts, vectors in source.batches() if texts), None)
    if first is None:
        raise _nothing(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    facts = [(str(file.relative_to(path)), file.stat()) for file in files]
    listing = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in facts])
    signature = hashlib.sha256(listing.encode("utf-8", "surrogatepass")).hexdigest()
    return Features(path, source.rows(), first.shape[1], signature, source)


def _numbered(path: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern in the order of the numbers in their names."""
    matches = [(_NUMBERED.fullmatch(file.name), file) for file in path.glob(pattern)]
    numbered = sorted((int(match[1]), file) for match, file in matches if match)
    return [inside(path, file) for _, file in numbered]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of ``feature_N.json`` and ``feature_N.npy``."""

    files: list[Path]

    def rows(self) -> int:
        return sum(len(self._vectors(file)) for file in self.files)

    def batches(self) -> Iterator[tuple[list[str], npt.NDArray[Any]]]:
        """Yield the texts and vectors of each file; the vectors have any type of float."""
        for file in self.files:
            texts, vectors = self._texts(file), self._vectors(file)
            if len(texts) != len(vectors):
                raise FeaturesError(
                    f"{file} holds {number_of('text', len(texts))}, "
                    f"its .npy {number_of('vector', len(vectors))}."
                )
            yield texts, vectors

    def texts(self) -> Iterator[str]:
        for file in self.files:
            yield from self._texts(file)

    def _texts(self, file: Path) -> list[str]:
        with _readable(file):
            texts = parse_json(file.read_bytes())
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError("it is not a list of texts")
        return texts

    def _vectors(self, file: Path) -> npt.NDArray[Any]:
        file = inside(file.parent, file.with_suffix(".npy"))
        with _readable(file):
            with file.open("rb") as content:
                is_array = content.read(len(_ARRAY)) == _ARRAY
            vectors: npt.NDArray[Any] | None = (
                np.load(file, mmap_mode="r", allow_pickle=False) if is_array else None
            )
            if vectors is None or vectors.ndim != 2 or vectors.dtype.kind != "f":
                raise ValueError("it is not a table of vectors")
        return vectors


@dataclass(frozen=True, slots=True)
class _Shards:
    """Folders of Arrow files, in the order of each folder's ``state.json``."""

    folders: list[Path]

    def batches(self) -> Iterator[Batch]:
        yield from (batch for batch in self._read(texts_and_vectors) if batch[0])

    def texts(self) -> Iterator[str]:
        for texts in self._read(texts_of):
            yield from texts

    def rows(self) -> int:
        return sum(self._read(len))

    def _read(self, function: Callable[[pa.Table], Result]) -> Iterator[Result]:
        """Yield the result of a function for each batch of rows, as a table."""
        import pyarrow as pa

        for file in self._files():
            with (
                _readable(file),
                pa.memory_map(str(file)) as mapped,
                pa.ipc.open_stream(mapped) as reader,
            ):
                for batch in reader:
                    yield function(pa.Table.from_batches([batch]))

    def _files(self) -> Iterator[Path]:
        for folder in self.folders:
            state = inside(folder, folder / "state.json")
            with _readable(state):
                # Only the names: a listed path may lead out of the folder.
                entries = parse_json(state.read_bytes())["_data_files"]
                names = [Path(entry["filename"]).name for entry in entries]
            yield from (inside(folder, folder / name) for name in names)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn an error of a library, of whatever kind, into one that names the file.

    Raises:
        FeaturesError: the file is missing or damaged.
    """
    try:
        yield
    except Exception as error:  # numpy's parser of headers alone raises many kinds
        raise FeaturesError(f"{file} cannot be read: {first_line(error)}") from error
