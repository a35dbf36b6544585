"""The routes of the service, for applications; ``/openapi.json`` describes them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from ragdoll import __version__
from ragdoll.errors import RagdollError, UsageError
from ragdoll.hints import OF_SERVICE, for_command_line
from ragdoll.retrieval.answers import Hit, StoredDocument, StoredPassage
from ragdoll.retrieval.reading.marks import Marker
from ragdoll.retrieval.reading.snippets import snippet
from ragdoll.retrieval.storage.database import NoTableError
from ragdoll.serve.batches import BusyError
from ragdoll.serve.guard import Counts, RefusedError, error_body
from ragdoll.serve.job import Job, State
from ragdoll.serve.records import (
    MOST_TEXTS,
    BatchAnswer,
    BatchRequest,
    DocumentsAnswer,
    DocumentsRequest,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    ErrorAnswer,
    HealthAnswer,
    How,
    ModelRecord,
    ModelsAnswer,
    PassageRecord,
    SearchAnswer,
    SearchRequest,
    SourcesAnswer,
    SourcesRequest,
    TableRequest,
    TablesAnswer,
)
from ragdoll.serve.service import Service, check_query

logger = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_PAGE_FILES = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
# The page shows what documents say, and nothing in it may become code.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_SNIPPET_LINES = 6


# The errors of every route but /health, which needs no token: they arise before it, or at the end.
_ANYWHERE = (400, 401, 403, 408, 421, 431, 503)
_OF_BODY = (413, 415, 422)
_TOKEN = Depends(HTTPBearer(auto_error=False, description="The token, if the service has one."))
_CODES = {404: "not_found", 405: "method", 415: "media_type"}


def _described(answer: type, *errors: int, status: int = 200) -> dict[str, Any]:
    """Return what describes a route that needs the token: its answer, and its errors."""
    responses: dict[int, Any] = {status: {"model": answer}}
    responses |= {error: {"model": ErrorAnswer} for error in (*_ANYWHERE, *errors)}
    return {"responses": responses, "dependencies": [_TOKEN]}


def create_app(
    service: Service,
    counts: Counts,
    page: bool = True,
    metrics: bool = False,
    tools: Callable[[], Any] | None = None,
    job: Job | None = None,
) -> FastAPI:
    """Make the application of a service.

    ``tools`` makes the application that answers agents, ``job`` is what may be run; None for
    neither. The application has no guard: see ``Guard``.
    """
    agents = _Agents(tools) if tools is not None else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(service, agents))
        yield
        loading.cancel()
        await asyncio.wait([loading])
        service.close()
        if job is not None:
            job.stop()

    app = FastAPI(
        title="ragdoll",
        version=__version__,
        description="Search the tables of a ragdoll database.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    _handle_errors(app)
    _add_search(app, service)
    _add_reading(app, service)
    _add_openai(app, service)

    @app.head("/health", include_in_schema=False)
    @app.get(
        "/health",
        summary="Tell whether the service is up, and ready.",
        responses={
            **{status: {"model": HealthAnswer} for status in (200, 503)},
            **{status: {"model": ErrorAnswer} for status in _ANYWHERE if status not in (401, 503)},
        },
    )
    async def health() -> Response:
        status = service.state
        return _json({"status": status, "version": __version__}, 200 if status == "ready" else 503)

    if metrics:

        @app.get(
            "/metrics",
            summary="Counts of requests, as Prometheus reads them.",
            response_class=PlainTextResponse,
            **_described(str),
        )
        async def metrics_text() -> Response:
            return Response(counts.as_text(), media_type="text/plain; version=0.0.4")

    if job is not None:
        _add_job(app, job)
    if page:
        _add_page(app)
    if agents is not None:
        app.router.routes.append(Route("/mcp", agents, include_in_schema=False))
    return app


class _Agents:
    """The application that answers agents, which is made last; requests wait until it is there.

    The libraries of its protocol load as long as all the rest of the service.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._is_made = asyncio.Event()
        self._app: Any = None

    async def run(self) -> None:
        """Make the application, and let it live until this task is cancelled."""
        try:
            self._app = await asyncio.to_thread(self._make)
            async with self._app.router.lifespan_context(self._app):
                self._is_made.set()
                await asyncio.Event().wait()
        finally:
            self._is_made.set()  # so that nobody waits for what has failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._is_made.wait()
        await self._app(scope, receive, send)


async def _load(service: Service, agents: _Agents | None) -> None:
    """Load in the background; requests that come meanwhile are answered, too."""
    try:
        await service.load()
    except RagdollError as error:
        logger.warning("%s %s", error.message, error.hint or "")
    if agents is not None:
        await agents.run()


