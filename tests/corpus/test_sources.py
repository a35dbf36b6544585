"""From what a user names to where the documents come from."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import math
import os
import re
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.formats.kinds import FAMILIES
from ragdoll.corpus.sources.dataset import DatasetSource, is_dataset_folder
from ragdoll.corpus.sources.folder import FileSource
from ragdoll.corpus.sources.python_package import PythonSource
from ragdoll.errors import CorpusError, MissingExtraError
from ragdoll.extras import install_command
from tests.conftest import Ragdoll
from tests.making import open_corpus

ROWS = {"text": ["one", "two", "three"], "title": ["First", None, "Third"], "n": [1, 2, 3]}


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.table(ROWS), folder / "train-00000.parquet")
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(ROWS).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def saved_splits(tmp_path: Path) -> Path:
    import datasets

    datasets.disable_progress_bars()
    splits = {
        "train": datasets.Dataset.from_dict({"text": ["learn"]}),
        "test": datasets.Dataset.from_dict({"text": ["prove"]}),
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "splits")
    return tmp_path / "splits"


def texts(corpus: Corpus) -> list[str]:
    return [document.text for document in corpus]


# Files, folders, packages


def test_a_folder_is_read_file_by_file(docs: Path) -> None:
    corpus = open_corpus([str(docs)])
    assert [type(source) for source in corpus.sources] == [FileSource]
    assert corpus.roots == [str(docs)]
    assert len(texts(corpus)) == 4


def test_a_file_is_read_alone(docs: Path) -> None:
    corpus = open_corpus([str(docs / "locks.txt")])
    assert [document.source for document in corpus] == ["locks.txt"]


def test_the_home_folder_may_be_abbreviated(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(docs.parent))
    assert open_corpus(["~/docs"]).roots == [str(docs)]


def test_a_package_is_named_by_its_scheme() -> None:
    corpus = open_corpus(["python:json"])
    assert [type(source) for source in corpus.sources] == [PythonSource]
    assert corpus.roots == ["python:json"]


def test_several_places_are_read_one_after_the_other(docs: Path) -> None:
    corpus = open_corpus([str(docs / "locks.txt"), "python:json"])
    roots = list(dict.fromkeys(document.root for document in corpus))
    assert roots == corpus.roots == [str(docs), "python:json"]


def test_a_file_belongs_to_one_place_however_often_it_is_named(tmp_path: Path) -> None:
    """The outermost folder that is named has it, or else the outermost of the named files."""
    for name in ("a.md", "in/b.md", "in/deep/c.md", ".hidden.md", "other/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}")

    def placed(*names: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for document in open_corpus([str(tmp_path / name) for name in names]):
            root = Path(document.root).relative_to(tmp_path).as_posix()
            found.setdefault(root, []).append(document.source)
        return {root: sorted(sources) for root, sources in found.items()}

    everything = ["a.md", "in/b.md", "in/deep/c.md", "other/d.md"]
    assert placed(".", "in", "in/deep/c.md") == {".": everything}
    assert placed(".", ".hidden.md") == {".": [".hidden.md", *everything]}
    assert placed("in/b.md", "in/deep/c.md") == {"in": ["b.md", "deep/c.md"]}
    assert placed("a.md", "in") == {".": ["a.md"], "in": ["b.md", "deep/c.md"]}
    assert placed("in/b.md", "other/d.md") == {"in": ["b.md"], "other": ["d.md"]}


def test_what_is_left_out_is_known_by_its_place(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for folder in (docs, tmp_path / "more"):
        (folder / "void.txt").write_text("")
    corpus = open_corpus([str(docs), str(tmp_path / "more")])
    list(corpus)
    assert list(corpus.skipped_by_root) == corpus.roots
    assert [[left_out.path for left_out in of] for of in corpus.skipped_by_root.values()] == [
        ["void.txt"],
        ["void.txt"],
    ]
    assert len(corpus.skipped) == 2


def test_a_place_that_is_named_twice_is_read_once(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs.parent)
    documents = list(open_corpus([str(docs), "docs", "python:json", "python:json"]))
    assert len({(document.root, document.source) for document in documents}) == len(documents)


def test_the_signature_of_several_places_is_that_of_all(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    both = open_corpus([str(docs), str(tmp_path / "more")])
    first = both.signature()
    assert first == both.signature() is not None
    (tmp_path / "more" / "a.txt").write_text("a")
    assert both.signature() != first


def test_nothing_is_read_before_the_corpus_is(docs: Path) -> None:
    corpus = open_corpus([str(docs)])
    (docs / "later.txt").write_text("written after opening")
    assert "written after opening" in texts(corpus)


def test_the_settings_reach_the_files(docs: Path) -> None:
    (docs / ".gitignore").write_text("*.md\n*.txt\n")
    (docs / "streams.jsonl").write_text('{"body": "by another key"}\n')
    assert texts(open_corpus([str(docs)], text_key="body")) == ["by another key"]
    assert len(texts(open_corpus([str(docs)], text_key="body", ignore_files=False))) == 3


# What cannot be opened


def test_a_script_is_read_and_never_run(tmp_path: Path) -> None:
    (tmp_path / "loader.py").write_text("raise SystemExit('run')\n")
    assert texts(open_corpus([str(tmp_path / "loader.py")])) == ["raise SystemExit('run')\n"]


def test_of_several_named_files_those_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A lock.")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\0\0\0")
    (tmp_path / "c.zip").write_bytes(b"PK\0\0")
    os.mkfifo(tmp_path / "d")
    (tmp_path / "e.md").symlink_to("nowhere")
    corpus = open_corpus(sorted(tmp_path.iterdir()))
    assert [document.source for document in corpus] == ["a.md"]
    assert [item.path for item in corpus.skipped] == ["b.png", "c.zip", "d", "e.md"]
    for name in ("b.png", "c.zip", "d", "e.md"):
        with pytest.raises(CorpusError, match=re.escape(name)):
            open_corpus([tmp_path / name])


@pytest.mark.parametrize("name", ["picture.png", "old.doc", "a.out"])
def test_a_file_in_an_unknown_format_is_an_error_that_lists_the_known(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"\x7fELF\0\1abc")
    with pytest.raises(CorpusError, match="a format that ragdoll does not read") as caught:
        open_corpus([str(tmp_path / name)])
    assert caught.value.hint == f"It reads {FAMILIES}."


@pytest.mark.parametrize(
    ("name", "in_folder"), [("notes", ["Any text."]), ("a.xyz", []), ("old.doc", [])]
)
def test_a_file_that_is_named_is_read_where_it_is_text(
    name: str, in_folder: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text("Any text.")
    assert texts(open_corpus([str(tmp_path / name)])) == ["Any text."]
    assert texts(open_corpus([str(tmp_path)])) == in_folder


@pytest.mark.parametrize(
    "given",
    [
        "/no/such/folder",
        "no/such/folder",
        "missing/",
        "missing.md",
        "notes/missing.jsonl",
        "./missing",
        "../missing",
        "~/missing",
        "two words",
        "",
    ],
)
def test_a_place_that_is_not_there_is_an_error_that_names_it(given: str) -> None:
    with pytest.raises(CorpusError, match="No file or folder") as caught:
        list(open_corpus([given]))
    assert given in caught.value.message
    assert "python:PACKAGE" in str(caught.value.hint)


@pytest.mark.parametrize(
    "given", ["x" * 300, "~nobody-of-that-name/docs", "a\0b"], ids=["long", "home", "zero"]
)
def test_a_place_that_cannot_be_is_an_error_that_names_it(given: str) -> None:
    with pytest.raises(CorpusError) as caught:
        list(open_corpus([given]))
    assert given in caught.value.message


def test_one_wrong_place_among_good_ones_is_an_error_before_anything_is_read(docs: Path) -> None:
    with pytest.raises(CorpusError, match=r"missing\.md"):
        open_corpus([str(docs), "missing.md"])


def test_a_command_says_in_two_lines_which_place_is_wrong(ragdoll: Ragdoll) -> None:
    result = ragdoll("featurize", "missing.md", "--json")
    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines() == [
        "Error: No file or folder at missing.md.",
        "Give a folder, a file, a Hugging Face dataset as OWNER/NAME or python:PACKAGE.",
    ]


# Datasets


@pytest.mark.parametrize("streaming", [True, False])
def test_a_folder_of_parquet_files_is_a_dataset(parquet: Path, streaming: bool) -> None:
    corpus = open_corpus([str(parquet)], streaming=streaming)
    documents = list(corpus)
    assert corpus.roots == [f"{parquet}#train"]
    assert [(d.root, d.source, d.title, d.text) for d in documents] == [
        (f"{parquet}#train", "1", "First", "First\n\none"),
        (f"{parquet}#train", "2", "", "two"),
        (f"{parquet}#train", "3", "Third", "Third\n\nthree"),
    ]
    assert list(corpus) == documents


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "place", ["{0}/secret.parquet", "../secret.parquet", "hf://datasets/a/b/c"]
)
def test_a_card_names_no_files_of_other_places(parquet: Path, streaming: bool, place: str) -> None:
    pq.write_table(pa.table({"text": ["secret"]}), parquet.parent / "secret.parquet")
    named = json.dumps({"split": "train", "path": place.format(parquet.parent)})
    card = f"---\nconfigs: [{{config_name: default, data_files: [{named}]}}]\n---\n"
    (parquet / "README.md").write_text(card)
    found = texts(open_corpus([str(parquet)], streaming=streaming))
    assert found == ["First\n\none", "two", "Third\n\nthree"]


def test_no_one_is_told_of_a_dataset_that_is_read(
    parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", True)
    asked: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host))
    assert len(texts(open_corpus([str(parquet)]))) == 3
    assert asked == []
    assert not datasets.config.HF_UPDATE_DOWNLOAD_COUNTS  # what asks may be cut off for the tests


def test_links_out_of_a_dataset_are_not_followed(parquet: Path, saved: Path) -> None:
    data = next(saved.glob("*.arrow"))
    data.rename(parquet.parent / "elsewhere.arrow")
    state = json.loads((saved / "state.json").read_text())
    state["_data_files"] = [{"filename": "../elsewhere.arrow"}]
    (saved / "state.json").write_text(json.dumps(state))
    pq.write_table(pa.table({"text": ["secret"]}), parquet.parent / "secret.parquet")
    (parquet / "train-00009.parquet").symlink_to(parquet.parent / "secret.parquet")
    for folder in (parquet, saved):
        with pytest.raises(CorpusError, match="leads out of the folder"):
            list(open_corpus([str(folder)]))


@pytest.mark.parametrize("streaming", [True, False])
def test_pictures_of_a_dataset_are_not_fetched(tmp_path: Path, streaming: bool) -> None:
    picture = pa.array(
        [{"bytes": None, "path": "https://example.org/a.png"}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    kinds = {"text": {"dtype": "string", "_type": "Value"}, "picture": {"_type": "Image"}}
    described = {"huggingface": json.dumps({"info": {"features": kinds}})}
    table = pa.table({"text": ["a row"], "picture": picture}).replace_schema_metadata(described)
    pq.write_table(table, tmp_path / "train.parquet")
    (document,) = open_corpus([str(tmp_path)], streaming=streaming)
    assert (document.text, document.metadata) == ("a row", {})


def test_parquet_files_in_a_data_folder_are_a_dataset(parquet: Path, tmp_path: Path) -> None:
    (tmp_path / "pushed").mkdir()
    parquet.rename(tmp_path / "pushed" / "data")
    assert texts(open_corpus([str(tmp_path / "pushed")])) == [
        "First\n\none",
        "two",
        "Third\n\nthree",
    ]


def test_a_dataset_saved_to_disk_is_read(saved: Path) -> None:
    documents = list(open_corpus([str(saved)]))
    assert [(d.source, d.text) for d in documents] == [
        ("1", "First\n\none"),
        ("2", "two"),
        ("3", "Third\n\nthree"),
    ]


def test_the_wanted_split_of_a_saved_dataset_is_read(saved_splits: Path) -> None:
    assert texts(open_corpus([str(saved_splits)])) == ["learn"]
    assert texts(open_corpus([str(saved_splits)], split="test")) == ["prove"]
    roots = open_corpus([str(saved_splits)], name="en", split="test").roots
    assert roots == [f"{saved_splits}#en#test"]


@pytest.mark.parametrize("kind", ["saved_splits", "parquet"])
def test_a_split_that_is_not_there_is_an_error_that_names_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    with pytest.raises(CorpusError, match="validation") as caught:
        list(open_corpus([str(folder)], split="validation"))
    assert "`split`" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["saved", "parquet"])
def test_a_missing_column_is_an_error_that_lists_the_columns(
    kind: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    with pytest.raises(CorpusError) as caught:
        list(open_corpus([str(folder)], text_key="body"))
    assert caught.value.message == (
        f"The dataset {folder} has no column 'body'; it has text, title, n."
    )
    assert "`text_key`" in str(caught.value.hint)


def test_rows_are_named_by_their_own_ids(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = {"_id": ["a", "a", "a~2", ""], "text": ["one", "two", "three", "four"]}
    pq.write_table(pa.table(rows), tmp_path / "data" / "train.parquet")
    documents = list(open_corpus([str(tmp_path / "data")]))
    assert [d.source for d in documents][:2] == ["a", "a~2"]
    assert len({d.source for d in documents}) == 4


def test_the_other_columns_of_a_row_can_be_written_as_json(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = {
        "text": ["one"],
        "number": [math.nan],
        "at": [dt.datetime(2024, 2, 29, tzinfo=dt.UTC)],
        "tags": [["a", "b"]],
    }
    pq.write_table(pa.table(rows), tmp_path / "data" / "train.parquet")
    (document,) = open_corpus([str(tmp_path / "data")])
    metadata = json.loads(json.dumps(document.metadata, allow_nan=False, default=str))
    assert metadata["tags"] == ["a", "b"]
    assert metadata["at"].startswith("2024-02-29")


def test_rows_without_text_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = {"text": [None, "two", " ", "four"]}
    pq.write_table(pa.table(rows), tmp_path / "data" / "train.parquet")
    corpus = open_corpus([str(tmp_path / "data")])
    assert [d.source for d in corpus] == ["2", "4"]
    assert [skipped.path for skipped in corpus.skipped] == [
        f"{tmp_path / 'data'}#1",
        f"{tmp_path / 'data'}#3",
    ]
    assert corpus.skipped[1].reason == "empty"


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("damage", ["file", "content"])
def test_a_damaged_dataset_is_an_error_that_names_it(
    damage: str, streaming: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "train-00000-of-00001.parquet"
    if damage == "file":
        file.write_bytes(b"PAR1 is how it begins and ends PAR1")
    else:
        text = [f"row {number} " + "x" * number for number in range(1000)]
        pq.write_table(pa.table({"text": text}), file, row_group_size=100)
        content = bytearray(file.read_bytes())
        content[4000:6000] = b"\xff" * 2000
        file.write_bytes(content)
    with pytest.raises(CorpusError, match=str(folder)):
        list(open_corpus([str(folder)], streaming=streaming))


def test_a_dataset_has_no_signature(parquet: Path, docs: Path) -> None:
    assert open_corpus([str(parquet)]).signature() is None
    assert open_corpus([str(docs), str(parquet)]).signature() is None


def test_a_state_file_of_the_user_is_no_reason_to_take_a_folder_for_a_dataset(docs: Path) -> None:
    (docs / "state.json").write_text('{"window": "maximized"}')
    assert len(texts(open_corpus([str(docs)]))) == 4


def test_a_dataset_on_the_hub_is_one_clear_error_without_a_network() -> None:
    corpus = open_corpus(["nobody/nothing"])
    assert corpus.roots == ["hf:nobody/nothing#train"]
    with pytest.raises(CorpusError) as caught:
        list(corpus)
    assert "The dataset nobody/nothing cannot be loaded: " in caught.value.message
    assert "\n" not in caught.value.message
    assert "network" in str(caught.value.hint)


def test_a_command_says_in_two_lines_that_a_dataset_is_out_of_reach(
    ragdoll: Ragdoll, small_teacher: Path
) -> None:
    result = ragdoll("featurize", "nobody/nothing", "--teacher", small_teacher, "--json")
    assert (result.status, result.out) == (1, "")
    assert len(result.err.splitlines()) == 2
    assert result.err.startswith("Error: The dataset nobody/nothing cannot be loaded: ")


def test_without_the_library_a_dataset_names_the_extra(
    parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        list(open_corpus([str(parquet)]))
    assert caught.value.hint == install_command("train")


def test_the_configuration_and_split_of_a_dataset_are_part_of_its_root() -> None:
    assert DatasetSource("a/b").root == "hf:a/b#train"
    assert DatasetSource("a/b", name="en", split="test").root == "hf:a/b#en#test"


@pytest.mark.parametrize("name", ["rows.parquet", "train-00000.parquet", "data/test.parquet"])
def test_a_data_file_among_documents_does_not_make_a_dataset_of_them(name: str, docs: Path) -> None:
    (docs / "data").mkdir()
    pq.write_table(pa.table({"text": ["a row"]}), docs / name)
    corpus = open_corpus([str(docs)])
    assert [type(source) for source in corpus.sources] == [FileSource]
    assert f"{name}#1" in {document.source for document in corpus}
    assert len(texts(corpus)) == 5
    assert corpus.skipped == []


@pytest.mark.parametrize(
    "name",
    [
        "train.parquet",
        "test-00000-of-00002.parquet",
        "validation_1.parquet",
        "data/train-00000.parquet",
    ],
)
@pytest.mark.parametrize(
    "beside",
    ["README.md", ".gitattributes", "dataset_infos.json", "test.parquet", ".cache/x/notes.md"],
)
def test_parquet_files_named_by_splits_are_a_dataset(
    name: str, beside: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / name).touch()
    (tmp_path / beside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / beside).touch()
    assert is_dataset_folder(tmp_path)


@pytest.mark.parametrize("beside", ["notes.parquet", "a/notes.parquet", "data/NOTES.PARQUET"])
def test_another_parquet_file_beside_a_split_is_read_too(beside: str, tmp_path: Path) -> None:
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": ["a note"]}), tmp_path / beside)
    pq.write_table(pa.table({"text": ["a row"]}), tmp_path / "train.parquet")
    corpus = open_corpus([str(tmp_path)])
    assert {document.source for document in corpus} == {f"{beside}#1", "train.parquet#1"}
    assert corpus.skipped == []


@pytest.mark.parametrize("streaming", [True, False])
def test_what_a_folder_holds_besides_the_split_is_named(streaming: bool, parquet: Path) -> None:
    for name in ("test-00000", "test-00001", "validation"):
        pq.write_table(pa.table(ROWS), parquet / f"{name}.parquet")
    for name in ("scan.png", "README.md", ".gitattributes"):
        (parquet / name).touch()
    corpus = open_corpus([str(parquet)], streaming=streaming)
    assert len(texts(corpus)) == 3
    assert [(item.path, item.reason) for item in corpus.skipped] == [
        (f"{parquet}#test", "split 'test', not asked for"),
        (f"{parquet}#validation", "split 'validation', not asked for"),
        (f"{parquet}/scan.png", "not part of the dataset"),
    ]


def test_splits_that_are_asked_for_together_are_not_left_out(parquet: Path) -> None:
    for name in ("test", "validation"):
        pq.write_table(pa.table(ROWS), parquet / f"{name}.parquet")
    corpus = open_corpus([str(parquet)], split="train+test[:1]", streaming=False)
    assert len(texts(corpus)) == 4
    assert [item.path for item in corpus.skipped] == [f"{parquet}#validation"]


def test_what_a_saved_dataset_holds_besides_the_split_is_named(saved_splits: Path) -> None:
    (saved_splits / "notes.md").write_text("a note")
    corpus = open_corpus([str(saved_splits)])
    assert texts(corpus) == ["learn"]
    assert [(item.path, item.reason) for item in corpus.skipped] == [
        (f"{saved_splits}#test", "split 'test', not asked for"),
        (f"{saved_splits}/notes.md", "not part of the dataset"),
    ]


def test_a_split_that_a_saved_dataset_has_not_is_an_error_that_lists_the_splits(
    saved_splits: Path,
) -> None:
    with pytest.raises(CorpusError) as caught:
        list(open_corpus([str(saved_splits)], split="nosuch"))
    assert caught.value.message == (
        f"The dataset {saved_splits} cannot be loaded: it has no split 'nosuch', but train, test"
    )


def test_arrow_files_are_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "any.arrow").touch()
    assert is_dataset_folder(tmp_path)


@pytest.mark.parametrize("name", ["rows.parquet", "training.parquet", "testimonials.parquet"])
def test_other_parquet_files_are_read_one_by_one(name: str, tmp_path: Path) -> None:
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        pq.write_table(pa.table({"text": [f"one of {part}"]}), tmp_path / part / name)
    pq.write_table(pa.table(ROWS), tmp_path / name)
    assert [document.source for document in open_corpus([str(tmp_path)])] == [
        f"a/{name}#1",
        f"b/{name}#1",
        *(f"{name}#{number}" for number in (1, 2, 3)),
    ]


def test_a_parquet_file_that_is_named_is_read_alone(parquet: Path) -> None:
    corpus = open_corpus([str(parquet / "train-00000.parquet")])
    assert [type(source) for source in corpus.sources] == [FileSource]
    assert texts(corpus) == ["First\n\none", "two", "Third\n\nthree"]


@pytest.mark.parametrize(
    "given",
    ["missing.html", "missing.py", "a/missing.csv", "missing.parquet", "misspelt", "docs/misspelt"],
)
def test_what_is_more_likely_a_misspelt_place_is_no_dataset_on_the_hub(
    docs: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(docs.parent)
    with pytest.raises(CorpusError, match="No file or folder"):
        open_corpus([given])


def test_source_code_in_a_folder_is_read(docs: Path) -> None:
    (docs / "loader.py").write_text("import datasets\n")
    assert "import datasets\n" in texts(open_corpus([str(docs)]))


def test_a_saved_dataset_of_another_split_is_an_error_that_names_both(tmp_path: Path) -> None:
    import datasets

    data = datasets.Dataset.from_dict({"text": ["a"]}, split=datasets.Split.TEST)
    data.save_to_disk(tmp_path / "saved")
    with pytest.raises(CorpusError, match="the split 'test', not 'train'"):
        list(open_corpus([str(tmp_path / "saved")]))
    assert texts(open_corpus([str(tmp_path / "saved")], split="test")) == ["a"]
