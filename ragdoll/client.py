"""A client of ``ragdoll serve``, which searches and reads tables as an index does."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from ragdoll.errors import ServiceError, UsageError
from ragdoll.retrieval.answers import (
    Copy,
    Hit,
    Searchable,
    SearchOptions,
    StoredDocument,
    StoredPassage,
)

if TYPE_CHECKING:
    import httpx

    from ragdoll.embedding.identity import ModelIdentity
    from ragdoll.embedding.vectors import Vectors

# Seconds for an answer: a service that has just begun may have to load its tables first.
_SECONDS = 30.0

# What a request has at most, and bytes of its body; the service takes no more.
_QUERIES = 100
_TEXTS = 2048
_PASSAGES = 1000
_SOURCES = 100_000
_BYTES = 2**20
# Bytes of the body around the texts.
_FRAME = 200

# How often a service that is busy is asked again, and the seconds between, at most.
_MORE_TRIES = 5
_MOST_SECONDS = 5


class Client(Searchable):
    """Searches the tables of a service as an ``Index`` searches one of its own.

    ``url`` is the service's address, ``token`` what it asks for, ``table`` the table to search;
    None is the first that it serves. Close it, or use it in a ``with`` block.

    >>> Client("http://127.0.0.1:8765").url
    'http://127.0.0.1:8765'
    """

    def __init__(self, url: str, token: str | None = None, *, table: str | None = None) -> None:
        """Prepare to ask; nothing is sent yet."""
        self.url = url.rstrip("/")
        self.table = table
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http: httpx.Client | None = None
        self._is_closed = False

    def passage(self, identifier: str) -> StoredPassage | None:
        """Return a passage by its id; None if there is none.

        Raises:
            ServiceError: as ``search``.
        """
        record = self._get(f"/passages/{_quoted(identifier)}", {})
        with self._reading():
            found: StoredPassage | None = record and _made(StoredPassage, record)
        return found

    def documents(self, source: str, most: int = 10_000, offset: int = 0) -> list[StoredDocument]:
        """Return the documents of a source or of a glob; see ``Index.documents``.

        Raises:
            UsageError: as ``search``.
            ServiceError: as ``search``.
        """
        found: list[StoredDocument] = []
        following: int | None = offset
        while following is not None and most > 0:
            part = {"source": source, "limit": str(min(most, _PASSAGES)), "offset": str(following)}
            record = self._get("/documents", part) or {"documents": []}
            with self._reading():
                following = record.get("next")
                documents = list(map(_document, record["documents"]))
            for one in documents:
                most -= len(one.passages)
                if found and (found[-1].root, found[-1].source) == (one.root, one.source):
                    found[-1].passages.extend(one.passages)
                else:
                    found.append(one)
        return found

    def sources(self, glob: str = "**", most: int = 1000) -> list[str]:
        """Return the first ``most`` sources, in order, that match a glob; see ``Index.sources``.

        A service names a hundred thousand at most.

        Raises:
            UsageError: as ``search``.
            ServiceError: as ``search``.
        """
        if most < 1:
            return []
        asked = {"source": glob, "limit": str(min(most, _SOURCES))}
        record = self._get("/sources", asked)
        if record is None:
            raise ServiceError(f"{self.url} lists no sources.", hint="Update ragdoll there.")
        with self._reading():
            return list(record["sources"])

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Return the vectors of texts and the number of their tokens; see ``Index.embed``.

        Raises:
            UsageError: as ``search``.
            ServiceError: as ``search``.
        """
        import numpy as np

        if not len(texts):
            return np.zeros((0, self._facts()["dimension"]), np.float32), 0
        table, tokens = self.table or "", 0
        vectors: list[Vectors] = []
        for some in _parts(list(texts), _TEXTS, _BYTES):
            body = {"input": some, "model": table, "encoding_format": "base64"}
            record = self._post("/v1/embeddings", body)
            with self._reading():
                rows = [base64.b64decode(one["embedding"]) for one in record["data"]]
                vectors.append(np.frombuffer(b"".join(rows), "<f4").reshape(len(rows), -1))
                tokens += record["usage"]["prompt_tokens"]
        return np.concatenate(vectors).astype(np.float32, copy=False), tokens

    @property
    def model(self) -> ModelIdentity:
        """The identity of the model; its path is that on the machine of the service."""
        from ragdoll.embedding.identity import ModelIdentity

        record = self._facts()
        with self._reading():
            facts = record["identity"]
            return ModelIdentity(**{**facts, "path": facts["path"] and Path(facts["path"])})

    @property
    def roots(self) -> dict[str, str]:
        """The places that the documents came from, by the keys that ids of passages begin with."""
        facts = self._facts()
        with self._reading():
            return dict(zip(facts["root_keys"], facts["roots"], strict=True))

    def __len__(self) -> int:
        """Count the passages of the table."""
        return int(self._facts()["passages"])

    def _facts(self) -> dict[str, Any]:
        record = self._get("/tables", {})
        with self._reading():
            name = self.table or record["default"]
            found = [facts for facts in record["tables"] if facts["table"] == name]
        if not found:
            raise UsageError(
                f"No table '{name}' is served.", hint="Its tables() names those that are."
            )
        return dict(found[0])

    def tables(self) -> list[dict[str, Any]]:
        """Return what the service says of its tables.

        Raises:
            ServiceError: as ``search``.
        """
        record = self._get("/tables", {})
        with self._reading():
            return list(record["tables"])

    def close(self) -> None:
        """Close the connections; a client that is closed answers no more."""
        self._is_closed = True
        if self._http is not None:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _found(self, query: str, options: SearchOptions) -> list[Hit]:
        if not query.strip():
            self._check_open()
            return []
        record = self._post("/search", {"query": query, **self._asked(options)})
        with self._reading():
            return _hits(record)

    async def _afound(self, query: str, options: SearchOptions) -> list[Hit]:
        import asyncio

        import httpx

        self._check_open()
        if not query.strip():
            return []
        content = _content({"query": query, **self._asked(options)})
        try:
            # A client for each call: its connections belong to the loop that runs now.
            async with httpx.AsyncClient(headers=self._headers, timeout=_SECONDS) as http:
                answer = await http.post(f"{self.url}/search", **content)
                for _ in range(_MORE_TRIES):
                    if (seconds := _seconds_to_wait(answer)) is None:
                        break
                    await asyncio.sleep(seconds)
                    answer = await http.post(f"{self.url}/search", **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(self.url, error) from error
        with self._reading():
            return _hits(_checked(answer))

    def _each_found(self, queries: Sequence[str], options: SearchOptions) -> Iterator[list[Hit]]:
        asked = self._asked(options)
        room = _BYTES - len(json.dumps(asked))
        for some in _parts(queries, _QUERIES, room):
            texts = [query for query in some if query.strip()]
            record: dict[str, Any] = {"answers": []}
            if texts:
                record = self._post("/search/batch", {"queries": texts, **asked})
            with self._reading():
                found = dict(zip(texts, map(_hits, record["answers"]), strict=True))
            yield from ([*found.get(query, ())] for query in some)

    def _asked(self, options: SearchOptions) -> dict[str, Any]:
        values = {"table": self.table, **asdict(options)}
        values["top_k"] = values.pop("k")
        return {name: value for name, value in values.items() if value is not None}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return _checked(self._sent("POST", path, **_content(body)))

    def _get(self, path: str, asked: dict[str, str]) -> Any:
        """Return an answer; None where the service says that there is none."""
        if self.table is not None and path != "/tables":
            asked = {**asked, "table": self.table}
        answer = self._sent("GET", path, params=asked)
        missing = answer.status_code == 404 and _error(answer)["code"] == "not_found"
        return None if missing else _checked(answer)

    def _sent(self, method: str, path: str, **content: Any) -> httpx.Response:
        import httpx

        self._check_open()
        if self._http is None:
            self._http = httpx.Client(headers=self._headers, timeout=_SECONDS)
        try:
            answer = self._http.request(method, f"{self.url}{path}", **content)
            for _ in range(_MORE_TRIES):
                if (seconds := _seconds_to_wait(answer)) is None:
                    break
                time.sleep(seconds)
                answer = self._http.request(method, f"{self.url}{path}", **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(self.url, error) from error
        return answer

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Read an answer, which may be that of something else.

        Raises:
            ServiceError: it lacks what a service answers.
        """
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ServiceError(
                f"{self.url} is not a ragdoll service, or one of another version."
            ) from error

    def _check_open(self) -> None:
        """Check that the client is open.

        Raises:
            UsageError: it is closed.
        """
        if self._is_closed:
            raise UsageError("This client is closed.", hint="Make another.")


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "content": json.dumps(body).encode(),
        "headers": {"content-type": "application/json"},
    }


def _parts(texts: Sequence[str], most: int, room: int) -> Iterator[list[str]]:
    """Divide texts into parts that a request has room for; a longer text stands alone."""
    part: list[str] = []
    size = _FRAME
    for text in texts:
        length = len(json.dumps(text)) + len(", ")
        if part and (len(part) == most or size + length > room):
            yield part
            part, size = [], _FRAME
        part.append(text)
        size += length
    if part:
        yield part


def _quoted(identifier: str) -> str:
    """Return a part of an address; dots alone would lead to another."""
    return quote(identifier, safe="", errors="replace").replace(".", "%2E")


def _seconds_to_wait(answer: httpx.Response) -> int | None:
    """Return the seconds after which a busy service wants to be asked again; None if it is not."""
    seconds = answer.headers.get("retry-after", "")
    is_busy = answer.status_code in {429, 503} and _error(answer)["code"] in {"busy", ""}
    return min(int(seconds), _MOST_SECONDS) if is_busy and seconds.isdecimal() else None


def _unreachable(url: str, error: Exception) -> ServiceError:
    return ServiceError(
        f"{url} cannot be reached: {error or type(error).__name__}.",
        hint="Start it by `ragdoll serve`, or check the address.",
    )


def _checked(answer: httpx.Response) -> Any:
    """Return the record of an answer.

    Raises:
        UsageError: the service refuses the request.
        ServiceError: it cannot answer it, or the answer is none of the service's.
    """
    if answer.is_success:
        try:
            return answer.json()
        except ValueError as error:
            raise ServiceError(f"{answer.url} is not a ragdoll service.") from error
    facts = _error(answer)
    kind = UsageError if answer.status_code in {400, 404, 413, 422} else ServiceError
    raise kind(str(facts["message"]), hint=facts["hint"])


def _error(answer: httpx.Response) -> dict[str, Any]:
    try:
        facts = answer.json()["error"]
        return {name: facts[name] for name in ("code", "message", "hint")}
    except (ValueError, TypeError, KeyError):
        message = f"{answer.url} answers with the status {answer.status_code}."
        return {"code": "", "message": message, "hint": None}


def _hits(record: Any) -> list[Hit]:
    return [
        replace(_made(Hit, hit), copies=[Copy(**copy) for copy in hit["copies"]])
        for hit in record["hits"]
    ]


def _document(record: dict[str, Any]) -> StoredDocument:
    return StoredDocument(
        **{name: record[name] for name in ("source", "title", "root", "path")},
        passages=[_made(StoredPassage, passage) for passage in record["passages"]],
    )


def _made(kind: type[Any], record: dict[str, Any]) -> Any:
    """Make an object of a record, which may have more than its fields."""
    return kind(**{item.name: record[item.name] for item in fields(kind)})
