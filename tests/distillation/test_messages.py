"""The wording of this room's errors; other tests look at types and values only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants, errors

from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.reading import open_features
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.model import hub
from ragdoll.distillation.teacher.files import find_teacher, refuse_code
from ragdoll.distillation.teacher.model import choose_device
from ragdoll.distillation.training.projection import (
    ProjectionSettings,
    held_out_rows,
    refuse_dimension,
)
from ragdoll.distillation.training.train import Training
from ragdoll.distillation.training.workplace import workplace
from ragdoll.errors import (
    FeaturesError,
    RagdollError,
    TeacherError,
    TrainingError,
    UsageError,
)
from ragdoll.settings import TrainSettings
from ragdoll.streams import silent
from tests.distillation.test_features import write

Step = Callable[[], object]

FEATURES = Path("f")
MANIFEST = FEATURES / "manifest.json"


def both(*steps: Step) -> Step:
    return lambda: [step() for step in steps]


def holding(name: str, content: str = "") -> Step:
    def step() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)

    return step


def module(kind: str, path: str = "", config: str = "{}") -> Step:
    """Write a teacher of one module, which is then checked for code."""
    modules = json.dumps([{"path": path, "type": f"sentence_transformers.models.{kind}"}])
    return both(
        holding("t/modules.json", modules),
        holding(f"t/{path or '.'}/config.json", config),
        lambda: refuse_code("t", Path("t")),
    )


def features(**manifest: Any) -> Step:
    """Write features whose manifest is changed, and open them."""

    def step() -> None:
        write(FEATURES)
        MANIFEST.write_text(json.dumps({**json.loads(MANIFEST.read_text()), **manifest}))
        list(open_features(FEATURES).batches())

    return step


def other_part() -> None:
    write(FEATURES)
    FeaturesFolder(FEATURES).write_part(0, ["one"], np.ones((1, 4), np.float32))
    open_features(FEATURES)


def linked_part() -> None:
    write(FEATURES)
    (FEATURES / "data").rename("elsewhere")
    (FEATURES / "data").symlink_to(Path("elsewhere").absolute())
    open_features(FEATURES)


def pairs(texts: list[str], *widths: int) -> Step:
    """Write features as tokenlearn does, a file for each width, and read them."""

    def step() -> None:
        FEATURES.mkdir()
        for number, width in enumerate(widths):
            (FEATURES / f"feature_{number}.json").write_text(json.dumps(texts))
            np.save(FEATURES / f"feature_{number}.npy", np.ones((1, width), np.float32))
        list(open_features(FEATURES).batches())

    return step


def other_settings() -> None:
    write(FEATURES)
    folder = FeaturesFolder(FEATURES)
    manifest = folder.manifest()
    assert manifest
    folder.refuse_other(manifest, {"teacher": "u", "target": "mean"})


def train(teacher: str | None = None, trust: bool = False, **settings: Any) -> Step:
    chosen = TrainSettings(features="f", output="m", **settings)
    return both(lambda: write(FEATURES, 60), lambda: Training(chosen, teacher, trust, silent))


def linked_work() -> None:
    Path(".m.ragdoll-training").symlink_to("elsewhere")
    with workplace(Path("m")):
        pytest.fail("it is written through")


def rows(count: int, dimension: int) -> Step:
    settings = ProjectionSettings(dimension, unit=True, max_held_out=2000, seed=0)
    return lambda: held_out_rows(count, settings)


TRUST = "If you trust the code in its folder, pass `trust_remote_code=True`."
RESTART = "Make the features anew: `featurize(...)` with `restart=True`."

# The message and the hint, * for the words of a library; the type; the steps that raise it.
ERRORS: dict[str, tuple[type[RagdollError], Step]] = {
    "No teacher at nobody/nothing: there is no such folder, and the model hub is not asked, as "
    "HF_HUB_OFFLINE is set. Ways to get one: give a local folder as `teacher`; put the model into "
    "the Hugging Face cache (HF_HOME) on a machine with a network; unset HF_HUB_OFFLINE.": (
        TeacherError,
        lambda: find_teacher("nobody/nothing"),
    ),
    "No teacher at ./smal: there is no such folder. Give the folder of a sentence-transformer, or "
    "a hub id as OWNER/NAME.": (TeacherError, lambda: find_teacher("./smal")),
    "No teacher at models/smal: there is no such folder. The folder models has no smal. To get "
    "the hub's model, run in a folder that has no models.": (
        TeacherError,
        both(lambda: Path("models").mkdir(), lambda: find_teacher("models/smal")),
    ),
    "The features were made by the teacher nobody/nothing, which is not on this machine. "
    "If it was moved, name its folder by `teacher`; to fetch it from the model hub, name it.": (
        TeacherError,
        lambda: find_teacher("nobody/nothing", fetch=False),
    ),
    "The features were made by the teacher ./gone, which is not on this machine. "
    "If it was moved, name its folder by `teacher`; to fetch it from the model hub, name it.": (
        TeacherError,
        lambda: find_teacher("./gone", fetch=False),
    ),
    "t has the module 'sentence_transformers.models.Router', which may run code that comes with "
    f"it. {TRUST}": (TeacherError, module("Router")),
    "t has a module outside its folder, in '../e'.": (TeacherError, module("Normalize", "../e")),
    f"t wants the code someone/kernels from the hub. {TRUST}": (
        TeacherError,
        module("Transformer", config='{"attn_implementation": "someone/kernels"}'),
    ),
    f"t has the activation function 'os.system', which is none of torch's. {TRUST}": (
        TeacherError,
        module("Dense", config='{"activation_function": "os.system"}'),
    ),
    "The device tpu cannot be used: * Give a `device`: auto, cpu, cuda, cuda:0 or mps.": (
        TeacherError,
        lambda: choose_device("tpu"),
    ),
    "No features in f. Make them with `featurize(...)`.": (
        FeaturesError,
        lambda: open_features(FEATURES),
    ),
    "The features in f are incomplete: 6 passages so far. Call `featurize(...)` again with the "
    "same settings; it goes on where it stopped.": (FeaturesError, features(complete=False)),
    "f/manifest.json has the format version 99; this ragdoll reads version 1. Update ragdoll, or "
    "make the features anew.": (FeaturesError, features(version=99)),
    "f/manifest.json is not the manifest of a features folder.": (
        FeaturesError,
        features(format="x"),
    ),
    f"f/manifest.json is damaged: * {RESTART}": (FeaturesError, features(dimension="wide")),
    f"f/data/part-00000.parquet has 4 dimensions where the manifest says 9. {RESTART}": (
        FeaturesError,
        features(dimension=9),
    ),
    f"f/data/part-00000.parquet has 1 row where the manifest says 4. {RESTART}": (
        FeaturesError,
        other_part,
    ),
    "f/data/part-00000.parquet is a link out of the folder, where features are neither read nor "
    "written. Copy the file that it leads to into the folder.": (FeaturesError, linked_part),
    "f/manifest.json is a device or a pipe.": (
        FeaturesError,
        both(FEATURES.mkdir, lambda: os.mkfifo(MANIFEST), lambda: open_features(FEATURES)),
    ),
    "The features have vectors of 3 and of 4 dimensions: they were made by two teachers.": (
        FeaturesError,
        pairs(["a"], 3, 4),
    ),
    "f/feature_0.json holds 2 texts, its .npy 1 vector.": (FeaturesError, pairs(["a", "b"], 3)),
    "The features in f were made with other settings: teacher was t, now u; target was none, now "
    "mean. Make them anew with `restart=True`, or give another `featurize.output`.": (
        FeaturesError,
        other_settings,
    ),
    "f holds other files and no features of ragdoll's. Give an empty or a new folder as "
    "`featurize.output`.": (
        FeaturesError,
        both(holding("f/notes.txt"), lambda: FeaturesFolder(FEATURES).refuse_foreign()),
    ),
    "f is a file. Give a folder as `featurize.output`.": (
        FeaturesError,
        both(holding("f"), lambda: FeaturesFolder(FEATURES).refuse_foreign()),
    ),
    "16 dimensions are more than the 8 of the teacher. Give `pca_dims=8` or less.": (
        TrainingError,
        lambda: refuse_dimension(16, 8),
    ),
    "For 40 dimensions, 44 passages are needed; there are 20. Featurize more text, or lower "
    "`pca_dims` to 18 or less.": (TrainingError, rows(20, 40)),
    "For 1 dimension, 10 passages are needed; there is 1. Featurize more text.": (
        TrainingError,
        rows(1, 1),
    ),
    "The method ridge solves for its vectors, and has no `lr` (0.1). Leave `train.lr` out, or "
    'train with `method="tokenlearn"`.': (UsageError, train(lr=0.1, pca_dims=4)),
    "The features name the teacher t, whose code you may not know. To run it, name that teacher "
    "by `teacher`, too.": (UsageError, train(trust=True, pca_dims=4)),
    "The features do not say which teacher made them. Name it by `teacher`.": (
        UsageError,
        both(
            pairs(["a"], 8),
            lambda: np.save(FEATURES / "feature_0.npy", np.ones((60, 8), np.float32)),
            holding("f/feature_0.json", json.dumps(["a"] * 60)),
            lambda: Training(TrainSettings(features="f", pca_dims=4), None, False, silent),
        ),
    ),
    "m is a file; a model is a folder. Give another `train.output`.": (
        UsageError,
        both(holding("m"), lambda: model_folder.refuse_foreign(Path("m"))),
    ),
    "m holds something that is not a model of ragdoll's, and is not replaced. Give a new or an "
    "empty folder as `train.output`.": (
        UsageError,
        both(holding("m/notes.txt"), lambda: model_folder.refuse_foreign(Path("m"))),
    ),
    ".m.ragdoll-training is a link, and is not written through. Remove the link.": (
        TrainingError,
        linked_work,
    ),
    "'a b' is not an id of a repository on the hub. Give OWNER/NAME: letters, digits, and between "
    "them single '-', '_' and '.'.": (UsageError, lambda: hub.check("a b")),
    "Nothing can be uploaded to ada/m: HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set. Unset it, "
    "or do not upload the model.": (UsageError, lambda: hub.check("ada/m")),
}


@pytest.mark.parametrize("expected", ERRORS)
def test_an_error_says_what_is_wrong_and_what_to_do(expected: str) -> None:
    kind, step = ERRORS[expected]
    with pytest.raises(kind) as caught:
        step()
    message = f"{caught.value.message} {caught.value.hint or ''}".strip()
    assert fnmatchcase(message, expected), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("LocalEntryNotFoundError", "the model hub could not be reached"),
        ("RepositoryNotFoundError", "the model hub has no such model, or it is private"),
        ("GatedRepoError", "the model hub gives it only to accounts that its owner has approved"),
        ("HFValidationError", "the name is not an id of the model hub either"),
        ("OSError", "the model hub does not give it: it says so"),
    ],
)
def test_plain_words_say_why_the_hub_does_not_give_a_teacher(
    monkeypatch: pytest.MonkeyPatch, raised: str, reason: str
) -> None:
    def refused(*arguments: object, **options: object) -> None:
        kind = getattr(errors, raised, OSError)
        if issubclass(kind, errors.HfHubHTTPError):
            raise kind("no", response=httpx.Response(401, request=httpx.Request("GET", "http://h")))
        raise kind("it says so.\nAnd more.")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(TeacherError) as error:
        find_teacher("nobody/nothing")
    assert error.value.message == (
        f"No teacher at nobody/nothing: there is no such folder, and {reason}."
    )
