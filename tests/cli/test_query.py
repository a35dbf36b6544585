"""``ragdoll query``: what it prints for people and for programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from ragdoll.cli.views.hits import is_prose, passage_view
from ragdoll.settings import Mode
from tests.closeness import near
from tests.conftest import CORPUS, Ragdoll, Trained
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed

MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
QUERY = "return the running event loop of a task"


@pytest.fixture(scope="module")
def library(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """A table of the test corpus."""
    database = tmp_path_factory.mktemp("library") / "database"
    index(open_corpus([CORPUS]), index_settings(database, "documents", trained.model))
    return Indexed(database, Path(CORPUS), trained.model)


@pytest.fixture
def indexed(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table of the documents."""
    return Indexed.made(tmp_path / "database", docs, trained.model)


@pytest.fixture
def ask(ragdoll: Ragdoll, library: Indexed) -> Callable[..., Any]:
    """Query the library on the command line."""

    def run(*arguments: object, stdin: str | None = None) -> Any:
        return ragdoll("query", "--database", library.database, *arguments, stdin=stdin)

    return run


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", ["\"it's\" 'quoted' \\ `", "event\0loop", "☃☃☃", "-- ()"])
def test_any_query_is_answered(ask: Callable[..., Any], mode: Mode, query: str) -> None:
    result = ask("--mode", mode, "-k", 3, "--json", "--", query)
    assert (result.status, result.err) == (0, "")
    assert (result.json["query"], result.json["mode"]) == (query, mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_query_that_is_no_text_is_no_unforeseen_error(
    ask: Callable[..., Any], mode: Mode
) -> None:
    """A byte that is no UTF-8 arrives from the shell as half of a surrogate pair."""
    for options in ([], ["--json"]):
        result = ask("event loop \udcff", "--mode", mode, *options)
        assert result.status in (0, 1, 2)
        assert "Unexpected" not in result.err


def test_the_record_of_a_query(ask: Callable[..., Any]) -> None:
    result = ask("event loop", "-k", 2, "--json")
    assert (result.status, result.err, result.out.count("\n")) == (0, "", 1)
    record = result.json
    assert (record["query"], record["mode"]) == ("event loop", "hybrid")
    assert len(record["hits"]) == 2
    for rank, hit in enumerate(record["hits"], start=1):
        assert hit.keys() >= {
            *("rank", "score", "id", "source", "title", "start", "end", "text"),
            *("vector_score", "text_score"),
        }
        assert hit["rank"] == rank


def test_the_modes_and_the_weight_are_options(ask: Callable[..., Any]) -> None:
    for mode in MODES:
        assert ask(QUERY, "--mode", mode, "--json").json["mode"] == mode
    by_vector = ask(QUERY, "--alpha", 1, "--json").json["hits"]
    by_text = ask(QUERY, "--alpha", 0, "--json").json["hits"]
    assert by_vector != by_text
    assert ask(QUERY, "--alpha", "auto", "--json").json == ask(QUERY, "--json").json


def test_lines_of_standard_input_have_a_line_of_json_each(ask: Callable[..., Any]) -> None:
    result = ask("-", "-k", 1, stdin='event loop\n\n  a "lock"  \n')
    assert (result.status, result.err) == (0, "")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["query"] for answer in answers] == ["event loop", 'a "lock"']
    assert all(len(answer["hits"]) == 1 for answer in answers)


def test_no_lines_have_no_answers(ask: Callable[..., Any]) -> None:
    assert ask("-", stdin="") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([""], "query is empty", id="empty"),
        pytest.param(["  \t"], "query is empty", id="blank"),
        pytest.param([], "No query is given", id="none, and no terminal"),
        pytest.param(["loop", "--top-k", 0], "query.top_k", id="no answers"),
        pytest.param(["loop", "--top-k", 2**70], "top_k", id="answers without number"),
        pytest.param(["loop", "--alpha", 1.5], "query.alpha", id="more than all weight"),
        pytest.param(["loop", "--alpha", "nan"], "query.alpha", id="weight that is no number"),
        pytest.param(["loop", "--alpha", "most"], "alpha", id="weight that is a word"),
        pytest.param(["loop", "--mode", "sound"], "mode", id="no such mode"),
    ],
)
def test_wrong_usage_is_told_apart(
    ask: Callable[..., Any], arguments: list[object], words: str
) -> None:
    result = ask(*arguments)
    assert (result.status, result.out) == (2, "")
    assert words in result.err


