"""The files of a teacher: where they are found, and what in them is never run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragdoll
from ragdoll.distillation.teacher import files as module
from ragdoll.distillation.teacher.files import find_teacher, vector_dimension
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import weights_fingerprint
from ragdoll.errors import ModelError, TeacherError, UsageError
from tests.closeness import assert_alike
from tests.conftest import Trained
from tests.distillation import architectures
from tests.making import train, train_settings

NAME = "sentence-transformers/all-MiniLM-L6-v2"


def test_the_bundled_teacher_is_found_by_its_hub_name_without_a_network() -> None:
    found = find_teacher(NAME)
    assert found.name == NAME
    assert weights_fingerprint(open_folder(found.path)).startswith("53aa5117")
    assert found.metric == "cosine"


@pytest.mark.parametrize(
    ("changed", "content", "dimension"),
    [
        ("README.md", "", 384),
        ("config.json", '{"hidden_size": 40}', 40),
        ("config.json", '{"d_model": 40}', 40),
        ("config.json", '{"hidden_size": "40"}', None),
        ("modules.json", '[{"type": "sentence_transformers.models.CNN"}]', None),
    ],
)
def test_the_dimension_of_tokens_is_told_where_the_configuration_is_sure(
    tmp_path: Path, small_teacher: Path, changed: str, content: str, dimension: int | None
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(small_teacher, teacher, copy_function=os.link)
    (teacher / changed).unlink(missing_ok=True)
    (teacher / changed).write_text(content)
    assert vector_dimension(str(teacher), "mean") == dimension


def dense_of_tokens(folder: Path) -> None:
    architectures.dense(folder)
    changed(folder / "2_Dense" / "config.json", module_output_name="token_embeddings")


@pytest.mark.parametrize(
    ("make", "target", "dimension"),
    [
        (architectures.dense, "mean", 16),
        (architectures.dense, "sentence", 12),
        (architectures.poolings, "sentence", 32),
        (lambda folder: architectures.bert(folder, truncate_dim=8), "sentence", 8),
        (dense_of_tokens, "mean", 12),
    ],
    ids=["tokens before a Dense", "Dense", "poolings", "cut off", "Dense of tokens"],
)
def test_the_dimension_of_each_target_is_told(
    tmp_path: Path, make: architectures.Make, target: str, dimension: int
) -> None:
    make(tmp_path)
    assert vector_dimension(str(tmp_path), target) == dimension


def test_a_router_is_refused_by_its_name(teacher: Path) -> None:
    add_module(teacher, OWN + "Router", types={"a": "custom_st.Module"})
    with pytest.raises(TeacherError, match=r"models\.Router'"):
        find_teacher(str(teacher))


def test_the_dimension_of_a_teacher_that_is_not_on_this_machine_is_not_told() -> None:
    assert vector_dimension("nobody/nothing", "mean") is None


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        ("CrossEncoder", "config_sentence_transformers.json", {"model_type": "CrossEncoder"}),
        ("SparseEncoder", "config_sentence_transformers.json", {"model_type": "SparseEncoder"}),
        ("SparseEncoder", "modules.json", "sparse_encoder.modules.splade_pooling.SpladePooling"),
        ("MultiVectorEncoder", "modules.json", "multi_vector_encoder.modules.m.MultiVectorMask"),
        ("CrossEncoder", "config.json", {"architectures": ["BertForSequenceClassification"]}),
        ("modules.LSTM', which is not supported", "modules.json", "models.modules.LSTM"),
        ("modules.BoW', which is not supported", "modules.json", "models.modules.BoW"),
    ],
)
def test_a_model_that_gives_no_vector_of_a_text_is_called_what_it_is(
    tmp_path: Path, kind: str, file: str, content: dict[str, Any] | str, trust: bool
) -> None:
    architectures.bert(tmp_path)
    if isinstance(content, str):
        entry = {"path": "", "type": f"sentence_transformers.{content}"}
        (tmp_path / file).write_text(json.dumps([entry]))
    else:
        (tmp_path / "modules.json").unlink()
        changed(tmp_path / file, **content)
    with pytest.raises(TeacherError, match=kind) as error:
        Teacher(find_teacher(str(tmp_path)), device="cpu", trust_remote_code=trust)
    assert "trust" not in f"{error.value.message} {error.value.hint}"


def test_a_convolution_behind_the_transformer_is_no_code(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer, models

    architectures.bert(tmp_path / "bert")
    transformer = models.Transformer(str(tmp_path / "bert"))
    convolution, pooling = models.CNN(architectures.DIMENSION, 8), models.Pooling(24)
    model = SentenceTransformer(modules=[transformer, convolution, pooling], device="cpu")
    model.save(str(tmp_path / "cnn"))
    teacher = Teacher(find_teacher(str(tmp_path / "cnn")), device="cpu", dtype="float32")
    expected = model.encode(architectures.TEXTS, batch_size=1)
    assert_alike(teacher.encode(architectures.TEXTS, "sentence", 64), expected)


def test_without_the_package_the_default_teacher_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_model", lambda name: None)
    with pytest.raises(TeacherError, match=NAME) as error:
        find_teacher(NAME)
    assert "[local]" in (error.value.hint or "")


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
    with pytest.raises(TeacherError, match=name):
        find_teacher(name)


def test_a_folder_named_as_an_owner_hides_no_model_of_this_machine() -> None:
    Path("sentence-transformers").mkdir()
    assert find_teacher(NAME).name == NAME


def test_a_static_model_is_no_teacher(small_teacher: Path, tmp_path: Path) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(small_teacher / "tokenizer.json"))
    vectors = np.ones((tokenizer.get_vocab_size(), 4), np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "static")
    with pytest.raises(TeacherError, match=f"{tmp_path}/static"):
        find_teacher(str(tmp_path / "static"))


def test_weights_that_are_only_a_pickle_are_refused(small_teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(small_teacher, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        find_teacher(str(folder))


# Code and pickles

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


# Each makes a teacher harmful; the message names this.
HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "a class in the folder": (
        lambda folder: add_module(folder, "custom_st.Module"),
        "'custom_st.Module'",
    ),
    "a class of another library": (
        lambda folder: add_module(folder, "antigravity.geohash"),
        "'antigravity.geohash'",
    ),
    "a class named like one of the library": (
        lambda folder: add_module(folder, OWN + "Normalize.forward"),
        r"Normalize\.forward'",
    ),
    "a tokenizer that is a class": (
        lambda folder: add_module(
            folder, OWN + "WordEmbeddings", tokenizer_class="custom_st.Module"
        ),
        r"models\.WordEmbeddings'",
    ),
    "an activation that is a class": (
        lambda folder: dense(folder, "custom_st.Module"),
        "'custom_st.Module'",
    ),
    "an activation that does something": (
        lambda folder: dense(folder, "torch.utils.collect_env.main"),
        r"'torch\.utils",
    ),
    "an activation that is more than one of torch's": (
        lambda folder: dense(folder, "torch.nn.modules.activation.warnings.warn"),
        r"'torch\.nn.*warn'",
    ),
    "code of the hub": (
        lambda folder: changed(
            folder / "sentence_bert_config.json",
            model_args={"attn_implementation": "someone/kernels"},
        ),
        "someone/kernels",
    ),
    "code of the hub, in a list": (
        lambda folder: changed(
            folder / "config.json", layers=[{"attn_implementation": "someone/kernels"}]
        ),
        "someone/kernels",
    ),
    "code of the hub, in the configuration": (
        lambda folder: changed(folder / "config.json", _attn_implementation="someone/kernels"),
        "someone/kernels",
    ),
    "an unknown architecture": (
        lambda folder: changed(
            folder / "config.json", model_type="x", auto_map={"AutoConfig": "custom_st.Module"}
        ),
        "teacher",
    ),
}


@pytest.mark.parametrize(("harm", "value"), HARM.values(), ids=HARM)
def test_code_is_refused_before_anything_is_loaded(
    teacher: Path, harm: Callable[[Path], None], value: str
) -> None:
    harm(teacher)
    with pytest.raises(TeacherError, match=value) as error:
        Teacher(find_teacher(str(teacher)), device="cpu", dtype="float32")
    assert "`trust_remote_code=True`" in (error.value.hint or "")
    assert not (teacher / "RAN").exists()


@pytest.mark.parametrize("path", ["../elsewhere", "{root}/elsewhere", "..\\elsewhere"])
def test_a_module_elsewhere_is_refused(teacher: Path, path: str) -> None:
    add_module(teacher, OWN + "Normalize", path.format(root=teacher.parent))
    with pytest.raises(TeacherError, match="elsewhere") as error:
        Teacher(find_teacher(str(teacher)), device="cpu", dtype="float32")
    assert error.value.hint is None


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
    teacher: Path, name: str, has_modules: bool
) -> None:
    dense(teacher, "torch.nn.Tanh")
    if not has_modules:
        (teacher / "modules.json").unlink()
    if "/" not in name:  # the libraries do not load safetensors of another name
        (teacher / "model.safetensors").rename(teacher / "other.safetensors")
    (teacher / name).write_bytes(PICKLE)
    with pytest.raises((TeacherError, ModelError), match=name):
        find_teacher(str(teacher))


def test_features_alone_name_no_teacher_whose_code_is_run_or_that_is_fetched(
    trained: Trained, tmp_path: Path
) -> None:
    features = tmp_path / "features"
    shutil.copytree(trained.features, features)
    settings = train_settings(features, tmp_path / "model")
    with pytest.raises(UsageError, match="small"):
        ragdoll.train(settings=settings, trust_remote_code=True)
    manifest = json.loads((features / "manifest.json").read_text())
    manifest["settings"]["teacher"] = "nobody/nothing"
    (features / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TeacherError, match="nobody/nothing, which is not on this machine"):
        train(settings)
    with pytest.raises(TeacherError, match="HF_HUB_OFFLINE"):
        train(settings, teacher="nobody/nothing")
