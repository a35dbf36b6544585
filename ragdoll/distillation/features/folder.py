"""The features folder: passages and their target vectors, in parts that appear whole or not at all.

Parts are ``data/part-00000.parquet`` … with the columns ``text`` and ``embedding``, which
``datasets.load_dataset("parquet", data_dir=…/data)`` reads too; ``manifest.json`` lists them.

The folder may come from a stranger: files outside it are not read, and parts are read behind the
wall.
"""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.distillation.features.manifest import (
    MANIFEST,
    PART,
    RESTART,
    Manifest,
    differences,
    is_ours,
    located,
    read_manifest,
)
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, number_of
from ragdoll.files import aside_of, atomic_write, is_inside, moved_with, only_one

logger = logging.getLogger(__name__)

DATA = "data"
# The names of all that ragdoll writes into the folder, and into ``data`` in it.
_KNOWN = re.compile(r"data|manifest\.json|\.manifest\.json\.tmp|\.featurize\.lock(\.pid)?")
_PART = re.compile(rf"{PART}|\.{PART}\.tmp")

_KEPT = (
    "What is done is kept; the next run goes on from there, unless it restarts. Mind the space on "
    "the disk."
)


class FeaturesFolder:
    """A features folder on disk, for writing part by part and for reading.

    ``place`` is its name in messages. What lies elsewhere has other ways to read and write a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)

    @property
    def is_remote(self) -> bool:
        """Tell whether the features are in object storage."""
        return "://" in self.place

    @property
    def address(self) -> Path | str:
        """The path, or the URI."""
        return self.path

    def absolute(self) -> FeaturesFolder:
        """Return the same for a process that may have another current folder."""
        return FeaturesFolder(self.path.absolute())

    def only_writer(self) -> AbstractContextManager[None]:
        """Hold the lock of the folder; see ``only_one``."""
        doing = f"making the features in {self}"
        hint = "Wait until it is done, or give another `featurize.output`."
        return only_one(self.path, "featurize", doing, FeaturesError, hint)

    def __str__(self) -> str:
        return self.place

    def manifest(self) -> Manifest | None:
        """Read the manifest, with paths where they are now; None if there is none.

        Corpus and teacher may have been moved together with the features.

        Raises:
            FeaturesError: the manifest is damaged, of another version, or not ragdoll's.
        """
        written = self._read(MANIFEST)
        if written is None:
            return None
        manifest = read_manifest(written, f"{self.place}/{MANIFEST}")
        # What lies in object storage has no place relative to a corpus.
        if manifest.folder and "://" not in f"{manifest.folder}{self.place}":
            move = partial(moved_with, before=manifest.folder, now=self._absolute())
            manifest.settings = located(manifest.settings, move)
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, whole or not at all.

        Raises:
            FeaturesError: it cannot be written.
        """
        manifest.folder = self._absolute()
        with self._writing(MANIFEST) as file:
            file.write(manifest.as_json())

    def prepare(self) -> None:
        """Make the folder of the parts, for writers that cannot know whether it was ever there."""
        with self._translated():
            (self.path / DATA).mkdir(parents=True, exist_ok=True)

    def write_part(
        self, number: int, texts: Sequence[str], vectors: Vectors, replaces: bool = False
    ) -> str:
        """Write a part, whole or not at all; return its name.

        ``replaces`` removes the manifest and all other parts, once the part is written.

        Raises:
            FeaturesError: it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"part-{number:05d}.parquet"
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {
                "text": pa.array(texts, type=pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            }
        )
        if not number:  # a later part must not go to a new folder, which lacks the parts before
            self.prepare()
        with self._writing(f"{DATA}/{name}") as file:
            pq.write_table(table, file)
            if replaces:
                self._remove(MANIFEST)
                self.keep_only([name, aside_of(Path(name)).name])
        return name

    def drop_damaged(self, manifest: Manifest) -> None:
        """Remove from a manifest the first part that is missing or damaged, and all after it."""
        for number, part in enumerate(manifest.parts):
            try:
                self._check(part, manifest.dimension)
            except FeaturesError as error:
                logger.warning("%s This part and those after it are made again.", error.message)
                del manifest.parts[number:]
                manifest.complete = False
                return

    def refuse_other(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        """Check that features were made with these settings.

        Raises:
            FeaturesError: the settings were others; the message lists the differences.
        """
        if different := differences(manifest.settings, settings):
            raise FeaturesError(
                f"The features in {self.place} were made with other settings: "
                f"{'; '.join(different)}.",
                hint="Make them anew with `restart=True`, or give another `featurize.output`.",
            )

    def check(self, manifest: Manifest) -> None:
        """Check the rows and the dimension of all parts against the manifest, by their footers.

        Raises:
            FeaturesError: a part is missing, damaged, or not as the manifest says.
        """
        for part in manifest.parts:
            self._check(part, manifest.dimension)

    def parts(self) -> list[str]:
        """Return the names of the parts that are there, finished or not, listed or not."""
        return [name for name in self._names(DATA) if _PART.fullmatch(name)]

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the parts with other names, finished or not, and nothing else."""
        self.remove(set(self.parts()).difference(names))

    def remove(self, names: Iterable[str]) -> None:
        """Remove parts."""
        for name in names:
            self._remove(f"{DATA}/{name}")

    def refuse_foreign(self) -> None:
        """Check that the folder holds only features, or the files of an interrupted run.

        Raises:
            FeaturesError: it holds other files.
        """
        if self.path.is_file():
            raise FeaturesError(
                f"{self.path} is a file.", hint="Give a folder as `featurize.output`."
            )
        others = [
            name
            for folder, known in (("", _KNOWN), (DATA, _PART))
            for name in self._names(folder)
            if not known.fullmatch(name)
        ]
        written = self._read(MANIFEST)
        if others or (written is not None and not is_ours(written)):
            raise FeaturesError(
                f"{self.place} holds other files and no features of ragdoll's.",
                hint="Give an empty or a new folder as `featurize.output`.",
            )

    def batches(self) -> Iterator[tuple[list[str], Vectors]]:
        """Yield ``(texts, vectors)``, some rows of a part at a time.

        Raises:
            FeaturesError: a part is missing, damaged, or not as the manifest says.
        """
        for header, content in self._pieces(vectors=True):
            yield header["texts"], np.frombuffer(content, np.float32).reshape(header["shape"])

    def texts(self) -> Iterator[str]:
        """Yield the texts alone, in the same order; vectors are not read.

        Raises:
            FeaturesError: see ``batches``.
        """
        for header, _ in self._pieces(vectors=False):
            yield from header["texts"]

    def _pieces(self, vectors: bool) -> Iterator[wall.Answer]:
        """Read the parts, and check that they have the rows that the manifest says."""
        manifest = self.manifest()
        for part in manifest.parts if manifest else []:
            rows = 0
            with self._local(part) as file:
                for piece in _answers("features", file, vectors=vectors):
                    rows += len(piece[0]["texts"])
                    yield piece
                _compare(file, "row", rows, part["rows"])

    def _check(self, part: Mapping[str, Any], dimension: int) -> None:
        """Compare a part's footer with the manifest."""
        with self._local(part) as file:
            ((extent, _),) = _answers("features-extent", file)
            _compare(file, "row", extent["rows"], part["rows"])
            if extent["dimension"] is not None:
                _compare(file, "dimension", extent["dimension"], dimension)

    def _absolute(self) -> str:
        return str(self.path.absolute())

    def _read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none."""
        file = inside(self.path, self.path / name)
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FeaturesError(f"{file} is damaged: {error}", hint=RESTART) from error

    @contextmanager
    def _writing(self, name: str) -> Iterator[BinaryIO]:
        """Yield a file to write to, which gets its name when it is whole."""
        with (
            self._translated(),
            atomic_write(self.path / name) as aside,
            aside.open("wb") as file,
        ):
            yield file

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FeaturesError(
                f"{self.place} cannot be written: {error.strerror or error}.", hint=_KEPT
            ) from error

    def _names(self, folder: str) -> list[str]:
        """Return the names in a folder, which need not be there."""
        place = inside(self.path, self.path / folder)
        return sorted(file.name for file in place.iterdir()) if place.is_dir() else []

    def _remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def _local(self, part: Mapping[str, Any]) -> Iterator[Path]:
        """Yield the file of a part."""
        yield inside(self.path, self.path / DATA / str(part["file"]))


def inside(folder: Path, file: Path) -> Path:
    """Return a file of a folder, which need not exist yet.

    Raises:
        FeaturesError: the file is a link out of the folder or in a circle, a device or a pipe.
    """
    try:
        if not is_inside(file, folder):
            raise FeaturesError(
                f"{file} is a link out of the folder, where features are neither read nor written.",
                hint="Copy the file that it leads to into the folder.",
            )
        with suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_IFMT(file.stat().st_mode) not in {stat.S_IFREG, stat.S_IFDIR}:
                raise FeaturesError(f"{file} is a device or a pipe.")
    except (OSError, ValueError) as error:  # a link in a circle, a name with a NUL
        raise FeaturesError(f"{file} cannot be read: {error}") from error
    return file


def _compare(file: Path, name: str, here: int, stated: int) -> None:
    if here != stated:
        message = f"{file} has {number_of(name, here)} where the manifest says {stated}."
        raise FeaturesError(message, hint=RESTART)


def _answers(reader: str, file: Path, **arguments: Any) -> Iterator[wall.Answer]:
    """Read a part behind the wall.

    Raises:
        FeaturesError: the part is missing or damaged.
    """
    try:
        yield from wall.answers(reader, file, **arguments)
    except (OSError, UnreadableError) as error:
        raise FeaturesError(f"{file} cannot be read: {error}", hint=RESTART) from error
