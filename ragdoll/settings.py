"""Every setting, declared once: its type, default, bounds, help text and option.

A section of ``ragdoll.toml`` is a frozen dataclass here, and a setting is one line of it. From that
line follow the option, the environment variable, the key in the file, the help text, the example
file and the checks. The functions of the library take these dataclasses.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache, partial
from operator import eq
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Self,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from ragdoll.errors import UsageError

# Integers above this are mistakes, and floating-point arithmetic does not hold them exactly.
_LARGEST = 2**53

# Of the example file: its width, and the column where comments begin.
_WIDTH, _COLUMN = 100, 36

TOKEN_VARIABLE = "RAGDOLL_SERVE_TOKEN"  # noqa: S105  (a name)
"""The variable of the service's token, which is a secret and so no setting."""

_HEAD = """\
# Every setting with its default. A setting may also be given as an option, or as an environment
# variable RAGDOLL_<SECTION>_<KEY>. Paths resolve against the folder of this file."""

# The settings of [corpus] that say how files are read, which features, models and tables remember.
READING = (
    *("text_key", "encoding", "ignore_files"),
    *("include", "formats", "hidden", "generated", "outputs"),
)

Share = Annotated[float, "above 0 and below 1"]
"""A share of a whole; ``1`` is a whole number, and never a share."""

Mode = Literal["hybrid", "vector", "text"]
"""The legs of a search: all of them, or one alone."""

EvaluateMode = Literal["all", "vector", "text", "hybrid"]

Target = Literal["mean", "sentence"]
"""The teacher's vector of a passage: the mean of its token vectors, or that of the sentence."""

# The languages whose words LanceDB can stem; "other" stems none.
Language = Literal[
    "auto",
    "arabic",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
    "other",
]