def _add_search(app: FastAPI, service: Service) -> None:
    @app.post("/search", summary="Search a table.", **_described(SearchAnswer, 404, *_OF_BODY))
    async def search(asked: SearchRequest) -> Response:
        return _json(await _searched(service, asked, asked.query))

    @app.get(
        "/search", summary="Search a table, by an address.", **_described(SearchAnswer, 404, 422)
    )
    async def search_by_address(asked: Annotated[SearchRequest, Query()]) -> Response:
        return _json(await _searched(service, asked, asked.query))

    @app.post(
        "/search/batch",
        summary="Search a table for several questions.",
        **_described(BatchAnswer, 404, *_OF_BODY),
    )
    async def batch(asked: BatchRequest) -> Response:
        answers = await asyncio.gather(
            *(_searched(service, asked, query) for query in asked.queries)
        )
        return _json({"answers": answers})


async def _searched(
    service: Service, asked: SearchRequest | BatchRequest, query: str
) -> dict[str, Any]:
    check_query(query)
    served = await service.table(asked.table)
    hits = await served.search(query, asked.options(service.max_top_k))
    least = asked.min_similarity
    if least is not None:
        hits = [hit for hit in hits if hit.vector_score is not None and hit.vector_score >= least]
    return {
        "query": query,
        "mode": asked.mode,
        "table": served.name,
        "hits": [_record(hit, query, asked) for hit in hits],
    }


def _record(hit: Hit, query: str, asked: How) -> dict[str, Any]:
    record = hit.record()
    text = snippet(query, hit.text, _SNIPPET_LINES) if asked.text == "snippet" else hit.text
    record["text"] = None if asked.text == "none" else text
    if asked.marks and asked.text != "none":
        record["marks"] = [(mark.start, mark.end) for mark in Marker(query, hit.text).marks(text)]
    return record


def _add_reading(app: FastAPI, service: Service) -> None:
    @app.get("/tables", summary="List the tables that are served.", **_described(TablesAnswer))
    async def tables() -> Response:
        good, problems = list[dict[str, Any]](), list[dict[str, Any]]()
        async for name, facts in service.facts(await service.names()):
            if isinstance(facts, RagdollError):
                problems.append({"table": name, "message": facts.message, "hint": _hint(facts)})
            else:
                good.append(facts)
        return _json({"default": service.default, "tables": good, "problems": problems})

    @app.get(
        "/documents",
        summary="Read documents, from the table alone.",
        **_described(DocumentsAnswer, 404, 422),
    )
    async def documents(asked: Annotated[DocumentsRequest, Query()]) -> Response:
        """Return passages in the order of root, source and place in the text.

        An answer has `limit` passages at most. Its field next is the `offset` of the passages that
        follow, and null where none do. A document that goes on there has the same `root` and
        `source`.
        """
        served = await service.table(asked.table)
        # One more than asked tells whether there is one.
        found = await served.documents(asked.source, asked.limit + 1, asked.offset)
        if not found and not asked.offset:
            raise RefusedError(
                404, "not_found", f"No document has the source '{asked.source}'.", "Search for it."
            )
        has_more = sum(len(document.passages) for document in found) > asked.limit
        if has_more:
            found[-1].passages.pop()
        return _json(
            {
                "documents": [_document(one) for one in found if one.passages],
                "next": asked.offset + asked.limit if has_more else None,
            }
        )

    @app.get("/sources", summary="List sources.", **_described(SourcesAnswer, 404, 422))
    async def sources(asked: Annotated[SourcesRequest, Query()]) -> Response:
        served = await service.table(asked.table)
        return _json({"sources": await served.sources(asked.source, asked.limit)})

    @app.get(
        "/passages/{identifier}",
        summary="Read a passage by its id.",
        **_described(PassageRecord, 404, 422),
    )
    async def passage(identifier: str, asked: Annotated[TableRequest, Query()]) -> Response:
        found = await (await service.table(asked.table)).passage(identifier)
        if found is None:
            raise RefusedError(404, "not_found", f"No passage has the id '{identifier}'.")
        return _json(_passage(found))


def _document(document: StoredDocument) -> dict[str, Any]:
    return {
        "source": document.source,
        "title": document.title,
        "root": document.root,
        "path": document.path,
        "text": document.text,
        "passages": [_passage(one) for one in document.passages],
    }


def _passage(passage: StoredPassage) -> dict[str, Any]:
    where = {"line": passage.line, "page": passage.page, "section": passage.section}
    return {**asdict(passage), **where}


