"""What the routes are asked and what they answer, as ``/openapi.json`` describes it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ragdoll.errors import UsageError
from ragdoll.retrieval.answers import SearchOptions
from ragdoll.serve.guard import RefusedError
from ragdoll.serve.service import MAX_QUERY
from ragdoll.settings import Mode

MOST_TEXTS = 2048
"""Texts that are embedded by a request, at most."""

_MOST_BATCH = 100
_MOST_PASSAGES = 1000
_MOST_SOURCES = 100_000


class _Asked(BaseModel):
    """What is asked of a route: known fields, and texts of whole characters."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_form(cls, given: Any) -> Any:
        if isinstance(given, bytes):
            raise RefusedError(
                415,
                "media_type",
                "The body is not JSON, by its type.",
                "Send Content-Type: application/json.",
            )
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("A text has half of a character, a lone surrogate.") from error
        except RecursionError as error:
            raise ValueError("Values are nested too deeply.") from error
        return given


class How(_Asked):
    """How to search; the fields are those of ``ragdoll query``."""

    top_k: int = Field(10, ge=1, description="Number of answers.")
    mode: Mode = "hybrid"
    alpha: float | Literal["auto"] = Field(
        "auto", description="Weight of the vector in a hybrid, 0 to 1; auto: by each query."
    )
    where: str | None = Field(None, max_length=MAX_QUERY, description="A condition on the columns.")
    source: str | None = Field(None, max_length=1024, description="A glob of files or folders.")
    table: str | None = Field(None, description="None is the first table that is served.")
    min_similarity: float | None = Field(
        None, ge=-1, le=1, description="Leaves out answers whose vector is less alike."
    )
    text: Literal["full", "snippet", "none"] = "full"
    marks: bool = Field(False, description="Tell which parts of the text match the query.")

    def options(self, most: int) -> SearchOptions:
        """Return what a table is asked; ``most`` is the greatest number of answers.

        Raises:
            UsageError: a value is out of range, or has no meaning in the mode.
        """
        if self.top_k > most:
            raise UsageError(f"top_k is {self.top_k}; {most} is the most here.")
        if self.min_similarity is not None and self.mode == "text":
            raise UsageError(
                "min_similarity has no meaning in the mode 'text'.",
                hint="It is about vectors: search in the mode hybrid or vector.",
            )
        alpha = None if self.alpha == "auto" else self.alpha
        where, source = self.where or None, self.source or None
        return SearchOptions(self.top_k, self.mode, alpha, where, source)


class SearchRequest(How):
    """A question, and how to search."""

    query: str = Field(min_length=1, max_length=MAX_QUERY, description="What to look for.")


class BatchRequest(How):
    """Several questions that are asked in the same way."""

    queries: list[Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]] = Field(
        min_length=1, max_length=_MOST_BATCH
    )


class TableRequest(_Asked):
    """The table to read."""

    table: str | None = Field(None, description="None is the first table that is served.")


class DocumentsRequest(TableRequest):
    """Documents by their source, and which of their passages."""

    source: str = Field(min_length=1, max_length=1024, description="A source, or a glob of them.")
    limit: int = Field(
        _MOST_PASSAGES, ge=1, le=_MOST_PASSAGES, description="Passages of an answer, at most."
    )
    offset: int = Field(0, ge=0, le=2**48, description="Passages to leave out; see next.")


class SourcesRequest(TableRequest):
    """Which sources to name."""

    source: str = Field("**", min_length=1, max_length=1024, description="A glob of sources.")
    limit: int = Field(1000, ge=1, le=_MOST_SOURCES, description="Sources of an answer, at most.")


class EmbeddingsRequest(_Asked):
    """Texts to embed, as OpenAI's clients ask for it."""

    input: str | list[Any]
    model: str
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


class CopyRecord(BaseModel):
    """Another place of the same text."""

    id: str
    source: str
    root: str
    path: str | None
    line: int | None


class _PlacedRecord(BaseModel):
    """What an answer and a passage have in common: which passage it is, and where it stands."""

    id: str
    source: str
    title: str
    start: int
    end: int
    metadata: dict[str, Any]
    root: str
    path: str | None
    line: int | None
    page: int | None
    section: str


class HitRecord(_PlacedRecord):
    """An answer, as ``ragdoll query --json`` prints it; ``text`` is null where none was wanted."""

    rank: int
    score: float
    text: str | None
    vector_score: float | None
    text_score: float | None
    token_score: float | None
    copies: list[CopyRecord]
    marks: list[tuple[int, int]] | None = Field(
        None, description="Where words of the query begin and end in the text, if that was asked."
    )


class SearchAnswer(BaseModel):
    """The answers to a question, the best first."""

    query: str
    mode: str
    table: str
    hits: list[HitRecord]


class BatchAnswer(BaseModel):
    """The answers to several questions, in their order."""

    answers: list[SearchAnswer]


class SourcesAnswer(BaseModel):
    """The sources that match a glob, in order."""

    sources: list[str]


class IdentityRecord(BaseModel):
    """The model of a table; see ``ragdoll.ModelIdentity``."""

    fingerprint: str
    dimension: int
    path: str | None
    metric: str
    metric_reason: str
    normalize: bool
    max_length: int | None


class TableRecord(BaseModel):
    """What there is to say of a table; ``root_keys`` are what ids of the roots begin with."""

    table: str
    passages: int
    documents: int
    roots: list[str]
    root_keys: list[str]
    columns: list[str]
    language: str
    model: str
    fingerprint: str
    dimension: int
    metric: str
    chunk_size: int
    version: int
    identity: IdentityRecord


class ProblemRecord(BaseModel):
    """A table that cannot be searched, and why."""

    table: str
    message: str
    hint: str | None


class TablesAnswer(BaseModel):
    """The tables that are served; ``default`` is searched where none is named."""

    default: str
    tables: list[TableRecord]
    problems: list[ProblemRecord]


class PassageRecord(_PlacedRecord):
    """A passage of a document."""

    text: str


class DocumentRecord(BaseModel):
    """A document, or the part of it that the passages are."""

    source: str
    title: str
    root: str
    path: str | None
    text: str
    passages: list[PassageRecord]


class DocumentsAnswer(BaseModel):
    """Documents, and the ``offset`` of the passages that follow; null where none do."""

    documents: list[DocumentRecord]
    next: int | None


class ModelRecord(BaseModel):
    """A model, which has the name of its table."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsAnswer(BaseModel):
    """The models of the tables that can be searched."""

    object: Literal["list"]
    data: list[ModelRecord]


class EmbeddingRecord(BaseModel):
    """The vector of a text: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class UsageRecord(BaseModel):
    """The tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """The vectors of texts, in their order."""

    object: Literal["list"]
    data: list[EmbeddingRecord]
    model: str
    usage: UsageRecord


class HealthAnswer(BaseModel):
    """Whether the first table can be searched."""

    status: Literal["loading", "ready", "gone"]
    version: str


class ErrorFacts(BaseModel):
    """What is wrong, and what to do about it."""

    code: str
    message: str
    hint: str | None


class ErrorAnswer(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorFacts
