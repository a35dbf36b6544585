"""The wall: hostile files cost themselves, and nothing else."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from tests.corpus.archives import cell, changed, docx, paragraph, workbook
from tests.corpus.pdfs import nested_forms, pdf, repacked
from tests.corpus.reading import alarm, only, reason, records, told, written
from tests.making import open_corpus

MIB = 2**20

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="there is no limit of memory")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "MEMORY", 128 * MIB)
    monkeypatch.setattr(wall, "SECONDS", 20.0)


def idle() -> list[wall._Worker]:
    return wall._idle_workers()


def processes() -> set[int]:
    """The children of this process that run the worker."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"ragdoll.corpus.formats.behind_wall.worker" in command:
            found.add(int(status.parent.name))
    return found


def table(file: Path, rows: int, text: str = "text {}") -> Path:
    pq.write_table(pa.table({"text": [text.format(number) for number in range(rows)]}), file)
    return file


# Hostile files


def slides(file: Path, body: bytes) -> Path:
    import pptx

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.placeholders[1].text = "PLACE"
    deck.save(str(file))
    place = b"<a:p><a:r><a:t>PLACE</a:t></a:r></a:p>"
    return changed(file, "ppt/slides/slide1.xml", lambda content: content.replace(place, body))


def entities(file: Path) -> Path:
    """A Word file of entities that each name ten times the one before."""
    names = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    declared = f'<!DOCTYPE d [<!ENTITY e0 "text text ">{names}]>'.encode()
    docx(file, paragraph("&e9;"))
    return changed(file, "word/document.xml", lambda xml: declared + xml.partition(b"?>")[2])


def numbers(count: int) -> pa.ListArray:
    return pa.ListArray.from_arrays([0, count], pa.array(np.zeros(count, np.int64)))


