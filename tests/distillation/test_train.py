"""Training: a model that other libraries load, better than what it started from."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tokenizers import Tokenizer

import ragdoll
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest
from ragdoll.distillation.training import projection
from ragdoll.distillation.training.workplace import only_maker
from ragdoll.embedding.static import StaticModel
from ragdoll.errors import FeaturesError, TeacherError, TrainingError, UsageError
from tests.closeness import assert_alike, cosines
from tests.conftest import TRAINING_CORPUS, Ragdoll, Trained
from tests.distillation.reading import load_features
from tests.making import train, train_settings

SMALL = {"pca_dims": 32, "epochs": 3}


@pytest.fixture(scope="module")
def provenance(trained: Trained) -> dict:
    return json.loads((trained.model / "ragdoll.json").read_text())


def test_training_brings_the_model_nearer_to_its_teacher(provenance: dict) -> None:
    agreement = provenance["heldout_agreement"]
    assert agreement[provenance["recommended"]] > agreement["distillate"] + 0.02


def test_the_recommended_model_is_the_better_variant(provenance: dict) -> None:
    agreement = provenance["heldout_agreement"]
    other = {"weighted": "unweighted", "unweighted": "weighted"}[provenance["recommended"]]
    assert agreement[provenance["recommended"]] >= agreement[other]


def test_the_root_holds_the_recommended_variant(trained: Trained, provenance: dict) -> None:
    variant = trained.model / "variants" / provenance["recommended"]
    root = (trained.model / "model.safetensors").read_bytes()
    assert (variant / "model.safetensors").read_bytes() == root


def test_the_model_says_what_it_was_made_of(provenance: dict, small_teacher: Path) -> None:
    assert provenance["teacher"]["name"] == str(small_teacher)
    assert provenance["settings"]["seed"] == 0
    assert provenance["features"]["corpus"]["path"] == TRAINING_CORPUS
    assert 0 < provenance["explained_variance"] <= 1
    assert {"ragdoll", "torch", "model2vec", "tokenlearn"} <= set(provenance["versions"])


@pytest.mark.parametrize("part", [".", "variants/weighted", "variants/unweighted", "distillate"])
def test_every_saved_model_loads_elsewhere_with_the_same_vectors(
    trained: Trained, part: str
) -> None:
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    texts = ["call a function after a delay", "the event loop", "a lock"]
    folder = trained.model / part
    model = StaticModel.from_pretrained(folder)
    vectors = model.encode(texts)
    assert vectors.shape == (3, 32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert_alike(SentenceTransformer(str(folder), device="cpu").encode(texts), vectors)


def test_the_configuration_states_the_true_dimension(trained: Trained) -> None:
    config = json.loads((trained.model / "config.json").read_text())
    assert config["hidden_dim"] == 32


def test_the_model_card_has_the_provenance(trained: Trained, small_teacher: Path) -> None:
    card = (trained.model / "README.md").read_text()
    assert f"base_model: {json.dumps(str(small_teacher))}" in card
    assert "held-out agreement: distillate" in card


def test_the_same_seed_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(train_settings(trained.features, tmp_path / name, **SMALL), replaces=trained.model)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert Path("model.safetensors") in files
    for file in files:
        if (tmp_path / "a" / file).is_file():
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_seed_holds_out_other_passages(trained: Trained, tmp_path: Path) -> None:
    losses = [
        train(
            train_settings(trained.features, tmp_path / "m", **SMALL, seed=seed),
            replaces=trained.model,
        ).validation_loss
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_a_sample_of_the_features_is_enough(trained: Trained, tmp_path: Path) -> None:
    settings = train_settings(trained.features, tmp_path / "m", **SMALL, max_passages=200)
    result = train(settings, replaces=trained.model)
    assert (result.rows, result.available) == (200, len(load_features(trained.features).texts))
    record = json.loads((tmp_path / "m" / "ragdoll.json").read_text())
    assert record["settings"]["max_passages"] == 200


def test_the_distillate_of_an_earlier_training_serves_again(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distilled(*arguments: object) -> None:
        raise AssertionError("distilled again")

    shutil.copytree(trained.model, tmp_path / "m")
    monkeypatch.setattr("ragdoll.distillation.training.train.distil", distilled)
    train(train_settings(trained.features, tmp_path / "m", **SMALL, seed=3))
    with pytest.raises(AssertionError, match="distilled again"):
        train(train_settings(trained.features, tmp_path / "m", pca_dims=16, epochs=1))


def test_a_model_does_not_tell_whether_its_distillate_served_before(
    trained: Trained, undisturbed: Undisturbed
) -> None:
    assert same_model(undisturbed.model, trained.model)


def test_as_many_terms_of_the_corpus_as_asked_for_join_the_vocabulary(
    trained: Trained, tmp_path: Path
) -> None:
    from ragdoll.embedding.inspection import inspect

    settings = train_settings(
        trained.features, tmp_path / "m", pca_dims=16, epochs=1, vocab_size=99
    )
    assert train(settings).vocabulary == inspect(trained.model).vocabulary + 99


def test_an_unknown_word_adds_nothing_in_other_libraries(trained: Trained) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["a lock \u2603 guards a resource", "a lock guards a resource", "\u2603"]
    own = StaticModel.load(trained.model).encode(texts)
    assert_alike(own[0], own[1])
    assert not own[2].any()
    assert_alike(SentenceTransformer(str(trained.model)).encode(texts), own)


def test_terms_of_a_file_join_the_vocabulary_and_its_content_counts(
    trained: Trained, tmp_path: Path
) -> None:
    file = tmp_path / "terms.txt"
    file.write_text("event loop\ncovid-19\n")
    small = {"pca_dims": 16, "epochs": 1}
    first = train(train_settings(trained.features, tmp_path / "m", **small, terms=str(file)))
    assert {"event loop", "covid-19"} <= Tokenizer.from_file(
        str(first.model / "tokenizer.json")
    ).get_vocab().keys()
    recorded = json.loads((first.model / "ragdoll.json").read_text())["settings"]["terms"]
    assert recorded.startswith("2 terms (")
    file.write_text("event loop\n")
    settings = train_settings(trained.features, tmp_path / "m", **small, terms=str(file))
    assert train(settings).vocabulary == first.vocabulary - 1


@pytest.mark.parametrize("method", ["ridge", "tokenlearn"])
def test_a_share_of_the_variance_is_kept_by_the_fewest_dimensions(
    trained: Trained, tmp_path: Path, method: str
) -> None:
    share = 0.6
    found = train(
        train_settings(trained.features, tmp_path / "m", pca_dims=share, epochs=1, method=method)
    )
    assert found.explained_variance >= share
    fewer = train_settings(
        trained.features, tmp_path / "f", pca_dims=found.dimension - 1, epochs=1, method=method
    )
    assert train(fewer, replaces=tmp_path / "m").explained_variance < share


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_model_is_saved_in_the_type_asked_for(
    trained: Trained, tmp_path: Path, dtype: str
) -> None:
    from model2vec import StaticModel as Model2Vec
    from sentence_transformers import SentenceTransformer

    from ragdoll.embedding.inspection import inspect

    settings = train_settings(trained.features, tmp_path / "m", **SMALL, save_dtype=dtype)  # type: ignore[arg-type]
    result = train(settings, replaces=trained.model)
    assert inspect(tmp_path / "m").dtype == dtype
    assert result.agreement[result.recommended] > result.agreement["distillate"]
    texts = ["a lock guards a resource", "the event loop", ""]
    vectors = StaticModel.load(tmp_path / "m").encode(texts)
    whole = train(train_settings(trained.features, tmp_path / "f", **SMALL), replaces=trained.model)
    exact = StaticModel.load(whole.model).encode(texts)
    assert cosines(vectors[:2], exact[:2]).min() > 0.9999
    for reader in (
        SentenceTransformer(str(tmp_path / "m")),
        Model2Vec.from_pretrained(tmp_path / "m"),
    ):
        assert_alike(np.asarray(reader.encode(texts)), vectors)


def test_few_passages_make_a_model_of_fewer_dimensions(small_teacher: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "f", small_teacher, rows=40, dimension=48)
    result = train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=48))
    assert (result.dimension, result.wanted) == (36, 48)
    assert set(result.variants) == {"weighted", "unweighted"}


def test_the_default_is_no_more_dimensions_than_the_teacher_has(
    small_teacher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=32)
    result = train(train_settings(tmp_path / "f", tmp_path / "m"))
    assert result.dimension == 32
    assert "the 32 dimensions of its teacher" in caplog.text
    with pytest.raises(TrainingError, match="33 dimensions are more than the 32 of the teacher"):
        train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=33))


@pytest.mark.parametrize(("rows", "dimensions"), [(1, 16), (9, 2), (20, 40)])
def test_of_too_few_passages_the_model_is_the_distillate(
    small_teacher: Path, tmp_path: Path, rows: int, dimensions: int
) -> None:
    write_features(tmp_path / "f", small_teacher, rows=rows, dimension=48)
    result = train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=dimensions))
    assert (result.recommended, result.agreement, result.variants) == ("distillate", {}, {})
    assert (result.explained_variance, result.validation_loss) == (None, None)
    model = ragdoll.StaticModel.load(tmp_path / "m")
    distillate = ragdoll.StaticModel.load(result.distillate)
    assert model.identity.fingerprint == distillate.identity.fingerprint
    assert "not trained" in (tmp_path / "m/README.md").read_text()


def test_more_dimensions_than_the_teacher_has_are_refused(
    small_teacher: Path, tmp_path: Path
) -> None:
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=8)
    with pytest.raises(TrainingError, match="16 dimensions"):
        train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=16))


def test_features_of_other_weights_are_refused(small_teacher: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=8, fingerprint="other")
    with pytest.raises(FeaturesError, match=small_teacher.name):
        train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=4))


@pytest.mark.skipif(os.name != "posix", reason="other systems have other permissions")
def test_all_files_of_a_model_have_the_same_permissions(trained: Trained) -> None:
    files = [path for path in trained.model.rglob("*") if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1


def test_features_of_another_teacher_are_refused(
    small_teacher: Path, tmp_path: Path, trained: Trained
) -> None:
    other = Path(shutil.copytree(small_teacher, tmp_path / "other"))
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=8)
    settings = other / "config_sentence_transformers.json"
    settings.write_text('{"prompts": {"query": "q: "}}')
    with pytest.raises(FeaturesError, match=f"not by {other}"):
        train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=4), str(other))


def test_a_teacher_that_was_moved_is_the_same_one(small_teacher: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(small_teacher, tmp_path / "moved"))
    gone = tmp_path / "gone"
    write_features(tmp_path / "f", moved, rows=60, dimension=8)
    manifest = tmp_path / "f" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(moved), str(gone)))
    with pytest.raises(TeacherError, match="not on this machine"):
        train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=4))
    result = train(train_settings(tmp_path / "f", tmp_path / "m", pca_dims=4), str(moved))
    assert result.dimension == 4


def test_features_that_name_no_teacher_need_the_option(
    trained: Trained, small_teacher: Path, tmp_path: Path
) -> None:
    features = load_features(trained.features)
    folder = tmp_path / "tokenlearn"
    folder.mkdir()
    (folder / "feature_32.json").write_text(json.dumps(features.texts))
    np.save(folder / "feature_32.npy", features.vectors)
    with pytest.raises(UsageError, match="teacher"):
        train(train_settings(folder, tmp_path / "m", **SMALL))
    train(train_settings(folder, tmp_path / "m", **SMALL), teacher=str(small_teacher))
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_a_folder_with_something_else_is_never_replaced(trained: Trained, docs: Path) -> None:
    with pytest.raises(UsageError, match=str(docs)):
        train(train_settings(trained.features, docs))
    assert (docs / "loop.md").is_file()


class Undisturbed(NamedTuple):
    """A training that nothing disturbed, and the passes of the solver that it took."""

    model: Path
    passes: int


@pytest.fixture(scope="module")
def undisturbed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    model = tmp_path_factory.mktemp("undisturbed") / "m"
    with pytest.MonkeyPatch.context() as patch:
        steps = counted_passes(patch)
        train(train_settings(trained.features, model, pca_dims=32), replaces=trained.model)
        return Undisturbed(model, len(steps))


def test_an_interrupted_training_keeps_the_best_so_far_and_goes_on_from_there(
    ragdoll: Ragdoll,
    trained: Trained,
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For its distillate, which need not be made again.
    shutil.copytree(trained.model, tmp_path / "m")
    command = ["train", "--features", trained.features, "--output", tmp_path / "m"]
    command += ["--pca-dims", 32, "--json"]
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes=4)
        first = ragdoll(*command)
    assert first.status == 130
    assert "goes on from there" in first.err
    assert (first.json["epochs"], first.json["interrupted"]) == (4, True)
    assert json.loads((tmp_path / "m" / "ragdoll.json").read_text())["interrupted"] is True

    steps = counted_passes(monkeypatch)
    second = ragdoll(*command)
    assert second.status == 0
    assert len(steps) == undisturbed.passes - 4
    assert same_model(tmp_path / "m", undisturbed.model)
    assert not second.json["interrupted"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_training_interrupted_while_it_learns_from_all_gives_what_was_measured(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(monkeypatch, passes=5)
    settings = train_settings(trained.features, tmp_path / "m", pca_dims=32, epochs=4)
    result = train(settings, replaces=trained.model)
    assert (result.epochs, result.interrupted) == (4, True)
    assert result.agreement[result.recommended] > result.agreement["distillate"]


@pytest.mark.parametrize("left", [None, 2], ids=["choosing", "learning from all"])
def test_a_killed_training_goes_on_from_its_checkpoint_with_the_same_result(
    trained: Trained,
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: int | None,
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(
        "ragdoll.distillation.training.ridge_method._SECONDS_BETWEEN_CHECKPOINTS", 0
    )
    settings = train_settings(trained.features, tmp_path / "m", pca_dims=32)
    passes = undisturbed.passes - left if left else 3
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes, Killed)
        with pytest.raises(Killed):
            train(settings, replaces=trained.model)
    steps = counted_passes(monkeypatch)
    train(settings, replaces=trained.model)
    assert len(steps) == undisturbed.passes - passes
    assert same_model(tmp_path / "m", undisturbed.model)


def full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_in_rust(*arguments: object, **options: object) -> None:
    raise Exception(  # noqa: TRY002  (which is what tokenizers raises)
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )


@pytest.mark.parametrize(
    ("place", "fails", "is_gone_on_with"),
    [
        ("ragdoll.distillation.training.projection._save", full, False),
        ("safetensors.numpy.save_file", full_in_rust, True),
        ("model2vec.StaticModel.save_pretrained", full_in_rust, True),
        ("ragdoll.distillation.model.folder.card", full, True),
    ],
    ids=["projecting", "a checkpoint", "saving", "the card"],
)
def test_a_full_disk_is_said_in_a_line_and_the_next_training_goes_on(
    trained: Trained,
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    fails: Callable[..., None],
    is_gone_on_with: bool,
) -> None:
    settings = train_settings(trained.features, tmp_path / "m", pca_dims=32)
    with monkeypatch.context() as patch:
        patch.setattr(place, fails)
        with pytest.raises(TrainingError) as caught:
            train(settings, replaces=trained.model)
    assert caught.value.message.startswith(str(tmp_path))
    assert "No space left on device" in caught.value.message
    assert ("goes on from there" in str(caught.value.hint)) is is_gone_on_with
    # Useless work must not fill the disk.
    left = [".m.ragdoll-training"] if is_gone_on_with else []
    assert [path.name for path in tmp_path.iterdir()] == left
    train(settings, replaces=trained.model)
    assert same_model(tmp_path / "m", undisturbed.model)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_an_error_leaves_what_an_interrupted_training_can_go_on_from(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise TeacherError("the teacher is gone")

    settings = train_settings(trained.features, tmp_path / "m", **SMALL)
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes=0)
        with pytest.raises(KeyboardInterrupt):
            train(settings, replaces=trained.model)
    with monkeypatch.context() as patch:
        patch.setattr("ragdoll.distillation.training.train.distil", missing)
        with pytest.raises(TeacherError):
            train(settings)
    assert projection.is_complete(tmp_path / ".m.ragdoll-training")


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes=2)
        train(train_settings(trained.features, tmp_path / "m", **SMALL), replaces=trained.model)
    steps = counted_passes(monkeypatch)
    train(train_settings(trained.features, tmp_path / "m", **SMALL, seed=5))
    assert len(steps) == 6


def test_a_second_training_of_the_same_model_is_refused(trained: Trained, tmp_path: Path) -> None:
    with (
        only_maker(tmp_path / "m"),
        pytest.raises(TrainingError, match=f"{tmp_path}/m"),
    ):
        train(train_settings(trained.features, tmp_path / "m", **SMALL))


# The command


def test_a_training_interrupted_before_its_first_pass_writes_no_model(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(monkeypatch, passes=0)
    result = ragdoll(
        "train", "--features", trained.features, "--output", tmp_path / "m", "--pca-dims", 16
    )
    assert result.status == 130
    assert "No model was written" in result.err
    assert not (tmp_path / "m").exists()


# Helpers


def interrupt_after(
    patch: pytest.MonkeyPatch, passes: int, error: type[BaseException] = KeyboardInterrupt
) -> None:
    """Let the solver be interrupted after some passes."""
    from ragdoll.distillation.training.ridge import Ridge

    step = Ridge.step
    done = []

    def interrupted(self: Ridge, state: object) -> object:
        if len(done) == passes:
            raise error
        done.append(1)
        return step(self, state)  # type: ignore[arg-type]

    patch.setattr(Ridge, "step", interrupted)


def counted_passes(patch: pytest.MonkeyPatch) -> list[int]:
    """Count the solver's passes from now on."""
    from ragdoll.distillation.training.ridge import Ridge

    step = Ridge.step
    done: list[int] = []

    def counted(self: Ridge, state: object) -> object:
        done.append(1)
        return step(self, state)  # type: ignore[arg-type]

    patch.setattr(Ridge, "step", counted)
    return done


def same_model(one: Path, other: Path) -> bool:
    """Tell whether two model folders have the same files, but for where the corpus lies."""

    def content(path: Path) -> object:
        if path.name != "ragdoll.json":
            return path.read_bytes()
        return {**json.loads(path.read_text()), "from_here": None}

    first, second = (
        {path.relative_to(folder): content(path) for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    )
    return first == second


def write_features(
    folder: Path, teacher: Path, rows: int, dimension: int, fingerprint: str | None = None
) -> None:
    from ragdoll.distillation.teacher.files import find_teacher

    features = FeaturesFolder(folder)
    vectors = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    name = features.write_part(0, [f"a task of number {row}" for row in range(rows)], vectors)
    manifest = Manifest(
        settings={
            "teacher": str(teacher),
            "teacher_fingerprint": fingerprint or find_teacher(str(teacher)).fingerprint,
        },
        dimension=dimension,
        parts=[{"file": name, "rows": rows, "tokens": rows, "hash": NO_HASH}],
        complete=True,
    )
    features.write_manifest(manifest)
