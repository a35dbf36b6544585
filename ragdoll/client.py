"""A client of ``ragdoll serve``, which searches and reads tables as an index does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self

from ragdoll.errors import ServiceError, UsageError
from ragdoll.retrieval.reading.hits import Copy, Hit
from ragdoll.retrieval.reading.search import Mode
from ragdoll.retrieval.reading.stored import StoredDocument, StoredPassage

if TYPE_CHECKING:
    import httpx

# Seconds for an answer: a service that has just begun may have to load its tables first.
_SECONDS = 30.0

# Questions in a request, at most; the service takes no more.
_TOGETHER = 100


class Client:
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

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Return the best ``k`` passages for a query, best first; see ``Index.search``.

        Raises:
            UsageError: the service refuses a parameter.
            ServiceError: it cannot be reached, or cannot answer.
        """
        asked = self._asked(k, mode, alpha, where, source)
        return _hits(self._post("/search", {"query": query, **asked}))

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Search as ``search`` does; other tasks go on meanwhile.

        Raises:
            UsageError: as ``search``.
            ServiceError: as ``search``.
        """
        import httpx

        body = {"query": query, **self._asked(k, mode, alpha, where, source)}
        try:
            # A client for each call: its connections belong to the loop that runs now.
            async with httpx.AsyncClient(headers=self._headers, timeout=_SECONDS) as http:
                answer = await http.post(f"{self.url}/search", json=body)
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        return _hits(_checked(answer))

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> Iterator[list[Hit]]:
        """Answer several queries together and yield the answers to each; see ``search``."""
        if isinstance(queries, str):
            raise TypeError(f"search_many takes a list of queries, not the query {queries!r} alone")
        asked = self._asked(k, mode, alpha, where, source)
        for start in range(0, len(queries), _TOGETHER):
            body = {"queries": list(queries[start : start + _TOGETHER]), **asked}
            yield from map(_hits, self._post("/search/batch", body)["answers"])

    def passage(self, identifier: str) -> StoredPassage | None:
        """Return a passage by its id; None if there is none.

        Raises:
            ServiceError: as ``search``.
        """
        record = self._get(f"/passages/{identifier}", {})
        found: StoredPassage | None = record and _made(StoredPassage, record)
        return found

    def documents(self, source: str) -> list[StoredDocument]:
        """Return the documents of a source or of a glob; see ``Index.documents``.

        Raises:
            ServiceError: as ``search``.
        """
        record = self._get("/documents", {"source": source})
        return [
            StoredDocument(
                **{name: one[name] for name in ("source", "title", "root", "path")},
                passages=[_made(StoredPassage, passage) for passage in one["passages"]],
            )
            for one in (record or {"documents": []})["documents"]
        ]

    def tables(self) -> list[dict[str, Any]]:
        """Return what the service says of its tables.

        Raises:
            ServiceError: as ``search``.
        """
        return list((self._get("/tables", {}) or {})["tables"])

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(
        self, k: int, mode: Mode, alpha: float | None, where: str | None, source: str | None
    ) -> dict[str, Any]:
        asked = {"where": where, "source": source, "alpha": alpha, "table": self.table}
        given = {name: value for name, value in asked.items() if value is not None}
        return {"top_k": k, "mode": mode, **given}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return _checked(self._sent("POST", path, json=body))

    def _get(self, path: str, asked: dict[str, str]) -> Any:
        """Return an answer; None where the service says that there is none."""
        if self.table is not None and path != "/tables":
            asked = {**asked, "table": self.table}
        answer = self._sent("GET", path, params=asked)
        missing = answer.status_code == 404 and _error(answer)["code"] == "not_found"
        return None if missing else _checked(answer)

    def _sent(self, method: str, path: str, **content: Any) -> httpx.Response:
        import httpx

        if self._http is None:
            self._http = httpx.Client(headers=self._headers, timeout=_SECONDS)
        try:
            return self._http.request(method, f"{self.url}{path}", **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(self.url, error) from error


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
    kind = UsageError if answer.status_code in {400, 404, 422} else ServiceError
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


def _made(kind: type[Any], record: dict[str, Any]) -> Any:
    """Make an object of a record, which may have more than its fields."""
    return kind(**{item.name: record[item.name] for item in fields(kind)})
