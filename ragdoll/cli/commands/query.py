"""``ragdoll query``."""

import codecs
import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from ragdoll.cli.options import Invocation, argument, command, option
from ragdoll.cli.session import session
from ragdoll.cli.text import one_line
from ragdoll.cli.views import hits, records
from ragdoll.errors import UsageError
from ragdoll.settings import refuse_weight

if TYPE_CHECKING:
    import ragdoll
    from ragdoll.cli.console import Console

# Queries that are answered together, at most: the first of very many is not to wait for the last.
_TOGETHER = 64

# Bytes of standard input that are read at a time.
_BYTES = 1 << 16


@command(
    "query",
    "index.database",
    "index.table",
    words=argument(
        "TEXT",
        "What to look for. With -, standard input has a query a line, each of which is answered by "
        "a line of JSON. Without TEXT, a prompt opens.",
    ),
    model=option("--model DIR", "Where the table's own model is now, if it was moved."),
)
def query(call: Invocation, words: list[str] | None, model: str | None) -> None:
    """Search a table, with the model that it was made with.

    Lines that wait together on standard input are answered together.
    """
    text = " ".join(words) if words else None
    call = call._replace(as_json=call.as_json or text == "-")
    with session(call) as (config, console):
        chosen = config.query
        if text is None and not sys.stdin.isatty():
            raise UsageError(
                "No query is given.", hint='ragdoll query "what to look for", or - to read lines.'
            )
        alpha = None if chosen.alpha == "auto" else chosen.alpha
        if call.given["query.alpha"] is None and chosen.mode != "hybrid":
            alpha = None  # a weight in a file is for hybrid searches
        refuse_weight(alpha, chosen.mode)
        if text is not None and not text.strip():
            raise UsageError("The query is empty.")
        import ragdoll

        index = ragdoll.Index.open(model=model, settings=config.index)
        for queries in _queries(text, console):
            answers = index.search_many(
                queries,
                chosen.top_k,
                mode=chosen.mode,
                alpha=alpha,
                where=chosen.where,
                source=chosen.source,
            )
            for asked, found in zip(queries, answers, strict=True):
                view = None
                if not console.as_json:
                    with_root = len(index.roots) > 1
                    lines = chosen.lines
                    if not chosen.is_given("lines"):
                        lines = hits.fitting(found, lines, console.height)
                    view = hits.hits(asked, found, with_root, console, lines)
                console.result(records.query(asked, chosen.mode, found), view)
                if not found and not console.as_json:
                    console.note(f"Nothing found.{_no_such_source(index, chosen.source)}")


def _no_such_source(index: "ragdoll.Index", glob: str | None) -> str:
    """Say that no source matches a glob, and what sources look like; nothing where one does."""
    if glob is None or index.sources(glob, most=1):
        return ""
    examples = ", ".join(one_line(source) for source in index.sources(most=3))
    return f" No source matches '{one_line(glob)}'; sources are such as {examples}."


def _queries(text: str | None, console: "Console") -> Iterator[list[str]]:
    """Yield queries that are there at the same time, to be answered together."""
    if text == "-":
        for lines in waiting_lines(sys.stdin):
            queries = [_as_unicode(line.strip()) for line in lines if line.strip()]
            yield from (queries[i : i + _TOGETHER] for i in range(0, len(queries), _TOGETHER))
    elif text is not None:
        yield [_as_unicode(text)]
    else:
        yield from ([line] for line in _prompt(console))


def waiting_lines(stream: TextIO) -> Iterator[list[str]]:
    """Yield the lines that can be read without waiting, then wait for more.

    A program that writes a line and waits for its answer gets it; lines that are written together
    are read together. Bytes that are no text are replaced.
    """
    buffer = getattr(stream, "buffer", None)
    if not isinstance(buffer, io.BufferedIOBase):
        yield from ([line] for line in stream)
        return
    # Joined at its end alone: a long line would be copied with each piece of it.
    begun: list[str] = []
    for text in _texts(buffer, stream.encoding or "utf-8"):
        first, *others = text.split("\n")
        begun.append(first)
        if others:
            *lines, rest = others
            yield ["".join(begun), *lines]
            begun = [rest]
    if last := "".join(begun):
        yield [last]


def _texts(buffer: io.BufferedIOBase, encoding: str) -> Iterator[str]:
    """Yield the text that waits, each time that some does, with line feeds as line ends."""
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)("replace"), translate=True
    )
    while content := buffer.read1(_BYTES):
        yield decoder.decode(content)
    yield decoder.decode(b"", final=True)


def _as_unicode(text: str) -> str:
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
