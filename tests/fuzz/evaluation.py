"""Test collections in BEIR layout, and the question that ``--explain`` takes."""

from __future__ import annotations

from pathlib import Path
from random import Random

from ragdoll.evaluation.collection import load_beir
from ragdoll.evaluation.metrics import measure
from tests.fuzz.command import check_output, run
from tests.fuzz.harness import Case, Prepare
from tests.fuzz.mutation import as_json, mutated, mutated_json

_CORPUS = [{"_id": f"d{n}", "title": f"T{n}", "text": f"wing {n} flap"} for n in range(4)]
_QUERIES = [{"_id": f"q{n}", "text": f"flap {n}"} for n in range(3)]
_QRELS = b"query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t2\nq1\td2\t0\nq2\td9\t1\n"


def _collection(folder: Path, draw: Random | None = None) -> Path:
    """A collection; one of its files changed, where there is something to draw by."""
    files = {
        "corpus.jsonl": b"\n".join(map(as_json, _CORPUS)),
        "queries.jsonl": b"\n".join(map(as_json, _QUERIES)),
        "qrels/test.tsv": _QRELS,
    }
    if draw is not None:
        name = draw.choice(list(files))
        if name.endswith(".tsv") or draw.random() < 0.3:
            files[name] = mutated(files[name], draw, (b"\t", b"\n", b"-1", b"q0\td0\t1\n"))
        else:
            records = _CORPUS if name == "corpus.jsonl" else _QUERIES
            files[name] = b"\n".join(mutated_json(record, draw) for record in records)
    place = folder / "beir"
    (place / "qrels").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place


def _files(folder: Path) -> Case:
    def case(draw: Random) -> None:
        found = load_beir(_collection(folder, draw))
        ranks = {query: dict.fromkeys(found.documents, 1.0) for query in found.queries}
        measure(ranks, found.qrels, 10)

    load_beir(_collection(folder))
    return case


def _command(folder: Path) -> Case:
    check_output(run("evaluate", _collection(folder), "--mode", "text"), folder)

    def case(draw: Random) -> None:
        place = _collection(folder, draw)
        options = draw.choice(((), ("--json",), ("--output", folder / "here" / "report.html")))
        check_output(run("evaluate", place, "--mode", "text", *options), folder)

    return case


def _explained(folder: Path) -> Case:
    place = _collection(folder)
    check_output(run("evaluate", place, "--mode", "text", "--explain=x"), folder)
    words = (b"\0", b'"', b"\x1b[2J", b"\xe2\x80\xae", b"\n", b"wing ", b"x" * 3000)

    def case(draw: Random) -> None:
        query = mutated(b"flap 1 wing", draw, words).decode("utf-8", "replace")
        options = draw.choice(((), ("--json",)))
        check_output(
            run("evaluate", place, "--mode", "text", f"--explain={query}", *options), folder
        )

    return case


TARGETS: dict[str, Prepare] = {
    "beir": _files,
    "evaluate": _command,
    "explain": _explained,
}
