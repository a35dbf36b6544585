"""Uploading a trained model to the hub, in one commit and without the paths of this machine."""

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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where a model is on the hub, and whether only its owner sees it there."""

    url: str
    private: bool


def check(repo: str) -> None:
    """Check, without the network, what an upload to ``repo`` needs: before the long work starts.

    Raises:
        UsageError: it is no repository id, the hub's client is told to stay offline, or no token is
            there.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(
            f"'{repo}' is no id of a repository on the hub.",
            hint="Give OWNER/NAME: letters, digits, and between them single '-', '_' and '.'.",
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise UsageError(
            f"Nothing can be uploaded to {repo}: HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set.",
            hint="Unset it, or train without --push-to-hub.",
        )
    if not get_token():
        raise UsageError(
            f"Nothing can be uploaded to {repo}: there is no token for the hub.",
            hint="Log in by `hf auth login`, or set HF_TOKEN to a token that may write.",
        )


def push(folder: Path, repo: str, public: bool = False) -> Pushed:
    """Upload a model folder of ragdoll's; the repository is made, private, where there is none.

    What ragdoll wrote is uploaded, no other file, and all or nothing of it. An absolute path in it
    becomes its last component; the folder itself is not touched. ``public`` is for a new
    repository; one that is there stays what it is, with a warning where that is not what was asked.

    Raises:
        HubError: the upload failed.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi()
    try:
        url = api.create_repo(repo, private=not public, exist_ok=True)
        private = bool(api.model_info(url.repo_id).private)
        if private == public:
            _log.warning(
                "The repository %s was there already and stays %s; its settings on the hub can "
                "change that.",
                url.repo_id,
                "private" if private else "public",
            )
        api.create_commit(
            url.repo_id,
            _additions(folder, url.repo_id),
            commit_message=f"Upload a model trained with ragdoll {__version__}",
        )
    except Exception as error:  # the hub's, http's and the transport's have no common base
        raise HubError(
            f"The model could not be uploaded to {constants.ENDPOINT}/{repo}: {_said(error)}",
            hint=f"It is saved in {folder}; the same command trains it again and uploads it.",
        ) from error
    return Pushed(str(url), private)


def without_paths(value: Any) -> Any:
    """A copy of a JSON value in which absolute paths, at any depth, are their last component.

    Paths of a home (``~``) count; so do those of Windows, wherever this runs.
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
    """All files of a model folder as they go to the hub: the large ones from the disk."""
    from huggingface_hub import CommitOperationAdd

    for part in PARTS:
        rewritten = _rewritten(folder / part, None if part else repo)
        for name in FILES:
            yield CommitOperationAdd(
                path_in_repo=f"{part}/{name}" if part else name,
                path_or_fileobj=rewritten.get(name, folder / part / name),
            )


def _rewritten(folder: Path, repo: str | None) -> dict[str, bytes]:
    """The files that may tell of this machine, without its paths.

    The card names ``repo`` as what to load where it is not None. A teacher that is a folder is no
    model that the hub knows, and the hub refuses a card that names such a teacher as its base.
    """
    model = open_folder(folder)
    if model.provenance is None or model.embedding is None:
        raise HubError(f"{folder} is not a model of ragdoll's.")
    record = without_paths(model.provenance)
    teacher = record["teacher"]["name"]
    is_folder = teacher != model.provenance["teacher"]["name"]
    text = card(model.embedding.shape, record, None if is_folder else teacher, repo)
    return {
        "README.md": text.encode(),
        "config.json": as_json(without_paths(model.config)).encode(),
        PROVENANCE_FILE: as_json(record).encode(),
    }


def _said(error: Exception) -> str:
    """In one line what the library says, and the reason: what the server said to it."""
    line = first_line(error)
    # Other errors than those of http have it in their last line, if they have more than one.
    told = getattr(error, "server_message", str(error)) or ""
    reason = told.strip().rpartition("\n")[2].lstrip("- ")
    return line if reason in line else f"{line.rstrip('.')}: {reason}"