def setting(default: Any, help: str, **facts: Any) -> Any:  # noqa: A002  (as Typer names it)
    """Declare a setting: a field of a section's dataclass; ``facts`` are those of ``Setting``."""
    metadata = {"help": help, **facts}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class _Section:
    """Checks the values that are given, and remembers which they are.

    What nobody gave may be taken from a model or a table that is there. A default that somebody
    gave may not.
    """

    __slots__ = ("_given",)
    _given: frozenset[str]

    def __new__(cls, **values: Any) -> Self:
        section = super().__new__(cls)
        object.__setattr__(section, "_given", frozenset(values))
        return section

    def __post_init__(self) -> None:
        for one in settings().values():
            if one.key in self._given and sections()[one.section] is type(self):
                value = getattr(self, one.key)
                if value is not None or one.default is not None:
                    object.__setattr__(self, one.key, checked(value, one))

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy knows what was given, too; all else has its default.
        return partial(type(self), **{key: getattr(self, key) for key in self._given}), ()

    def is_given(self, key: str) -> bool:
        """Tell whether a value was given, if only that of the default."""
        return key in self._given

    def changed(self, **values: Any) -> Self:
        """Return these settings with other values, which count as given; the others stay left out.

        Raises:
            UsageError: a value is of the wrong type or out of range.
        """
        section = replace(cast(Any, self), **values)
        object.__setattr__(section, "_given", self._given | values.keys())
        return cast(Self, section)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSettings(_Section):
    """``[teacher]``: the model whose knowledge is distilled.

    >>> TeacherSettings(model="teacher").device
    'auto'
    """

    model: str = setting(
        "sentence-transformers/all-MiniLM-L6-v2",
        "Sentence-transformer: hub id or folder.",
        option="--teacher NAME",
        path="name",
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:0 or mps.", option="--device DEVICE")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "Type the teacher computes in."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSettings(_Section):
    """``[corpus]``: what to learn from, and what to search unless ``[index] docs`` names it.

    >>> CorpusSettings(path=["docs"]).text_key
    'text'
    """

    path: list[str] | None = setting(
        None,
        "Folder, file, Hugging Face dataset (OWNER/NAME) or python:PACKAGE; one or a list.",
        option="",
        path="name",
    )
    text_key: str = setting(
        "text",
        "Key or column of the text in JSON, CSV, Parquet and datasets; several (a,b) are joined.",
        option="--text-key KEY",
    )
    name: str | None = setting(
        None, "Configuration of the Hugging Face dataset.", option="--dataset-name NAME"
    )
    split: str = setting(
        "train", "Split of the Hugging Face dataset.", option="--dataset-split SPLIT"
    )
    streaming: bool = setting(
        True,
        "Stream the Hugging Face dataset, or download it first.",
        option="--streaming/--no-streaming",
    )
    encoding: str = setting(
        "auto",
        "Encoding of text files that are not UTF-8; auto recognises it.",
        option="--encoding NAME",
    )
    ignore_files: bool = setting(
        True,
        "What .gitignore and .ragdollignore name: true leaves it out, --no-ignore reads it.",
        option="--no-ignore",
    )
    include: list[str] | None = setting(
        None, "Names, such as '*.xyz', of other files that are text.", option="--include GLOB"
    )
    formats: list[str] | None = setting(
        None, "Formats of other suffixes, such as .xyz=md.", option="--format .SUFFIX=FORMAT"
    )
    hidden: bool = setting(
        False, "Read hidden files and folders, except those of git.", option="--hidden/--no-hidden"
    )
    generated: bool = setting(
        False,
        "Read what programs made: installed packages, builds, lock files.",
        option="--generated/--no-generated",
    )
    outputs: bool = setting(
        True, "Read what the cells of notebooks printed.", option="--outputs/--no-outputs"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturizeSettings(_Section):
    """``[featurize]``: the teacher's pass over the corpus.

    >>> FeaturizeSettings(max_means=10_000).target
    'mean'
    """

    output: str = setting(
        ".ragdoll/features",
        "Folder for the features, or a URI (s3://, gs://, az://).",
        option="--output DIR",
        in_run="--features DIR",
        path="path",
    )
    max_means: int = setting(
        1_000_000, "Embed at most N passages, taken evenly from the whole corpus.", least=1
    )
    batch_size: int = setting(
        32,
        "Size of the teacher's batches: at most the tokens of N passages of full length, and fewer "
        "on a CPU.",
        in_run="--featurize-batch-size N",
        least=1,
    )
    target: Target = setting(
        "mean",
        "Target vectors: the mean of the token embeddings, or the teacher's own sentence "
        "embedding.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings(_Section):
    """``[train]``: from features to a static model.

    >>> TrainSettings(pca_dims=128).method
    'ridge'
    """

    features: str | None = setting(
        None,
        "Features folder; default: what featurize wrote.",
        option="--features DIR",
        in_run="",
        path="path",
    )
    output: str = setting(
        ".ragdoll/model",
        "Folder for the model.",
        option="--output DIR",
        in_run="--model,--embedding-model-name DIR",
        path="path",
    )
    method: Literal["ridge", "tokenlearn"] = setting(
        "ridge",
        "Training recipe: ridge regression of the targets, or the library tokenlearn's gradient "
        "descent.",
    )
    max_passages: int = setting(
        1_000_000, "Learn from N passages at most, a random sample of the features.", least=1
    )
    pca_dims: int | Share = setting(
        256,
        "Dimensions of the model, or the share of the targets' variance that they keep.",
        least=1,
    )
    vocabulary: Literal["auto", "all"] = setting(
        "auto",
        "Tokens of the teacher in the model: all, or of more than 65,536 those of the corpus and "
        "the most frequent others.",
    )
    terms: str | None = setting(
        None,
        "File of terms to add to the vocabulary, one a line.",
        option="--terms FILE",
        path="path",
    )
    vocab_size: int = setting(
        0,
        "Add N terms of the corpus to the teacher's vocabulary: words, and pairs of words, that it "
        "splits.",
        least=0,
    )
    batch_size: int | Literal["auto"] = setting(
        "auto",
        "Passages in a step, of the method tokenlearn only.",
        in_run="--train-batch-size N|auto",
        least=1,
    )
    lr: float | Literal["auto"] = setting(
        "auto", "Learning rate, of the method tokenlearn only.", least=1e-9
    )
    patience: int = setting(5, "Stop after N validations without a lower loss.", least=1)
    epochs: int | Literal["auto"] = setting(
        "auto",
        "Stop after N passes over the corpus; auto leaves it to the patience (ridge: 40).",
        least=1,
    )
    seed: int = setting(0, "Random seed.", least=0, most=2**32 - 1)
    device: str = setting("auto", "auto, cpu, cuda, cuda:0 or mps.", option="--device DEVICE")
    save_dtype: Literal["float32", "float16", "int8"] = setting(
        "float32", "Type of the saved vectors."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings(_Section):
    """``[index]``: documents into a table.

    >>> IndexSettings(metadata={"year": "integer"}).table
    'documents'
    """

    docs: list[str] | None = setting(
        None, "What to search; default: the corpus.", option="", path="name"
    )
    model: str | None = setting(
        None,
        "Static model; default: what train wrote.",
        option="--model,--embedding-model-name DIR",
        in_run="",
        path="name",
    )
    database: str = setting(
        ".ragdoll/lancedb",
        "Folder or URI of the LanceDB database.",
        option="--database,--vector-data-dir DIR",
        path="path",
    )
    table: str = setting("documents", "Table in the database.", option="--table NAME")
    metric: Literal["auto", "cosine", "dot", "l2"] = setting(
        "auto", "Similarity; auto is what the model was made for."
    )
    chunk_size: int = setting(
        256, "Tokens of a passage, at most.", option="--chunk-size TOKENS", least=8, most=1_000_000
    )
    language: Language = setting(
        "auto",
        "Language whose words are stemmed; auto finds it in the texts.",
        option="--language NAME",
    )
    metadata: dict[str, str] = setting(
        {},
        "Fields of records that become columns for --where, with their types (string, integer, "
        "number, boolean, date, list). Other columns need a table that is built anew.",
        option="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySettings(_Section):
    """``[query]``: how a table is searched.

    >>> QuerySettings(mode="text").top_k
    10
    """

    top_k: int = setting(10, "Number of answers.", option="--top-k,-k K", least=1, most=1_000_000)
    mode: Mode = setting("hybrid", "Search by vector, by words (BM25), or both and shared tokens.")
    alpha: float | Literal["auto"] = setting(
        "auto",
        "Weight of the vector in the hybrid mode; auto: by each query.",
        option="--alpha 0..1|auto",
        least=0,
        most=1,
    )
    where: str | None = setting(
        None,
        "Only passages that meet a condition on the table's columns, such as "
        "\"year >= 2020 AND title LIKE '%loop%'\".",
        option="--where SQL",
    )
    source: str | None = setting(
        None,
        "Only passages of these files or folders, such as '*.md' or 'guide/**'.",
        option="--source GLOB",
    )
    lines: int = setting(3, "Lines of each answer; fewer where a terminal has no room.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings(_Section):
    """``[serve]``: the service for applications, agents and people.

    >>> ServeSettings(port=0).host
    '127.0.0.1'
    """

    host: str = setting("127.0.0.1", "Address to listen at.", option="--host HOST")
    port: int = setting(
        8765, "Port; 0 takes a free one.", option="--port PORT", least=0, most=65535
    )
    tables: list[str] | None = setting(
        None,
        "Tables to serve, the first by default; else all of the database.",
        option="--table NAME",
    )
    allow_host: list[str] | None = setting(
        None, "Names, besides the address, that the service answers to.", option="--allow-host NAME"
    )
    allow_origin: list[str] | None = setting(
        None,
        "Other sites whose pages may ask, such as https://example.org.",
        option="--allow-origin URL",
    )
    token_file: str | None = setting(
        None,
        "File of the token that requests need; else RAGDOLL_SERVE_TOKEN.",
        option="--token-file FILE",
        path="path",
    )
    insecure: bool = setting(False, "Let everyone in who can reach the host.", option="--insecure")
    page: bool = setting(True, "The page to search in.", option="--page/--no-page")
    mcp: bool = setting(True, "Tools for agents at /mcp.", option="--mcp/--no-mcp")
    max_top_k: int = setting(
        100, "Answers to a question, at most.", option="--max-top-k K", least=1
    )
    metrics: bool = setting(False, "Counts of requests at /metrics.", option="--metrics")
    allow_run: bool = setting(
        False, "Let POST /pipeline/run start what run does; needs a token.", option="--allow-run"
    )
    log: Literal["text", "json"] = setting("text", "Form of the log.", option="--log FORM")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings(_Section):
    """``[engine]``: where featurize and index work.

    >>> EngineSettings(name="ray", workers=8).address is None
    True
    """

    name: Literal["local", "ray"] = setting(
        "local",
        "Work in this process, or on the workers of a Ray cluster.",
        option="--engine local|ray",
    )
    address: str | None = setting(
        None,
        "Cluster that runs, such as ray://host:10001; else one is started here for the command.",
        option="--address ADDRESS",
    )
    workers: int | Literal["auto"] = setting(
        "auto",
        "Workers; auto takes one for each GPU, or else for each CPU.",
        least=1,
        most=100_000,
    )
    worker_gpus: float | Literal["auto"] = setting(
        "auto",
        "GPUs of a worker that has the teacher, or the share of one; auto is 1.",
        option="--worker-gpus X|auto",
        least=0,
        most=1_000,
    )

    @property
    def is_local(self) -> bool:
        """True if the work is done in this process."""
        return self.name == "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings(_Section):
    """``[evaluate]``: how systems are compared.

    >>> EvaluateSettings(k=5).mode
    'all'
    """

    mode: EvaluateMode = setting("all", "Systems to score.")
    k: int = setting(10, "Measure the first K answers.", option="--k K", least=1, most=1_000_000)
    seed: int = setting(
        0, "Seed of the significance test, and of a test made of documents.", least=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All sections, as ``ragdoll.toml`` has them.

    >>> Settings(train=TrainSettings(pca_dims=128)).query.top_k
    10
    """

    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    featurize: FeaturizeSettings = field(default_factory=FeaturizeSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    query: QuerySettings = field(default_factory=QuerySettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def completed(self, values: Mapping[str, Any], origin: str) -> Self:
        """Return these settings with ``values``, by name, for those that nobody gave.

        Names that are no settings are left out.

        Raises:
            UsageError: a value is of the wrong type or out of range (with name, value and origin).
        """
        open_: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            one = settings().get(name)
            if one and not getattr(self, one.section).is_given(one.key):
                open_.setdefault(one.section, {})[one.key] = checked(value, one, origin)
        records = {section: getattr(self, section).changed(**of) for section, of in open_.items()}
        return replace(self, **records)


class Setting(NamedTuple):
    """One declared setting; ``hint`` is its type.

    ``option`` has the names of the option, separated by commas, and its metavar behind a space. It
    follows from the key where none is declared; an empty string declares no option. ``in_run`` is
    the option of the command ``run`` where it differs. ``least`` and ``most`` bound a number.

    ``path`` says how a string in the file resolves. A ``path`` is always a file or a folder. A
    ``name`` may also be a hub id or a scheme such as ``python:stdlib``; it becomes a path only
    where such a path exists. None stands for a string that is no path.
    """

    section: str
    key: str
    hint: Any
    default: Any
    help: str
    option: str
    in_run: str
    path: Literal["path", "name"] | None = None
    least: float = -math.inf
    most: float = math.inf

    @property
    def name(self) -> str:
        """The name in messages and help texts: ``section.key``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"RAGDOLL_{self.section}_{self.key}".upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it admits, none where others are admitted too."""
        parts = alternatives(self.hint)
        return get_args(parts[0]) if len(parts) == 1 and get_origin(parts[0]) is Literal else ()


@cache
def settings() -> dict[str, Setting]:
    """Return every setting by its name, in the order of the sections."""
    found = {}
    for section, record in sections().items():
        hints = get_type_hints(record, include_extras=True)
        for item in fields(record):
            hint, facts = hints[item.name], dict(item.metadata)
            metavar = "|".join(kind.metavar for kind in _kinds(hint))
            facts.setdefault("option", f"--{item.name.replace('_', '-')} {metavar}".strip())
            facts.setdefault("in_run", facts["option"])
            default = {} if item.default is MISSING else item.default
            one = Setting(section, item.name, hint, default, **facts)
            found[one.name] = one
    return found


@cache
def sections() -> dict[str, type[Any]]:
    """Return the dataclass of each section, by the section's name."""
    return get_type_hints(Settings)


def parse(text: str, hint: Any) -> Any:
    """Turn the text of an option or a variable into the nearest type that ``hint`` admits.

    What cannot be turned stays text, which ``checked`` refuses with key and value.
    """
    for kind in alternatives(hint):
        if kind is bool and text.lower() in {"1", "0", "true", "false", "yes", "no"}:
            return text.lower() in {"1", "true", "yes"}
        if kind in (int, float, Share):
            try:
                number = int(text) if kind is int else float(text)
            except ValueError:
                continue
            if kind is not Share or _is_share(number):
                return number
        if get_origin(kind) is dict and "=" in text:
            pairs = [pair.partition("=") for pair in text.split(",")]
            return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def checked(value: Any, declared: Setting, origin: str = "", name: str = "") -> Any:
    """Check a value that came from ``origin``; a string becomes a list where a list is declared.

    Without an origin it is the argument of a call, whose parameter has the setting's key for a name
    if no other ``name`` is given.

    Raises:
        UsageError: it is empty, of the wrong type or out of range (with name, value and origin).
    """
    kinds = _kinds(declared.hint)
    name = declared.name if origin else name or declared.key
    from_there = f" (from {origin})" if origin else ""
    if isinstance(value, str) and _KINDS[list] in kinds:
        value = [value]
    if isinstance(value, str | list) and (not value or "" in list(value)):
        raise UsageError(f"{name} must not be empty{from_there}.")
    if not any(kind.admits(value) for kind in kinds):
        *others, last = (kind.description for kind in kinds)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise UsageError(f"{name} must be {expected}, not {described(value)}{from_there}.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        given = f"{described(value)}{from_there}"
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number, not {given}.")
        if value < declared.least and not (_KINDS[Share] in kinds and _is_share(value)):
            raise UsageError(f"{name} must be at least {declared.least:g}, not {given}.")
        most = min(declared.most, _LARGEST)
        if value > most:
            raise UsageError(f"{name} must be at most {most:,}, not {given}.")
    return value


def refuse_weight(alpha: float | None, mode: str) -> None:
    """Refuse a weight of the vector where there is nothing to weigh it against.

    Raises:
        UsageError: it is given for a mode other than hybrid.
    """
    if alpha is not None and mode != "hybrid":
        raise UsageError(
            f"alpha has no meaning in the mode '{mode}'.",
            hint="It weighs the vector in the mode hybrid.",
        )


def described(value: Any) -> str:
    """Describe a value that is refused, with the first item in it that is no string."""
    if isinstance(value, dict):
        other = next((name for name, item in value.items() if not isinstance(item, str)), None)
        return "a section" if other is None else f"a section with {other} = {as_text(value[other])}"
    if isinstance(value, list):
        other = next((item for item in value if not isinstance(item, str)), None)
        return "a list" if other is None else f"a list with {as_text(other)}"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number of too many digits"
    return f'"{value}"' if isinstance(value, str) else as_text(value) or str(value)


def as_text(value: Any) -> str:
    """Write a value as a file has it, without quotation marks; nothing for None."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return "" if value is None else str(value)


def example(**values: str) -> str:
    """Write a ``ragdoll.toml`` with every setting, its default and its help.

    ``values`` are for settings that have no default, by ``section_key``. The others without one
    stand behind a ``#``.
    """
    parts = [_HEAD]
    for section, record in sections().items():
        meaning = (record.__doc__ or "").partition("\n")[0].partition(": ")[2]
        meaning = meaning.rstrip(".").replace("``", "")
        lines = [_with_comment(f"[{section}]", meaning)]
        for one in settings().values():
            if one.section == section:
                value = values.get(f"{section}_{one.key}", one.default)
                off = "# " if value in (None, {}) else ""
                choices = f" {' | '.join(one.choices)}." if one.choices else ""
                written = f"{off}{one.key} = {_as_toml(value)}"
                lines.append(_with_comment(written, one.help + choices))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types that a type admits, None left out."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(part for part in parts if part is not type(None))


class _Kind(NamedTuple):
    """A kind of value: in a message, in a help text, and as a test."""

    description: str
    metavar: str
    admits: Callable[[Any], bool]


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1


def _are_strings(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


_KINDS = {
    bool: _Kind("true or false", "", lambda value: isinstance(value, bool)),
    int: _Kind("a whole number", "N", lambda value: _is_number(value, int)),
    float: _Kind("a number", "RATE", lambda value: _is_number(value, int | float)),
    Share: _Kind("a share between 0 and 1", "SHARE", _is_share),
    str: _Kind("a string", "TEXT", lambda value: isinstance(value, str)),
    list: _Kind(
        "a string or a list of strings",
        "TEXT",
        lambda value: isinstance(value, list) and _are_strings(value),
    ),
    dict: _Kind(
        "a section of strings",
        "TEXT",
        lambda value: isinstance(value, dict) and _are_strings(value.values()),
    ),
}


def _kinds(hint: Any) -> list[_Kind]:
    """List the kinds of value that a type admits; each word of a ``Literal`` is one."""
    kinds = []
    for part in alternatives(hint):
        if get_origin(part) is Literal:
            kinds += [_Kind(f'"{word}"', word, partial(eq, word)) for word in get_args(part)]
        else:
            kinds.append(_KINDS[part] if part in _KINDS else _KINDS[get_origin(part)])
    return kinds


def _with_comment(written: str, comment: str) -> str:
    """Put a comment behind a line of the example file, and below it where there is no room."""
    room = _WIDTH - _COLUMN - 2
    first, *others = textwrap.wrap(comment, room)
    lines = [f"{written:<{_COLUMN}}# {first}"]
    if len(written) >= _COLUMN:
        lines = [written, f"{'':<{_COLUMN}}# {first}"]
    return "\n".join([*lines, *(f"{'':<{_COLUMN}}# {line}" for line in others)])


def _as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return '{ year = "integer" }'
    if value is None:
        return '""'
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else str(value)
    return json.dumps(value)