def test_what_a_person_reads(ragdoll: Ragdoll, indexed: Indexed) -> None:
    result = ragdoll("query", "a delayed call", "--database", indexed.database)
    assert (result.status, result.err) == (0, "")
    blocks = [block.splitlines() for block in result.out.split("\n\n")]
    assert len(blocks) == 4
    for rank, (heading, *passage) in enumerate(blocks, start=1):
        assert heading.split()[0] == str(rank)
        assert 0 <= float(heading.split()[1]) <= 1
        assert passage
        assert all(line.startswith("    ") for line in passage)
    headings = {heading.split(maxsplit=2)[2]: passage for heading, *passage in blocks}
    assert headings["loop.md:3  The event loop"][-1].strip().endswith("with call_later.")
    assert headings["locks.txt:1"] == ["    A lock guards a shared resource between tasks."]
    reader = headings["streams.jsonl#reader [0–42]  StreamReader"]
    assert reader == ["    Reads data from a transport."]


def test_a_passage_further_down_is_shown_with_its_line(ragdoll: Ragdoll, indexed: Indexed) -> None:
    paragraphs = [f"Filler number {n} about nothing at all." for n in range(12)]
    (indexed.docs / "long.md").write_text("\n\n".join([*paragraphs, "A semaphore bounds tasks."]))
    ragdoll("index", indexed.docs, *indexed.options, "--overwrite", "--chunk-size", 12)
    out = ragdoll("query", "semaphore", "--mode", "text", "--database", indexed.database).out
    assert out.split()[2] == "long.md:25"


def test_a_records_own_key_line_is_no_line_of_its_file(ragdoll: Ragdoll, indexed: Indexed) -> None:
    (indexed.docs / "more.jsonl").write_text('{"_id": "x", "text": "A semaphore.", "line": 77}\n')
    indexed.index()
    out = ragdoll("query", "semaphore", "--mode", "text", "--database", indexed.database).out
    assert out.split()[2] == "more.jsonl#x"


