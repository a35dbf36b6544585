"""Settings: where each value comes from, what its paths mean, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdoll.config import Config, load
from ragdoll.errors import UsageError
from ragdoll.settings import (
    CorpusSettings,
    IndexSettings,
    QuerySettings,
    Setting,
    Settings,
    TrainSettings,
    alternatives,
    example,
)
from ragdoll.settings import settings as declared
from tests.conftest import Ragdoll

SHIPPED = Path(__file__).parent.parent / "ragdoll.toml"
SETTINGS = list(declared().values())
KEYS = [(one.section, one.key) for one in SETTINGS]
NAMES = [one.name for one in SETTINGS]
SECTIONS = {section for section, _ in KEYS}


def written(folder: Path, content: str) -> Path:
    file = folder / "ragdoll.toml"
    file.write_text(content, encoding="utf-8")
    return file


def value_of(config: Config, section: str, key: str) -> Any:
    return getattr(getattr(config, section), key)


def loaded_or_refused(file: Path) -> Config | UsageError:
    try:
        return load(file, environ={})
    except UsageError as error:
        return error


def valid_value(one: Setting) -> tuple[str, Any]:
    """A valid value of a setting, as a variable's text and as it is in Python."""
    first = alternatives(one.hint)[0]
    if get_origin(first) is Literal:
        return get_args(first)[-1], get_args(first)[-1]
    examples: dict[Any, tuple[str, Any]] = {
        bool: ("false", False),
        int: ("17", 17),
        float: ("0.25", 0.25),
        str: ("something", "something"),
        list[str]: ("some/place", ["some/place"]),
        dict[str, str]: ("year=integer, author = string", {"year": "integer", "author": "string"}),
    }
    return examples[first]


def test_without_any_setting_every_value_is_its_default() -> None:
    config = load(environ={})
    assert config.file is None
    assert set(config.origins.values()) == {"default"}
    assert list(config.origins) == NAMES
    assert config == Config(origins=config.origins)


def test_an_option_goes_before_a_variable_a_variable_before_the_file_the_file_before_the_default(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "[train]\nepochs = 3\npca_dims = 3\nseed = 3\n")
    environ = {"RAGDOLL_TRAIN_EPOCHS": "2", "RAGDOLL_TRAIN_PCA_DIMS": "2"}
    config = load(file, {"train.epochs": 1, "train.pca_dims": None}, environ)
    assert (config.train.epochs, config.origins["train.epochs"]) == (1, "option")
    assert config.train.pca_dims == 2
    assert config.origins["train.pca_dims"] == "variable RAGDOLL_TRAIN_PCA_DIMS"
    assert (config.train.seed, config.origins["train.seed"]) == (3, str(file))
    assert (config.train.patience, config.origins["train.patience"]) == (5, "default")


def test_an_option_may_be_false_or_zero(tmp_path: Path) -> None:
    file = written(tmp_path, "[corpus]\nstreaming = true\n[train]\nseed = 5\n")
    config = load(file, {"corpus.streaming": False, "train.seed": 0}, {})
    assert config.corpus.streaming is False
    assert config.train.seed == 0


def test_the_file_in_the_current_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "[query]\ntop_k = 3\n")
    monkeypatch.chdir(tmp_path)
    config = load(environ={})
    assert (config.query.top_k, config.file) == (3, file)


def test_a_named_file_goes_before_the_one_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[query]\ntop_k = 3\n")
    other = tmp_path / "other.toml"
    other.write_text("[query]\nmode = 'text'\n")
    monkeypatch.chdir(tmp_path)
    config = load(Path("other.toml"), environ={})
    assert (config.query.top_k, config.query.mode) == (10, "text")


def test_the_real_environment_is_read_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAGDOLL_QUERY_TOP_K", "4")
    assert load().query.top_k == 4
    assert load(environ={}).query.top_k == 10


@pytest.mark.parametrize("one", SETTINGS, ids=NAMES)
def test_every_setting_has_its_variable(one: Setting) -> None:
    variable = f"RAGDOLL_{one.section}_{one.key}".upper()
    text, expected = valid_value(one)
    config = load(environ={variable: text})
    assert value_of(config, one.section, one.key) == expected
    assert type(value_of(config, one.section, one.key)) is type(expected)
    assert config.origins[one.name] == f"variable {variable}"


