"""Hugging Face datasets, from the hub or a local folder, as a source of documents.

A local folder may be anyone's. Its card and its state, which the library goes by, may name any path
or address, so only the files in the folder are given to the library.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document, Reading, Source
from ragdoll.corpus.formats.decoding import UnreadableError, display_name
from ragdoll.corpus.formats.kinds import SUPPORTED, format_of
from ragdoll.corpus.formats.records import has_key, record_from
from ragdoll.corpus.names import UniqueNames
from ragdoll.corpus.sources.folder import is_own
from ragdoll.errors import CorpusError, first_line
from ragdoll.extras import missing
from ragdoll.files import is_inside

# Named as libraries name the parts of a dataset; other Parquet files are read one by one.
SPLIT = re.compile(r"(train|test|validation)([-_.].*)?\.parquet")
_ARROW_SPLIT = re.compile(r"(train|test|validation)([-_.].*)?\.arrow")


def data_files(path: Path) -> tuple[str, dict[str, list[str]]]:
    """Return the format of a folder's data, and the files of each split as the library's patterns.

    Arrow files that are not named by a split are taken for ``train``.

    Raises:
        ValueError: there are no such files, or a link leads out of the folder.
    """
    files = sorted(file for file in (*path.glob("*"), *path.glob("data/*")) if file.is_file())
    formats: dict[str, dict[str, list[str]]] = {"parquet": {}, "arrow": {}}
    for file in files:
        kind = file.suffix.removeprefix(".")
        named = (SPLIT if kind == "parquet" else _ARROW_SPLIT).fullmatch(file.name)
        if named or kind == "arrow":
            _refuse_outside(path, file)
            split = named[1] if named else "train"
            formats[kind].setdefault(split, []).append(glob.escape(str(file)))
    for kind, splits in formats.items():
        if splits:
            return kind, splits
    raise ValueError("it holds no data")


def check_saved(path: Path) -> None:
    """Check that a folder left by ``save_to_disk`` names only files in it.

    Raises:
        ValueError: a name or a link leads out of the folder, or its state is damaged.
    """
    names = _json(path / "dataset_dict.json").get("splits", [])
    for name in names:
        _refuse_outside(path, path / str(name))
    for folder in (path, *(path / str(name) for name in names)):
        for entry in _json(folder / "state.json").get("_data_files", []):
            _refuse_outside(path, folder / str(entry["filename"]))


def without_decoding(data: Any) -> Any:
    """Keep a dataset from opening pictures and sounds: a row may name any path or address."""
    from datasets.features.features import require_decoding

    if hasattr(data, "decode"):  # a stream, whose columns may not be known before the first row
        return data.decode(False)
    media = [name for name, kind in data.features.items() if require_decoding(kind)]
    return data.remove_columns(media) if media else data


def without_media(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the pictures and sounds that were not opened."""
    return {
        name: value
        for name, value in row.items()
        if not (isinstance(value, dict) and value.keys() == {"bytes", "path"})
    }


def _refuse_outside(path: Path, file: Path) -> None:
    if not is_inside(file, path):
        raise ValueError(f"{file} leads out of the folder")


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_bytes())) if file.is_file() else {}


# The files that Dataset.save_to_disk and DatasetDict.save_to_disk leave at the root.
_SAVED = (("dataset_info.json", "state.json"), ("dataset_dict.json",))
# The files that a dataset's folder holds besides its data.
_CARDS = frozenset({"README.md", "dataset_info.json", "dataset_infos.json"})
_STATES = frozenset({"state.json", "dataset_dict.json"})


def is_dataset_folder(path: Path) -> bool:
    """Tell whether a folder is a dataset: left by ``save_to_disk``, or of Arrow files or splits."""
    return (
        path.is_dir()
        and not is_own(path)
        and (_is_saved(path) or (_has_data(path) and not _has_documents(path)))
    )


def _has_data(path: Path) -> bool:
    return any(
        file.suffix == ".arrow" or SPLIT.fullmatch(file.name)
        for file in (*path.glob("*"), *path.glob("data/*"))
    )


def _has_documents(path: Path) -> bool:
    """Tell whether there is more to read than the Parquet files of splits and a dataset's cards."""
    return any(
        format_of(file) in SUPPORTED and file.name not in _CARDS and not SPLIT.fullmatch(file.name)
        for file in _files(path)
    )


