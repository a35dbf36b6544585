"""Training: a model that other libraries load, better than what it started from."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.training import projection
from ragdoll.distillation.training.agreement import linear_loss, neighbour_agreement
from ragdoll.distillation.training.train import TrainSettings, train
from ragdoll.errors import FeaturesError, TeacherError, TrainingError, UsageError
from ragdoll.streams import silent
from tests.conftest import TRAINING_CORPUS, Ragdoll, Trained
from tests.distillation.reading import load_features

SMALL = {"pca_dims": 32, "epochs": 3}
TOKENLEARN = {"method": "tokenlearn", "pca_dims": 32, "batch_size": 32, "epochs": 8}


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
    assert provenance["features"]["corpus"] == {"path": TRAINING_CORPUS}
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
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    other = SentenceTransformer(str(folder), device="cpu").encode(texts)
    np.testing.assert_allclose(other, vectors, atol=1e-5)


def test_the_configuration_states_the_true_dimension(trained: Trained) -> None:
    config = json.loads((trained.model / "config.json").read_text())
    assert config["hidden_dim"] == 32


def test_the_model_card_has_the_provenance(trained: Trained, small_teacher: Path) -> None:
    card = (trained.model / "README.md").read_text()
    assert f"base_model: {json.dumps(str(small_teacher))}" in card
    assert "held-out agreement: distillate" in card


def test_the_json_has_the_keys_of_the_contract(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    result = ragdoll(
        "train", "--features", trained.features, "--output", tmp_path / "m", "--pca-dims", 16,
        "--epochs", 2, "--json",
    )  # fmt: skip
    assert result.status == 0, result.err
    record = result.json
    assert set(record) >= {
        "model",
        "distillate",
        "variants",
        "dimension",
        "vocabulary",
        "method",
        "explained_variance",
        "validation_loss",
        "heldout_agreement",
        "epochs",
        "seconds",
    }
    assert (record["dimension"], record["epochs"]) == (16, 2)
    assert Path(record["variants"]["weighted"]).is_dir()


def test_a_person_is_told_the_explained_variance_and_what_to_do_next(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    Path("my.toml").write_text('[corpus]\npath = "python:stdlib"\n')
    model = tmp_path / "m"
    result = ragdoll(
        "train", "--features", trained.features, "--output", model, "--pca-dims", 16,
        "--epochs", 1, "--config", "my.toml",
    )  # fmt: skip
    assert "explained variance" in result.out
    assert f"Next: ragdoll index --config my.toml --model {model}\n" in result.err


def test_the_same_seed_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(TrainSettings(trained.features, tmp_path / name, **SMALL), replaces=trained.model)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert Path("model.safetensors") in files
    for file in files:
        if (tmp_path / "a" / file).is_file():
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_seed_holds_out_other_passages(trained: Trained, tmp_path: Path) -> None:
    losses = [
        train(
            TrainSettings(trained.features, tmp_path / "m", **SMALL, seed=seed),
            replaces=trained.model,
        ).validation_loss
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_the_method_tokenlearn_brings_the_model_nearer_too(
    trained: Trained, tmp_path: Path
) -> None:
    settings = TrainSettings(trained.features, tmp_path / "m", **TOKENLEARN)
    result = train(settings, replaces=trained.model)
    assert result.method == "tokenlearn"
    assert result.agreement[result.recommended] > result.agreement["distillate"] + 0.01


@pytest.mark.parametrize(
    ("option", "value"), [("--lr", "0.1"), ("--batch-size", "8")], ids=["lr", "batch size"]
)
def test_ridge_refuses_the_options_of_gradient_descent(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path, option: str, value: str
) -> None:
    result = ragdoll(
        "train", "--features", trained.features, "--output", tmp_path / "m", option, value
    )
    assert result.status == 2
    assert f"no {option} ({value})" in result.err
    assert "--method tokenlearn" in result.err


def test_the_distillate_of_an_earlier_training_serves_again(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distilled(*arguments: object) -> None:
        raise AssertionError("distilled again")

    shutil.copytree(trained.model, tmp_path / "m")
    monkeypatch.setattr("ragdoll.distillation.training.train.distil", distilled)
    train(TrainSettings(trained.features, tmp_path / "m", **SMALL, seed=3))
    with pytest.raises(AssertionError, match="distilled again"):
        train(TrainSettings(trained.features, tmp_path / "m", pca_dims=16, epochs=1))


def test_a_model_does_not_tell_whether_its_distillate_served_before(
    trained: Trained, undisturbed: Undisturbed
) -> None:
    assert same_model(undisturbed.model, trained.model)


def test_as_many_terms_of_the_corpus_as_asked_for_join_the_vocabulary(
    trained: Trained, tmp_path: Path
) -> None:
    from ragdoll.embedding.inspection import inspect

    settings = TrainSettings(trained.features, tmp_path / "m", pca_dims=16, epochs=1, vocab_size=99)
    assert train(settings).vocabulary == inspect(trained.model).vocabulary + 99


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_model_is_saved_in_the_type_asked_for(
    trained: Trained, tmp_path: Path, dtype: str
) -> None:
    from ragdoll.embedding.inspection import inspect

    settings = TrainSettings(trained.features, tmp_path / "m", **SMALL, save_dtype=dtype)  # type: ignore[arg-type]
    result = train(settings, replaces=trained.model)
    assert inspect(tmp_path / "m").dtype == dtype
    assert result.agreement[result.recommended] > result.agreement["distillate"]


def test_too_few_passages_are_refused_with_the_number_needed(
    small_teacher: Path, tmp_path: Path
) -> None:
    write_features(tmp_path / "f", small_teacher, rows=20, dimension=40)
    with pytest.raises(
        TrainingError, match="For 40 dimensions, 44 passages are needed; there are 20"
    ):
        train(TrainSettings(tmp_path / "f", tmp_path / "m", pca_dims=40))
    assert not (tmp_path / "m").exists()


def test_more_dimensions_than_the_teacher_has_are_refused(
    small_teacher: Path, tmp_path: Path
) -> None:
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=8)
    with pytest.raises(TrainingError, match="more than the 8"):
        train(TrainSettings(tmp_path / "f", tmp_path / "m", pca_dims=16))


def test_features_of_other_weights_are_refused(small_teacher: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "f", small_teacher, rows=60, dimension=8, fingerprint="other")
    with pytest.raises(FeaturesError, match="not those that made the features"):
        train(TrainSettings(tmp_path / "f", tmp_path / "m", pca_dims=4))


def test_a_teacher_that_contradicts_the_features_is_refused(
    trained: Trained, tmp_path: Path
) -> None:
    with pytest.raises(FeaturesError, match="not by other/teacher"):
        train(TrainSettings(trained.features, tmp_path / "m", **SMALL), teacher="other/teacher")


def test_features_that_name_no_teacher_need_the_option(
    trained: Trained, small_teacher: Path, tmp_path: Path
) -> None:
    features = load_features(trained.features)
    folder = tmp_path / "tokenlearn"
    folder.mkdir()
    (folder / "feature_32.json").write_text(json.dumps(features.texts))
    np.save(folder / "feature_32.npy", features.vectors)
    with pytest.raises(UsageError, match="which teacher"):
        train(TrainSettings(folder, tmp_path / "m", **SMALL))
    train(TrainSettings(folder, tmp_path / "m", **SMALL), teacher=str(small_teacher))
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_a_folder_with_something_else_is_never_replaced(
    ragdoll: Ragdoll, trained: Trained, docs: Path
) -> None:
    result = ragdoll("train", "--features", trained.features, "--output", docs)
    assert result.status == 2
    assert "left as it is" in result.err
    assert (docs / "loop.md").is_file()


def test_a_failed_training_leaves_the_old_model(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.model, tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="diverged"):
        train(TrainSettings(trained.features, tmp_path / "m", **TOKENLEARN, lr=1e30))
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_tokenizer_without_a_pad_token_is_trained_and_its_distillate_loads(
    trained: Trained,
) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    from ragdoll.distillation.training import tokenlearn_method

    content = (trained.model / "tokenizer.json").read_text().replace("[PAD]", "<pad>")
    vectors = StaticModel.from_pretrained(trained.model / "distillate").embedding
    distillate = StaticModel(vectors, Tokenizer.from_str(content))
    texts = ["the event loop", "a lock", "a timer"]
    targets = np.eye(3, 4, dtype=np.float32)
    model, epochs, _ = tokenlearn_method.fit(
        distillate,
        (texts, targets),
        (texts, targets),
        batch_size=2,
        lr=1e-3,
        patience=1,
        epochs=2,
        device="cpu",
        report=silent,
    )
    assert epochs == 2
    assert np.isfinite(model.embedding).all()
    assert np.abs(model.encode(texts)).sum() > 0
    assert len(distillate.embedding) == distillate.tokenizer.get_vocab_size()


def test_the_teacher_of_the_settings_serves_features_that_name_none(
    ragdoll: Ragdoll, trained: Trained, small_teacher: Path, tmp_path: Path
) -> None:
    features = load_features(trained.features)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "feature_1.json").write_text(json.dumps(features.texts))
    np.save(tmp_path / "f" / "feature_1.npy", features.vectors)
    arguments = ["train", "--features", tmp_path / "f", "--output", tmp_path / "m"]
    arguments += ["--pca-dims", 8, "--epochs", 1]
    assert ragdoll(*arguments).status == 2
    Path("ragdoll.toml").write_text(f'[teacher]\nmodel = "{small_teacher}"\n')
    assert ragdoll(*arguments).status == 0


class Undisturbed(NamedTuple):
    """A training that nothing disturbed, and the passes of the solver that it took."""

    model: Path
    passes: int


@pytest.fixture(scope="module")
def undisturbed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    model = tmp_path_factory.mktemp("undisturbed") / "m"
    with pytest.MonkeyPatch.context() as patch:
        steps = counted_passes(patch)
        train(TrainSettings(trained.features, model, pca_dims=32), replaces=trained.model)
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
    settings = TrainSettings(trained.features, tmp_path / "m", pca_dims=32, epochs=4)
    result = train(settings, replaces=trained.model)
    assert (result.epochs, result.interrupted) == (4, True)
    assert result.agreement[result.recommended] > result.agreement["distillate"]


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
    settings = TrainSettings(trained.features, tmp_path / "m", pca_dims=32)
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
    settings = TrainSettings(trained.features, tmp_path / "m", pca_dims=32)
    with monkeypatch.context() as patch:
        patch.setattr(place, fails)
        with pytest.raises(TrainingError) as caught:
            train(settings, replaces=trained.model)
    message = f"{tmp_path} cannot be written: No space left on device."
    assert caught.value.message == message
    assert ("goes on from there" in str(caught.value.hint)) is is_gone_on_with
    # What is of no use is not to fill the disk.
    left = [".m.ragdoll-training"] if is_gone_on_with else []
    assert [path.name for path in tmp_path.iterdir()] == left
    train(settings, replaces=trained.model)
    assert same_model(tmp_path / "m", undisturbed.model)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_place_of_work_that_is_removed_is_said_to_be(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(*arguments: object) -> None:
        shutil.rmtree(tmp_path / ".m.ragdoll-training")
        save(*arguments)  # type: ignore[arg-type]

    save = projection._save
    monkeypatch.setattr(projection, "_save", removed)
    with pytest.raises(TrainingError, match="has been removed while the model was made"):
        train(TrainSettings(trained.features, tmp_path / "m", **SMALL), replaces=trained.model)
    assert not list(tmp_path.iterdir())


def test_a_half_saved_model_that_is_removed_is_said_to_be_and_made_again(
    trained: Trained, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(*arguments: object) -> str:
        shutil.rmtree(tmp_path / ".m.ragdoll-partial")
        return card(*arguments)  # type: ignore[arg-type]

    card = model_folder.card
    settings = TrainSettings(trained.features, tmp_path / "m", pca_dims=32)
    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "card", removed)
        with pytest.raises(TrainingError, match=r"README\.md has been removed while the model was"):
            train(settings, replaces=trained.model)
    train(settings, replaces=trained.model)
    assert same_model(tmp_path / "m", undisturbed.model)


def test_an_error_leaves_what_an_interrupted_training_can_go_on_from(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise TeacherError("the teacher is gone")

    settings = TrainSettings(trained.features, tmp_path / "m", **SMALL)
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes=0)
        with pytest.raises(KeyboardInterrupt):
            train(settings, replaces=trained.model)
    with monkeypatch.context() as patch:
        patch.setattr("ragdoll.distillation.training.train.distil", missing)
        with pytest.raises(TeacherError):
            train(settings)
    assert projection.is_whole(tmp_path / ".m.ragdoll-training")


def test_a_model_whose_replacement_fails_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("m", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model_folder.replace(tmp_path / "m", tmp_path / "new")
    assert (tmp_path / "m" / "which").read_text() == "m"


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, passes=2)
        train(TrainSettings(trained.features, tmp_path / "m", **SMALL), replaces=trained.model)
    steps = counted_passes(monkeypatch)
    train(TrainSettings(trained.features, tmp_path / "m", **SMALL, seed=5))
    assert len(steps) == 6


def test_a_second_training_of_the_same_model_is_refused(trained: Trained, tmp_path: Path) -> None:
    from ragdoll.distillation.model.folder import only_maker

    with (
        only_maker(tmp_path / "m"),
        pytest.raises(TrainingError, match="Another process"),
    ):
        train(TrainSettings(trained.features, tmp_path / "m", **SMALL))


def test_an_interrupted_training_with_tokenlearn_gives_its_best_state(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragdoll.distillation.training import tokenlearn_method

    def interrupted(self: object, batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenlearn_method._Dataset, "_collate", interrupted)
    result = ragdoll(
        "train", "--features", trained.features, "--output", tmp_path / "m", "--pca-dims", 16,
        "--method", "tokenlearn",
    )  # fmt: skip
    assert result.status == 130
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_the_state_of_the_lowest_loss_is_restored_not_the_last(trained: Trained) -> None:
    import torch
    from model2vec import StaticModel

    from ragdoll.distillation.training import tokenlearn_method

    distillate = StaticModel.from_pretrained(trained.model / "distillate")
    texts = ["the event loop", "a lock", "a timer", "a stream"]
    targets = np.eye(4, 8, dtype=np.float32)

    def fitted(epochs: int) -> np.ndarray:
        torch.manual_seed(0)
        # What is learned of the training targets soon makes the validation worse.
        return tokenlearn_method.fit(
            distillate,
            (texts, targets),
            (texts, -targets),
            batch_size=4,
            lr=1e-2,
            patience=50,
            epochs=epochs,
            device="cpu",
            report=silent,
        ).model.embedding

    np.testing.assert_array_equal(fitted(16), fitted(32))


def interrupt_after(
    patch: pytest.MonkeyPatch, passes: int, error: type[BaseException] = KeyboardInterrupt
) -> None:
    """Let the solver be interrupted in the pass after so many."""
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
    """Whether all files of two model folders are the same."""
    first, second = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
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


def test_agreement_is_one_with_itself_and_near_chance_with_noise() -> None:
    random = np.random.default_rng(0)
    teacher = random.normal(size=(300, 16)).astype(np.float32)
    assert neighbour_agreement(teacher * 3, teacher) == 1
    noise = random.normal(size=(300, 16)).astype(np.float32)
    assert neighbour_agreement(noise, teacher) < 0.1


def test_agreement_of_too_few_rows_is_defined() -> None:
    one = np.ones((1, 4), np.float32)
    assert neighbour_agreement(one, one) == 0
    two = np.eye(2, dtype=np.float32)
    assert neighbour_agreement(two, two) == 1


def test_the_linear_loss_is_small_for_a_linear_image_and_large_for_noise() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 8)).astype(np.float32)
    y = (x @ random.normal(size=(8, 4)) + 3).astype(np.float32)
    noise = random.normal(size=(400, 8)).astype(np.float32)
    good = linear_loss((x[:300], x[300:]), (y[:300], y[300:]))
    bad = linear_loss((noise[:300], noise[300:]), (y[:300], y[300:]))
    assert good < 0.01 < 1 < bad