@pytest.mark.parametrize("one", SETTINGS, ids=NAMES)
def test_every_setting_has_its_place_in_the_file(one: Setting, tmp_path: Path) -> None:
    _, expected = valid_value(one)
    value = json.dumps(expected)
    if isinstance(expected, dict):
        value = (
            f"{{ {', '.join(f'{name} = {json.dumps(item)}' for name, item in expected.items())} }}"
        )
    file = written(tmp_path, f"[{one.section}]\n{one.key} = {value}\n")
    config = load(file, environ={})
    assert config.origins[one.name] == str(file)
    if one.path != "path":
        assert value_of(config, one.section, one.key) == expected


@pytest.mark.parametrize("one", SETTINGS, ids=NAMES)
def test_every_setting_says_what_it_is_for(one: Setting) -> None:
    assert one.help[0].isupper() or one.help.startswith("auto")
    assert one.help.endswith(".")


@pytest.mark.parametrize("key", ["batch_size", "lr", "epochs"])
def test_auto_is_a_value_of_its_own_in_file_and_variable(key: str, tmp_path: Path) -> None:
    file = written(tmp_path, f'[train]\n{key} = "auto"\n')
    assert value_of(load(file, environ={}), "train", key) == "auto"
    environ = {f"RAGDOLL_TRAIN_{key.upper()}": "auto"}
    assert value_of(load(environ=environ), "train", key) == "auto"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("true", True), ("YES", True), ("0", False), ("False", False), ("no", False)],
)
def test_a_switch_is_read_from_the_usual_words(text: str, expected: bool) -> None:
    assert load(environ={"RAGDOLL_CORPUS_STREAMING": text}).corpus.streaming is expected


def test_one_path_is_a_list_of_one(tmp_path: Path) -> None:
    file = written(tmp_path, '[corpus]\npath = "python:json"\n')
    assert load(file, environ={}).corpus.path == ["python:json"]
    assert load(environ={"RAGDOLL_INDEX_DOCS": "docs"}).index.docs == ["docs"]