def test_a_passage_of_a_file_with_a_hash_in_its_name_has_its_line_too(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    (indexed.docs / "c#.md").write_text("\n\nA semaphore bounds tasks.")
    indexed.index()
    out = ragdoll("query", "semaphore", "--mode", "text", "--database", indexed.database).out
    assert out.split()[2] == "c#.md:3"


def test_nothing_found_is_said_beside_the_data(ask: Callable[..., Any]) -> None:
    result = ask("the of and", "--mode", "text")
    assert (result.status, result.out.strip(), result.err) == (0, "", "Nothing found.\n")
    assert ask("the of and", "--mode", "text", "--quiet").err == ""


def test_a_source_that_is_not_there_is_said(ask: Callable[..., Any]) -> None:
    err = ask("event loop", "--source", "nothere").err
    assert "No source matches 'nothere'; sources are such as " in err
    assert ask("xyzzy", "--mode", "text", "--source", "*").err == "Nothing found.\n"


def test_control_and_direction_characters_are_made_visible(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    name = "evil\u202etxt.\x1b[31m\nnew.md"
    (indexed.docs / name).write_text("semaphore \x1b[2J\x07 \x9b1m \x08\u202e\u2066 end")
    indexed.index()
    out = ragdoll("query", "semaphore", "--mode", "text", "--database", indexed.database).out
    heading, passage = out.rstrip("\n").split("\n")
    assert "evil\\x202etxt.\\x1b[31m\\nnew.md:1" in heading
    assert passage.split() == [
        "semaphore",
        "\\x07",
        "\\x9b1m",
        "\\x08\\x202e\\x2066",
        "end",
    ]
    assert (
        ragdoll(
            "query", "semaphore", "--mode", "text", "--json", "--database", indexed.database
        ).json["hits"][0]["source"]
        == name
    )


def test_on_a_terminal_the_words_of_the_query_are_marked(
    ragdoll: Ragdoll, indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = ragdoll("query", "delays", "--mode", "text", "--database", indexed.database).out
    assert "\x1b[1;35mdelay\x1b[0m" in out
    assert (indexed.docs / "loop.md").as_uri() in out


def test_ten_answers_fit_on_a_screen(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(12):
        lines = [f"- Task {number} waits for lock {line}." for line in range(8)]
        (docs / f"{number}.md").write_text("\n".join(lines))
    ragdoll("index", docs, "--model", trained.model, "--database", tmp_path / "db")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("LINES", "24")
    ask = ["query", "a task waits for a lock", "--database", tmp_path / "db"]
    assert ragdoll(*ask).out.count("\n") == 20
    assert 24 > ragdoll(*ask, "-k", 3).out.count("\n") > 12
    assert ragdoll(*ask, "--lines", 3).out.count("\n") > 24


def test_nothing_is_marked_where_no_colour_is_wanted(ask: Callable[..., Any]) -> None:
    assert "\x1b" not in ask("delay").out


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("It locks twice, locking is locked.", "lock", ["locks", "locking", "locked"]),
        ("The loop of the event", "the event", ["event"]),
        ("to be or not", "to be", ["to", "be"]),
        ("A Lock and a lock", "LOCK", ["Lock", "lock"]),
        ("a clock", "lock", []),
        ("call_later(5) of callLater", "call_later", ["call", "later", "call", "Later"]),
        ("since 3.11.7, not 3", "version 3.11.7", ["3.11.7"]),
        ("an even event", "events", ["event"]),
        ("Das Haus hat viele Häuser und Türen.", "die Häuser", ["Haus", "Häuser"]),
        ("Die Wetterdaten für das Wetter", "das Wetter", ["Wetterdaten", "Wetter"]),
        ("Les fenêtres de la fenetre", "la fenêtre", ["fenêtres", "fenetre"]),
        ("Программы и файлы для системы", "программа и файл", ["Программы", "файлы"]),
        ("日本語の全文検索を説明する。", "全文検索する", ["全文", "文検", "検索"]),
        ("ﾊﾝｶｸの文字", "ハンカク", ["ﾊﾝ", "ﾝｶ", "ｶｸ"]),
        ("ราคาสินค้าถูกมาก", "ถูก", ["ถู", "ูก"]),
    ],
)
def test_words_are_marked_in_every_script(text: str, query: str, marked: list[str]) -> None:
    view, _ = passage_view(text, "", query, 8)
    assert [view.plain[span.start : span.end] for span in view.spans] == marked


def test_of_a_long_passage_the_part_that_answers_is_shown() -> None:
    lines = [f"line {number}" for number in range(40)]
    lines[30] = "the semaphore bounds"
    shown = passage_view("\n".join(lines), "", "semaphore bounds", 8)[0].plain.splitlines()
    assert "    the semaphore bounds" in shown
    assert (shown[0], shown[-1]) == ("    …", "    …")
    assert len(shown) == 10


@pytest.mark.parametrize("width", [None, 40, 200])
def test_of_a_passage_of_one_endless_line_the_part_that_answers_is_shown(width: int | None) -> None:
    view = passage_view("word " * 900 + "semaphore " + "word " * 900, "", "semaphore", 8, width)[
        0
    ].plain
    assert "semaphore" in view
    assert view.startswith("    …")
    assert view.endswith("    …")
    assert max(map(len, view.splitlines())) <= (width or 100)


PROSE = """The first line of prose is as long as anybody writes it
and goes on. It names the valve in this line, which is a long one
and ends here.

- An item of a list that is as long as a line of prose may be
- with a valve
    code(that_is, as_long_as_a_line_of_prose_may_well_be)
    valve()"""


def test_prose_is_reflowed_and_code_and_lists_are_not() -> None:
    view, before = passage_view(PROSE, "", "nothing", 20, 200, reflows=True)
    assert before == 0
    assert [line.strip() for line in view.plain.splitlines()] == [
        PROSE.partition("\n\n")[0].replace("\n", " "),
        *(line.strip() for line in PROSE.splitlines()[4:]),
    ]
    assert len(passage_view(PROSE, "", "nothing", 20, 200)[0].plain.splitlines()) == 7


@pytest.mark.parametrize(
    ("source", "prose"),
    [
        *(("a.md", True), ("README", True), ("a.pdf", True), ("sched.py#sched.run", True)),
        *(("a.py", False), ("b/a.rs", False), ("a.toml", False), ("a.log", False)),
    ],
)
def test_code_is_told_from_prose_by_the_name(source: str, prose: bool) -> None:
    assert is_prose(source) == prose


@pytest.mark.parametrize("width", [30, 60, 200])
@pytest.mark.parametrize("reflows", [True, False])
def test_the_lines_before_the_first_that_is_shown_are_counted(width: int, reflows: bool) -> None:
    view, before = passage_view(f"\n{PROSE}", "", "names the valve", 1, width, reflows)
    shown = next(line for line in view.plain.splitlines() if "…" not in line)
    assert shown.split()[0] in f"\n{PROSE}".splitlines()[before]


def test_the_part_that_answers_stands_in_the_middle() -> None:
    lines = [f"line {number}" for number in range(40)]
    lines[20] = "the semaphore"
    view, before = passage_view("\n".join(lines), "", "semaphore", 5)
    assert view.plain.splitlines()[3].strip() == "the semaphore"
    assert before == 18


def test_stop_words_are_not_marked() -> None:
    view, _ = passage_view("So it is not so: a lock.", "", "so is it not a lock", 8)
    assert [view.plain[span.start : span.end] for span in view.spans] == ["lock"]


def test_wide_characters_take_two_columns() -> None:
    view = passage_view("水泵必须停机，因为压力超过十二巴。" * 9, "", "x", 8, 31)[0].plain
    assert {cell_len(line) for line in view.splitlines()[:8]} == {30}


def test_the_title_is_not_repeated() -> None:
    assert (
        passage_view("StreamReader\n\nReads.", "StreamReader", "read", 8)[0].plain == "    Reads."
    )
    assert passage_view("StreamReader", "StreamReader", "read", 8)[0].plain == "    StreamReader"


@pytest.mark.parametrize("options", [["event loop"], ["--json", "-"]], ids=["text", "lines"])
def test_a_reader_that_leaves_early_is_no_error(library: Indexed, options: list[str]) -> None:
    command = [sys.executable, "-m", "ragdoll", "query", "--database", str(library.database)]
    with subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(b"event loop\nlock\n")
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_an_output_of_few_characters_shows_what_it_can(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "ragdoll", "query", "--database", str(indexed.database)]
    result = subprocess.run([*command, "réader", *options], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Reads data" in result.stdout


def test_a_record_with_a_very_long_id_is_found_and_shown(
    trained: Trained, tmp_path: Path, ragdoll: Ragdoll
) -> None:
    docs, database = tmp_path / "docs", tmp_path / "db"
    docs.mkdir()
    record = {"_id": "https://example.org/" + "x" * 400, "text": "A semaphore bounds tasks."}
    (docs / "a.jsonl").write_text(json.dumps(record))
    assert ragdoll("index", docs, "--model", trained.model, "--database", database).status == 0
    result = ragdoll("query", "semaphore", "--database", database)
    assert (result.status, "semaphore" in result.out) == (0, True)


@pytest.mark.parametrize("mode", ["vector", "text"])
def test_a_weight_where_there_is_nothing_to_weigh_is_refused(mode: str, ragdoll: Ragdoll) -> None:
    result = ragdoll("query", "x", "--mode", mode, "--alpha", "0.5")
    assert result.status == 2
    assert f"alpha has no meaning in the mode '{mode}'" in result.err


def test_many_lines_are_answered_in_turn(ask: Callable[..., Any]) -> None:
    queries = ["return the running event loop", "a lock", "the of and to", "☃☃☃", "?!"]
    lines = queries * 20
    result = ask("--json", "-", stdin="\n".join(lines))
    assert (result.status, result.err) == (0, "")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["query"] for answer in answers] == lines
    alone = [hit["score"] for hit in ask("--json", lines[0]).json["hits"]]
    for answer in answers[:: len(queries)]:
        assert [hit["score"] for hit in answer["hits"]] == near(alone)


def test_a_condition_and_a_source_are_options(ragdoll: Ragdoll, indexed: Indexed) -> None:
    def sources(*options: str) -> list[str]:
        record = ragdoll("query", "lock", "--database", indexed.database, "--json", *options).json
        return [hit["source"] for hit in record["hits"]]

    assert sources("--where", "title = 'The event loop'") == ["loop.md"]
    assert sources("--source", "*.txt") == ["locks.txt"]
    assert sources("--source", "*.txt", "--where", "start > 0") == []


@pytest.mark.parametrize("where", ["", "year >", "x\nError: forged" + "y" * 10_000])
def test_what_is_no_condition_is_wrong_usage_in_two_lines(
    ragdoll: Ragdoll, indexed: Indexed, where: str
) -> None:
    result = ragdoll("query", "lock", "--database", indexed.database, "--where", where)
    assert (result.status, result.out) == (2, "")
    assert len(result.err.splitlines()) <= 2
    assert len(result.err) < 5000
    assert "\nError: forged" not in result.err


def test_a_model_that_was_moved_is_an_option(
    ragdoll: Ragdoll, indexed: Indexed, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(indexed.model, tmp_path / "model"))
    moved = Indexed(tmp_path / "moved", indexed.docs, model)
    moved.index()
    model.rename(tmp_path / "elsewhere")
    query = ["query", "loop", "--database", moved.database]
    result = ragdoll(*query)
    assert (result.status, result.out) == (1, "")
    assert "--model" in result.err
    assert ragdoll(*query, "--model", tmp_path / "elsewhere", "--json").json["hits"]


def test_as_many_lines_of_an_answer_are_shown_as_are_asked_for(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    text = "\n".join(f"Line {number} of a passage on locks." for number in range(20))
    (tmp_path / "long.txt").write_text(text)
    assert ragdoll("index", tmp_path / "long.txt", "--model", trained.model).status == 0
    shown = ragdoll("query", "locks", "--lines", 3).out.splitlines()
    assert len([line for line in shown if "Line" in line]) == 3


def test_a_condition_that_is_refused_is_quoted_as_it_was_written(
    ask: Callable[..., Any],
) -> None:
    result = ask("lock", "--where", "`source` LIKE `nothing`")
    assert result.status == 2
    assert "The filter '`source` LIKE `nothing`' cannot be used" in result.err
