"""The upload of a model: the real client of the hub, and a small hub of the tests' own.

The client reaches it by a unix socket, the one kind of connection that tests may make.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.utils._http import default_client_factory
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation.model.hub import check, push, without_paths
from ragdoll.distillation.training.train import TrainResult
from ragdoll.errors import HubError
from tests.conftest import TRAINING_CORPUS, Ragdoll, Trained
from tests.distillation.local_hub import ENDPOINT, TOKEN, Failure, LocalHub, serving

CARD = "README.md"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that an upload needs."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", ENDPOINT)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def hub(online: None) -> Iterator[LocalHub]:
    # Not below the tests' folder: the name of a socket has a hundred bytes at most.
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder, "s")) as running:
        transport = httpx.HTTPTransport(uds=running.socket_path)
        set_client_factory(lambda: httpx.Client(transport=transport))
        yield running
        set_client_factory(default_client_factory)


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A model of a corpus in a folder of this machine, which may be written to."""
    folder = tmp_path / "model"
    shutil.copytree(trained.model, folder)
    for file in folder.rglob("ragdoll.json"):
        record = json.loads(file.read_text())
        record["features"]["corpus"] = {"path": ["/home/ada/a book", "python:asyncio"]}
        file.write_text(json.dumps(record))
    return folder


def uploaded(hub: LocalHub, repo: str = "ada/m") -> dict[str, bytes]:
    """The files of the one commit."""
    (commit,) = hub.commits[repo]
    return commit.files


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_trained_model_is_uploaded_whole_and_in_private(
    ragdoll: Ragdoll, hub: LocalHub, trained: Trained, tmp_path: Path
) -> None:
    output = tmp_path / "m"
    result = ragdoll(
        "train", "--features", trained.features, "--output", output, "--pca-dims", "16",
        "--epochs", "1", "--json", "--push-to-hub", "ada/m",
    )  # fmt: skip
    assert result.status == 0, result.err
    assert result.json["pushed_to"] == f"{ENDPOINT}/ada/m"
    assert hub.private == {"ada/m": True}
    files, on_disk = uploaded(hub), contents(output)
    assert set(files) == set(on_disk)
    for name in files:
        if not name.endswith(("README.md", "config.json", "ragdoll.json")):
            assert files[name] == on_disk[name], name


def test_nothing_uploaded_tells_of_this_machine(
    hub: LocalHub, model: Path, small_teacher: Path
) -> None:
    before = contents(model)
    push(model, "ada/m")
    assert contents(model) == before
    for name, content in uploaded(hub).items():
        assert str(small_teacher.parent).encode() not in content, name
        assert b"/home/ada" not in content, name
    record = json.loads(uploaded(hub)["ragdoll.json"])
    assert record["teacher"]["name"] == record["features"]["teacher"] == "small"
    assert record["features"]["corpus"]["path"] == ["a book", "python:asyncio"]
    assert json.loads(uploaded(hub)["distillate/config.json"])["tokenizer_name"] == "small"


def test_only_what_ragdoll_wrote_is_uploaded(hub: LocalHub, model: Path) -> None:
    ours = set(contents(model))
    for name in ("notes.txt", ".env", "variants/.DS_Store", "variants/old/model.safetensors"):
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_text("secret")
    push(model, "ada/m")
    assert set(uploaded(hub)) == ours


def test_the_uploaded_model_loads_with_the_same_vectors(
    hub: LocalHub, model: Path, tmp_path: Path
) -> None:
    from model2vec import StaticModel

    push(model, "ada/m")
    for name, content in uploaded(hub).items():
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / name).write_bytes(content)
    for part in ("", "variants/weighted", "distillate"):
        got = StaticModel.from_pretrained(tmp_path / "got" / part).encode(["a lock"])
        assert (got == StaticModel.from_pretrained(model / part).encode(["a lock"])).all()


def test_the_card_names_the_repository_and_a_teacher_only_where_the_hub_has_it(
    hub: LocalHub, model: Path
) -> None:
    push(model, "m")
    card = uploaded(hub)[CARD].decode()
    assert 'StaticModel.from_pretrained("ada/m")' in card
    assert "base_model" not in card
    for file in model.rglob("ragdoll.json"):
        record = json.loads(file.read_text())
        record["teacher"]["name"] = "ada/teacher"
        file.write_text(json.dumps(record))
    push(model, "other")
    assert 'base_model: "ada/teacher"' in uploaded(hub, "ada/other")[CARD].decode()


def test_a_new_repository_is_public_only_where_that_is_asked_for(
    hub: LocalHub, model: Path
) -> None:
    assert push(model, "ada/private").private
    assert not push(model, "ada/public", public=True).private
    assert hub.private == {"ada/private": True, "ada/public": False}


@pytest.mark.parametrize("private", [True, False], ids=["private", "public"])
def test_a_repository_that_is_there_stays_as_visible_as_it_is(
    hub: LocalHub, model: Path, caplog: pytest.LogCaptureFixture, private: bool
) -> None:
    push(model, "ada/m", public=not private)
    push(model, "ada/m", public=not private)
    assert not caplog.records
    assert push(model, "ada/m", public=private).private is private
    assert hub.private == {"ada/m": private}
    assert f"stays {'private' if private else 'public'}" in caplog.text
    assert len(hub.commits["ada/m"]) == 3


