"""The files of a teacher: found on this machine or on the hub, and refused if they run code.

sentence-transformers and transformers check models for foreign code too, but their checks differ
from version to version (before 6.0 the former ran the code of any local folder). The checks here
hold for all versions, and come before anything is loaded.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ragdoll.embedding.folder import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    ModelFolder,
    open_folder,
    read_json,
    read_modules,
)
from ragdoll.embedding.identity import (
    Metric,
    find_model,
    looks_like_path,
    metric_of,
    open_with_base,
    teacher_fingerprint,
)
from ragdoll.embedding.inspection import stated_dimension
from ragdoll.errors import TeacherError, first_line
from ragdoll.extras import install_command

HINT_TO_TRUST = "If you trust the code in its folder, pass `trust_remote_code=True`."

# Pickled weights are never fetched; the other files are exports for runtimes that are not used.
_NOT_FETCHED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.ot")

# These modules keep the dimension of vectors, or their configuration states another.
_STATE_DIMENSION = {"Transformer", "Pooling", "Normalize", "Dense", "Dropout", "LayerNorm"}

# The modules of sentence-transformers that import nothing by a name from the folder, but for the
# activation function of a Dense. Others import a class that the folder names, or read pickles.
_SAFE_MODULES = re.compile(
    r"sentence_transformers(\.\w+)*\."
    r"(Transformer|CLIPModel|Pooling|Normalize|Dense|LayerNorm|Dropout|WeightedLayerPooling|CNN)"
)
_SAFE_ACTIVATION = re.compile(r"torch\.nn\.(modules\.\w+\.)?\w+")

# Modules that come with no code, and with no transformer whose texts they could read.
_NOT_SUPPORTED = re.compile(r"sentence_transformers(\.\w+)*\.(BoW|LSTM|WordWeights)")

# The other kinds of models that sentence-transformers has: the packages of their modules have the
# same names.
_OTHER_KINDS = {
    "CrossEncoder": "which gives a score for two texts",
    "SparseEncoder": "which gives a weight for each token of its vocabulary",
    "MultiVectorEncoder": "which gives a vector for each token of a text",
}
_KIND = re.compile(r"sentence_transformers\.(\w+_encoder)\.")

# The libraries load these pickles if the weights are not there as safetensors.
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin", "adapter_model.bin")
_SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", ADAPTER_WEIGHTS)


@dataclass(frozen=True, slots=True)
class TeacherFiles:
    """A teacher on this machine, not yet loaded; ``name`` is what the user called it.

    ``fingerprint`` is the same wherever the teacher lies; see ``teacher_fingerprint``.
    """

    name: str
    folder: ModelFolder
    fingerprint: str
    metric: Metric

    @property
    def path(self) -> Path:
        """The teacher's folder on this machine."""
        return self.folder.path


def find_teacher(name: str, fetch: bool = True) -> TeacherFiles:
    """Find a teacher: a folder, the Hugging Face cache, the package of all-MiniLM-L6-v2, the hub.

    Only the hub needs the network. It is asked only if ``fetch``: a name that comes out of a file
    is no reason to contact anyone.

    Raises:
        TeacherError: the teacher is not found, is a static model, or has a part that is only a
            pickle.
        ModelError: the folder holds no model, or its weights only as a pickle.
    """
    path = find_model(name)
    if path is None:
        if not fetch:
            raise TeacherError(
                f"The features were made by the teacher {name}, which is not on this machine.",
                hint="If it was moved, name its folder by `teacher`; to fetch it from the model "
                "hub, name it.",
            )
        _refuse_path(name)
        path = _download(name)
        base = open_folder(path).base_name
        if base and find_model(base) is None and not looks_like_path(base):
            _download(base)
    _refuse_other_kinds(name, path)
    folder = open_with_base(path)
    if folder.is_static:
        raise TeacherError(
            f"{name} is a static model; a teacher is a full sentence-transformer.",
            hint="For example sentence-transformers/all-MiniLM-L6-v2.",
        )
    refuse_pickles(name, path)
    if folder.base:
        refuse_pickles(name, folder.base.path)
    return TeacherFiles(name, folder, teacher_fingerprint(folder), metric_of(folder)[0])


def vector_dimension(name: str, target: str) -> int | None:
    """Return the dimension of a teacher's vectors by its configuration.

    ``target`` is ``mean`` for the vectors of tokens, ``sentence`` for those of texts. None where
    the configuration leaves it open, or the teacher is not on this machine.

    Raises:
        ModelError: the teacher's folder holds no model, or its weights only as a pickle.
    """
    path = find_model(name)
    if path is None:
        return None
    modules = read_modules(path)
    if not {module.type.rpartition(".")[2] for module in modules} <= _STATE_DIMENSION:
        return None
    folder = open_with_base(path)
    if target == "sentence":
        return stated_dimension(folder)
    dimension = folder.hidden_size
    for module in modules:
        config = _config(path / module.path / "config.json")
        if config.get("module_output_name") == "token_embeddings" and "out_features" in config:
            dimension = int(config["out_features"])
    return dimension


def refuse_pickles(name: str, path: Path) -> None:
    """Check that no part of a teacher is a pickle, which runs code whatever else is forbidden.

    Raises:
        TeacherError: the weights of a module are only there as a pickle.
        ModelError: ``modules.json`` is damaged.
    """
    for folder in (*(path / module.path for module in read_modules(path)), path):
        if any((folder / file).exists() for file in _SAFE_WEIGHTS):
            continue
        for file in _PICKLES:
            if (folder / file).exists():
                raise TeacherError(
                    f"{name} has weights only in {folder / file}, a pickle, which can run code.",
                    hint="Convert the model to safetensors, or take a version that has them.",
                )


