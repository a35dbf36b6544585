"""The upload of a trained model to the hub, in one commit and without the paths of this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from ragdoll import __version__
from ragdoll.distillation.model.card import card
from ragdoll.distillation.model.folder import FILES, PARTS, as_json
from ragdoll.embedding.folder import PROVENANCE_FILE, open_folder
from ragdoll.errors import HubError, UsageError, first_line

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A model on the hub; ``private`` tells that only its owner sees it."""

    url: str
    private: bool


def check(repo: str) -> None:
    """Check without the network what an upload to ``repo`` needs, before the long work starts.

    Raises:
        UsageError: ``repo`` is no repository id, the environment forbids the network, or there is
            no token.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(
            f"'{repo}' is not an id of a repository on the hub.",
            hint="Give OWNER/NAME: letters, digits, and between them single '-', '_' and '.'.",
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise UsageError(
            f"Nothing can be uploaded to {repo}: HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set.",
            hint="Unset it, or do not upload the model.",
        )
    if not get_token():
        raise UsageError(
            f"Nothing can be uploaded to {repo}: there is no token for the hub.",
            hint="Log in with hf auth login, or set HF_TOKEN to a token that may write.",
        )


def push(folder: Path, repo: str, public: bool = False) -> Pushed:
    """Upload a model folder of ragdoll's; a new repository is private unless ``public``.

    Only ragdoll's own files are uploaded, and all of them or none. Absolute paths in them become
    their last component; the folder itself does not change. An existing repository keeps its
    visibility, with a warning if ``public`` says otherwise.

    Raises:
        HubError: the upload failed.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi()
    try:
        url = api.create_repo(repo, private=not public, exist_ok=True)
        private = bool(api.model_info(url.repo_id).private)
        if private == public:
            logger.warning(
                "The repository %s exists already and stays %s; its settings on the hub can change "
                "that.",
                url.repo_id,
                "private" if private else "public",
            )
        api.create_commit(
            url.repo_id,
            _additions(folder, url.repo_id),
            commit_message=f"Upload a model trained with ragdoll {__version__}",
        )
    except Exception as error:  # hub, http and transport have no common base
        raise HubError(
            f"The model could not be uploaded to {constants.ENDPOINT}/{repo}: {_reason(error)}",
            hint=f"It is saved in {folder}; the same command trains it again and uploads it.",
        ) from error
    return Pushed(str(url), private)


def without_paths(value: Any) -> Any:
    """Return a copy of a JSON value with the last component in the place of each absolute path.

    Paths of a home (``~``) are absolute, and those of Windows are on every system.
    """
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and _is_absolute(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value


def _is_absolute(text: str) -> bool:
    return text.startswith(("/", "~")) or PureWindowsPath(text).is_absolute()


def _additions(folder: Path, repo: str) -> Iterator[CommitOperationAdd]:
    """Yield all files of a model folder for the hub, the large ones by their path on the disk."""
    from huggingface_hub import CommitOperationAdd

    for part in PARTS:
        rewritten = _rewritten(folder / part, None if part else repo)
        for name in FILES:
            yield CommitOperationAdd(
                path_in_repo=f"{part}/{name}" if part else name,
                path_or_fileobj=rewritten.get(name, folder / part / name),
            )


def _rewritten(folder: Path, repo: str | None) -> dict[str, bytes]:
    """Return the files that may name paths of this machine, without those paths.

    The card loads the model by ``repo``, if that is not None. The hub refuses a card whose base
    model is a folder, so the card names a teacher only if it is a model of the hub.
    """
    model = open_folder(folder)
    if model.provenance is None or model.embedding is None:
        raise HubError(f"{folder} is not a model of ragdoll's.")
    record = without_paths(model.provenance)
    # Where the corpus lies from here is of use on this machine alone.
    record.pop("from_here", None)
    teacher = record["teacher"]["name"]
    is_folder = teacher != model.provenance["teacher"]["name"]
    text = card(model.embedding.shape, record, None if is_folder else teacher, repo)
    return {
        "README.md": text.encode(),
        "config.json": as_json(without_paths(model.config)).encode(),
        PROVENANCE_FILE: as_json(record).encode(),
    }


def _reason(error: Exception) -> str:
    """Return the library's message and the server's, in one line."""
    line = first_line(error)
    # Errors other than those of http have the server's message in their last line, if in any.
    message = getattr(error, "server_message", str(error)) or ""
    reason = message.strip().rpartition("\n")[2].lstrip("- ")
    return line if reason in line else f"{line.rstrip('.')}: {reason}"
