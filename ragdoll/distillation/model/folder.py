"""The model folder: the recommended model at its root, variants and distillate below it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.model.card import card
from ragdoll.embedding.folder import PROVENANCE_FILE
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

FORMAT = "ragdoll-model"
VERSION = 1

# The models in a model folder by their place in it, and the files of each.
PARTS = ("", "variants/weighted", "variants/unweighted", "distillate")
FILES = (
    "README.md",
    "config.json",
    "model.safetensors",
    "modules.json",
    PROVENANCE_FILE,
    "tokenizer.json",
)


# The terms that a user added to the vocabulary, a line each; not in a model without any.
TERMS_FILE = "terms.txt"


def refuse_foreign(output: Path) -> None:
    """Check that an output folder may be replaced: it is absent, empty or a model of ragdoll's.

    Raises:
        UsageError: the output is a file, or holds something else.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(
            f"{output} is a file; a model is a folder.", hint="Give another `train.output`."
        )
    if output.is_dir() and any(output.iterdir()) and not (output / PROVENANCE_FILE).is_file():
        raise UsageError(
            f"{output} holds something that is not a model of ragdoll's, and is not replaced.",
            hint="Give a new or an empty folder as `train.output`.",
        )


def rounded(vectors: Vectors, dtype: str) -> Vectors:
    """Return token vectors as they are read from a model that is saved in a type."""
    table, scales = _quantized(vectors, dtype)
    return np.asarray(table if scales is None else table * scales[:, None], dtype=np.float32)


def model_like(
    vectors: Vectors, tokenizer: Tokenizer, like: StaticModel, dtype: str
) -> StaticModel:
    """Make a model of token vectors that normalizes, in all else configured ``like`` another."""
    from model2vec import StaticModel

    own = {"normalize", "max_length", "embedding_dtype"}
    config = {key: value for key, value in like.config.items() if key not in own}
    table, scales = _quantized(vectors, dtype)
    return StaticModel(
        vectors=table,
        tokenizer=tokenizer,
        config={**config, "hidden_dim": int(vectors.shape[1])},
        normalize=True,
        max_length=like.max_length,
        weights=scales,
    )


def _quantized(vectors: Vectors, dtype: str) -> tuple[npt.NDArray[Any], Vectors | None]:
    """Convert token vectors to ``float32``, ``float16`` or ``int8``; return the table and scales.

    A scale for each token makes the rounding to integers finer than one for all. With any scales
    sentence-transformers computes in float32; without them it cannot average integers, and makes
    NaN of a text without tokens in float16.
    """
    if dtype == "float32":
        return vectors.astype(np.float32, copy=False), None
    if dtype == "float16":
        return vectors.astype(np.float16), np.ones(len(vectors), np.float32)
    longest = np.abs(vectors).max(axis=1)
    scales = np.where(longest > 0, longest / 127, 1).astype(np.float32)
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales


def save(
    output: Path,
    variants: Mapping[str, StaticModel],
    recommended: str,
    distillate: StaticModel,
    provenance: Mapping[str, Any],
    terms: Sequence[str] = (),
) -> None:
    """Write a model folder beside the output, then put it in the place of the old one.

    ``recommended`` is one of ``variants``, or ``distillate``.
    ``terms`` are those of the user's that the vocabulary was extended by.
    """
    aside = beside(output, "partial")
    _remove(aside)
    record = {"format": FORMAT, "version": VERSION, **provenance}
    try:
        _save_one(aside, variants.get(recommended, distillate), record)
        for name, model in variants.items():
            _save_one(aside / "variants" / name, model, {**record, "variant": name})
        _save_one(aside / "distillate", distillate, {**record, "variant": "distillate"})
        if terms:
            (aside / TERMS_FILE).write_text("\n".join(terms) + "\n", encoding="utf-8")
    except BaseException:
        # Half a model must not fill the disk.
        _remove(aside)
        raise
    replace(output, aside)


def behind_links(path: str | Path) -> Path:
    """Return what a link leads to, however many, and any other path as it is.

    A folder is replaced by renaming it, which would take the link away.
    """
    return Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)


def beside(output: Path, role: str) -> Path:
    """Return the path of a hidden neighbour of a model folder, by a name of ragdoll's own."""
    return output.with_name(f".{output.name}.ragdoll-{role}")


def replace(output: Path, by: Path) -> None:
    """Rename a folder into the place of another; a kill in between leaves one of the two."""
    old = beside(output, "old")
    _remove(old)
    try:
        if output.exists():
            output.rename(old)
        by.rename(output)
    finally:
        if old.exists() and not output.exists():
            old.rename(output)
    _remove(old)


def discard(folder: Path) -> None:
    """Remove a folder; a kill in between leaves all of it under its name, or nothing."""
    old = beside(folder, "old")
    _remove(old)
    with suppress(FileNotFoundError):
        folder.rename(old)
    _remove(old)


def _remove(folder: Path) -> None:
    """Remove a folder if it is there; a link is removed, and its target stays."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _save_one(folder: Path, model: StaticModel, record: Mapping[str, Any]) -> None:
    if model.unk_token_id is not None:
        # model2vec leaves it out of a text. sentence-transformers adds it, which then adds nothing.
        model.embedding[model.unk_token_id] = 0
    model.save_pretrained(folder)
    # safetensors lets only the owner read its files.
    (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode & 0o777)
    text = card(model.embedding.shape, record, record["teacher"]["name"])
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / PROVENANCE_FILE).write_text(as_json(record), encoding="utf-8")


def as_json(record: Mapping[str, Any]) -> str:
    """Return the content of a JSON file, indented for people."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
