"""Files of records: JSON, JSON lines, CSV, TSV, Parquet, and standard input."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
from pathlib import Path
from random import Random

import pyarrow as pa
from pyarrow import parquet

from ragdoll.corpus.documents import Reading
from ragdoll.corpus.sources.stdin import StdinSource
from tests.fuzz.harness import Case, Prepare
from tests.fuzz.mutation import mutated, mutated_json
from tests.fuzz.texts import check_reason, check_records, mutations

_RECORD = {
    "_id": "a",
    "title": "Locks",
    "text": "A lock.",
    "n": 1,
    "x": [1.5, {"y": None}],
    "é": "ü",
}
_TABLE = 'text,n,title\n"a ""quoted"", text",1,x\n"two\nlines",2,\n\né,3,y\n' * 3


def _objects(name: str, separator: bytes) -> Prepare:
    def prepare(folder: Path) -> Case:
        file = folder / name

        def case(draw: Random) -> None:
            values = [mutated_json(_RECORD, draw) for _ in range(draw.choice((1, 2, 5)))]
            content = separator.join(values)
            if separator == b",":
                content = b"[" + content + b"]"
            file.write_bytes(mutated(content, draw) if draw.random() < 0.3 else content)
            check_records(file)

        return case

    return prepare


def _separated(name: str, separator: str) -> Prepare:
    def mutate(seed: bytes, draw: Random) -> bytes:
        return mutated(seed, draw, (b'"', b'""', separator.encode(), b"\n", b"\r\n"))

    seed = _TABLE.replace(",", separator).encode()
    return lambda folder: mutations(folder / name, seed, mutate)


def _parquet(folder: Path) -> Case:
    rows = 40
    columns = {
        "text": [f"text {number}" * 5 for number in range(rows)],
        "n": list(range(rows)),
        "list": [[1, 2]] * rows,
        "day": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * rows,
        "object": [{"a": "b"}] * rows,
        "kind": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
    }
    seeds = []
    for compression in ("none", "snappy"):
        packed = io.BytesIO()
        parquet.write_table(pa.table(columns), packed, row_group_size=20, compression=compression)
        seeds.append(packed.getvalue())
    file = folder / "table.parquet"

    def case(draw: Random) -> None:
        file.write_bytes(mutated(draw.choice(seeds), draw))
        check_records(file)

    file.write_bytes(seeds[0])
    check_records(file)
    return case


def _stdin(folder: Path) -> Case:
    seeds = (json.dumps(_RECORD).encode() + b"\n", b"A text.\nAnother.\n", "é\n".encode("utf-16"))

    def case(draw: Random) -> None:
        content = mutated(draw.choice(seeds) * draw.choice((1, 3)), draw)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]
        reading = Reading()
        for document in StdinSource().documents(reading):
            document.text.encode()
            json.dumps(dict(document.metadata), allow_nan=False)
        for item in reading.skipped:
            check_reason(item.reason)

    return case


TARGETS: dict[str, Prepare] = {
    "json": _objects("a.json", b","),
    "json-values": _objects("b.json", b"\n"),
    "json-lines": _objects("a.jsonl", b"\n"),
    "csv": _separated("a.csv", ","),
    "tsv": _separated("a.tsv", "\t"),
    "parquet": _parquet,
    "stdin": _stdin,
}