@pytest.mark.parametrize("variable", ["RAGDOLL_CORPUS_PATH", "RAGDOLL_INDEX_DOCS"])
def test_an_empty_variable_does_not_stand_for_the_current_folder(
    variable: str, ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("private.txt").write_text("not meant to be read")
    monkeypatch.setenv(variable, "")
    result = ragdoll("index", "--dry-run", "--json")
    assert result.status == 2
    assert "No corpus is given" in result.err or variable in result.err


# Paths


def test_paths_in_the_file_resolve_against_its_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    file = written(
        tmp_path,
        """
        [teacher]
        model = "./teacher"
        [corpus]
        path = ["docs", "../more"]
        [featurize]
        output = "features"
        [train]
        features = "features"
        output = "models/best"
        [index]
        docs = "docs"
        model = "./models/best"
        database = "database"
        """,
    )
    config = load(file, environ={})
    assert config.teacher.model == str(tmp_path / "teacher")
    assert config.corpus.path == [str(tmp_path / "docs"), str(tmp_path / "../more")]
    assert config.featurize.output == str(tmp_path / "features")
    assert config.train.features == str(tmp_path / "features")
    assert config.train.output == str(tmp_path / "models/best")
    assert config.index.docs == [str(tmp_path / "docs")]
    assert config.index.model == str(tmp_path / "models/best")
    assert config.index.database == str(tmp_path / "database")


def test_paths_resolve_against_the_folder_of_a_file_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, '[train]\noutput = "model"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load(Path("../ragdoll.toml"), environ={})
    assert config.train.output == str(tmp_path / "model")


def test_absolute_paths_and_the_home_folder_are_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = written(
        tmp_path, '[train]\noutput = "/models/best"\n[corpus]\npath = ["~/docs", "/docs"]\n'
    )
    config = load(file, environ={})
    assert config.train.output == "/models/best"
    assert config.corpus.path == [str(tmp_path / "home/docs"), "/docs"]


@pytest.mark.parametrize(
    "name", ["python:stdlib", "sentence-transformers/all-MiniLM-L6-v2", "squad", "hf://a/b"]
)
def test_names_in_the_file_stay_as_they_are(name: str, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f'[teacher]\nmodel = "{name}"\n[corpus]\npath = "{name}"\n[index]\nmodel = "{name}"\n',
    )
    config = load(file, environ={})
    assert (config.teacher.model, config.corpus.path, config.index.model) == (name, [name], name)


def test_the_uri_of_a_database_stays_as_it_is(tmp_path: Path) -> None:
    file = written(tmp_path, '[index]\ndatabase = "s3://bucket/base"\n')
    assert load(file, environ={}).index.database == "s3://bucket/base"


def test_paths_in_options_and_variables_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    file = written(tmp_path, '[train]\noutput = "model"\n')
    config = load(
        file,
        {"train.output": "docs", "index.docs": ["docs", "./docs"]},
        {"RAGDOLL_CORPUS_PATH": "docs", "RAGDOLL_INDEX_DATABASE": "../database"},
    )
    assert config.train.output == "docs"
    assert config.index.docs == ["docs", "./docs"]
    assert config.corpus.path == ["docs"]
    assert config.index.database == "../database"


# What is refused


QUERY_KEYS = ", ".join(field.name for field in fields(QuerySettings))


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("[trian]\nepochs = 3", "Unknown section [trian]", "Did you mean train?"),
        ("[train]\nepoch = 3", "Unknown key epoch in section [train]", "Did you mean epochs?"),
        ("[query]\nzzzzzz = 3", "Unknown key zzzzzz", f"Valid: {QUERY_KEYS}."),
        ("top_k = 3", "The key top_k is outside of any section in ", "It belongs below [query]."),
        ("seed = 3", "The key seed is outside of any section in ", "below [train] or [evaluate]."),
        ("quary = 3", "The key quary is outside of any section in ", "Did you mean query?"),
        ("train = 3", "must be a section, not 3", ""),
        ("[[train]]\nepochs = 3", "must be a section, not a list", ""),
        ('corpus.path = ["a", 3]', "a string or a list of strings, not a list with 3 ", ""),
        ("index.metadata.year = 3", "a section of strings, not a section with year = 3 ", ""),
    ],
)
def test_what_is_out_of_place_in_the_file_is_said_to_be(
    content: str, message: str, hint: str
) -> None:
    Path("ragdoll.toml").write_text(content)
    with pytest.raises(UsageError) as caught:
        load()
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("RAGDOLL_TRAIN_EPOCH", "RAGDOLL_TRAIN_EPOCHS"),
        ("RAGDOLL_QUERY_TOPK", "RAGDOLL_QUERY_TOP_K"),
        ("RAGDOLL_CORPUS_TEXTKEY", "RAGDOLL_CORPUS_TEXT_KEY"),
        ("RAGDOLL_TRIAN_EPOCHS", "RAGDOLL_TRAIN_EPOCHS"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(variable: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=variable) as caught:
        load(environ={variable: "3"})
    assert nearest in str(caught.value.hint)


def test_other_programs_variables_are_no_concern() -> None:
    environ = {"RAGDOLLS_TRAIN_EPOCHS": "x", "MY_RAGDOLL_TRAIN_EPOCHS": "x", "PATH": "/bin"}
    assert load(environ=environ).origins == load(environ={}).origins


WRONG_TYPES = [
    ("teacher", "model", "7"),
    ("teacher", "dtype", '"float64"'),
    ("corpus", "path", "7"),
    ("corpus", "path", '["docs", 7]'),
    ("corpus", "streaming", '"true"'),
    ("corpus", "streaming", "1"),
    ("featurize", "max_means", '"many"'),
    ("featurize", "batch_size", "1.5"),
    ("featurize", "batch_size", "true"),
    ("train", "pca_dims", "2020-01-01"),
    ("train", "lr", '"fast"'),
    ("train", "lr", "true"),
    ("train", "epochs", "1.0"),
    ("train", "output", "[1]"),
    ("index", "database", "{ path = 'x' }"),
    ("index", "metric", '"euclidean"'),
    ("query", "mode", "1"),
    ("query", "alpha", "[0.5]"),
]


@pytest.mark.parametrize(
    ("section", "key", "value"), WRONG_TYPES, ids=[f"{s}.{k}={v}" for s, k, v in WRONG_TYPES]
)
def test_a_value_of_the_wrong_type_is_refused_with_key_and_place(
    section: str, key: str, value: str, tmp_path: Path
) -> None:
    file = written(tmp_path, f"[{section}]\n{key} = {value}\n")
    with pytest.raises(UsageError) as caught:
        load(file, environ={})
    assert f"{section}.{key} must be" in caught.value.message
    assert str(file) in caught.value.message
    if value[0] not in "[{":
        assert f"not {value} (" in caught.value.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.epochs", "three"),
        ("train.pca_dims", "2.5"),
        ("query.alpha", "half"),
        ("corpus.streaming", "perhaps"),
        ("query.mode", "fuzzy"),
        ("query.top_k", "10 hits"),
    ],
)
def test_a_variable_or_option_of_the_wrong_type_is_refused_with_its_text(
    name: str, text: str
) -> None:
    variable = declared()[name].variable
    with pytest.raises(UsageError, match=rf'not "{text}" \(from variable {variable}\)'):
        load(environ={variable: text})
    with pytest.raises(UsageError, match=rf'{name} must be .* not "{text}" \(from option\)'):
        load(options={name: text}, environ={})