@pytest.mark.parametrize(
    "failure",
    [
        Failure("/create", 401, "Invalid username or password."),
        Failure("/create", 403, "You may not create a model under the namespace ada."),
        Failure("/validate-yaml", 400, "No card."),
        Failure("/preupload/main", 403, "This token may not write."),
        Failure("/commit/main", 500, "The hub is out of order."),
    ],
    ids=lambda failure: f"{failure.endpoint[1:].partition('/')[0]}-{failure.status}",
)
def test_a_failed_upload_leaves_nothing_half_and_says_why(
    hub: LocalHub, model: Path, failure: Failure
) -> None:
    hub.failure = failure
    before = contents(model)
    with pytest.raises(HubError) as caught:
        push(model, "ada/m")
    assert not any(hub.commits.values())
    assert contents(model) == before
    text = f"{caught.value.message}\n{caught.value.hint}"
    assert len(text.splitlines()) == 2
    assert f"{ENDPOINT}/ada/m" in text
    assert failure.message in text
    assert TOKEN not in text


@pytest.fixture
def done(model: Path, monkeypatch: pytest.MonkeyPatch) -> TrainResult:
    """Let a training end at once, with the model of an earlier one."""
    agreement = {"distillate": 0.4, "weighted": 0.5, "unweighted": 0.6}
    result = TrainResult(
        model, "unweighted", 32, 3322, "ridge", 0.8, 0.001, agreement,
        epochs=9, rows=1193, skipped=0, seconds=1.0,
    )  # fmt: skip
    monkeypatch.setattr("ragdoll.train", lambda *_, **__: result)
    return result


def test_a_person_is_told_where_the_model_is_and_who_sees_it(
    ragdoll: Ragdoll, hub: LocalHub, done: TrainResult
) -> None:
    result = ragdoll("train", "--push-to-hub", "ada/m", "--public")
    assert re.search(rf"uploaded to +{ENDPOINT}/ada/m \(public\)\n", result.out)
    again = ragdoll("train", "--push-to-hub", "ada/m")
    assert f"{ENDPOINT}/ada/m (public)" in again.out
    assert "Warning: The repository ada/m exists already and stays public" in again.err


def test_a_hub_that_cannot_be_reached_leaves_the_model_on_disk(
    ragdoll: Ragdoll, online: None, done: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    before = contents(done.model)
    result = ragdoll("train", "--push-to-hub", "ada/m", "--json")
    assert result.status == 1
    problem, way_out = result.err.splitlines()
    assert problem.startswith("Error: The model could not be uploaded to http://127.0.0.1:1/ada/m:")
    assert f"saved in {done.model}; the same command" in way_out
    assert contents(done.model) == before
    assert (result.json["model"], result.json["pushed_to"]) == (str(done.model), None)


def test_an_interrupted_training_is_not_uploaded(
    ragdoll: Ragdoll, hub: LocalHub, done: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(done, interrupted=True)
    monkeypatch.setattr("ragdoll.train", lambda *_, **__: stopped)
    result = ragdoll("train", "--push-to-hub", "ada/m", "--json")
    assert (result.status, result.json["pushed_to"]) == (130, None)
    assert "not uploaded" in result.err
    assert not hub.private


def test_an_interrupted_upload_says_where_the_model_is(
    ragdoll: Ragdoll, hub: LocalHub, done: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "create_commit", interrupted)
    result = ragdoll("train", "--push-to-hub", "ada/m")
    assert result.status == 130
    assert f"while uploading. The model is saved in {done.model}." in result.err
    assert "explained variance" in result.out


NOT_AN_ID = ["", "a/b/c", "/home/ada/model", "./model", "ada/m--n", "ada/m.git", "ada/" + "m" * 97]


@pytest.mark.parametrize("repo", NOT_AN_ID)
def test_what_is_no_id_is_refused_before_training(ragdoll: Ragdoll, repo: str) -> None:
    refused(ragdoll, f"'{re.escape(repo)}'.*\nGive OWNER/NAME", "--push-to-hub", repo)


def test_no_token_is_refused_before_training(
    ragdoll: Ragdoll, online: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    refused(ragdoll, r"no token .*\n.*HF_TOKEN", "--push-to-hub", "ada/m")


def test_offline_is_refused_before_training(ragdoll: Ragdoll) -> None:
    refused(ragdoll, r"HF_HUB_OFFLINE .*\nUnset it", "--push-to-hub", "ada/m")


def test_public_alone_is_refused_before_training(ragdoll: Ragdoll) -> None:
    refused(ragdoll, r"--public .*\nName it by --push-to-hub", "--public")


def refused(ragdoll: Ragdoll, pattern: str, *options: str) -> None:
    """Check that wrong usage takes two lines, and comes before the error of missing features."""
    result = ragdoll("train", *options)
    assert (result.status, result.out) == (2, "")
    assert len(result.err.splitlines()) == 2
    assert re.search(pattern, result.err), result.err


def test_an_id_with_or_without_an_owner_passes(online: None) -> None:
    check("ada/m")
    check("m")


NAMES = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]), min_size=1)
ROOTS = st.sampled_from(["/", "C:\\", "C:/", "\\\\server\\", "~/", "~ada/"])


@given(ROOTS, st.lists(NAMES, min_size=1), st.sampled_from(["/", "\\"]), st.booleans())
def test_of_a_path_the_last_component_is_left(
    root: str, names: list[str], separator: str, ended: bool
) -> None:
    path = root + separator.join(names) + separator * ended
    assert without_paths({"a": [path, {"b": path}]}) == {"a": [names[-1], {"b": names[-1]}]}


@pytest.mark.parametrize(
    "value", ["sentence-transformers/all-MiniLM-L6-v2", "python:x", "", 3, None]
)
def test_what_is_no_path_is_left(value: object) -> None:
    assert without_paths({"a": value, "corpus": {"path": TRAINING_CORPUS}}) == {
        "a": value,
        "corpus": {"path": TRAINING_CORPUS},
    }
