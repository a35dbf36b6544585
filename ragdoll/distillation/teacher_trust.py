"""What in a teacher's folder could run code when it is loaded: refused before anything is.

sentence-transformers and transformers have checks of their own, which differ from version to
version (before 6.0 the former ran the code of any local folder). These hold for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ragdoll.embedding.folder import Module, read_json, read_modules
from ragdoll.errors import TeacherError

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