def parquet(file: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file


def footer(file: Path) -> None:
    """Parquet whose footer says that it lists two billion columns."""
    content = b"\x15\x02\x19\xfc\xff\xff\xff\xff\x07"
    file.write_bytes(b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1")


HOSTILE: dict[str, Callable[[Path], object]] = {
    "packed.docx": lambda file: docx(file, paragraph("x" * 1000) * 30_000),
    "entities.docx": entities,
    "packed.pptx": lambda file: slides(file, b"<a:p><a:r><a:t>x</a:t></a:r></a:p>" * 300_000),
    "strings.xlsx": lambda file: workbook(file, ["x" * 60 * MIB], cell(0) * 9),
    "rows.xlsx": lambda file: workbook(file, "x", '<row r="9999999"><c r="A9999999"/></row>'),
    "packed.pdf": lambda file: file.write_bytes(repacked(bytes(200 * MIB))),
    "predicted.pdf": lambda file: file.write_bytes(
        repacked(b"q ", "/DecodeParms << /Predictor 12 /Columns 99999999999 >>")
    ),
    "page.parquet": lambda file: parquet(file, text=["x" * 70 * MIB]),
    "list.parquet": lambda file: parquet(file, text=["x"], list=numbers(20 * MIB)),
    "footer.parquet": footer,
    "deep.html": lambda file: file.write_text("<div>x" * 200_000),
    "wide.html": lambda file: file.write_text("<b>x</b> " * 200_000),
}


@on_linux
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_itself_and_the_next_one_is_read(name: str, tmp_path: Path) -> None:
    HOSTILE[name](tmp_path / name)
    written(tmp_path, "zz.html", "<p>The text after it.")
    corpus = open_corpus([str(tmp_path)])
    assert [document.text for document in corpus] == ["The text after it."]
    (skipped,) = corpus.skipped
    assert skipped.path == name
    assert skipped.reason.strip()
    assert "\n" not in skipped.reason
    # The libraries of the others have errors of their own for it.
    if name in {"strings.xlsx", "packed.pdf", "predicted.pdf", "page.parquet", "list.parquet"}:
        assert skipped.reason == "needs more than 0.125 GiB of memory"


@on_linux
def test_a_worker_that_was_short_of_memory_is_replaced(tmp_path: Path) -> None:
    only(written(tmp_path, "a.html", "text"))
    before = {worker._process.pid for worker in idle()}
    HOSTILE["packed.pdf"](tmp_path / "a.pdf")
    reason(tmp_path / "a.pdf")
    only(written(tmp_path, "a.html", "text"))
    assert not before & {worker._process.pid for worker in idle()}


@pytest.mark.parametrize(
    "content",
    [
        repacked(b"q " * 2**23),
        pdf(["One.) Tj 900000000 900000000 Td (Two."]).replace(b"612 792", b"999999999 999999999"),
        nested_forms(40, 2),
    ],
    ids=["long drawing", "large page", "drawn again and again"],
)
def test_a_document_that_takes_too_long_is_given_up(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(written(tmp_path, "a.html", "text"))
    monkeypatch.setattr(wall, "SECONDS", 1.0)
    monkeypatch.setattr(wall, "MEMORY", 2**30)
    with alarm(30):
        assert reason(written(tmp_path, "a.pdf", content)) == "took longer than 1 seconds"
    assert only(written(tmp_path, "a.html", "text")).text == "text"


def test_the_time_that_the_caller_takes_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wall, "SECONDS", 1.0)
    rows = read(table(tmp_path / "a.parquet", 1000, "x" * 3000))
    next(rows)
    time.sleep(1.5)
    assert sum(1 for _ in rows) == 999


def test_a_reader_that_dies_costs_the_rest_of_its_file(tmp_path: Path) -> None:
    before = processes()
    rows = read(table(tmp_path / "a.parquet", 100_000, "x" * 300))
    assert isinstance(next(rows), Document)
    (worker,) = processes() - before or processes()
    os.kill(worker, signal.SIGABRT)
    with pytest.raises(UnreadableError, match=r"its reader died \(signal 6\)"):
        list(rows)
    assert len(records(table(tmp_path / "b.parquet", 3))) == 3


def test_a_worker_that_dies_between_two_files_costs_none(tmp_path: Path) -> None:
    file = written(tmp_path, "a.html", "text")
    only(file)
    for worker in idle():
        worker._process.kill()
        worker._process.wait()
    assert only(file).text == "text"


# Several at a time


def test_files_may_be_read_in_turn(tmp_path: Path) -> None:
    files = [table(tmp_path / f"{name}.parquet", 1000, f"{name} {{}}") for name in "ab"]
    readings = [read(file) for file in files]
    for number in range(1000):
        for name, rows in zip("ab", readings, strict=True):
            row = next(rows)
            assert isinstance(row, Document)
            assert row.text == f"{name} {number}"
    assert [list(rows) for rows in readings] == [[], []]


def test_files_may_be_read_in_several_threads(tmp_path: Path) -> None:
    files = [table(tmp_path / f"{n}.parquet", 500, f"{n} {{}}") for n in range(6)]
    begun = threading.Barrier(3)

    def texts(file: Path) -> list[str]:
        begun.wait(30)
        return told(file)

    with ThreadPoolExecutor(3) as threads:
        for file, found in zip(files, threads.map(texts, files), strict=True):
            assert found == [f"{file.stem} {number}" for number in range(500)]


@on_linux
def test_a_reading_that_is_closed_leaves_no_process(tmp_path: Path) -> None:
    for worker in idle():
        worker.end()
    idle().clear()
    before = processes()
    rows = read(table(tmp_path / "a.parquet", 100_000))
    next(rows)
    assert len(processes() - before) == 1
    rows.close()  # type: ignore[attr-defined]
    assert processes() == before


@on_linux
def test_a_reading_to_its_end_keeps_its_process_for_the_next(tmp_path: Path) -> None:
    file = written(tmp_path, "a.html", "text")
    only(file)
    before = processes()
    for _ in range(3):
        only(file)
    assert processes() == before


@on_linux
def test_the_libraries_of_other_formats_do_not_count(tmp_path: Path) -> None:
    page = written(tmp_path, "a.html", "text")
    only(page)
    before = processes()
    for file in (docx(tmp_path / "a.docx", paragraph("text")), table(tmp_path / "a.parquet", 1)):
        only(file)
        assert only(page).text == "text"
    assert processes() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_does_not_use_the_workers_of_its_parent(tmp_path: Path) -> None:
    file = written(tmp_path, "a.html", "text")
    only(file)
    mine = {worker._process.pid for worker in idle()}
    child = os.fork()
    if not child:
        try:
            is_right = only(file).text == "text"
            is_right = is_right and not mine & {worker._process.pid for worker in idle()}
            wall._end_idle()
            os._exit(not is_right)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert only(file).text == "text"
    assert mine == {worker._process.pid for worker in idle()}


# The worker


def test_the_worker_ends_with_its_input(tmp_path: Path) -> None:
    worker = wall._Worker()
    worker.send(
        {"reader": "html", "arguments": {}, "memory": MIB, "seconds": 9, "characters": MIB},
        written(tmp_path, "a.html", "text"),
    )
    worker.receive()
    worker.receive()
    process = worker._process
    process.stdin.close()  # type: ignore[union-attr]
    assert process.wait(30) == 0
    process.stdout.close()  # type: ignore[union-attr]


@on_linux
def test_no_worker_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from ragdoll.corpus.formats.behind_wall import wall\n"
        "wall.document('html', Path(sys.argv[1]))\n"
        "print(wall._idle_workers()[0]._process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(written(tmp_path, "a.html", "text"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        worker = int(process.stdout.readline())  # type: ignore[union-attr]
        process.kill()
    with alarm(30):
        while Path(f"/proc/{worker}").exists():
            time.sleep(0.05)


def test_an_interrupt_of_the_terminal_is_for_the_parent_alone(tmp_path: Path) -> None:
    only(written(tmp_path, "a.html", "text"))
    (worker,) = idle()
    assert os.getsid(worker._process.pid) != os.getsid(0)


def test_what_a_library_prints_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The parser of PDF prints what it logs, where a program sets no level.
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    for worker in idle():
        worker.end()
    idle().clear()
    assert only(written(tmp_path, "a.pdf", pdf(["text"]))).text == "text"


@pytest.mark.parametrize("name", ["a b.html", "ä.html", "\udcff.html", "a\nb.html", "-c.html"])
def test_a_file_of_any_name_is_read(name: str, tmp_path: Path) -> None:
    try:
        file = written(tmp_path, name, "text")
    except OSError:
        pytest.skip("the system has no such names")
    assert only(file).text == "text"


def test_texts_that_cannot_be_stored_are_mended(tmp_path: Path) -> None:
    received = io.BytesIO()
    wall.send(received, {"text": "a \ud800 b"}, b"bytes")
    received.seek(0)
    assert wall.receive(received) == ({"text": "a \ufffd b"}, b"bytes")


def test_an_answer_that_is_cut_off_is_none() -> None:
    sent = io.BytesIO()
    wall.send(sent, {"text": "a"}, b"bytes")
    for length in range(len(sent.getvalue())):
        with pytest.raises(EOFError):
            wall.receive(io.BytesIO(sent.getvalue()[:length]))


def test_a_system_without_limits_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wall, "CAN_LIMIT_MEMORY", False)
    wall._warn_without_limits.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            wall._Worker().end()
    wall._warn_without_limits.cache_clear()
    assert [record.getMessage() for record in caplog.records] == [
        "This system cannot limit the memory that reading a document takes."
    ]
