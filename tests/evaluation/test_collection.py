"""Test collections in BEIR layout: what is read, left out and refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragdoll.errors import CorpusError
from ragdoll.evaluation.collection import TestCollection, load_beir

CORPUS = [
    {"_id": "d1", "title": "The loop", "text": "Runs callbacks.", "metadata": {"year": 2024}},
    {"_id": "d2", "title": "", "text": "A lock."},
    {"_id": "d3", "text": "A queue."},
]
QUERIES = [
    {"_id": "q1", "text": "what runs callbacks", "metadata": {}},
    {"_id": "q2", "text": "mutual exclusion"},
    {"_id": "q3", "text": "never judged"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n"


def lines(objects: list[dict[str, object]]) -> str:
    return "".join(json.dumps(fields) + "\n" for fields in objects)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines(CORPUS))
    (folder / "queries.jsonl").write_text(lines(QUERIES))
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    return folder


def test_a_collection_is_read(beir: Path) -> None:
    collection = load_beir(beir)
    assert collection.name == "locks"
    assert collection.documents == {
        "d1": "The loop\n\nRuns callbacks.",
        "d2": "A lock.",
        "d3": "A queue.",
    }
    assert collection.queries == {"q1": "what runs callbacks", "q2": "mutual exclusion"}
    assert collection.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}


def test_its_name_is_the_folders_however_it_is_given(
    beir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(beir)
    assert load_beir(Path()).name == "locks"


def test_queries_that_nobody_judged_are_left_out(beir: Path) -> None:
    assert "q3" not in load_beir(beir).queries


@pytest.mark.parametrize("score", [0, -1])
def test_queries_without_a_relevant_document_are_left_out(score: int, beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text(f"q1\td1\t1\nq2\td2\t{score}\n")
    collection = load_beir(beir)
    assert list(collection.queries) == list(collection.qrels) == ["q1"]


def test_the_header_of_the_judgements_is_optional(beir: Path) -> None:
    expected = load_beir(beir)
    (beir / "qrels" / "test.tsv").write_text(QRELS.split("\n", 1)[1])
    assert load_beir(beir) == expected


@pytest.mark.parametrize(
    "header",
    [
        *("query_id\tcorpus_id\tscore", "Query-ID\tCorpus-ID\tScore", "qid\tdocid\trel"),
        *("query-id corpus-id score", "topic\titeration\tdocument\trelevance"),
    ],
)
def test_the_header_of_the_judgements_may_be_another(header: str, beir: Path) -> None:
    expected = load_beir(beir)
    _, _, judgements = QRELS.partition("\n")
    (beir / "qrels" / "test.tsv").write_text(f"{header}\n{judgements}")
    assert load_beir(beir) == expected


@pytest.mark.parametrize(
    "judgements",
    [
        *("q1 0 d1 2\nq1 0 d2 0\nq2 0 d2 1\n", "q1\t0\td1\t2\nq1\t0\td2\t0\nq2\t0\td2\t1\n"),
        *("q1  d1 2\nq1 d2 0\nq2 d2 1\n", "q1\td1\t2.0\nq1\td2\t0.\nq2\td2\t1.00\n"),
        QRELS + "q1\td1\t2\n",
    ],
    ids=["trec", "trec with tabs", "spaces", "decimal", "twice"],
)
def test_judgements_come_in_several_forms(judgements: str, beir: Path) -> None:
    expected = load_beir(beir)
    (beir / "qrels" / "test.tsv").write_text(judgements)
    assert load_beir(beir) == expected


def test_ids_with_spaces_are_kept_between_tabs(beir: Path) -> None:
    (beir / "queries.jsonl").write_text('{"_id": "q 0", "text": "a"}\n')
    (beir / "qrels" / "test.tsv").write_text("q 0\td1\t1\n")
    assert load_beir(beir).qrels == {"q 0": {"d1": 1}}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_files_may_be_compressed(name: str, beir: Path) -> None:
    expected = load_beir(beir)
    content = (beir / name).read_bytes()
    (beir / name).unlink()
    (beir / f"{name}.gz").write_bytes(gzip.compress(content))
    assert load_beir(beir) == expected


def test_the_test_judgements_are_taken_compressed_too(beir: Path) -> None:
    expected = load_beir(beir)
    (beir / "qrels" / "test.tsv").unlink()
    (beir / "qrels" / "test.tsv.gz").write_bytes(gzip.compress(QRELS.encode()))
    (beir / "qrels" / "dev.tsv").write_text("q1\td1\t1\n")
    assert load_beir(beir) == expected


def test_the_key_of_an_id_may_have_no_underscore(beir: Path) -> None:
    expected = load_beir(beir)
    for file in beir.glob("*.jsonl"):
        file.write_text(file.read_text().replace('"_id"', '"id"'))
    assert load_beir(beir) == expected


def test_a_text_may_be_a_list_of_paragraphs(beir: Path) -> None:
    line = '{"_id": "d4", "title": "T", "text": ["one", "two"]}\n{"_id": "d5", "text": []}\n'
    (beir / "corpus.jsonl").write_text(lines(CORPUS) + line)
    documents = load_beir(beir).documents
    assert (documents["d4"], documents["d5"]) == ("T\n\none\n\ntwo", "")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_the_same_text_may_come_again(name: str, beir: Path) -> None:
    expected = load_beir(beir)
    file = beir / name
    file.write_text(file.read_text() * 2)
    assert load_beir(beir) == expected


def test_blank_lines_and_other_ends_of_lines_say_nothing(beir: Path) -> None:
    expected = load_beir(beir)
    for file in beir.rglob("*.*l*"):
        content = file.read_text().replace("\n", "\r\n\r\n")
        file.write_bytes(content.encode())
    (beir / "qrels" / "test.tsv").write_bytes(QRELS.replace("\n", "\r\n").encode())
    assert load_beir(beir) == expected


def test_a_byte_order_mark_says_nothing(beir: Path) -> None:
    expected = load_beir(beir)
    for file in [*beir.glob("*.jsonl"), beir / "qrels" / "test.tsv"]:
        file.write_text(file.read_text(), encoding="utf-8-sig")
    assert load_beir(beir) == expected


def test_ids_may_be_numbers(beir: Path) -> None:
    (beir / "corpus.jsonl").write_text('{"_id": 7, "text": "a"}\n{"_id": 0, "text": "b"}\n')
    (beir / "queries.jsonl").write_text('{"_id": 1, "text": "a"}\n')
    (beir / "qrels" / "test.tsv").write_text("1\t7\t1\n1\t0\t2\n")
    collection = load_beir(beir)
    assert collection.qrels == {"1": {"7": 1, "0": 2}}
    assert (list(collection.documents), list(collection.queries)) == (["7", "0"], ["1"])


def test_half_a_character_is_replaced(beir: Path) -> None:
    half = '{"_id": "x", "title": "T \\ud800", "text": "a \\ud800"}\n'
    (beir / "corpus.jsonl").write_text(lines(CORPUS) + half)
    (beir / "queries.jsonl").write_text(lines(QUERIES) + half)
    (beir / "qrels" / "test.tsv").write_text(f"{QRELS}x\tx\t1\n")
    collection = load_beir(beir)
    assert collection.documents["x"] == "T \ufffd\n\na \ufffd"
    assert collection.queries["x"] == "a \ufffd"


def test_judgements_of_documents_that_are_not_there_count_as_in_trec_eval(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text("q1\td1\t1\nq1\tgone\t1\nq2\tgone\t1\n")
    assert load_beir(beir).qrels == {"q1": {"d1": 1, "gone": 1}, "q2": {"gone": 1}}


@pytest.mark.parametrize(
    ("present", "expected"),
    [(["test", "dev", "train"], "test"), (["train", "dev"], "dev"), (["train"], "train")],
)
def test_the_test_judgements_are_taken_else_the_next(
    present: list[str], expected: str, beir: Path
) -> None:
    (beir / "qrels" / "test.tsv").unlink()
    for split in present:
        query = "q1" if split == expected else "q2"
        (beir / "qrels" / f"{split}.tsv").write_text(f"{query}\td1\t1\n")
    collection = load_beir(beir)
    assert collection.qrels == {"q1": {"d1": 1}}
    note = f"Judged by qrels/{expected}.tsv: there is no qrels/test.tsv."
    assert collection.notes == (() if expected == "test" else (note,))


# A query that is itself a document

TITLE = "Locks of asyncio"
TEXT = "A lock guards a resource that several tasks share."


def asked(query: str, document: str = f"{TITLE}\n\n{TEXT}", relevance: int = 0) -> bool:
    """Tell whether a query counts as the document that has the same id."""
    qrels = {"1": {"2": 1, "1": relevance}}
    return TestCollection("c", {"1": document, "2": ""}, {"1": query}, qrels).is_document("1")


@pytest.mark.parametrize(
    "query",
    [
        *(TEXT, f"{TITLE} {TEXT}", f"{TITLE}. {TEXT}", f"{TITLE}\n{TEXT}", f"{TITLE}\n\n{TEXT}"),
        *(TEXT.removesuffix("."), f"{TEXT}..", TEXT.upper(), TEXT.replace(" ", "  "), TITLE),
        *(TEXT[:-9], f"{TITLE} {TEXT}"[:-30], f"{TEXT} And one sentence more."),
        TEXT.replace("re", "\uff52\uff45"),
    ],
)
def test_a_query_is_a_document_with_the_same_id_and_words(query: str) -> None:
    assert asked(query)


@pytest.mark.parametrize("text", ["文" * 40, "ein Schloß, das den Zugriff auf etwas schützt"])
def test_a_query_is_a_document_in_any_language(text: str) -> None:
    assert asked(text.upper(), text)
    assert asked(text[:36], text)


@pytest.mark.parametrize(
    ("query", "document"),
    [
        *(("what guards a resource", f"{TITLE}\n\n{TEXT}"), ("a lock", TEXT), ("share", TEXT)),
        *(("locks", f"{TITLE}\n\n{TEXT}"), (TEXT, "A lock"), ("lock", ""), ("?", "!"), ("", "")),
        (f"{TEXT[:-7]}use", TEXT),
    ],
)
def test_a_query_with_the_number_of_another_text_is_no_document(query: str, document: str) -> None:
    assert not asked(query, document)


def test_a_document_that_is_judged_relevant_to_itself_is_an_answer() -> None:
    assert not asked(TITLE, relevance=1)
    assert asked(TITLE, relevance=0)


# What is refused


def refused(folder: Path, *values: object) -> None:
    """Check that a collection is refused with these values in the message."""
    with pytest.raises(CorpusError) as caught:
        load_beir(folder)
    for value in (folder, *values):
        assert str(value) in caught.value.message


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(name: str, beir: Path) -> None:
    (beir / name).unlink()
    refused(beir, name)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    refused(tmp_path / "missing")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
@pytest.mark.parametrize(
    "line",
    [
        *("not json", '{"_id": "x"', "[" * 100_000, '["x"]', "null", '{"text": "no id"}'),
        *('{"_id": "", "text": "x"}', '{"_id": null, "text": "x"}', '{"_id": ["x"], "text": "x"}'),
        *('{"_id": 3.0, "text": "x"}', '{"_id": true, "text": "x"}', '{"_id": {}, "text": "x"}'),
        *('{"_id": "x", "text": 7}', '{"_id": "x", "text": [7]}', '{"_id": "x", "text": {}}'),
        *('{"_id": "x", "text": 0}', '{"_id": "x", "title": 7, "text": 0}'),
    ],
    ids=lambda value: value[:30],
)
def test_a_malformed_line_is_named_with_its_file(line: str, name: str, beir: Path) -> None:
    with (beir / name).open("a") as file:
        file.write(f"\n{line}\n")
    refused(beir, f"{beir / name}, line 5: ")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_an_id_of_two_texts_is_named(beir: Path, name: str) -> None:
    first = (beir / name).read_text().splitlines()[0]
    (beir / name).write_text(f"{first}\n{first.replace('callbacks', 'tasks')}\n")
    refused(beir, f"{beir / name}, line 2: ", json.loads(first)["_id"])


@pytest.mark.parametrize(
    "query", ['{"_id": "q2", "query": "lock"}', '{"_id": "q2", "text": " "}', ""]
)
def test_a_judged_query_without_a_text_is_left_out_and_named(query: str, beir: Path) -> None:
    (beir / "queries.jsonl").write_text(f"{lines(QUERIES[:1])}{query}\n")
    collection = load_beir(beir)
    assert (list(collection.queries), list(collection.qrels)) == (["q1"], ["q1"])
    (note,) = collection.notes
    assert note == "1 judged query without a text in queries.jsonl is left out: q2"


@pytest.mark.parametrize(
    "line",
    [
        *("q1\td1", "q1 0 d1 1 x", "q1\td1\tone", "q1\td1\t" + "9" * 400, "q1\td1\t0.5"),
        *("q1\td1\t", "query-id\tcorpus-id\tscore", "q1\td1\t0"),
    ],
    ids=[
        *("two columns", "five columns", "word", "long", "fraction", "empty", "second header"),
        "contradiction",
    ],
)
def test_a_malformed_judgement_is_named_with_its_file(line: str, beir: Path) -> None:
    file = beir / "qrels" / "test.tsv"
    file.write_text(f"{QRELS}{line}\n")
    refused(beir, f"{file}, line 5: ")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_file_that_is_no_text_is_named(name: str, beir: Path) -> None:
    (beir / name).write_bytes(b"\xff\xfe\x00\xd8")
    refused(beir, f"{beir / name}, line 1: ")


def test_a_file_that_cannot_be_read_is_named(beir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object, **keywords: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    refused(beir, "corpus.jsonl", "Permission denied")


def test_a_first_judgement_that_is_malformed_is_no_header(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text("q1\td1\tone\n")
    refused(beir, "line 1: ", "one")


@pytest.mark.parametrize("length", [12, -9], ids=["damaged", "cut off"])
def test_a_compressed_file_that_is_broken_is_named(length: int, beir: Path) -> None:
    content = gzip.compress(lines(CORPUS).encode())[:length]
    (beir / "corpus.jsonl").unlink()
    (beir / "corpus.jsonl.gz").write_bytes(content)
    refused(beir, "corpus.jsonl.gz")


def test_judgements_of_another_collection_are_an_error(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text("q1\tx1\t1\nq2\tx2\t1\n")
    refused(beir)


def test_many_left_out_are_counted(beir: Path) -> None:
    others = "".join(f"q{number}\td1\t1\n" for number in range(10, 20))
    (beir / "qrels" / "test.tsv").write_text(f"{QRELS}{others}")
    (note,) = load_beir(beir).notes
    assert note.startswith("10 judged queries")
    assert note.endswith("are left out: q10, q11, q12, …")


@pytest.mark.parametrize("name", ["corpus.jsonl", "qrels/test.tsv"])
def test_a_collection_with_nothing_to_score_is_an_error(name: str, beir: Path) -> None:
    (beir / name).write_text("")
    refused(beir)