def _add_openai(app: FastAPI, service: Service) -> None:
    def record(table: str) -> dict[str, Any]:
        created = int(service.started)
        return {"id": table, "object": "model", "created": created, "owned_by": "ragdoll"}

    @app.get(
        "/v1/models",
        summary="List the models, as OpenAI's clients read it.",
        **_described(ModelsAnswer),
    )
    async def models() -> Response:
        data = []
        for name in await service.names():
            with suppress(RagdollError):
                data.append(record((await service.table(name)).name))
        return _json({"object": "list", "data": data})

    @app.get(
        "/v1/models/{name}",
        summary="Tell of a model, as OpenAI's clients read it.",
        **_described(ModelRecord, 404, 422),
    )
    async def model(name: str) -> Response:
        return _json(record((await service.table(name)).name))

    @app.post(
        "/v1/embeddings",
        summary="Embed texts by a table's model, for OpenAI's clients.",
        **_described(EmbeddingsAnswer, 404, *_OF_BODY),
    )
    async def embeddings(asked: EmbeddingsRequest) -> Response:
        texts = _texts(asked.input)
        served = await service.table(asked.model)
        vectors, tokens = await served.embed(texts)
        if asked.dimensions not in (None, vectors.shape[1]):
            raise UsageError(
                f"The model has {vectors.shape[1]} dimensions, not {asked.dimensions}.",
                hint="Leave dimensions out.",
            )
        data = [
            {"object": "embedding", "index": number, "embedding": _vector(vector, asked)}
            for number, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _json({"object": "list", "data": data, "model": served.name, "usage": usage})


def _texts(given: str | list[Any]) -> list[str]:
    """Return the texts of a request.

    Raises:
        UsageError: there are none, too many, or tokens in their place.
    """
    texts = [given] if isinstance(given, str) else given
    if not texts or len(texts) > MOST_TEXTS:
        raise UsageError(f"input has {len(texts):,} texts; 1 to {MOST_TEXTS:,} are allowed.")
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(
            # In the message: OpenAI's client shows no hint.
            "input has tokens, which another model's tokenizer made. Send texts: "
            "check_embedding_ctx_length=False in LangChain's OpenAIEmbeddings."
        )
    return texts


def _vector(vector: np.ndarray[Any, np.dtype[np.float32]], asked: EmbeddingsRequest) -> Any:
    if asked.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()


def _add_job(app: FastAPI, job: Job) -> None:
    @app.post(
        "/pipeline/run",
        status_code=202,
        summary="Run what is needed of the pipeline.",
        **_described(State, 409, 413, status=202),
    )
    async def run(request: Request) -> Response:
        if await request.body():
            raise UsageError(
                "The pipeline takes no parameters.", hint="Its settings are those of the service."
            )
        if not job.start():
            raise RefusedError(409, "running", "The pipeline runs already.", "See GET /pipeline.")
        return _json(job.record(), 202)

    @app.get("/pipeline", summary="Tell what became of the latest run.", **_described(State))
    async def state() -> Response:
        return _json(job.record())


def _add_page(app: FastAPI) -> None:
    headers = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-cache"}

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(
            (_PAGE / "index.html").read_bytes(), headers=headers, media_type="text/html"
        )

    @app.head("/page/{name}", include_in_schema=False)
    @app.get("/page/{name}", include_in_schema=False)
    async def page_file(name: str) -> Response:
        if name not in _PAGE_FILES:
            raise HTTPException(404)
        content = (_PAGE / name).read_bytes()
        return Response(content, headers=headers, media_type=_PAGE_FILES[name])


def _handle_errors(app: FastAPI) -> None:
    """Give every error the same form, without a traceback."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return _error(error.status_code, error.code, error.message, error.hint)

    @app.exception_handler(RagdollError)
    async def failed(_: Request, error: RagdollError) -> Response:
        status, code = 503, "table"
        if isinstance(error, NoTableError):
            status, code = 404, "no_table"
        elif isinstance(error, UsageError):
            status, code = 400, "bad_request"
        elif isinstance(error, BusyError):
            code = "busy"
        headers = {"retry-after": "1"} if status == 503 else {}
        return _error(status, code, error.message, _hint(error), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))  # behind body, query or path
        status = 400 if first["type"] == "json_invalid" else 422
        what = str(first["msg"]).removeprefix("Value error, ")
        what = f"{place}: {what}" if place and status == 422 else what
        return _error(status, "invalid", what, "See /openapi.json.")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code, headers = _CODES.get(error.status_code, "http"), error.headers
        if error.status_code == 405:
            headers = {"allow": ", ".join(_methods(app, request.scope))}
        return _error(error.status_code, code, str(error.detail), "See /openapi.json.", headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return _error(500, "defect", f"Unexpected {type(error).__name__}.", "See the log.")


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """Return the methods that a path has; each of its routes knows its own only."""
    there = [route for route in app.routes if route.matches(scope)[0] is not Match.NONE]
    return sorted({method for route in there for method in getattr(route, "methods", None) or ()})


def _hint(error: RagdollError) -> str | None:
    """Return what the person who runs the service can do about an error."""
    return error.hint and for_command_line(error.hint, OF_SERVICE)


def _error(
    status: int,
    code: str,
    message: str,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        error_body(code, message, hint),
        status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


def _json(record: dict[str, Any], status: int = 200) -> Response:
    content = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)
    return Response(content.encode("utf-8", "replace"), status, media_type="application/json")
