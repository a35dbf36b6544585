"""The wording of this room's errors and remarks; other tests look at types and values only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragdoll.embedding import folder
from ragdoll.embedding.folder import read_modules
from ragdoll.embedding.inspection import inspect
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.token_table import neighbors
from ragdoll.errors import ModelError
from tests.embedding.making import change_json, change_tokenizer, write_model

Step = Callable[[Path], object]

WEIGHTS = "model.safetensors"
PATTERN = {
    "type": "Split",
    "pattern": {"Regex": "(a|a?)+$"},
    "behavior": "Isolated",
    "invert": False,
}

load = StaticModel.load


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", ["wing", "flap"])


def without(name: str) -> Step:
    return lambda model: (model / name).unlink()


def holding(name: str, content: str) -> Step:
    return lambda model: (model / name).write_text(content)


def tensors(**beside: Any) -> Step:
    content = {"embeddings": np.ones((4, 3), np.float32), **beside}
    return lambda model: save_file(content, model / WEIGHTS)


def transformer(model: Path) -> None:
    save_file({"weight": np.ones(3, np.float32)}, model / WEIGHTS)


def vocabulary(wing: int) -> Step:
    return lambda model: change_tokenizer(
        model, vocab={"[PAD]": 0, "[UNK]": 1, "a": 2, "wing": wing}
    )


def without_unknown(model: Path) -> None:
    change_tokenizer(model, unk_token="[NOWHERE]")


def both(*steps: Step) -> Step:
    return lambda model: [step(model) for step in steps]


def encode(*texts: str) -> Step:
    return lambda model: load(model).encode(list(texts))


def of(word: str) -> Step:
    return lambda model: neighbors(model, word)


# The message and the hint, * for the words of a library; what makes them is done to a model.
ERRORS: dict[str, Step] = {
    "No model folder at {model}. Train one with `run(...)`, or name another.": both(
        shutil.rmtree, load
    ),
    "{model} is incomplete: it has no tokenizer.json.": both(without("tokenizer.json"), load),
    "{model}/model.safetensors: the tensor 'embeddings' has the shape (7,); a table of token "
    "vectors has two dimensions, and neither is 0.": both(
        tensors(embeddings=np.ones(7, np.float32)), load
    ),
    "{model} has its weights only in pytorch_model.bin, a pickle, which can run code. "
    "Convert the model to safetensors, or take a version that has them.": both(
        holding("pytorch_model.bin", "no pickle"), without(WEIGHTS), load
    ),
    "{model} is no model: it has no safetensors file. "
    "A model folder holds model.safetensors, tokenizer.json and config.json.": both(
        without(WEIGHTS), load
    ),
    "{model} is no model: it has weights, but neither config.json nor modules.json.": both(
        transformer, without("config.json"), load
    ),
    "{model} is a full sentence-transformer, not a static model. "
    "Distil it first: pass it as the `teacher` of `run(...)`.": both(transformer, load),
    "{model}/model.safetensors is not a whole safetensors file: *": both(
        holding(WEIGHTS, "cut"), load
    ),
    "{model}/config.json does not hold a JSON object.": both(holding("config.json", "[]"), load),
    "{model}/config.json is not valid JSON: *": both(holding("config.json", "{"), load),
    "{model}/config.json is not valid JSON: nested too deeply.": both(
        holding("config.json", "[" * 200_000), load
    ),
    "{model}/ragdoll.json is not valid JSON: 1e999 is not a finite number.": both(
        holding("ragdoll.json", '{"a": 1e999}'), load
    ),
    "{model}/modules.json is not a list of modules.": both(
        holding("modules.json", '["Normalize"]'), read_modules
    ),
    "{model}/modules.json does not hold a JSON list.": both(
        holding("modules.json", "{}"), read_modules
    ),
    "{model}/config.json: max_length is 'long', not a number of tokens.": both(
        holding("config.json", '{"max_length": "long"}'), load
    ),
    "{model}/model.safetensors: the tensor 'embeddings' has the type bool.": both(
        tensors(embeddings=np.ones((4, 3), np.bool_)), load
    ),
    "{model}/model.safetensors: the tensor 'mapping' is empty.": both(
        tensors(mapping=np.ones(0, np.int64)), load
    ),
    "{model}/model.safetensors: the tensor 'weights' has the shape (4, 2).": both(
        tensors(weights=np.ones((4, 2), np.float32)), load
    ),
    "{model}/model.safetensors: its mapping names rows that the table lacks.": both(
        tensors(mapping=np.full(4, 4)), load
    ),
    "{model} has 2 vectors for 4 tokens.": both(
        tensors(embeddings=np.ones((2, 3), np.float32)), load
    ),
    "{model} has 3 rows for 4 tokens.": both(tensors(mapping=np.ones(3, np.int64)), load),
    "{model} has 3 weights for 4 tokens.": both(tensors(weights=np.ones(3, np.float32)), load),
    "{model}/tokenizer.json is no tokenizer: *": both(holding("tokenizer.json", "{}"), load),
    "{model}/tokenizer.json has a token with an id above 10,000,000.": both(
        vocabulary(wing=10**8), load
    ),
    "{model} has a token with an id beyond the 4 vectors of its table.": both(
        vocabulary(wing=9), encode("wing")
    ),
    "The tokenizer of the model fails at a text: WordPiece error*. "
    "The tokenizer is damaged; take another model.": both(without_unknown, encode("\N{SNOWMAN}")),
    "{model} has no token for 'zebra'. Give a word in the model's language.": of("zebra"),
}


@pytest.mark.parametrize("expected", ERRORS)
def test_an_error_says_what_is_wrong_and_what_to_do(model: Path, expected: str) -> None:
    with pytest.raises(ModelError) as caught:
        ERRORS[expected](model)
    message = f"{caught.value.message} {caught.value.hint or ''}".strip()
    assert fnmatchcase(message, expected.format(model=model))
    assert "\n" not in message


@pytest.mark.parametrize("count", [1, 300])
def test_an_error_of_the_tokenizer_is_told_for_few_and_for_many(model: Path, count: int) -> None:
    without_unknown(model)
    with pytest.raises(ModelError, match="WordPiece error"):
        load(model).encode(["\N{SNOWMAN}"] * count)


@pytest.mark.parametrize("call", [encode("a" * 40 + "!"), of("a" * 40 + "!")])
def test_a_search_without_end_is_an_error_of_the_tokenizer(model: Path, call: Step) -> None:
    change_json(model / "tokenizer.json", pre_tokenizer=PATTERN)
    with pytest.raises(ModelError, match="The tokenizer of the model fails at a text: "):
        call(model)


def test_a_file_that_is_too_large_is_not_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_MAX_JSON_BYTES", 10)
    with pytest.raises(ModelError, match=r"config\.json is too large for a model's JSON file\.$"):
        load(model)


def test_one_text_is_not_a_list_of_texts(model: Path) -> None:
    with pytest.raises(TypeError, match=r"^encode takes a list of texts, not the text 'a' alone$"):
        load(model).encode("a")


REMARKS: dict[str, Step] = {
    "config.json says hidden_dim 999; the vectors have 3.": holding(
        "config.json", '{"normalize": true, "hidden_dim": 999}'
    ),
    "The tokenizer has 4 tokens, the table 2 rows.": tensors(
        embeddings=np.ones((2, 3), np.float32)
    ),
    "config.json says normalize true, modules.json the contrary: "
    "model2vec and sentence-transformers will make different vectors.": holding(
        "modules.json", '[{"type": "x.StaticEmbedding"}]'
    ),
    "The configuration says 999 dimensions; no tensor has that many.": both(
        transformer, holding("config.json", '{"hidden_size": 999}')
    ),
}


@pytest.mark.parametrize("remark", REMARKS)
def test_a_remark_says_what_does_not_fit_together(model: Path, remark: str) -> None:
    assert inspect(model).remarks == []
    REMARKS[remark](model)
    assert inspect(model).remarks == [remark]
