"""Files and folders as a source of documents."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ragdoll.corpus.documents import Document, Reading, Source
from ragdoll.corpus.formats import files as formats
from ragdoll.corpus.formats import kinds
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, display_name
from ragdoll.corpus.formats.kinds import Manner
from ragdoll.corpus.names import UniqueNames, files_of
from ragdoll.corpus.sources.generated import file_reason, folder_reason
from ragdoll.corpus.sources.ignored import (
    IGNORE_FILES,
    NOT_REGULAR,
    OUTSIDE,
    Rules,
    is_ignored,
    rules_of,
)
from ragdoll.extras import is_installed
from ragdoll.files import is_inside

# A folder that ragdoll wrote must never be read as a corpus. In it, one of these files begins with
# the marker: the first in a model, the second in features. Databases end in .lance.
OWN_FILES = ("ragdoll.json", "manifest.json")
OWN_MARKER = b'{\n  "format": "ragdoll-'

_LINKED = "linked folder"

# Hidden, and never read: the files are those that version control shows anyway.
_VERSION_CONTROL = frozenset((".bzr", ".git", ".hg", ".svn"))


class Entry(NamedTuple):
    """An entry of a folder, with the rules that apply to it and the names beside it."""

    listed: os.DirEntry[str]
    ignored: list[Rules]
    beside: AbstractSet[str]


# Seconds after a change in which the times of some file systems would not show another one.
_SETTLED = 2.0


# What is remembered of the manner, also where it is the default.
_ALWAYS_TOLD = ("text_key", "ignore_files", "encoding")

# The part of a folder that is all of it.
WHOLE = "."


@dataclass(frozen=True, slots=True)
class FileSource(Source):
    """Every supported file of a folder, or of some parts of it, in the order of their paths.

    ``parts`` are the files and folders in the folder that were named, by their paths in it.

    Unless ``manner`` says otherwise, hidden files and folders are left out silently, and so are
    those that ``.gitignore`` and ``.ragdollignore`` name by the rules of git, in this folder and
    those above up to that of the repository. What programs made is left out and named, and so are
    links to folders or out of the folder, pipes and devices. A part that was named is read in any
    case.

    ``known`` are files that are not read again if they have the same size and times, as
    ``Reading.stamps`` has them.
    """

    path: Path
    manner: Manner = field(default_factory=Manner)
    parts: tuple[str, ...] = (WHOLE,)
    known: Mapping[str, list[int]] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """The absolute path of the folder."""
        return display_name(self.path.as_posix())

    @property
    def is_whole(self) -> bool:
        """Tell whether all of the folder is read."""
        return WHOLE in self.parts

    def how(self) -> str:
        """Return how files are read, as JSON; files are remembered as they were read so."""
        told = {name: value for name, value in self.told.items() if name != "parts"}
        return json.dumps(told, sort_keys=True)

    def read_as(self, told: Mapping[str, Any]) -> FileSource:
        """Read the same as ``told`` says; it comes from a file, and may say anything."""
        return replace(self, manner=self.manner.as_told(told))

    def below(self, folder: Path) -> FileSource:
        """Read the same as parts of a folder above, or of this one."""
        inner = self.path.relative_to(folder)
        return replace(
            self, path=folder, parts=tuple((inner / part).as_posix() for part in self.parts)
        )

    def present(self, parts: Iterable[Any]) -> list[str]:
        """Return those of some parts that lie in the folder; a table may name anything."""
        return [
            part
            for part in parts
            if isinstance(part, str)
            and os.path.lexists(self.path / part)
            and is_inside(self.path / part, self.path)
        ]

    def is_gone(self, name: str, /) -> bool:
        """Tell whether a document is gone: a full reading missed it, or its file is not there."""
        if self.is_whole or is_part(name, map(display_name, self.parts)):
            return True
        return not any(os.path.lexists(self.path / file) for file in files_of(name))

    @property
    def told(self) -> Mapping[str, Any]:
        """The parts that are read, and how."""
        defaults = asdict(Manner())
        return {
            "parts": list(self.parts),
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self.manner).items()
                if name in _ALWAYS_TOLD or value != defaults[name]
            },
        }

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Read file by file; a file that cannot be read is left out and named."""
        for file in self._files(reading):
            relative = self._relative(file)
            size, stamp = _facts(file, reading.started)
            before, said = reading.done, reading.said()
            known = self.known.get(relative)
            if known and stamp == known[:3]:
                reading.kept[relative] = known[3]
                reading.done = before + size
                continue
            count = 0
            unique = UniqueNames()
            try:
                note = partial(reading.note, relative)
                for document in formats.read(file, self._manner(file), note):
                    if isinstance(document, UnreadableError):
                        unread = isinstance(document, UnreadError)
                        reading.skip(relative, str(document), unread)
                        continue
                    name = document.source
                    source = unique(f"{relative}#{name}") if name else relative
                    count += 1
                    yield replace(document, root=self.root, source=source)
                    # Within a file of records, their lengths estimate the progress.
                    reading.done = min(reading.done + len(document.text), before + size)
            except UnreadableError as error:
                reading.skip(relative, str(error), unread=isinstance(error, UnreadError))
            if stamp and reading.said() == said:
                reading.stamps[relative] = [*stamp, count]
            reading.done = before + size

    def size(self) -> int:
        """Count the bytes of every file that would be read."""
        return sum(size_of(file) for file in self._files(Reading()))

    def signature(self) -> str | None:
        """Hash path, size and times of every file that would be read, and what is left out.

        The signature also changes when the extra for a format is installed.
        """
        if not self.parts:
            return None  # nothing is read, and the content of the folder is not known
        told = dict(self.told)
        parts = [told.pop("text_key"), str(told.pop("ignore_files")), told.pop("encoding")]
        parts += told.pop("parts")
        if told:
            parts.append(json.dumps(told, sort_keys=True, ensure_ascii=False))
        digest = hashlib.sha256(os.fsencode("\0".join(parts)))
        reading = Reading()
        for file in self._files(reading):
            try:
                facts = file.stat()
            except OSError:
                return None
            name = file.relative_to(self.path)
            line = f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\n"
            digest.update(os.fsencode(line))
            if self.manner.format_of(file) in kinds.CONVERTED:
                digest.update(b"read" if is_installed(kinds.EXTRA) else b"left out")
        for item in reading.skipped:
            digest.update(f"{item.path}\0{item.reason}\0{item.count}\n".encode())
        return digest.hexdigest()

    def _manner(self, file: Path) -> Manner:
        """Return how a file is read: as text at least where it was named itself."""
        if self.is_whole or self.manner.reads(file) or file not in self._named():
            return self.manner
        return replace(self.manner, include=("*",))

    def _named(self) -> set[Path]:
        return {self.path / part for part in self.parts}

    def _relative(self, file: Path) -> str:
        return display_name(file.relative_to(self.path).as_posix())

    def _files(self, reading: Reading) -> Iterator[Path]:
        """Yield the files to read, part by part; note what is left out."""
        named = self._named()
        for part in self.parts:
            place = self.path / part
            if place.is_dir():
                yield from self._files_in(place, named, reading)
            elif place.exists() and not place.is_file():
                reading.skip(self._relative(place), NOT_REGULAR)
            else:
                yield place

    def _files_in(self, folder: Path, named: AbstractSet[Path], reading: Reading) -> Iterator[Path]:
        """Yield the files of a folder to read, without what is ``named`` as another part."""
        # A loop, since a tree can be too deep for recursion.
        above = list(_rules_above(folder, reading)) if self.manner.ignore_files else []
        waiting = self._entries(folder, above, reading)
        while waiting:
            entry, ignored, beside = waiting.pop()
            path = Path(entry.path)
            if path in named or self._is_silent(entry, path, ignored):
                continue
            is_folder = _is(entry.is_dir)
            if reason := self._reason(entry, path, beside):
                reading.skip(self._relative(path), reason)
            elif is_folder:
                waiting += self._entries(path, ignored, reading)
            else:
                yield path

    def _entries(self, folder: Path, ignored: list[Rules], reading: Reading) -> list[Entry]:
        """List a folder in reversed order, each entry with the rules that apply to it."""
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            reading.skip(self._relative(folder), error.strerror or str(error), unread=True)
            return []
        if is_own(folder):
            return []
        names = {entry.name for entry in entries}
        for name in IGNORE_FILES if self.manner.ignore_files else ():
            if name in names:
                rules, reason = rules_of(folder / name, self.path)
                ignored = [*ignored, Rules(folder, "", rules)]
                if reason:
                    reading.skip(self._relative(folder / name), reason)
        return [Entry(entry, ignored, names) for entry in entries]

    def _is_silent(self, entry: os.DirEntry[str], path: Path, ignored: list[Rules]) -> bool:
        """Tell whether an entry is left out without a word: hidden, ignored, or a database."""
        is_hidden = entry.name.startswith(".") and not (
            self.manner.hidden and entry.name not in _VERSION_CONTROL
        )
        if is_hidden or (entry.name.endswith(".lance") and _is(entry.is_dir)):
            return True
        # For git, a link to a folder is no folder.
        is_folder = _is(entry.is_dir) and not entry.is_symlink()
        return is_ignored(path, is_folder, ignored)

    def _reason(self, entry: os.DirEntry[str], path: Path, beside: AbstractSet[str]) -> str:
        """Say why an entry is left out; nothing where it is to be read."""
        is_folder = _is(entry.is_dir)
        if is_folder and entry.is_symlink():
            return _LINKED
        if is_folder:
            return "" if self.manner.generated else folder_reason(entry.name, beside, path)
        if not self.manner.generated and (made := file_reason(entry.name, beside)):
            return made
        return self._file_reason(entry, path)

    def _file_reason(self, entry: os.DirEntry[str], path: Path) -> str:
        if entry.is_symlink() and not is_inside(path, self.path):
            return OUTSIDE
        is_supported = self.manner.reads(path)
        try:
            if not stat.S_ISREG(entry.stat().st_mode):
                return NOT_REGULAR
        except OSError as error:
            # Reading a supported file fails with the same reason, and then it is named.
            return "" if is_supported else error.strerror or str(error)
        return "" if is_supported else f"format {display_name(path.suffix) or 'unknown'}"