@pytest.mark.parametrize(
    ("section", "key", "value", "bound"),
    [
        ("featurize", "max_means", "0", "at least 1"),
        ("featurize", "batch_size", "-1", "at least 1"),
        ("train", "pca_dims", "0", "at least 1"),
        ("train", "vocab_size", "-1", "at least 0"),
        ("train", "batch_size", "0", "at least 1"),
        ("train", "lr", "-0.1", "at least .*"),
        ("train", "lr", "nan", "a finite number"),
        ("train", "lr", "inf", "a finite number"),
        ("train", "lr", "0", "at least 1e-09"),
        ("train", "epochs", "0", "at least 1"),
        ("train", "seed", "-1", "at least 0"),
        ("index", "chunk_size", "7", "at least 8"),
        ("query", "top_k", "0", "at least 1"),
        ("query", "alpha", "1.5", "at most 1"),
        ("query", "alpha", "-0.5", "at least 0"),
        ("evaluate", "k", "0", "at least 1"),
    ],
)
def test_a_number_out_of_range_is_refused_with_key_bound_and_value(
    section: str, key: str, value: str, bound: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{section}.{key} must be {bound}, not {value}"):
        load(written(tmp_path, f"[{section}]\n{key} = {value}\n"), environ={})
    with pytest.raises(UsageError, match=f"{section}.{key} must be {bound}, not {value}"):
        load(environ={f"RAGDOLL_{section}_{key}".upper(): value})


@pytest.mark.parametrize(
    ("section", "key"), [("featurize", "max_means"), ("train", "lr"), ("query", "alpha")]
)
@pytest.mark.parametrize("value", ["9" * 400, "0x" + "f" * 5000, "-0x" + "f" * 5000])
def test_a_number_too_long_to_compute_with_is_refused(
    section: str, key: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{section}.{key} must be at .* of too many digits"):
        load(written(tmp_path, f"[{section}]\n{key} = {value.removeprefix('-')}\n"), environ={})
    with pytest.raises(UsageError, match=f"{section}.{key} must be"):
        load(environ={f"RAGDOLL_{section}_{key}".upper(): value})


@pytest.mark.parametrize(
    ("content", "words"),
    [("a." * 600 + "a = 1\n", "line 1: more than 500 dots"), ("#" * 2**18 + "\n", "256 KiB")],
)
def test_what_would_take_long_to_parse_is_refused(content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        load(written(tmp_path, content), environ={})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("query", "alpha", 0), ("query", "alpha", 1), ("index", "chunk_size", 8), ("query", "k", 1)],
)
def test_a_number_at_its_bound_is_accepted(section: str, key: str, value: int) -> None:
    section = "evaluate" if key == "k" else section
    config = load(environ={f"RAGDOLL_{section}_{key}".upper(): str(value)})
    assert value_of(config, section, key) == value


@pytest.mark.parametrize(
    "content",
    [
        b"[train",
        b"[train]\nepochs = \n",
        b"[train]\nepochs = 1\nepochs = 2\n",
        b'[corpus]\npath = "\xff"\n',
        b"[train]\npca_dims = " + b"9" * 5000,
        b"a = " + b"[" * 5000,
    ],
    ids=["brackets", "no-value", "twice", "encoding", "huge-number", "deep"],
)
def test_what_is_not_toml_is_refused_with_the_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ragdoll.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=str(file)):
        load(file, environ={})


@pytest.mark.parametrize(
    "value", ["~nobody-of-that-name/x", "x" * 300], ids=["unknown-home", "long"]
)
@pytest.mark.parametrize("key", ["teacher.model", "corpus.path", "featurize.output"])
def test_a_path_that_cannot_be_one_is_refused_or_kept(key: str, value: str, tmp_path: Path) -> None:
    section, name = key.split(".")
    result = loaded_or_refused(written(tmp_path, f'[{section}]\n{name} = "{value}"\n'))
    if isinstance(result, Config):
        assert value in str(value_of(result, section, name))
    else:
        assert key in result.message


def test_a_missing_named_file_is_refused(tmp_path: Path, ragdoll: Ragdoll) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(UsageError, match=f"No configuration file at {missing}"):
        load(missing, environ={})
    with pytest.raises(UsageError, match="No configuration file"):
        load(tmp_path, environ={})  # a folder is no file
    result = ragdoll("query", "anything", "--config", missing)
    assert (result.status, result.out) == (2, "")
    assert f"No configuration file at {missing}" in result.err


