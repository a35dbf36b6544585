"""Named models are found in a folder, in the hub's cache, or in the package that carries one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragdoll.embedding import identity as lookup
from ragdoll.embedding.identity import find_model, located, looks_like_path
from tests.conftest import Ragdoll, Trained

BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty; its client reads the variables only when it is first imported."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def _bundle_not_yet_checked() -> Iterator[None]:
    lookup._bundled.cache_clear()
    yield
    lookup._bundled.cache_clear()


def put_into(cache: Path, name: str, model: Path) -> Path:
    """Lay a model where the hub's client keeps what it fetched."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / REVISION
    shutil.copytree(model, snapshot, ignore=shutil.ignore_patterns("variants", "distillate"))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return snapshot


@pytest.mark.parametrize("form", ["model", "./model", "absolute"])
def test_a_local_folder_is_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    name = str(tmp_path / "model") if form == "absolute" else form
    assert find_model(name) == Path(name)


def test_a_folder_in_the_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/model") == tmp_path / "model"


@pytest.mark.parametrize(
    "name",
    ["./gone", "../gone", "/gone", "~/gone", "a/b/c", "~nobody-of-this-name/model"],
)
def test_what_can_only_be_a_folder_and_is_missing_is_not_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_cached", lambda _: pytest.fail("the hub's cache was asked"))
    assert looks_like_path(name)
    assert find_model(name) is None


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "owner/name", "owner/name.v2"])
def test_a_hub_id_does_not_look_like_a_path(name: str) -> None:
    assert not looks_like_path(name)


@pytest.mark.parametrize("name", ["owner/name", "no such id", "a--b", "owner/.."])
def test_what_is_nowhere_is_not_found(name: str) -> None:
    assert find_model(name) is None


@pytest.mark.parametrize("name", [BUNDLED, "all-MiniLM-L6-v2"])
@pytest.mark.usefixtures("_bundle_not_yet_checked")
def test_the_model_that_a_package_carries_is_found_by_its_hub_name(name: str) -> None:
    found = find_model(name)
    assert found is not None
    assert (found / "model.safetensors").is_file()
    assert (found / "modules.json").is_file()


@pytest.mark.usefixtures("_bundle_not_yet_checked")
def test_a_package_whose_weights_have_another_hash_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookup, "_BUNDLE_SHA256", "0" * 64)
    assert find_model(BUNDLED) is None


@pytest.mark.usefixtures("_bundle_not_yet_checked")
def test_without_the_package_the_model_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_BUNDLE", "a_package_that_is_not_installed")
    assert find_model(BUNDLED) is None


def test_a_package_is_used_for_no_other_model() -> None:
    assert find_model("sentence-transformers/all-MiniLM-L12-v2") is None


def test_a_model_in_the_hubs_cache_is_found_offline(
    cache: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = put_into(cache, "owner/name", trained.model)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "__init__", refused)
    found = find_model("owner/name")
    assert found is not None
    assert found.resolve() == snapshot.resolve()


def test_a_cached_model_comes_before_the_package(cache: Path, trained: Trained) -> None:
    snapshot = put_into(cache, BUNDLED, trained.model)
    found = find_model(BUNDLED)
    assert found is not None
    assert found.resolve() == snapshot.resolve()


def test_a_snapshot_without_weights_is_no_model(cache: Path, trained: Trained) -> None:
    snapshot = put_into(cache, "owner/name", trained.model)
    (snapshot / "model.safetensors").unlink()
    assert find_model("owner/name") is None


def test_a_cached_model_is_inspected_by_its_hub_id(
    ragdoll: Ragdoll, cache: Path, trained: Trained
) -> None:
    put_into(cache, "owner/name", trained.model)
    result = ragdoll("inspect-model", "owner/name", "--json")
    assert (result.status, result.err) == (0, "")
    assert result.json["kind"] == "model2vec"


@pytest.mark.parametrize("name", ["./gone", "owner/name", "x" * 5000])
def test_a_model_that_is_nowhere_is_located_under_its_own_name(name: str) -> None:
    assert located(name) == Path(name)


def test_a_model_is_located_by_its_hub_id(cache: Path, trained: Trained) -> None:
    snapshot = put_into(cache, "owner/name", trained.model)
    assert located("owner/name").resolve() == snapshot.resolve()
