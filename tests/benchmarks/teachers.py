"""Every family of teachers: their own vectors, and those of models that are made from them.

    pip install onnx onnxruntime
    python -m tests.benchmarks.teachers

Teachers are random and tiny, and made here. For each this prints the least cosine between the
teacher's sentence vectors and those of ``SentenceTransformer.encode_document``, and between a
trained model's vectors in ragdoll and those in model2vec, sentence-transformers and ONNX.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ragdoll
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher
from tests.distillation import architectures

FAMILIES: dict[str, Callable[[Path], Any]] = {
    "BERT": architectures.bert,
    "BERT, vocab.txt in 0_Transformer": architectures.in_old_layout,
    "BERT, mean and cls": architectures.poolings,
    "BERT, Dense": architectures.dense,
    "MPNet": architectures.mpnet,
    "RoBERTa": architectures.roberta,
    "XLM-R": architectures.xlm_roberta,
    "DistilBERT": architectures.distilbert,
    "ModernBERT": architectures.modernbert,
    "T5": architectures.t5,
    "BART": architectures.bart,
    "Qwen3": architectures.qwen,
    "Qwen3, chat template": architectures.chatting,
    "Gemma3": architectures.gemma,
    "GPT-2": architectures.gpt2,
    "FNet": architectures.fnet,
    "CLIP": architectures.clip,
    "BERT with an adapter (PEFT)": architectures.adapter,
}
SENTENCES = (
    "{who} guards a shared resource between tasks, number {n}.",
    "The event loop runs {who} and its callbacks, one after another, {n} times.",
    "Wait for {who} number {n}, then cancel the task.",
)
WHO = ("a lock", "the timer", "a future", "the reader", "a coroutine", "some socket")


def least_cosine(one: Any, other: Any) -> float:
    """Return the least cosine between rows of the same number."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.maximum(lengths, 1e-12)).min())


def texts() -> list[str]:
    """Make two hundred passages."""
    return [SENTENCES[n % 3].format(who=WHO[n % 6], n=n) for n in range(200)]


class OnnxModel:
    """A static model, exported to ONNX, with its tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Export a model through sentence-transformers' own modules."""
        import onnxruntime
        import torch
        from sentence_transformers import SentenceTransformer
        from tokenizers import Tokenizer

        class Modules(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = SentenceTransformer(str(folder), device="cpu")

            def forward(self, input_ids: Any, offsets: Any) -> Any:
                inputs = {"input_ids": input_ids, "offsets": offsets}
                return self.model.forward(inputs)["sentence_embedding"]

        file = folder / "model.onnx"
        torch.onnx.export(
            Modules(),
            (torch.tensor([0, 1, 0]), torch.tensor([0, 1])),
            file,
            input_names=["input_ids", "offsets"],
            dynamic_axes={"input_ids": {0: "tokens"}, "offsets": {0: "texts"}},
            dynamo=False,
        )
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(file, quiet)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> Any:
        """Embed texts, all of them in one batch."""
        tokens = [one.ids for one in self._tokenizer.encode_batch(texts, add_special_tokens=False)]
        lengths = [len(ids) for ids in tokens]
        inputs = {
            "input_ids": np.concatenate(tokens).astype(np.int64),
            "offsets": np.cumsum([0, *lengths[:-1]]).astype(np.int64),
        }
        return self._session.run(None, inputs)[0]


def row(name: str, make: Callable[[Path], Any], folder: Path, corpus: Sequence[str]) -> list[str]:
    """Make a teacher and train a model from it; return the cells of its row."""
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    place = str(folder / "teacher")
    # One that the library cannot load from its files is given as it was before it was saved.
    library = make(folder / "teacher") or SentenceTransformer(place, device="cpu")
    teacher = Teacher(find_teacher(place), "cpu", "float32")
    own = teacher.encode(corpus, "sentence", 2048)
    expected = library.encode_document(list(corpus), batch_size=1)
    target: Any = "mean" if teacher.has_token_vectors() else "sentence"
    settings = ragdoll.FeaturizeSettings(target=target)
    ragdoll.featurize(
        ragdoll.read(folder.parent / "corpus.jsonl"),
        folder / "features",
        teacher=place,
        settings=settings,
    )
    trained = ragdoll.train(
        folder / "features", folder / "model", settings=ragdoll.TrainSettings(pca_dims=8)
    )
    vectors = ragdoll.StaticModel.load(trained.model).encode(corpus)
    readers = (
        StaticModel.from_pretrained(trained.model),
        SentenceTransformer(str(trained.model)),
        OnnxModel(trained.model),
    )
    cosines = [
        least_cosine(own, expected),
        *(least_cosine(vectors, each.encode(list(corpus))) for each in readers),
    ]
    return [name, target, *(f"{cosine:.4f}" for cosine in cosines)]


def main() -> None:
    """Print a row for each family."""
    logging.disable()
    warnings.simplefilter("ignore", DeprecationWarning)  # the newer export wants a further package
    print("| family | target | encode_document | model2vec | sentence-transformers | ONNX |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        place, corpus = Path(name), texts()
        lines = [f'{{"text": "{text}"}}\n' for text in corpus]
        (place / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
        for number, (family, make) in enumerate(FAMILIES.items()):
            folder = place / str(number)
            folder.mkdir()
            print(f"| {' | '.join(row(family, make, folder, corpus))} |", flush=True)


if __name__ == "__main__":
    main()
