"""The model folder: the recommended model at its root, variants and distillate below it.

Where a model is made: a hidden folder beside its own, which outlives an interruption.

Another hidden neighbour holds the lock of the model, for whoever makes it or exchanges it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.model.card import card
from ragdoll.distillation.training import projection
from ragdoll.embedding.folder import PROVENANCE_FILE
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import RagdollError, TrainingError, UsageError, first_line
from ragdoll.files import only_one

if TYPE_CHECKING:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

FORMAT = "ragdoll-model"
VERSION = 1

# The models in a model folder, by their place in it, and what each consists of.
PARTS = ("", "variants/weighted", "variants/unweighted", "distillate")
FILES = (
    "README.md",
    "config.json",
    "model.safetensors",
    "modules.json",
    PROVENANCE_FILE,
    "tokenizer.json",
)


def refuse_foreign(output: Path) -> None:
    """Check that an output folder may be replaced: it is absent, empty or a model of ragdoll's.

    Raises:
        UsageError: it is a file, or holds something else.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; a model is a folder.", hint="Give another --output.")
    if output.is_dir() and any(output.iterdir()) and not (output / PROVENANCE_FILE).is_file():
        raise UsageError(
            f"{output} holds something that is not a model of ragdoll's; it is left as it is.",
            hint="Give a new or an empty folder by --output.",
        )


def quantized(vectors: Vectors, dtype: str) -> npt.NDArray[Any]:
    """Convert token vectors to ``float32``, ``float16`` or ``int8``."""
    from model2vec.quantization import DType, quantize_embeddings

    return np.asarray(quantize_embeddings(vectors, DType(dtype)))


def model_like(
    vectors: Vectors, tokenizer: Tokenizer, like: StaticModel, dtype: str
) -> StaticModel:
    """Make a model of token vectors that normalizes, otherwise configured ``like`` another."""
    from model2vec import StaticModel

    own = {"normalize", "max_length", "embedding_dtype"}
    config = {key: value for key, value in like.config.items() if key not in own}
    return StaticModel(
        vectors=quantized(vectors, dtype),
        tokenizer=tokenizer,
        config={**config, "hidden_dim": int(vectors.shape[1])},
        normalize=True,
        max_length=like.max_length,
    )


def save(
    output: Path,
    variants: Mapping[str, StaticModel],
    recommended: str,
    distillate: StaticModel,
    provenance: Mapping[str, Any],
) -> None:
    """Write the whole folder aside, then put it in the place of the old one."""
    aside = beside(output, "partial")
    _remove(aside)
    record = {"format": FORMAT, "version": VERSION, **provenance}
    try:
        _save_one(aside, variants[recommended], record)
        for name, model in variants.items():
            _save_one(aside / "variants" / name, model, {**record, "variant": name})
        _save_one(aside / "distillate", distillate, {**record, "variant": "distillate"})
    except BaseException:
        # A full disk is not to stay full of half a model.
        _remove(aside)
        raise
    replace(output, aside)


def beside(output: Path, role: str) -> Path:
    """A hidden neighbour of a model folder, by a name that is no one else's."""
    return output.with_name(f".{output.name}.ragdoll-{role}")


def replace(output: Path, by: Path) -> None:
    """Rename a whole folder into the place of another; a kill in between leaves one of the two."""
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
    """Remove a folder; a kill in between leaves all or nothing under its name."""
    old = beside(folder, "old")
    _remove(old)
    with suppress(FileNotFoundError):
        folder.rename(old)
    _remove(old)


def _remove(folder: Path) -> None:
    """Remove a folder if it is there; of a link, the link and not what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _save_one(folder: Path, model: StaticModel, record: Mapping[str, Any]) -> None:
    model.save_pretrained(folder)
    text = card(model.embedding.shape, record, record["teacher"]["name"])
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / PROVENANCE_FILE).write_text(as_json(record), encoding="utf-8")


def as_json(record: Mapping[str, Any]) -> str:
    """The content of a JSON file, for people to read too."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


# How the libraries written in Rust end what the system told them; they raise what they like.
_BY_THE_SYSTEM = re.compile(r"([^:]+) \(os error \d+\)$")


@contextmanager
def only_maker(output: Path) -> Iterator[None]:
    """Let one process at a time make or exchange the model that is or will be at ``output``.

    Raises:
        TrainingError: another process is at work on it, or its lock cannot be written.
    """
    hint = "Wait until it is done, or give another folder; queries go on meanwhile."
    with only_one(beside(output, "lock"), "model", f"at work on {output}", TrainingError, hint):
        yield


@contextmanager
def workplace(output: Path) -> Iterator[Path]:
    """Make the folder in which the model that will be at ``output`` is made by its only maker.

    An error leaves nothing there that was not there before; but where something cannot be written,
    as on a full disk, it leaves what the next training can go on from.

    Raises:
        TrainingError: something cannot be written, or the folder is a link or is removed.
    """
    folder = beside(output, "training")
    if folder.is_symlink():
        raise TrainingError(f"{folder} is a link, and is not written through.")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except RagdollError as error:
        if not folder.is_dir():
            raise _removed(folder) from error
        if is_new:
            discard(folder)
        raise
    except Exception as error:
        why = _said_by_the_system(error)
        if why is None:
            raise
        if not folder.is_dir():
            raise _removed(folder) from error
        place = getattr(error, "filename", None) or output.parent
        if isinstance(error, FileNotFoundError) or "(os error 2)" in str(error):
            raise _removed(place) from error
        hint = "Mind the space on the disk."
        if projection.is_whole(folder):
            hint = f"What is done is kept; the same command goes on from there. {hint}"
        else:
            discard(folder)
        raise TrainingError(f"{place} cannot be written: {why}.", hint=hint) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # where nothing came of it


def _removed(place: Path | str) -> TrainingError:
    return TrainingError(
        f"{place} has been removed while the model was made.",
        hint="The same command makes it again.",
    )


def _said_by_the_system(error: Exception) -> str | None:
    """What went wrong with a file; None where that is not what went wrong."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    found = _BY_THE_SYSTEM.search(first_line(error))
    return found[1].strip() if found else None
