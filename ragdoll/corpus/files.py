"""Files and folders as a source of documents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.corpus import formats, office
from ragdoll.corpus.decoding import UnreadableError, shown
from ragdoll.corpus.documents import Document, Reading
from ragdoll.corpus.seen import UniqueNames
from ragdoll.errors import CorpusError

if TYPE_CHECKING:
    from pathspec import PathSpec

    Ignored = list[tuple[Path, PathSpec[Any]]]
    Entry = tuple[os.DirEntry[str], Ignored]

IGNORE_FILES = (".gitignore", ".ragdollignore")

# In the folders that ragdoll writes, which must never be read as a corpus, one of these files
# begins with the marker: models have the first, features the second. Databases end in .lance.
OWN_FILES = ("ragdoll.json", "manifest.json")
OWN_MARKER = b'{\n  "format": "ragdoll-'


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file, or every supported file of a folder in the order of their paths.

    Hidden files and folders, symbolic links that lead out of the folder and what ``.gitignore`` or
    ``.ragdollignore`` name are left out silently (``ignore_files`` False: the last are read).
    """

    path: Path
    text_key: str = "text"
    ignore_files: bool = True

    @property
    def root(self) -> str:
        """The absolute path of the folder or file."""
        return shown(self.path.as_posix())

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Read file by file; a file that cannot be read is left out and named."""
        for file in self._files(reading):
            relative = self._relative(file)
            before, size = reading.done, size_of(file)
            unique = UniqueNames()
            try:
                for record in formats.read(file, self.text_key):
                    if isinstance(record, UnreadableError):
                        reading.skip(relative, str(record))
                        continue
                    whole = record.name is None
                    yield Document(
                        root=self.root,
                        source=relative if whole else unique(f"{relative}#{record.name}"),
                        title=record.title,
                        text=record.text,
                        metadata=record.metadata,
                        whole_file=whole and not record.converted,
                    )
                    # Within a file of records only the length of their texts tells how far it is.
                    reading.done = min(reading.done + len(record.text), before + size)
            except UnreadableError as error:
                reading.skip(relative, str(error))
            reading.done = before + size

    def size(self) -> int:
        """The bytes of every file that would be read."""
        return sum(size_of(file) for file in self._files(Reading()))

    def signature(self) -> str | None:
        """Hash path, size and times of every file that would be read, and what is left out.

        Installing what reads a format changes it too.
        """
        digest = hashlib.sha256(f"{self.text_key}\0{self.ignore_files}".encode())
        reading = Reading()
        for file in self._files(reading):
            try:
                facts = file.stat()
            except OSError:
                return None
            line = f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\n"
            digest.update(os.fsencode(line))
            suffix = file.suffix.lower()
            if suffix in office.SUFFIXES:
                digest.update(b"read" if office.is_installed(suffix) else b"left out")
        for item in reading.skipped:
            digest.update(f"{item.path}\0{item.reason}\0{item.count}\n".encode())
        return digest.hexdigest()

    def _relative(self, file: Path) -> str:
        relative = file.name if file == self.path else file.relative_to(self.path).as_posix()
        return shown(relative)

    def _files(self, reading: Reading) -> Iterator[Path]:
        """Walk to the files that are to be read; note those of other formats."""
        if self.path.is_file():
            yield self.path
            return
        # Not by recursion, which a tree can be too deep for.
        waiting = self._entries(self.path, [], reading)
        while waiting:
            entry, ignored = waiting.pop()
            path, is_folder = Path(entry.path), _is(entry.is_dir)
            if self._left_out(entry, path, is_folder, ignored):
                continue
            if is_folder:
                waiting += self._entries(path, ignored, reading)
            elif path.suffix.lower() in formats.SUPPORTED:
                # Not pipes and devices, which would be waited for; a dangling link is named later.
                if entry.is_symlink() or _is(entry.is_file):
                    yield path
            elif _is(entry.is_file):
                reading.skip(self._relative(path), f"format {path.suffix or 'unknown'}")

    def _entries(self, folder: Path, ignored: Ignored, reading: Reading) -> list[Entry]:
        """What is in a folder, in reversed order, each with the patterns that apply to it."""
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            reading.skip(self._relative(folder), error.strerror or str(error))
            return []
        if is_own(folder):
            return []
        if self.ignore_files:
            ignored = [*ignored, *_patterns(folder, {entry.name for entry in entries})]
        return [(entry, ignored) for entry in entries]

    def _left_out(
        self,
        entry: os.DirEntry[str],
        path: Path,
        is_folder: bool,
        ignored: Ignored,
    ) -> bool:
        """Whether an entry is left out without a word."""
        if entry.name.startswith(".") or (is_folder and entry.name.endswith(".lance")):
            return True
        # A link to a folder of the same tree is left out as well: its files have their own place.
        if entry.is_symlink() and (is_folder or not self._inside(path)):
            return True
        for base, patterns in reversed(ignored):
            # The deepest file that says something decides, as in git.
            verdict = patterns.check_file(path.relative_to(base).as_posix() + "/" * is_folder)
            if verdict.include is not None:
                return bool(verdict.include)
        return False

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.path.resolve())
        except (OSError, RuntimeError):  # a link that leads to itself
            return False


def _is(kind: Callable[[], bool]) -> bool:
    """Ask an entry for its kind, which one that cannot be looked at does not have."""
    try:
        return kind()
    except OSError:
        return False


def size_of(file: Path) -> int:
    """The bytes of a file; 0 where it cannot be looked at."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def is_own(folder: Path) -> bool:
    """Whether ragdoll wrote a folder: features, or a model."""
    return any(_begins_with_marker(folder / name) for name in OWN_FILES)


def _begins_with_marker(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(OWN_MARKER)) == OWN_MARKER
    except OSError:
        return False


def _patterns(folder: Path, names: set[str]) -> Iterator[tuple[Path, PathSpec[Any]]]:
    from pathspec import PathSpec

    for name in IGNORE_FILES:
        if name not in names:
            continue
        try:
            lines = (folder / name).read_text(encoding="utf-8-sig").splitlines()
            yield folder, PathSpec.from_lines("gitignore", lines)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CorpusError(
                f"{folder / name} cannot be read: {error}",
                hint="Mend it, or give --no-ignore to read what it would leave out.",
            ) from error
