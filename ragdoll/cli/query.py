"""``ragdoll query``."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragdoll.cli import options, records, render
from ragdoll.cli.lines import waiting_lines
from ragdoll.cli.session import session
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.retrieval.reading.search import Hit, Searcher

# Queries that are answered together at most, so that the first of very many is not long in coming.
_TOGETHER = 64


def query(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="What to look for. With -, standard input has a query a line, each of which is "
            "answered by a line of JSON. Without TEXT, a prompt opens.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", metavar="K", help="Number of answers. [query.top_k]"),
    ] = None,
    mode: Annotated[
        Literal["hybrid", "vector", "text"] | None,
        typer.Option(help="Search by vector, by words (BM25), or both. [query.mode]"),
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(
            metavar="0..1|auto",
            parser=options.auto_or(float),
            help="Weight of the vector in the hybrid mode; auto: the table's own. [query.alpha]",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL",
            help="Only passages that meet a condition on the table's columns, such as "
            "\"year >= 2020 AND title LIKE '%loop%'\". [query.where]",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB",
            help="Only passages of these files or folders, such as '*.md' or 'guide/**'. "
            "[query.source]",
        ),
    ] = None,
    database: options.Database = None,
    table: options.Table = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="DIR", help="Where the table's own model is now, if it was moved."
        ),
    ] = None,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Search a table, with the model that it was made with."""
    given = {
        "query.top_k": top_k,
        "query.mode": mode,
        "query.alpha": alpha,
        "query.where": where,
        "query.source": source,
        "index.database": database,
        "index.table": table,
    }
    from_stdin = text == "-"
    with session(config, as_json or from_stdin, quiet, verbose, given) as (settings, console):
        if text is None and not sys.stdin.isatty():
            raise UsageError(
                "No query is given.", hint='ragdoll query "what to look for", or - to read lines.'
            )
        if alpha is not None and settings.query.mode != "hybrid":
            raise UsageError(
                f"--alpha has no meaning in the mode '{settings.query.mode}'.",
                hint="It weighs the vector in the mode hybrid.",
            )
        if text is not None and not text.strip():
            raise UsageError("The query is empty.")
        from ragdoll.cli import settings as wanted
        from ragdoll.retrieval.reading.search import open_searcher

        chosen = settings.query
        place = wanted.database(settings)
        searcher = open_searcher(
            place, settings.index.table, model, chosen.mode, chosen.where, chosen.source
        )
        weight = wanted.alpha(settings)
        for lines in _queries(text, console):
            answers = searcher.search_many(lines, chosen.top_k, weight)
            for line, hits in zip(lines, answers, strict=True):
                _answer(searcher, console, line, hits)


def _queries(text: str | None, console: "Console") -> Iterator[list[str]]:
    """Queries that may be answered together: as many as are there."""
    if text == "-":
        for lines in waiting_lines(sys.stdin):
            queries = [_storable(line.strip()) for line in lines if line.strip()]
            yield from (queries[i : i + _TOGETHER] for i in range(0, len(queries), _TOGETHER))
    elif text is not None:
        yield [_storable(text)]
    else:
        yield from ([line] for line in _prompt(console))


def _storable(text: str) -> str:
    """Replace bytes that are no text, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _prompt(console: "Console") -> Iterator[str]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (importing it gives input() history and editing)
    console.note("An empty line ends.")
    while True:
        try:
            line = _ask(console).strip()
        except EOFError:
            return
        if not line:
            return
        yield line


def _ask(console: "Console") -> str:
    if console.width is not None and not console.as_json:
        return input("query> ")
    # Standard output is data: the prompt must not be in it.
    sys.stderr.write("query> ")
    sys.stderr.flush()
    return input()


def _answer(searcher: "Searcher", console: "Console", text: str, hits: "list[Hit]") -> None:
    console.result(
        records.query(text, searcher.mode, hits),
        render.hits(text, hits, searcher.table, console) if not console.as_json else None,
    )
    if not hits and not console.as_json:
        console.note("Nothing found.")
