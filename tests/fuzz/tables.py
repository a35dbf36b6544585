"""Tables and searches of them: metadata, rows, conditions, globs, and lines of queries."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from ragdoll.retrieval.index import Index
from ragdoll.retrieval.storage.analysis import Analysis
from ragdoll.retrieval.storage.schema import (
    KEY,
    Root,
    TableIdentity,
    TableState,
    read_metadata,
    schema,
)
from tests.embedding.making import write_model
from tests.fuzz.command import check_output, run
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated, mutated_json

_WORDS = ["wing", "flap", "lift", "drag"]


def database_in(folder: Path) -> Path:
    """A small table, and beside it the model that it names."""
    vectors = np.random.default_rng(0).normal(size=(len(_WORDS) + 2, 8)).astype(np.float32)
    model = write_model(folder / "model", _WORDS, vectors)
    docs = folder / "docs"
    docs.mkdir()
    for number, word in enumerate(_WORDS * 3):
        (docs / f"{word}{number}.md").write_text(
            f"---\nyear: {number}\n---\n# {word}\n\n{word} wing.\n"
        )
    place = folder / "database"
    check_output(run("index", docs, "--model", model, "--database", place), folder)
    check_output(run("query", "wing", "--database", place), folder)
    return place


def _metadata(folder: Path) -> Case:
    identity = TableIdentity("ab", 4, "cosine", True, 512, 256, "/m", {"year": "integer"})
    roots = {"k": Root("/docs", None, 1, [["a", "b"]])}
    state = TableState("/m", "/d", roots, analysis=Analysis())
    whole = schema(identity, state)
    fixed = {"version": 1, **asdict(identity)}

    def case(draw: Random) -> None:
        of_table = mutated_json(fixed, draw) if draw.random() < 0.5 else json.dumps(fixed).encode()
        of_vector = mutated_json(asdict(state), draw)
        number = whole.get_field_index("vector")
        vector = whole.field("vector").with_metadata({KEY: of_vector})
        layout = whole.set(number, vector).with_metadata({KEY: of_table})
        found, changing = read_metadata(layout, "table")
        schema(found, changing)
        changing.alpha.is_integer()
        for root in changing.roots.values():
            root.path.encode("utf-8", "surrogatepass")

    return case


def _rows(folder: Path) -> Case:
    """A table whose rows and metadata anyone may have written."""
    import lancedb

    place = database_in(folder)
    database = lancedb.connect(place)
    whole = database.open_table("documents").to_arrow()
    names = [name for name in whole.column_names if name not in {"id", "vector"}]
    values: tuple[Any, ...] = (None, "", "x\0\x1b[2J\u202e", "[]", "{}", "a\nb", "x" * 5000, "null")
    values += ('{"source_line": "x"}', '{"source_line": 1e999}', "[" * 100_000, "{", -1, 2**62)

    def case(draw: Random) -> None:
        table = whole
        for name in draw.sample(names, draw.choice((1, 2))):
            kind = table.schema.field(name).type
            fitting = [v for v in values if v is None or isinstance(v, int) == (kind == pa.int64())]
            value = draw.choice(fitting)
            if value is None and not table.schema.field(name).nullable:
                value = ""
            number = table.schema.get_field_index(name)
            table = table.set_column(
                number, table.schema.field(name), pa.array([value] * len(table), kind)
            )
        database.create_table("documents", table, mode="overwrite")
        mode = draw.choice(("hybrid", "vector"))
        options = ("--database", place, "--mode", mode, *draw.choice(((), ("--json",))))
        check_output(run("query", "wing", *options), folder)
        if draw.random() < 0.3:
            docs = folder / "docs"
            check_output(run("index", docs, "--model", folder / "model", *options[:2]), folder)

    return case


def _conditions(folder: Path) -> Case:
    place = database_in(folder)
    index = Index.open(place)
    seeds = (
        b"start >= 0 AND title LIKE '%wing%'",
        b"source IN ('a', 'b') OR NOT (start = 1)",
        b"regexp_like(text, 'w.*g') AND length(text) > 3",
        b"CASE WHEN start > 1 THEN true ELSE text IS NULL END",
    )
    words = (
        *(
            b"(",
            b")",
            b"'",
            b'"',
            b"--",
            b"/*",
            b"NOT ",
            b" OR start=1",
            b" AND (",
            b"NULL",
            b"'; DROP",
        ),
        *(
            b"1/0",
            b"repeat('x', 999999999)",
            b"CAST(text AS INT)",
            b"start",
            b"vector",
            b"\xe2\x80\x99",
        ),
        *(
            b"SELECT",
            b"(SELECT 1)",
            b" IN (",
            b"[1]",
            b"$1",
            b"?",
            b"@@",
            b"`",
            b"0x",
            b"-",
            b"~",
            b"!",
        ),
        *(b"regexp_like(text, '(a*)*b')", b"array_repeat(1, 99999999)", b"1e999", b"'\\'"),
    )

    def case(draw: Random) -> None:
        where = mutated(draw.choice(seeds), draw, words).decode("utf-8", "replace")
        if draw.random() < 0.02:
            options = ("--database", place, "--where", where)
            check_output(run("query", "wing", *options), folder)
        index.search("wing", 3, mode="text", where=where)

    return case


def _globs(folder: Path) -> Case:
    index = Index.open(database_in(folder))
    seeds = (b"*.md", b"docs/**/wing?.md", b"**/x/**", b"[a-z]*", b"a'b\\c")
    words = (b"*", b"**", b"**/", b"?", b"/", b"[", b"'", b"\\", b"(", b"{1000}", b"\xc3\xa9", b"#")

    def case(draw: Random) -> None:
        glob = mutated(draw.choice(seeds), draw, words).decode("utf-8", "replace")
        index.search("wing", 3, mode="text", source=glob)

    return case


def _lines(folder: Path) -> Case:
    place = database_in(folder)
    seed = b"wing flap\nlift\n\n drag \n\xc3\xa9\n"
    words = (
        b"\0",
        b'"',
        b"wing ",
        b"\r",
        b"\xff",
        b"\x1b[2J",
        b"*:*",
        b"AND",
        b"x" * 3000,
        b"flap\n",
    )

    def case(draw: Random) -> None:
        # So short that all of its queries are answered in a second.
        content = mutated(seed, draw, words)[:1000]
        mode = draw.choice(("hybrid", "vector", "text"))
        result = run("query", "-", "--database", place, "--mode", mode, stdin=content)
        check_output(result, folder)
        lines = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        if len(result.out.splitlines()) != sum(1 for line in lines.split("\n") if line.strip()):
            raise FindingError("not an answer a query")

    return case


TARGETS: dict[str, Prepare] = {
    "table-metadata": _metadata,
    "table-rows": _rows,
    "where": _conditions,
    "source": _globs,
    "query-lines": _lines,
}
