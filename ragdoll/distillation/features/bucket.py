"""Features in object storage: the same manifest and parts, below a URI such as ``s3://bucket/name``.

An object appears as a whole or not at all, under its own name. There is no lock. Credentials and
the endpoint come from the environment, by the names that LanceDB reads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ragdoll.distillation.features.folder import DATA, FeaturesFolder
from ragdoll.errors import CREDENTIALS, FeaturesError, UsageError, first_line

_SCHEMES = ("s3", "gs", "az")
_HINT = f"{CREDENTIALS} AWS_ENDPOINT names another server."


def features_at(place: str | Path) -> FeaturesFolder:
    """Return the features in a folder, or below a URI.

    Raises:
        UsageError: the URI is of another kind than ``s3://``, ``gs://`` and ``az://``.
    """
    scheme, separator, _ = str(place).partition("://")
    if not separator:
        return FeaturesFolder(Path(place))
    if scheme not in _SCHEMES:
        raise UsageError(
            f"Features cannot be at {place}.",
            hint="Give a folder, or a URI that begins with s3://, gs:// or az://.",
        )
    return FeaturesBucket(str(place))


class FeaturesBucket(FeaturesFolder):
    """Features below a URI."""

    def __init__(self, uri: str) -> None:
        super().__init__(Path())
        self.place = uri.rstrip("/")

    @property
    def address(self) -> str:
        """The URI."""
        return self.place

    def absolute(self) -> FeaturesBucket:
        """Return this: a URI is the same everywhere."""
        return self

    def only_writer(self) -> AbstractContextManager[None]:
        """Hold nothing: object storage has no locks."""
        return nullcontext()

    def prepare(self) -> None:
        """Do nothing: object storage has no folders."""

    def _check(self, part: Mapping[str, Any], dimension: int) -> None:  # noqa: ARG002
        """Check that a part is there; what is there is whole, and far away."""
        if str(part["file"]) not in self._there:
            raise FeaturesError(f"{self.place}/{DATA}/{part['file']} is missing.")

    @cached_property
    def _there(self) -> set[str]:
        return set(self._names(DATA))

    @cached_property
    def _storage(self) -> tuple[Any, str]:
        """The file system of pyarrow, and the path in it."""
        from pyarrow import fs

        kind, where = urlsplit(self.place).scheme, self.place.partition("://")[2]
        with self._translated():
            if kind == "gs":
                return fs.GcsFileSystem(), where
            if kind == "az":
                return fs.AzureFileSystem(
                    account_name=os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", ""),
                    account_key=os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"),
                ), where
            endpoint = os.environ.get("AWS_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL")
            options = {"endpoint_override": endpoint} if endpoint else {}
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            if region or endpoint:
                options["region"] = region or "us-east-1"
            return fs.S3FileSystem(**options), where

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "place": self.place}

    def _absolute(self) -> str:
        return self.place

    def _read(self, name: str) -> bytes | None:
        storage, path = self._storage
        try:
            with self._translated(), storage.open_input_stream(f"{path}/{name}") as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None

    @contextmanager
    def _writing(self, name: str) -> Iterator[BinaryIO]:
        storage, path = self._storage
        content = BytesIO()
        yield content
        with self._translated(), storage.open_output_stream(f"{path}/{name}") as file:
            file.write(content.getbuffer())

    def _names(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector

        storage, path = self._storage
        below = FileSelector(f"{path}/{folder}".rstrip("/"), allow_not_found=True)
        with self._translated():
            return sorted(item.base_name for item in storage.get_file_info(below))

    def _remove(self, name: str) -> None:
        storage, path = self._storage
        with suppress(FileNotFoundError), self._translated():
            storage.delete_file(f"{path}/{name}")

    @contextmanager
    def _local(self, part: Mapping[str, Any]) -> Iterator[Path]:
        """Fetch a part into a file that is removed after use."""
        name = str(part["file"])
        content = self._read(f"{DATA}/{name}")
        if content is None:
            raise FeaturesError(f"{self.place}/{DATA}/{name} is missing.")
        with tempfile.TemporaryDirectory(prefix="ragdoll-") as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            yield file

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
            raise FeaturesError(f"{self.place}: {first_line(error)}", hint=_HINT) from error