def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "")

    def denied(*arguments: object, **keywords: object) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(UsageError, match=f"{file} cannot be read: Permission denied"):
        load(file, environ={})


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ragdoll.toml"
    file.write_text("[query]\ntop_k = 3\n", encoding="utf-8-sig")
    assert load(file, environ={}).query.top_k == 3


def test_a_wrong_setting_ends_a_command_with_status_two(tmp_path: Path, ragdoll: Ragdoll) -> None:
    file = written(tmp_path, "[query]\ntopk = 3\n")
    result = ragdoll("query", "anything", "--config", file)
    assert (result.status, result.out) == (2, "")
    assert result.err.splitlines() == [
        f"Error: Unknown key topk in section [query] of {file}.",
        "Did you mean top_k?",
    ]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(
    section=st.one_of(st.sampled_from(sorted(SECTIONS)), WORDS),
    key=WORDS,
    value=st.one_of(st.integers(-(2**62), 2**62), st.booleans(), WORDS),
)
@settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_unknown_key_a_file_has_it_is_wrong_usage(
    section: str, key: str, value: object, tmp_path: Path
) -> None:
    if section in SECTIONS and (section, key) in KEYS:
        return
    content = quoted(value) if isinstance(value, str) else json.dumps(value)
    file = written(tmp_path, f"[{quoted(section)}]\n{quoted(key)} = {content}\n")
    with pytest.raises(UsageError) as caught:
        load(file, environ={})
    assert "Unknown" in caught.value.message
    assert (key if section in SECTIONS else section) in caught.value.message


@given(content=st.one_of(st.text(), st.text("[]{}=\"'#.,\n \\u019abtrain_")))
@settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_a_file_holds_it_loads_or_is_wrong_usage(content: str, tmp_path: Path) -> None:
    file = tmp_path / "ragdoll.toml"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    result = loaded_or_refused(file)
    if isinstance(result, Config):
        assert list(result.origins) == NAMES
    else:
        assert str(file) in result.message


# The shipped file and the account of all values


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        (TrainSettings, "pca_dims", 256.0),
        (IndexSettings, "chunk_size", 256.0),
        (TrainSettings, "seed", False),
        (CorpusSettings, "hidden", 0),
    ],
)
def test_what_only_equals_a_default_is_checked(record: type[Any], key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{key} must be"):
        record(**{key: value})


def test_settings_know_what_was_given_and_copies_of_them_do_too() -> None:
    first = TrainSettings(pca_dims=256, seed=3).changed(patience=7)
    for train in (first, copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert train == TrainSettings(seed=3, patience=7)
        before = {"train.pca_dims": 8, "train.patience": 8, "train.epochs": 8, "no.setting": 8}
        completed = Settings(train=train).completed(before, "the model").train
        assert (completed.pca_dims, completed.patience, completed.epochs) == (256, 7, 8)
    with pytest.raises(UsageError, match=r"train.epochs must be .* \(from the model\)"):
        Settings().completed({"train.epochs": -1}, "the model")


def test_the_shipped_file_loads_and_needs_no_data_of_the_user() -> None:
    config = load(SHIPPED, environ={})
    assert config.corpus.path == ["python:stdlib"]
    assert config.train.output == str(SHIPPED.parent / ".ragdoll/model")
    assert config.teacher.model == "sentence-transformers/all-MiniLM-L6-v2"


def test_the_shipped_file_is_the_example_that_the_settings_make() -> None:
    assert SHIPPED.read_text() == example(corpus_path="python:stdlib")


def test_the_account_has_every_setting_with_its_value_and_origin(tmp_path: Path) -> None:
    file = written(tmp_path, '[corpus]\npath = ["python:json", "python:csv"]\n')
    config = load(file, {"corpus.streaming": False}, {"RAGDOLL_TRAIN_LR": "0.5"})
    rows = {name: (value, origin) for name, value, origin in config.rows()}
    assert list(rows) == NAMES
    assert rows["corpus.path"] == ("python:json, python:csv", str(file))
    assert rows["corpus.streaming"] == ("false", "option")
    assert rows["train.lr"] == ("0.5", "variable RAGDOLL_TRAIN_LR")
    assert rows["train.features"] == ("", "default")


def test_code_from_a_teachers_folder_is_trusted_by_no_setting() -> None:
    assert "trust_remote_code" not in {key for _, key in KEYS}
    with pytest.raises(UsageError):
        load(environ={"RAGDOLL_TEACHER_TRUST_REMOTE_CODE": "1"})
