"""The features folder: features are read as they were written, and nothing else passes for them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.distillation.features.columns import texts_and_vectors
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest, rolling_hash
from ragdoll.distillation.features.reading import open_features
from ragdoll.errors import FeaturesError
from tests.distillation.reading import load_features


def npy(end: str, dtype: str = "<f4") -> bytes:
    """A file of numpy's whose header has this end."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {end}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)


def write(
    folder: Path, rows: int = 6, complete: bool = True, word: str = "passage"
) -> tuple[list[str], np.ndarray]:
    texts = [f"{word} {number}" for number in range(rows)]
    vectors = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    features = FeaturesFolder(folder)
    manifest = Manifest(settings={"teacher": "t", "teacher_fingerprint": "f"}, dimension=4)
    content = NO_HASH
    for number, start in enumerate(range(0, rows, 4)):
        part = texts[start : start + 4]
        content = rolling_hash(content, part)
        name = features.write_part(number, part, vectors[start : start + 4])
        manifest.parts.append({"file": name, "rows": len(part), "tokens": 9, "hash": content})
    manifest.complete = complete
    features.write_manifest(manifest)
    return texts, vectors


def test_what_is_written_is_read_in_the_same_order(tmp_path: Path) -> None:
    texts, vectors = write(tmp_path)
    features = load_features(tmp_path)
    assert features.texts == texts
    np.testing.assert_array_equal(features.vectors, vectors)
    assert (features.teacher, features.teacher_fingerprint) == ("t", "f")


@pytest.mark.parametrize("what", ["batches", "texts"])
def test_features_that_are_made_anew_while_they_are_read_are_not_mixed(
    tmp_path: Path, what: str
) -> None:
    write(tmp_path)
    reading = getattr(open_features(tmp_path), what)()
    next(reading)
    write(tmp_path, word="other")
    with pytest.raises(FeaturesError, match=str(tmp_path)):
        list(reading)
    assert list(getattr(open_features(tmp_path), what)())