def refuse_code(name: str, path: Path) -> None:
    """Check that a teacher consists of modules that run no code but that of the libraries.

    Raises:
        TeacherError: a module is of another kind, or lies outside the teacher's folder.
        ModelError: ``modules.json`` or a module's ``config.json`` is damaged.
    """
    for module in read_modules(path):
        if not _SAFE_MODULES.fullmatch(module.type):
            raise TeacherError(
                f"{name} has the module '{module.type}', which may run code that comes with it.",
                hint=HINT_TO_TRUST,
            )
        place = PurePosixPath(module.path.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise TeacherError(f"{name} has a module outside its folder, in '{module.path}'.")
        folder = path / module.path
        _refuse_kernels(name, folder)
        # The library's own default where the module names none.
        config = _config(folder / "config.json")
        activation = str(config.get("activation_function", "torch.nn.Tanh"))
        if module.type.endswith(".Dense") and not _SAFE_ACTIVATION.fullmatch(activation):
            raise TeacherError(
                f"{name} has the activation function '{activation}', which is none of torch's.",
                hint=HINT_TO_TRUST,
            )


def refuse_code_of_adapter(teacher: TeacherFiles) -> None:
    """Check that neither an adapter nor its base has a module imported by its name.

    Raises:
        TeacherError: one of them does.
    """
    folder = teacher.folder
    if folder.base:
        _refuse_kernels(teacher.name, folder.base.transformer)
        if read_json(folder.transformer / ADAPTER_CONFIG).get("megatron_config"):
            raise TeacherError(f"{teacher.name} wants the code of Megatron.", HINT_TO_TRUST)


def silence_transformers() -> None:
    """Keep the notices and progress bars of transformers off the terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off standard output what the library tokenizers prints, such as on gaps between ids."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (no file)
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _refuse_other_kinds(name: str, path: Path) -> None:
    """Refuse a model that gives no vector of a text, or of a document another than of a query."""
    modules = read_modules(path)
    kinds = {_config(path / "config_sentence_transformers.json").get("model_type")}
    for module in modules:
        if module.type.endswith((".Router", ".Asym")):
            raise TeacherError(
                f"{name} has the module '{module.type}': queries and documents have a model each.",
                hint="A static model is one for both. Give one of its routes, saved as a model.",
            )
        if _NOT_SUPPORTED.fullmatch(module.type):
            raise TeacherError(
                f"{name} has the module '{module.type}', which is not supported.",
                hint="A teacher is a transformer, with modules such as Pooling behind it.",
            )
        if package := _KIND.match(module.type):
            kinds.add(package[1].title().replace("_", ""))
    architectures = str(_config(path / "config.json").get("architectures"))
    if not modules and "ForSequenceClassification" in architectures:
        kinds.add("CrossEncoder")
    for kind, what_it_gives in _OTHER_KINDS.items():
        if kind in kinds:
            raise TeacherError(
                f"{name} is a {kind}, {what_it_gives}.",
                hint="A teacher is a SentenceTransformer, which gives a vector for a text.",
            )


def _refuse_path(name: str) -> None:
    """Refuse a name that is no hub id, or probably a misspelt folder beside existing ones."""
    owner, _, rest = name.rpartition("/")
    if looks_like_path(name):
        hint = "Give the folder of a sentence-transformer, or a hub id as OWNER/NAME."
    elif rest and os.path.isdir(owner):  # noqa: PTH112 (takes any name)
        hint = (
            f"The folder {owner} has no {rest}. To get the hub's model, "
            f"run in a folder that has no {owner}."
        )
    else:
        return
    raise TeacherError(f"No teacher at {name}: there is no such folder.", hint=hint)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=list(_NOT_FETCHED)))
    except Exception as error:  # hub, http and validation errors have no common base
        reason, remedy = _why_not_fetched(error)
        ways = [
            "give a local folder as `teacher`",
            "put the model into the Hugging Face cache (HF_HOME) on a machine with a network",
            remedy,
        ]
        if name.endswith("all-MiniLM-L6-v2"):
            ways.insert(0, f"{install_command('local')}, which brings its weights")
        raise TeacherError(
            f"No teacher at {name}: there is no such folder, and {reason}.",
            hint="Ways to get one: " + "; ".join(ways) + ".",
        ) from error


def _why_not_fetched(error: Exception) -> tuple[str, str]:
    """Return in plain words why the hub does not give a model, and what may help."""
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return "the model hub is not asked, as HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
    if isinstance(error, errors.HFValidationError):
        return "the name is not an id of the model hub either", "give a hub id as OWNER/NAME"
    if isinstance(error, errors.GatedRepoError):
        return "the model hub gives it only to accounts that its owner has approved", "set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the model hub has no such model, or it is private", "check the name, or HF_TOKEN"
    if isinstance(error, (errors.LocalEntryNotFoundError, ConnectionError)):
        return "the model hub could not be reached", "check the network"
    return f"the model hub does not give it: {first_line(error).rstrip('.')}", "check the name"


def _refuse_kernels(name: str, folder: Path) -> None:
    """Refuse an implementation of attention whose name is that of code on the hub: OWNER/NAME."""
    for file in (folder / "config.json", *folder.glob("sentence_*_config.json")):
        for kernel in _values(_config(file), {"attn_implementation", "_attn_implementation"}):
            if "/" in str(kernel):
                raise TeacherError(f"{name} wants the code {kernel} from the hub.", HINT_TO_TRUST)


def _values(content: Any, keys: set[str]) -> Iterator[Any]:
    """Yield the values of these keys at any depth of a JSON value."""
    if isinstance(content, dict):
        yield from (content[key] for key in keys & content.keys())
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from _values(value, keys)


def _config(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}
