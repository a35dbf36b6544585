"""Files and folders as a source of documents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.corpus import formats
from ragdoll.corpus.documents import Document, Skipped, UniqueNames
from ragdoll.errors import CorpusError

if TYPE_CHECKING:
    from pathspec import PathSpec

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
        return formats.shown(self.path.as_posix())

    def documents(self, skipped: list[Skipped]) -> Iterator[Document]:
        """Read file by file; a file that cannot be read is left out and named."""
        for file in self._files(skipped):
            relative = self._relative(file)
            unique = UniqueNames()
            try:
                for record in formats.read(file, self.text_key):
                    if isinstance(record, formats.UnreadableError):
                        skipped.append(Skipped(relative, str(record)))
                    else:
                        name = "" if record.name is None else f"#{record.name}"
                        yield Document(
                            root=self.root,
                            source=unique(relative + name),
                            title=record.title,
                            text=record.text,
                            metadata=record.metadata,
                            whole_file=record.name is None,
                        )
            except formats.UnreadableError as error:
                skipped.append(Skipped(relative, str(error)))

    def signature(self) -> str | None:
        """Hash path, size and times of every file that would be read, and what is left out."""
        digest = hashlib.sha256(f"{self.text_key}\0{self.ignore_files}".encode())
        skipped: list[Skipped] = []
        for file in self._files(skipped):
            try:
                facts = file.stat()
            except OSError:
                return None
            line = f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\n"
            digest.update(os.fsencode(line))
        for item in skipped:
            digest.update(f"{item.path}\0{item.reason}\n".encode())
        return digest.hexdigest()

    def _relative(self, file: Path) -> str:
        relative = file.name if file == self.path else file.relative_to(self.path).as_posix()
        return formats.shown(relative)

    def _files(self, skipped: list[Skipped]) -> Iterator[Path]:
        if self.path.is_file():
            yield self.path
        else:
            yield from self._walk(self.path, [], skipped)

    def _walk(
        self, folder: Path, ignored: list[tuple[Path, PathSpec[Any]]], skipped: list[Skipped]
    ) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(self._relative(folder), error.strerror or str(error)))
            return
        if is_own(folder):
            return
        if self.ignore_files:
            ignored = [*ignored, *_patterns(folder, {entry.name for entry in entries})]
        for entry in entries:
            path = folder / entry.name
            is_folder = _is_folder(entry)
            if self._left_out(entry, path, is_folder, ignored):
                continue
            if is_folder:
                yield from self._walk(path, ignored, skipped)
            elif path.suffix.lower() in formats.SUPPORTED:
                # Not pipes and devices, which would be waited for; a dangling link is named later.
                if entry.is_symlink() or entry.is_file():
                    yield path
            elif entry.is_file():
                skipped.append(Skipped(self._relative(path), f"format {path.suffix or 'unknown'}"))

    def _left_out(
        self,
        entry: os.DirEntry[str],
        path: Path,
        is_folder: bool,
        ignored: list[tuple[Path, PathSpec[Any]]],
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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


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
