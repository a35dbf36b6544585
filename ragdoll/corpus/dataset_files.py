"""The files of a dataset in a local folder, which may be anyone's: none outside it is read.

The library goes by what a folder says of itself (its card, its state), and that may name any path
or address.
"""

from __future__ import annotations

import glob
import json
import re
from pathlib import Path
from typing import Any

from ragdoll.confined import is_inside

# Named as libraries name the parts of a dataset; other Parquet files are read one by one.
SPLIT = re.compile(r"(train|test|validation)([-_.].*)?\.parquet")
_ARROW_SPLIT = re.compile(r"(train|test|validation)([-_.].*)?\.arrow")


def data_files(path: Path) -> tuple[str, dict[str, list[str]]]:
    """The format of a folder's data, and the files of each split as patterns of the library.

    Arrow files that are not named by a split are taken for ``train``.

    Raises:
        ValueError: there are none, or a link leads out of the folder.
    """
    files = sorted(file for file in (*path.glob("*"), *path.glob("data/*")) if file.is_file())
    found: dict[str, dict[str, list[str]]] = {"parquet": {}, "arrow": {}}
    for file in files:
        kind = file.suffix.removeprefix(".")
        named = (SPLIT if kind == "parquet" else _ARROW_SPLIT).fullmatch(file.name)
        if named or kind == "arrow":
            _refuse_outside(path, file)
            split = named[1] if named else "train"
            found[kind].setdefault(split, []).append(glob.escape(str(file)))
    for kind, splits in found.items():
        if splits:
            return kind, splits
    raise ValueError("it holds no data")


def check_saved(path: Path) -> None:
    """Check that what ``save_to_disk`` left names files in its own folder only.

    Raises:
        ValueError: a name or a link leads out of it, or its state is damaged.
    """
    names = _json(path / "dataset_dict.json").get("splits", [])
    for name in names:
        _refuse_outside(path, path / str(name))
    for folder in (path, *(path / str(name) for name in names)):
        for entry in _json(folder / "state.json").get("_data_files", []):
            _refuse_outside(path, folder / str(entry["filename"]))


def without_decoding(data: Any) -> Any:
    """A dataset that opens no picture or sound: a row may say that it is at any path or address."""
    from datasets.features.features import require_decoding

    if hasattr(data, "decode"):  # a stream, whose columns may not be known before the first row
        return data.decode(False)
    media = [name for name, kind in data.features.items() if require_decoding(kind)]
    return data.remove_columns(media) if media else data


def without_media(row: dict[str, Any]) -> dict[str, Any]:
    """A row without pictures and sounds that were not opened."""
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
