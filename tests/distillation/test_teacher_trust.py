"""What a teacher's folder may hold, and what of it is never run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.errors import TeacherError
from tests.conftest import Ragdoll, Trained

# Code that leaves a mark where it is run from, and classes that could pass for modules.
CODE = """
from pathlib import Path
Path(__file__).with_name("RAN").touch()
from sentence_transformers.models import Normalize as Module
"""
# Of a pickle: calls os.mkdir("RAN") in the current folder.
PICKLE = b"cos\nmkdir\n(VRAN\ntR."

OWN = "sentence_transformers.models."


@pytest.fixture
def teacher(small_teacher: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "teacher"
    shutil.copytree(small_teacher, folder)
    (folder / "custom_st.py").write_text(CODE)
    return folder


def changed(file: Path, **entries: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def add_module(folder: Path, kind: str, path: str = "9", **config: Any) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 9, "name": "9", "path": path, "type": kind})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / path).mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "router_config.json", "wordembedding_config.json"):
        (folder / path / name).write_text(json.dumps(config))


def dense(folder: Path, activation: str) -> None:
    add_module(
        folder, OWN + "Dense", in_features=384, out_features=4, activation_function=activation
    )


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "a class in the folder": (
        lambda folder: add_module(folder, "custom_st.Module"),
        "module 'custom_st.Module'",
    ),
    "a class of another library": (
        lambda folder: add_module(folder, "antigravity.geohash"),
        "module 'antigravity.geohash'",
    ),
    "a class named like one of the library": (
        lambda folder: add_module(folder, OWN + "Normalize.forward"),
        r"module '.*Normalize\.forward'",
    ),
    "a router to a class": (
        lambda folder: add_module(folder, OWN + "Router", types={"a": "custom_st.Module"}),
        r"models\.Router'",
    ),
    "a tokenizer that is a class": (
        lambda folder: add_module(
            folder, OWN + "WordEmbeddings", tokenizer_class="custom_st.Module"
        ),
        r"models\.WordEmbeddings'",
    ),
    "an activation that is a class": (
        lambda folder: dense(folder, "custom_st.Module"),
        "activation function 'custom_st.Module'",
    ),
    "an activation that does something": (
        lambda folder: dense(folder, "torch.utils.collect_env.main"),
        r"activation function 'torch\.utils",
    ),
    "an activation that is more than one of torch's": (
        lambda folder: dense(folder, "torch.nn.modules.activation.warnings.warn"),
        r"activation function 'torch\.nn.*warn'",
    ),
    "a module elsewhere": (
        lambda folder: add_module(folder, OWN + "Normalize", "../elsewhere"),
        "outside its folder",
    ),
    "a module elsewhere, by its whole path": (
        lambda folder: add_module(folder, OWN + "Normalize", str(folder.with_name("elsewhere"))),
        "outside its folder",
    ),
    "a module elsewhere, as Windows writes it": (
        lambda folder: add_module(folder, OWN + "Normalize", "..\\elsewhere"),
        "outside its folder",
    ),
    "code of the hub": (
        lambda folder: changed(
            folder / "sentence_bert_config.json",
            model_args={"attn_implementation": "someone/kernels"},
        ),
        "wants the code someone/kernels",
    ),
    "code of the hub, in a list": (
        lambda folder: changed(
            folder / "config.json", layers=[{"attn_implementation": "someone/kernels"}]
        ),
        "wants the code someone/kernels",
    ),
    "code of the hub, in the configuration": (
        lambda folder: changed(folder / "config.json", _attn_implementation="someone/kernels"),
        "wants the code someone/kernels",
    ),
}


@pytest.mark.parametrize(("harm", "message"), HARM.values(), ids=HARM)
def test_code_is_refused_before_anything_is_loaded(
    teacher: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(teacher)
    with pytest.raises(TeacherError, match=message) as error:
        Teacher(find_teacher(str(teacher)), device="cpu", dtype="float32")
    names_the_option = "--trust-remote-code" in (error.value.hint or "")
    assert names_the_option == (message != "outside its folder")
    assert not (teacher / "RAN").exists()


def test_code_that_is_only_named_beside_a_known_model_is_not_run(teacher: Path) -> None:
    changed(
        teacher / "config.json", auto_map={"AutoModel": "custom_st.M", "AutoConfig": "custom_st.C"}
    )
    changed(
        teacher / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["custom_st.T", "custom_st.T"]},
    )
    (teacher / "pytorch_model.bin").write_bytes(PICKLE)
    for name in ("model.pkl", "model.joblib", "model.onnx"):
        (teacher / name).write_bytes(PICKLE)
    loaded = Teacher(find_teacher(str(teacher)), device="cpu", dtype="float32")
    assert loaded.encode(["A lock."], "mean", 512).shape == (1, 384)
    assert not (teacher / "RAN").exists()
    assert not Path("RAN").exists()


def test_code_of_an_unknown_architecture_is_refused(teacher: Path) -> None:
    changed(teacher / "config.json", model_type="x", auto_map={"AutoConfig": "custom_st.Module"})
    with pytest.raises(TeacherError) as error:
        Teacher(find_teacher(str(teacher)), device="cpu", dtype="float32")
    assert "--trust-remote-code" in (error.value.hint or "")
    assert not (teacher / "RAN").exists()


def test_code_of_a_teacher_that_is_trusted_runs(teacher: Path) -> None:
    add_module(teacher, "custom_st.Module")
    loaded = Teacher(
        find_teacher(str(teacher)), device="cpu", dtype="float32", trust_remote_code=True
    )
    assert loaded.encode(["A lock."], "mean", 512).shape == (1, 384)


@pytest.mark.parametrize(
    ("name", "has_modules"),
    [
        ("pytorch_model.bin", True),
        ("pytorch_model.bin", False),
        ("9/pytorch_model.bin", True),
        ("9/model.bin", True),
    ],
)
def test_a_pickle_is_refused_although_its_code_is_trusted(
    ragdoll: Ragdoll, teacher: Path, name: str, has_modules: bool
) -> None:
    dense(teacher, "torch.nn.Tanh")
    if not has_modules:
        (teacher / "modules.json").unlink()
    if "/" not in name:  # safetensors of another name are not what is loaded
        (teacher / "model.safetensors").rename(teacher / "other.safetensors")
    (teacher / name).write_bytes(PICKLE)
    result = ragdoll("featurize", "python:asyncio", "--teacher", teacher, "--trust-remote-code")
    assert result.status == 1
    assert f"{name}, a pickle" in result.err
    assert not Path("RAN").exists()


def test_features_alone_name_no_teacher_whose_code_is_run_or_that_is_fetched(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    features = tmp_path / "features"
    shutil.copytree(trained.features, features)
    result = ragdoll("train", "--features", features, "--trust-remote-code")
    assert result.status == 2
    assert "--trust-remote-code --teacher" in result.err
    manifest = json.loads((features / "manifest.json").read_text())
    manifest["settings"]["teacher"] = "nobody/nothing"
    (features / "manifest.json").write_text(json.dumps(manifest))
    result = ragdoll("train", "--features", features)
    assert result.status == 1
    assert "nobody/nothing, which is not on this machine" in result.err
    assert (
        "there is no such folder, and the model hub is not asked, as HF_HUB_OFFLINE is set."
        in ragdoll("train", "--features", features, "--teacher", "nobody/nothing").err
    )
