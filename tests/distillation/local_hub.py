"""A small hub on a unix socket, to which the real client of the hub connects.

It keeps all commits, and can answer one of its endpoints with a failure.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ENDPOINT = "http://hub"
TOKEN = "hf_of_a_test"


class Failure(NamedTuple):
    """An endpoint's answer in the place of its work."""

    endpoint: str
    status: int
    message: str


class Commit(NamedTuple):
    """A commit: its message, and the content of each file by its path."""

    message: str
    files: dict[str, bytes]


class LocalHub(socketserver.ThreadingUnixStreamServer):
    """The repositories by id, each with its visibility and its commits."""

    daemon_threads = True

    def __init__(self, socket: Path) -> None:
        super().__init__(str(socket), _Handler)
        self.socket_path = str(socket)
        self.private: dict[str, bool] = {}
        self.commits: dict[str, list[Commit]] = {}
        self.failure: Failure | None = None


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle("")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _handle(self, body: str) -> None:
        hub, path = self.server, urlsplit(self.path).path
        if hub.failure and path.endswith(hub.failure.endpoint):
            self._answer({"errors": [{"message": hub.failure.message}]}, hub.failure.status)
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif path.endswith("/preupload/main"):
            modes = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._answer({"files": modes})
        elif path.endswith("/commit/main"):
            repo = path.removeprefix("/api/models/").removesuffix("/commit/main")
            hub.commits[repo].append(_commit([json.loads(line) for line in body.splitlines()]))
            self._answer({"commitUrl": f"{ENDPOINT}/{repo}/commit/1", "commitOid": "1"})
        else:
            self._describe(path.removeprefix("/api/models/"))

    def _create(self, request: dict[str, Any]) -> None:
        repo = f"{request['organization'] or 'ada'}/{request['name']}"
        exists = repo in self.server.private
        if not exists:
            self.server.private[repo] = request["visibility"] == "private"
            self.server.commits[repo] = []
        self._answer({"url": f"{ENDPOINT}/{repo}"}, 409 if exists else 200)

    def _describe(self, repo: str) -> None:
        if repo in self.server.private:
            self._answer({"id": repo, "private": self.server.private[repo]})
        else:
            self._answer({"error": "Repository not found"}, 404)

    def _validate(self, card: str) -> None:
        """Check as the hub does that a card names the base of a model by its id."""
        base = [line for line in card.splitlines() if line.startswith("base_model:")]
        if base and json.loads(base[0].partition(":")[2]).count("/") != 1:
            self._answer({"errors": [{"message": '"base_model" is not valid.'}]}, 400)
        else:
            self._answer({"warnings": [], "errors": []})

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _commit(lines: list[dict[str, Any]]) -> Commit:
    header, *files = [line["value"] for line in lines]
    assert {line["key"] for line in lines} == {"header", "file"}
    return Commit(
        header["summary"], {file["path"]: base64.b64decode(file["content"]) for file in files}
    )


@contextmanager
def serving(socket: Path) -> Iterator[LocalHub]:
    """Serve until the block ends."""
    with LocalHub(socket) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
