"""From what a user names (a folder, a file, a dataset id, ``python:PACKAGE``) to a corpus."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ragdoll.corpus.documents import Corpus, Source
from ragdoll.corpus.formats import office
from ragdoll.corpus.formats.files import FAMILIES, SUPPORTED
from ragdoll.corpus.sources.dataset import DatasetSource, is_dataset_folder
from ragdoll.corpus.sources.folder import FileSource
from ragdoll.corpus.sources.python_package import SCHEME, PythonSource
from ragdoll.corpus.sources.stdin import STDIN, StdinSource
from ragdoll.errors import CorpusError, MissingExtraError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MAX_HUB_ID = 96


def open_corpus(
    paths: Sequence[str],
    text_key: str = "text",
    name: str | None = None,
    split: str = "train",
    streaming: bool = True,
    ignore_files: bool = True,
) -> Corpus:
    """Open the places that ``paths`` name; nothing is read before the corpus is iterated.

    ``text_key`` is the key or column of the text in JSON, tables and datasets; ``name``, ``split``
    and ``streaming`` are for datasets; ``ignore_files`` False also reads what ignore files leave
    out.

    Raises:
        CorpusError: a place does not exist or holds no format that ragdoll reads.
        MissingExtraError: a file is named whose format needs an extra that is not installed.
    """
    dataset = {"text_key": text_key, "name": name, "split": split, "streaming": streaming}
    sources: list[Source] = []
    for given in paths:
        # These functions of os take any name, where the methods of Path raise for some.
        path = Path(os.path.expanduser(given))  # noqa: PTH111
        exists = bool(given) and os.path.exists(path)  # noqa: PTH110
        if given == STDIN:
            sources.append(StdinSource(text_key))
        elif given.startswith(SCHEME):
            sources.append(PythonSource(given.removeprefix(SCHEME)))
        elif exists and is_dataset_folder(path):
            sources.append(DatasetSource(str(path.resolve()), **dataset))  # type: ignore[arg-type]
        elif exists and path.is_dir():
            sources.append(FileSource(path.resolve(), text_key, ignore_files))
        elif exists:
            sources.append(_file(path, text_key, ignore_files))
        elif _is_hub_id(given):
            sources.append(DatasetSource(given, **dataset))  # type: ignore[arg-type]
        else:
            raise CorpusError(
                f"No file or folder at {given}.",
                hint="Give a folder, a file, a Hugging Face dataset as OWNER/NAME or "
                f"{SCHEME}PACKAGE.",
            )
    # The same place twice is one place.
    return Corpus(list({source.root: source for source in sources}.values()))


def _is_hub_id(name: str) -> bool:
    """Whether a name is a dataset's, and no misspelt file, nor one in a folder that is there."""
    return (
        len(name) <= _MAX_HUB_ID
        and bool(_HUB_ID.fullmatch(name))
        and Path(name).suffix.lower() not in SUPPORTED
        and not os.path.isdir(name.partition("/")[0])  # noqa: PTH112
    )


def _file(path: Path, text_key: str, ignore_files: bool) -> FileSource:
    suffix = path.suffix.lower()
    if suffix == ".py":
        raise CorpusError(
            f"{path} is a Python file; dataset loading scripts are not run.",
            hint="Give the folder or the file that holds the data itself.",
        )
    if suffix not in SUPPORTED:
        raise CorpusError(
            f"{path} has a format that ragdoll does not read.", hint=f"It reads {FAMILIES}."
        )
    if suffix in office.SUFFIXES and not office.is_installed(suffix):
        raise MissingExtraError(office.EXTRA, str(path))
    return FileSource(path.resolve(), text_key, ignore_files)
