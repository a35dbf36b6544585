"""A Hugging Face dataset, from the hub or a local folder, as a source of documents."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document, Skipped, UniqueNames
from ragdoll.corpus.files import is_own
from ragdoll.corpus.formats import SUPPORTED, UnreadableError, record_from
from ragdoll.errors import CorpusError, MissingExtraError, first_line

# What Dataset.save_to_disk and DatasetDict.save_to_disk leave at the root.
_SAVED = (("dataset_info.json", "state.json"), ("dataset_dict.json",))
_DATA = ("*.parquet", "*.arrow", "data/*.parquet", "data/*.arrow")


def is_dataset_folder(path: Path) -> bool:
    """Whether a folder is a dataset: saved by ``save_to_disk``, or of parquet or arrow files."""
    return (
        path.is_dir()
        and not is_own(path)
        and (_is_saved(path) or (_has_data(path) and not _has_documents(path)))
    )


def _has_data(path: Path) -> bool:
    return any(next(path.glob(pattern), None) is not None for pattern in _DATA)


def _has_documents(path: Path) -> bool:
    """Whether there is more to read than data files and the card of a dataset."""
    return any(
        Path(name).suffix.lower() in SUPPORTED and name != "README.md" and name[0] != "."
        for folder, folders, files in os.walk(path)
        for name in files
    )


def _is_saved(path: Path) -> bool:
    return any(all((path / name).is_file() for name in names) for names in _SAVED)


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """The rows of one split. ``name`` None: the dataset's default configuration."""

    path: str
    text_key: str = "text"
    name: str | None = None
    split: str = "train"
    streaming: bool = True

    @property
    def root(self) -> str:
        """The folder, or ``hf:`` and the hub id, with configuration and split."""
        place = Path(self.path).as_posix() if Path(self.path).is_dir() else f"hf:{self.path}"
        return "#".join([place, *([self.name] if self.name else []), self.split])

    def documents(self, skipped: list[Skipped]) -> Iterator[Document]:
        """Yield a document a row, named by its own id or its number."""
        unique = UniqueNames()
        for number, row in enumerate(self._rows(), start=1):
            try:
                record = record_from(row, self.text_key, name=str(number))
            except UnreadableError as error:
                if number == 1 and self.text_key not in row:
                    raise CorpusError(
                        f"The dataset {self.path} has no column '{self.text_key}'; "
                        f"it has {', '.join(row)}.",
                        hint="Name the column with the text by --text-key.",
                    ) from error
                skipped.append(Skipped(f"{self.path}#{number}", str(error)))
                continue
            source = unique(record.name or str(number))
            yield Document(self.root, source, record.title, record.text, record.metadata)

    def signature(self) -> str | None:
        """None: what the hub holds is known only by reading it."""
        return None

    def _rows(self) -> Iterator[dict[str, Any]]:
        if importlib.util.find_spec("datasets") is None:
            raise MissingExtraError("train", f"The dataset {self.path}")
        import datasets

        datasets.disable_progress_bars()
        try:
            if _is_saved(Path(self.path)):
                data = datasets.load_from_disk(self.path)
                data = self._split_of(data)
            else:
                data = datasets.load_dataset(
                    self.path, self.name, split=self.split, streaming=self.streaming
                )
            rows = iter(data)
        except Exception as error:  # the library raises dozens of kinds, hub errors among them
            raise self._failed(error) from error
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except Exception as error:  # as above: the files are read only now
                raise self._failed(error) from error
            yield row

    def _split_of(self, data: Any) -> Any:
        """Take the split of a saved dataset, which may be one alone."""
        if hasattr(data, "keys"):
            return data[self.split]
        if data.split is not None and str(data.split) != self.split:
            raise ValueError(f"it holds the split '{data.split}', not '{self.split}'")
        return data

    def _failed(self, error: Exception) -> CorpusError:
        return CorpusError(
            f"The dataset {self.path} cannot be loaded: {first_line(error)}",
            hint="Check the id (or folder), --dataset-name and --dataset-split; "
            "a hub dataset needs the network unless it is cached.",
        )