def _rules_above(place: Path, reading: Reading) -> Iterator[Rules]:
    """Yield the rules of the folders above a folder, from that of the repository on."""
    real = place.resolve()
    folders = [real, *real.parents]
    depth = next((n for n, at in enumerate(folders) if os.path.lexists(at / ".git")), 0)
    for folder in reversed(folders[1 : depth + 1]):
        for file in (folder / name for name in IGNORE_FILES):
            if os.path.lexists(file):
                rules, reason = rules_of(file, folders[depth])
                yield Rules(place, f"{real.relative_to(folder).as_posix()}/", rules)
                if reason:
                    path = display_name(Path(os.path.relpath(file, real)).as_posix())
                    reading.skip(path, reason)


def joined(sources: Iterable[Source]) -> list[Source]:
    """Join the sources of one root, in the order of the first of each."""
    by_root: dict[str, Source] = {}
    for source in sources:
        before = by_root.get(source.root)
        if isinstance(before, FileSource) and isinstance(source, FileSource):
            parts = dict.fromkeys((*before.parts, *source.parts))
            by_root[source.root] = replace(before, parts=tuple(parts))
        else:
            by_root[source.root] = source
    return list(by_root.values())


def innermost(path: Path, folders: AbstractSet[Path]) -> Path | None:
    """Return the nearest of some folders that a path lies in, or is; None where there is none."""
    return next((folder for folder in (path, *path.parents) if folder in folders), None)


def outermost(paths: Iterable[Path]) -> set[Path]:
    """Return the folders that lie in no other of them."""
    folders = set(paths)
    return {path for path in folders if folders.isdisjoint(path.parents)}


def is_part(name: str, paths: Iterable[str]) -> bool:
    """Tell whether a document is one of these files, a record of one, or in a folder of them."""
    return any(path in (WHOLE, name) or name.startswith((f"{path}#", f"{path}/")) for path in paths)


def _is(kind: Callable[[], bool]) -> bool:
    """Ask an entry for its kind; False where it cannot be looked at."""
    try:
        return kind()
    except OSError:
        return False


def _facts(file: Path, now: float) -> tuple[int, list[int] | None]:
    """Return the bytes of a file, and its size and times; None if it may still change unseen."""
    try:
        facts = file.stat()
    except OSError:
        return 0, None
    is_settled = max(facts.st_mtime, facts.st_ctime) < now - _SETTLED
    stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
    return facts.st_size, stamp if is_settled else None


def size_of(file: Path) -> int:
    """Return the bytes of a file; 0 where it cannot be looked at."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def is_own(folder: Path) -> bool:
    """Tell whether ragdoll wrote a folder: features, or a model."""
    return any(_begins_with_marker(folder / name) for name in OWN_FILES)


def _begins_with_marker(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(OWN_MARKER)) == OWN_MARKER
    except OSError:
        return False
