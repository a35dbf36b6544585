"""An adapter (PEFT): small weights that change a whole model, which lies in another folder.

transformers reads adapters too, but finds the other model by itself, and its version 5.3 leaves the
adapter's weights out without an error in some families. So the library PEFT merges the two here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ragdoll.embedding.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ModelFolder
from ragdoll.errors import TeacherError


@contextmanager
def loadable(folder: ModelFolder) -> Iterator[Path]:
    """Yield a folder that holds a whole model: for an adapter one with the weights of its base.

    The adapter's tokenizer and settings come before those of the base.
    """
    if folder.base is None:
        yield folder.path
        return
    with TemporaryDirectory(prefix="ragdoll-") as name:
        place = Path(name)
        _link(folder.base.transformer, place / folder.transformer.relative_to(folder.path))
        for source, _, _ in os.walk(folder.path):
            _link(Path(source), place / Path(source).relative_to(folder.path))
        yield place


def merge(model: Any, folder: ModelFolder) -> None:
    """Change the weights of a ``SentenceTransformer``, made from ``loadable``, by the adapter's.

    Raises:
        TeacherError: the adapter is of a kind that is no change of weights, or of another model.
    """
    from peft import PeftConfig, PeftModel

    source = str(folder.transformer)
    config = PeftConfig.from_pretrained(source)
    if config.is_prompt_learning:
        raise TeacherError(
            f"{folder.path} is an adapter (PEFT) of the kind {config.peft_type.value}, which "
            "cannot be merged into its model.",
            hint="Take an adapter that changes weights, such as LoRA.",
        )
    tuned = PeftModel(model[0].auto_model, config)
    read = tuned.load_adapter(source, "default")
    if read.missing_keys or read.unexpected_keys:
        key = [*read.unexpected_keys, *read.missing_keys][0]
        raise TeacherError(
            f"{folder.path} is an adapter (PEFT) of another model than {folder.base_name}: "
            f"the weights {key} have no counterpart."
        )
    tuned.merge_and_unload()


def _link(source: Path, target: Path) -> None:
    """Put links to the files of a folder into another one, in place of those of the same name."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) or not file.is_file():
            continue
        link = target / file.name
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(file.resolve())
        except OSError:  # Windows lets few users make links
            shutil.copyfile(file, link)
