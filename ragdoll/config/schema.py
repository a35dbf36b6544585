"""The sections of ``ragdoll.toml`` as typed records: every setting, its default and its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_type_hints

# How a string in the file is resolved: "path" always names a file or folder; a "name" may also be
# a hub id or a scheme such as python:stdlib, and becomes a path only where such a path exists.
_PATH: dict[str, str] = {"resolve": "path"}
_NAME: dict[str, str] = {"resolve": "name"}


def _bounds(least: float, most: float = math.inf) -> dict[str, float]:
    """What a number must be at least and at most: else a command could only fail later."""
    return {"least": least, "most": most}


@dataclass(slots=True)
class TeacherSection:
    """``[teacher]``: the model whose knowledge is distilled."""

    model: str = field(default="sentence-transformers/all-MiniLM-L6-v2", metadata=_NAME)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass(slots=True)
class CorpusSection:
    """``[corpus]``: what to learn from and, unless ``[index].docs`` says otherwise, to search."""

    path: list[str] | None = field(default=None, metadata=_NAME)
    text_key: str = "text"
    name: str | None = None
    split: str = "train"
    streaming: bool = True
    ignore_files: bool = True


@dataclass(slots=True)
class FeaturizeSection:
    """``[featurize]``: the teacher's pass over the corpus."""

    output: str = field(default=".ragdoll/features", metadata=_PATH)
    max_means: int = field(default=1_000_000, metadata=_bounds(1))
    batch_size: int = field(default=32, metadata=_bounds(1))
    target: Literal["mean", "sentence"] = "mean"


@dataclass(slots=True)
class TrainSection:
    """``[train]``: from features to a static model. ``features`` None: ``[featurize].output``."""

    features: str | None = field(default=None, metadata=_PATH)
    output: str = field(default=".ragdoll/model", metadata=_PATH)
    method: Literal["ridge", "tokenlearn"] = "ridge"
    pca_dims: int = field(default=256, metadata=_bounds(1))
    vocab_size: int = field(default=0, metadata=_bounds(0))
    batch_size: int | Literal["auto"] = field(default="auto", metadata=_bounds(1))
    lr: float | Literal["auto"] = field(default="auto", metadata=_bounds(1e-9))
    patience: int = field(default=5, metadata=_bounds(1))
    epochs: int | Literal["auto"] = field(default="auto", metadata=_bounds(1))
    seed: int = field(default=0, metadata=_bounds(0, 2**32 - 1))
    device: str = "auto"
    save_dtype: Literal["float32", "float16", "int8"] = "float32"


@dataclass(slots=True)
class IndexSection:
    """``[index]``: documents into a table. None: ``[corpus].path`` and ``[train].output``.

    ``metadata`` maps the fields that become columns of the table to their types.
    """

    docs: list[str] | None = field(default=None, metadata=_NAME)
    model: str | None = field(default=None, metadata=_NAME)
    database: str = field(default=".ragdoll/lancedb", metadata=_PATH)
    table: str = "documents"
    metric: Literal["auto", "cosine", "dot", "l2"] = "auto"
    chunk_size: int = field(default=256, metadata=_bounds(8, 1_000_000))
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class QuerySection:
    """``[query]``: how a table is searched."""

    top_k: int = field(default=10, metadata=_bounds(1, 1_000_000))
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    alpha: float | Literal["auto"] = field(default="auto", metadata=_bounds(0, 1))
    where: str | None = None
    source: str | None = None


@dataclass(slots=True)
class EvaluateSection:
    """``[evaluate]``: how systems are compared."""

    mode: Literal["all", "vector", "text", "hybrid"] = "all"
    k: int = field(default=10, metadata=_bounds(1, 1_000_000))
    seed: int = field(default=0, metadata=_bounds(0))


@dataclass(slots=True)
class Config:
    """All sections. ``origins`` maps ``(section, key)`` to where the value came from."""

    teacher: TeacherSection = field(default_factory=TeacherSection)
    corpus: CorpusSection = field(default_factory=CorpusSection)
    featurize: FeaturizeSection = field(default_factory=FeaturizeSection)
    train: TrainSection = field(default_factory=TrainSection)
    index: IndexSection = field(default_factory=IndexSection)
    query: QuerySection = field(default_factory=QuerySection)
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)
    file: Path | None = None
    origins: dict[tuple[str, str], str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, str]]:
        """Every setting as ``(section.key, value, origin)``, in the order of the sections."""
        return [
            (f"{section}.{key}", shown(getattr(getattr(self, section), key)), origin)
            for (section, key), origin in self.origins.items()
        ]


class Setting(NamedTuple):
    """One key of a section: its type, how a path in the file resolves, and its bounds.

    ``resolve`` is ``path``, ``name``, or None for what is no path.
    """

    section: str
    key: str
    hint: Any
    resolve: str | None
    least: float
    most: float

    @property
    def name(self) -> str:
        """As options and messages name it."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"RAGDOLL_{self.section}_{self.key}".upper()


SECTIONS: dict[str, type[Any]] = {
    name: hint
    for name, hint in get_type_hints(Config).items()
    if isinstance(hint, type) and hint.__name__.endswith("Section")
}


@cache
def settings() -> tuple[Setting, ...]:
    """Every setting there is, in the order of the sections."""
    return tuple(
        Setting(
            section=section,
            key=item.name,
            hint=get_type_hints(record)[item.name],
            resolve=item.metadata.get("resolve"),
            least=item.metadata.get("least", -math.inf),
            most=item.metadata.get("most", math.inf),
        )
        for section, record in SECTIONS.items()
        for item in fields(record)
    )


def shown(value: Any) -> str:
    """A value as a file would have it, but for quotation marks; nothing for None."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return "" if value is None else str(value)
