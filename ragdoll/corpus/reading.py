"""From the places that a user names, or the documents that a program holds, to a corpus."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Document, Source
from ragdoll.corpus.formats.decoding import is_encoding, is_text
from ragdoll.corpus.formats.kinds import (
    CONVERTED,
    EXTRA,
    FAMILIES,
    SUPPORTED,
    Manner,
    check_formats,
    format_of,
)
from ragdoll.corpus.sources.dataset import DatasetSource, is_dataset_folder
from ragdoll.corpus.sources.folder import FileSource, innermost, joined, outermost
from ragdoll.corpus.sources.given import GIVEN, GivenSource
from ragdoll.corpus.sources.python_package import SCHEME, PythonSource
from ragdoll.corpus.sources.stdin import STDIN, StdinSource
from ragdoll.errors import CorpusError, UsageError
from ragdoll.extras import require
from ragdoll.settings import READING, CorpusSettings

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MAX_HUB_ID = 96


def read(*places: str | Path, settings: CorpusSettings | None = None) -> Corpus:
    """Open places that hold documents; nothing is read before the corpus is iterated.

    A place is a folder, a file, a Hugging Face dataset (``OWNER/NAME``), ``python:PACKAGE`` for the
    docstrings of an installed package, or ``-`` for standard input. Of ``settings``, None for the
    defaults, ``path`` is what is opened where no place is given.

    >>> corpus = read("docs/loop.md", "docs/locks.txt")
    >>> [document.title for document in corpus]
    ['Timers', 'locks.txt']

    Raises:
        CorpusError: a place does not exist or holds no format that ragdoll reads.
        MissingExtraError: a file is named whose format needs an extra that is not installed.
        UsageError: no place is given.
    """
    settings = settings or CorpusSettings()
    names = list(map(str, places)) or settings.path or []
    if not names:
        raise UsageError(
            "No corpus is given.",
            hint=f"Name a folder, a file, a Hugging Face dataset as OWNER/NAME or {SCHEME}PACKAGE.",
        )
    if not is_encoding(settings.encoding):
        raise UsageError(
            f"The encoding '{settings.encoding}' is not known.",
            hint="Names are those of Python, such as cp1252, shift_jis or gb18030; or auto.",
        )
    check_formats(settings.formats or ())
    sources = [_source(name, settings, alone=len(names) == 1) for name in names]
    description = {
        "path": [str(Path(name).resolve()) if os.path.exists(name) else name for name in names],  # noqa: PTH110
        "text_key": settings.text_key,
        "name": settings.name,
        "split": settings.split,
        "ignore_files": settings.ignore_files,
        # Nothing in the place of the default, so that features from before are not others.
        "encoding": None if settings.encoding == "auto" else settings.encoding,
    }
    for name in READING:
        value = getattr(settings, name)
        if name not in description and value != getattr(CorpusSettings(), name):
            description[name] = value
    left_out = tuple(name for name in READING if not settings.is_given(name))
    return Corpus(_canonical(sources), description, left_out)


def reopened(root: str, told: Mapping[str, Any]) -> Source | None:
    """Open a place again by its root, as it was read before; None where that is impossible.

    ``told`` is ``Source.told``, from a file that anyone may have written.
    """
    text_key, path, split, name = map(told.get, ("text_key", "path", "split", "name"))
    if root.startswith(SCHEME):
        return PythonSource(root.removeprefix(SCHEME))
    if not isinstance(text_key, str):
        return None
    if isinstance(path, str) and isinstance(split, str) and isinstance(name, str | None):
        source = DatasetSource(path, text_key, name, split)
        return source if source.root == root else None
    folder, parts = Path(root), told.get("parts")
    if folder.is_absolute() and folder.is_dir() and isinstance(parts, list) and parts:
        files = FileSource(folder).read_as(told)
        return replace(files, parts=tuple(files.present(parts)))
    return None


def as_corpus(documents: Corpus | Iterable[str | Mapping[str, Any] | Document]) -> Corpus:
    """Make a corpus of documents that a program holds; a corpus stays as it is.

    Raises:
        TypeError: a single string or mapping was given, where several documents are expected.
    """
    if isinstance(documents, Corpus):
        return documents
    if isinstance(documents, str | bytes | Mapping):
        raise TypeError(
            f"documents must be several, not one {type(documents).__name__}; "
            "put it into a list, or open a place with read()."
        )
    return Corpus([GivenSource(documents)], {"path": [GIVEN]})


def _canonical(sources: Sequence[Source]) -> list[Source]:
    """Give each file one place: in the folder that is named, or else in that of the named files.

    A folder in a named folder is a part of it, and so is a file. Files without such a folder are
    parts of their own, and those of its folders below belong to it too.
    """
    files = [source for source in sources if isinstance(source, FileSource)]
    named = outermost(source.path for source in files if source.is_whole)
    others = outermost(source.path for source in files if not innermost(source.path, named))
    return joined(
        source.below(innermost(source.path, named) or innermost(source.path, others) or source.path)
        if isinstance(source, FileSource)
        else source
        for source in sources
    )


def _source(name: str, settings: CorpusSettings, alone: bool) -> Source:
    # These functions of os take any name, where the methods of Path raise for some.
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    exists = bool(name) and os.path.exists(path)  # noqa: PTH110
    if name == STDIN:
        return StdinSource(settings.text_key)
    if name.startswith(SCHEME):
        return PythonSource(name.removeprefix(SCHEME))
    if exists and path.is_dir() and not is_dataset_folder(path):
        return FileSource(path.resolve(), Manner.of(settings))
    is_broken = os.path.islink(path) and not exists  # noqa: PTH114
    if (exists and not path.is_dir()) or (is_broken and not alone):
        return _file(path, settings, alone)
    if exists or _is_hub_id(name):
        return DatasetSource(
            str(path.resolve()) if exists else name,
            settings.text_key,
            settings.name,
            settings.split,
            settings.streaming,
        )
    raise CorpusError(
        f"No file or folder at {name}.",
        hint=f"Give a folder, a file, a Hugging Face dataset as OWNER/NAME or {SCHEME}PACKAGE.",
    )


def _is_hub_id(name: str) -> bool:
    """Tell whether a name is that of a dataset on the hub, and not of a misspelt file."""
    return (
        len(name) <= _MAX_HUB_ID
        and bool(_HUB_ID.fullmatch(name))
        and format_of(Path(name)) not in SUPPORTED
        and not os.path.isdir(name.partition("/")[0])  # noqa: PTH112
    )


def _file(path: Path, settings: CorpusSettings, alone: bool) -> FileSource:
    """Open a file. One of several, as a shell names all of a folder, is left out in the reading."""
    manner = Manner.of(settings)
    suffix = manner.format_of(path)
    if alone:
        if not path.is_file():
            raise CorpusError(f"{path} is no regular file.")
        if suffix not in SUPPORTED and not is_text(path):
            raise CorpusError(
                f"{path} has a format that ragdoll does not read.", hint=f"It reads {FAMILIES}."
            )
        if suffix in CONVERTED:
            require(EXTRA, str(path))
    path = path.resolve() if path.exists() else path.parent.resolve() / path.name
    return FileSource(path.parent, manner, (path.name,))