def _files(path: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it, in order, without the hidden ones."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (Path(folder, name) for name in sorted(files) if name[0] != ".")


def _is_saved(path: Path) -> bool:
    return any(all((path / name).is_file() for name in names) for names in _SAVED)


@dataclass(slots=True)
class DatasetSource(Source):
    """The rows of one split; ``name`` None is the dataset's default configuration."""

    path: str
    text_key: str = "text"
    name: str | None = None
    split: str = "train"
    streaming: bool = True
    _data: Any = field(default=None, init=False, repr=False, compare=False)
    _splits: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    @property
    def root(self) -> str:
        """The folder, or ``hf:`` and the hub id, with configuration and split."""
        place = Path(self.path).as_posix() if Path(self.path).is_dir() else f"hf:{self.path}"
        return "#".join([place, *([self.name] if self.name else []), self.split])

    @property
    def told(self) -> Mapping[str, Any]:
        """The place, and what is read of it."""
        return {
            "path": self.path,
            "text_key": self.text_key,
            "name": self.name,
            "split": self.split,
        }

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Yield a document a row, named by its own id or its number."""
        unique = UniqueNames()
        rows, size = self._extent() or (1, 0)
        self._note_unread(reading)
        for number, row in enumerate(self._rows(), start=1):
            reading.done = number * size // rows
            try:
                document = record_from(row, self.text_key, name=str(number))
            except UnreadableError as error:
                if number == 1 and not has_key(row, self.text_key):
                    raise CorpusError(
                        f"The dataset {self.path} has no column '{self.text_key}'; "
                        f"it has {', '.join(row)}.",
                        hint="Name the column with the text by `text_key`.",
                    ) from error
                reading.skip(f"{self.path}#{number}", str(error))
                continue
            yield replace(document, root=self.root, source=unique(document.source))

    def size(self) -> int | None:
        """Return the bytes of the rows; None where the dataset does not tell beforehand."""
        extent = self._extent()
        return extent and extent[1]

    def signature(self) -> str | None:
        """Return None: only reading a dataset tells what the hub holds."""
        return None

    def _note_unread(self, reading: Reading) -> None:
        """Note the other splits of a folder, and its files that are no part of a dataset."""
        files = list(_files(Path(self.path)))
        named = {match[1] for file in files if (match := SPLIT.fullmatch(file.name))}
        # An expression of the library may name several splits, or a part of one.
        read = set(re.split(r"\W+", self.split))
        for split in sorted({*self._splits, *named} - read if "all" not in read else ()):
            reading.skip(f"{self.path}#{split}", f"split '{split}', not asked for")
        for file in files:
            is_data = file.suffix == ".arrow" or SPLIT.fullmatch(file.name)
            if not is_data and file.name not in _CARDS | _STATES:
                reading.skip(display_name(file.as_posix()), "not part of the dataset")

    def _rows(self) -> Iterator[dict[str, Any]]:
        rows = iter(self._opened())
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except Exception as error:  # as below: the files are read only now
                raise self._failed(error) from error
            yield without_media(row)

    def _extent(self) -> tuple[int, int] | None:
        """Return the number of rows, and of their bytes; None where they are not known."""
        data = self._opened()
        if hasattr(data, "num_rows"):
            return data.num_rows, data.data.nbytes
        facts = (data.info.splits or {}).get(self.split)
        return (facts.num_examples, facts.num_bytes) if facts and facts.num_examples else None

    def _opened(self) -> Any:
        """Return the dataset, opened once: that may take a download."""
        if self._data is not None:
            return self._data
        if importlib.util.find_spec("datasets") is None:
            raise missing("train", f"The dataset {self.path}")
        import datasets

        datasets.disable_progress_bars()
        # Reading a local file must send nothing to the hub.
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
        try:
            self._data = without_decoding(self._loaded(datasets))
        except Exception as error:  # the library raises dozens of kinds, hub errors among them
            raise self._failed(error) from error
        return self._data

    def _loaded(self, datasets: Any) -> Any:
        """Load the split by the library; of a folder only what lies in it."""
        folder = Path(self.path)
        if _is_saved(folder):
            check_saved(folder)
            return self._split_of(datasets.load_from_disk(self.path))
        if folder.is_dir():
            kind, files = data_files(folder)
            return datasets.load_dataset(
                kind, data_files=files, split=self.split, streaming=self.streaming
            )
        return datasets.load_dataset(
            self.path, self.name, split=self.split, streaming=self.streaming
        )

    def _split_of(self, data: Any) -> Any:
        """Take the split of a saved dataset, which may be one alone."""
        if hasattr(data, "keys"):
            self._splits = tuple(data)
            if self.split not in data:
                raise ValueError(f"it has no split '{self.split}', but {', '.join(data)}")
            return data[self.split]
        if data.split is not None and str(data.split) != self.split:
            raise ValueError(f"it holds the split '{data.split}', not '{self.split}'")
        return data

    def _failed(self, error: Exception) -> CorpusError:
        # The class of the library's error, at the end of its message, means nothing to a person.
        said = re.sub(r" \(\w+Error\)$", "", first_line(error))
        return CorpusError(
            f"The dataset {self.path} cannot be loaded: {said}",
            hint="Check the id (or folder), `name` and `split`; "
            "a hub dataset needs the network unless it is cached.",
        )