def test_the_library_datasets_reads_the_parts(tmp_path: Path) -> None:
    import datasets

    texts, vectors = write(tmp_path / "features")
    rows = datasets.load_dataset(
        "parquet",
        data_dir=str(tmp_path / "features" / "data"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert rows["text"][:] == texts
    np.testing.assert_array_equal(np.array(rows["embedding"][:], np.float32), vectors)


@given(rows=st.integers(1, 30), most=st.integers(1, 35), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_a_sample_has_rows_of_the_features_in_their_order(rows: int, most: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts, vectors = write(Path(folder), rows)
        sample = open_features(Path(folder)).sample(most, seed)
        read = list(sample.batches())
        chosen = [texts.index(text) for part, _ in read for text in part]
        assert sample.rows == len(chosen) == min(rows, most)
        assert chosen == sorted(set(chosen))
        np.testing.assert_array_equal(np.concatenate([part for _, part in read]), vectors[chosen])
        assert list(sample.texts()) == texts


def test_rows_with_nan_are_left_out(tmp_path: Path) -> None:
    features = FeaturesFolder(tmp_path)
    vectors = np.ones((3, 2), np.float32)
    vectors[1, 0] = np.nan
    name = features.write_part(0, ["a", "b", "c"], vectors)
    part = {"file": name, "rows": 3, "tokens": 3, "hash": NO_HASH}
    features.write_manifest(Manifest({"teacher": "t"}, 2, [part], {}, complete=True))
    loaded = load_features(tmp_path)
    assert loaded.texts == ["a", "c"]
    assert list(open_features(tmp_path).texts()) == ["a", "b", "c"]


def own(folder: Path, column: str) -> None:
    table = pa.table({"text": ["a", "b"], column: [[1.0], [2.0]]})
    (folder / "data").mkdir(exist_ok=True)
    pq.write_table(table, folder / "data" / "part-00000.parquet")
    part = {"file": "part-00000.parquet", "rows": 2, "tokens": 2, "hash": NO_HASH}
    FeaturesFolder(folder).write_manifest(Manifest({}, 1, [part], {}, complete=True))


def pair(folder: Path, column: str) -> None:
    (folder / "feature_2.json").write_text('["a", "b"]')
    np.save(folder / "feature_2.npy", np.ones((2, 1) if column == "embedding" else 2, np.float32))


def shard_of(folder: Path, column: str) -> None:
    from datasets import Dataset

    shutil.rmtree(folder / "shard_0", ignore_errors=True)
    Dataset.from_dict({"text": ["a", "b"], column: [[1.0], [2.0]]}).save_to_disk(folder / "shard_0")


@pytest.mark.parametrize("write", [own, pair, shard_of], ids=["ragdoll", "pairs", "shards"])
def test_texts_alone_are_read_without_their_vectors(
    write: Callable[[Path, str], None], tmp_path: Path
) -> None:
    write(tmp_path, "embedding")
    features = open_features(tmp_path)
    assert [texts for texts, _ in features.batches()] == [["a", "b"]]
    write(tmp_path, "no_vectors")
    assert list(features.source.texts()) == ["a", "b"]
    with pytest.raises(FeaturesError):
        list(features.batches())


def test_a_missing_part_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "data" / "part-00001.parquet").unlink()
    with pytest.raises(FeaturesError, match="part-00001"):
        load_features(tmp_path)


def test_a_part_cut_short_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    part = tmp_path / "data" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(FeaturesError, match="part-00000"):
        load_features(tmp_path)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"version": 99}, "99"),
        ({"format": "other"}, "manifest"),
        ({"parts": [{"file": "../../x", "rows": 1, "tokens": 1, "hash": ""}]}, "/x"),
        ({"parts": [{"file": "part-0", "rows": 1}]}, "part-0"),
        ({"dimension": "wide"}, "wide"),
        ({"settings": None}, "None"),
        ({"settings": {"teacher": ["t"]}}, "teacher"),
        ({"facts": {"skipped": [5]}}, "int"),
        ({"dimension": float("inf")}, "Infinity|infinity"),
        ({"dimension": 10**9}, "1000000000"),
    ],
    ids=[
        "newer version",
        "other format",
        "path out of the folder",
        "part",
        "dimension",
        "settings",
        "teacher",
        "skipped",
        "endless",
        "wide",
    ],
)
def test_a_wrong_manifest_is_an_error(tmp_path: Path, change: dict, value: str) -> None:
    write(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(FeaturesError, match=value):
        load_features(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_as_manifest_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("features")
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(FeaturesError):
        load_features(folder)


def test_folders_of_tokenlearn_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number, text in ((32, "b"), (128, "c"), (4, "a")):
        (tmp_path / f"feature_{number}.json").write_text(json.dumps([text]))
        np.save(tmp_path / f"feature_{number}.npy", np.full((1, 3), number, np.float32))
    features = load_features(tmp_path)
    assert features.texts == ["a", "b", "c"]
    assert features.vectors[:, 0].tolist() == [4, 32, 128]
    assert features.teacher is None


def test_a_pickle_in_a_folder_of_tokenlearn_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feature_1.json").write_text('["a"]')
    np.save(tmp_path / "feature_1.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(FeaturesError, match="feature_1"):
        load_features(tmp_path)


def shard(folder: Path, texts: list[str], value: float) -> None:
    from datasets import Dataset, Sequence, Value
    from datasets import Features as Columns

    columns = Columns({"text": Value("string"), "embedding": Sequence(Value("float32"))})
    rows = {"text": texts, "embedding": [[value, 0.0, 1.0]] * len(texts)}
    Dataset.from_dict(rows, features=columns).save_to_disk(str(folder))


def test_shards_of_tokenlearns_development_version_are_read_in_order(tmp_path: Path) -> None:
    shard(tmp_path / "shard_00000010", ["d"], 3)
    shard(tmp_path / "shard_00000002", ["a", "b", "c"], 2)
    features = open_features(tmp_path)
    assert (features.rows, features.dimension, features.teacher) == (4, 3, None)
    loaded = load_features(tmp_path)
    assert loaded.texts == ["a", "b", "c", "d"]
    assert loaded.vectors[:, 0].tolist() == [2, 2, 2, 3]


def test_a_shard_cut_short_and_one_that_points_elsewhere_are_errors(tmp_path: Path) -> None:
    shard(tmp_path / "f" / "shard_0", ["a"] * 500, 1)
    data = next((tmp_path / "f" / "shard_0").glob("*.arrow"))
    state = tmp_path / "f" / "shard_0" / "state.json"
    (tmp_path / "secret.arrow").write_bytes(data.read_bytes())
    state.write_text(json.dumps({"_data_files": [{"filename": "../../secret.arrow"}]}))
    with pytest.raises(FeaturesError, match=r"shard_0.secret\.arrow"):
        open_features(tmp_path / "f")
    state.write_text(json.dumps({"_data_files": [{"filename": data.name}]}))
    data.write_bytes(data.read_bytes()[:900])
    with pytest.raises(FeaturesError, match=data.name):
        load_features(tmp_path / "f")


@pytest.mark.parametrize("content", ["{}", "[1]", "[", '["a", "b"]'])
def test_texts_of_tokenlearn_that_are_no_texts_are_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "feature_1.json").write_text(content)
    np.save(tmp_path / "feature_1.npy", np.ones((1, 3), np.float32))
    with pytest.raises(FeaturesError, match=r"feature_1\.json"):
        load_features(tmp_path)


def test_the_signature_of_a_foreign_folder_changes_with_its_content(tmp_path: Path) -> None:
    shard(tmp_path / "shard_0", ["a"], 1)
    before = open_features(tmp_path).signature
    assert open_features(tmp_path).signature == before
    shard(tmp_path / "shard_1", ["b"], 1)
    assert open_features(tmp_path).signature != before


def test_only_parts_of_other_names_are_removed(tmp_path: Path) -> None:
    write(tmp_path)
    for name in (
        "notes.txt",
        "part-1.parquet",
        "part-00000-3f2c.parquet",
        ".part-00007.parquet.tmp",
    ):
        (tmp_path / "data" / name).write_text("mine")
    FeaturesFolder(tmp_path).keep_only([])
    names = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert names == ["notes.txt", "part-00000-3f2c.parquet", "part-1.parquet"]


texts = st.lists(st.text(max_size=8), max_size=6)


@given(texts, texts)
def test_the_rolling_hash_depends_on_the_texts_alone_not_on_the_cuts(
    first: list[str], second: list[str]
) -> None:
    once = rolling_hash(NO_HASH, first + second)
    assert rolling_hash(rolling_hash(NO_HASH, first), second) == once


@given(texts, texts)
def test_the_rolling_hash_tells_different_texts_apart(first: list[str], second: list[str]) -> None:
    assert (rolling_hash(NO_HASH, first) == rolling_hash(NO_HASH, second)) == (first == second)


ROWS = [[1.0, 2.0], [3.0, 4.0]]
NO_FEATURES: dict[str, dict[str, Any]] = {
    "numbers for texts": {"text": [1, 2], "embedding": ROWS},
    "no text": {"text": ["a", None], "embedding": ROWS},
    "texts that are no text": {"text": pa.array([b"a", b"b"]), "embedding": ROWS},
    "no vector": {"text": ["a", "b"], "embedding": [[1.0, 2.0], None]},
    "no vectors": {"text": ["a", "b"], "embedding": [None, None]},
    "numbers for vectors": {"text": ["a", "b"], "embedding": [1.0, 2.0]},
    "words for numbers": {"text": ["a", "b"], "embedding": [["a"], ["b"]]},
    "lists for numbers": {"text": ["a", "b"], "embedding": [[[1.0]], [[2.0]]]},
    "vectors of other lengths": {"text": ["a", "b"], "embedding": [[1.0], [1.0, 2.0, 3.0]]},
    "other columns": {"text": ["a", "b"], "vector": ROWS},
}


@pytest.mark.parametrize("columns", NO_FEATURES.values(), ids=NO_FEATURES)
def test_columns_that_are_no_texts_and_vectors_are_an_error(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    table = pa.table(columns)
    with pytest.raises(ValueError, match=r"."):
        texts_and_vectors(table)
    shard(tmp_path / "shard_0", ["a"], 1)
    file = next((tmp_path / "shard_0").glob("*.arrow"))
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(FeaturesError, match=file.name):
        load_features(tmp_path)


def test_an_array_that_points_beyond_its_buffer_is_an_error() -> None:
    # Using it would read the memory of others, or end the process.
    offsets = pa.py_buffer(np.array([0, 10**6, 2], np.int32))
    text = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    with pytest.raises(pa.ArrowInvalid):
        texts_and_vectors(pa.table({"text": text, "embedding": ROWS}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        npy("(1, 1), }" + "(" * 99),
        npy("(99999999999999999999, 1)}"),
        npy("(1, 1)}", "<U1"),
        npy("(1, 1)}", "<c8"),
        npy("(1,)}"),
    ],
)
def test_arrays_of_tokenlearn_that_are_no_vectors_are_an_error(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "feature_0.json").write_text('["a"]')
    (tmp_path / "feature_0.npy").write_bytes(content)
    with pytest.raises(FeaturesError, match=r"feature_0\.npy"):
        load_features(tmp_path)


@pytest.mark.parametrize("state", ["[" * 10**5, '{"_data_files": [{"filename": "a\\u0000"}]}'])
def test_a_state_that_names_no_files_is_an_error(tmp_path: Path, state: str) -> None:
    shard(tmp_path / "shard_0", ["a"], 1)
    (tmp_path / "shard_0" / "state.json").write_text(state)
    with pytest.raises(FeaturesError, match="shard_0"):
        load_features(tmp_path)
