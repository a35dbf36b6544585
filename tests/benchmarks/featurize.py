"""The speed of ``featurize``, beside tokenlearn's own function and the bare transformer.

    python -m tests.benchmarks.featurize [--passages N] [--repeat N] [--teacher NAME] [--data FILE]

The same passages are embedded by both, in turn, on this machine. Rates are of the teacher's
tokens a second, special tokens included, without the time to load the teacher. The limit is the
rate of the transformer alone for as many tokens in full batches without padding.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ragdoll.cli.console import silence_libraries
from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import cut
from ragdoll.corpus.reading import read
from ragdoll.distillation.features.featurize import featurize
from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher
from ragdoll.distillation.teacher.model import Teacher, batch_tokens
from ragdoll.settings import FeaturizeSettings, TeacherSettings

_BATCH = 32
_UNIFORM_TOKENS = 128


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=1, help="the median counts")
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", nargs="+", default=["python:stdlib"])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    silence_libraries()
    files = find_teacher(options.teacher)
    teacher = Teacher(files, options.device, "float32")
    print(f"{'texts':8} {'way':22} {'tokens/s':>9} {'x tokenlearn':>12} {'of the limit':>12}")
    for name, texts in (
        ("mixed", _mixed(teacher, options.data, options.passages)),
        ("uniform", _uniform(teacher, options.data, options.passages)),
    ):
        lengths = teacher.tokenize(texts).lengths
        tokens, mean = sum(lengths), round(statistics.mean(lengths))
        rates: dict[str, list[float]] = {}
        limits: dict[str, list[float]] = {}
        for _ in range(options.repeat):
            rates.setdefault("tokenlearn", []).append(_tokenlearn(files, texts, tokens, options))
            for dtype in options.dtypes:
                limits.setdefault(dtype, []).append(_limit(files, dtype, tokens, mean, options))
                rates.setdefault(dtype, []).append(_ours(files, texts, dtype, options))
        reference = statistics.median(rates["tokenlearn"])
        print(f"{name:8} {'tokenlearn 0.2.1':22} {reference:9,.0f} {1:12.2f}")
        for dtype in options.dtypes:
            rate, limit = statistics.median(rates[dtype]), statistics.median(limits[dtype])
            print(
                f"{name:8} {'ragdoll, ' + dtype:22} {rate:9,.0f} {rate / reference:12.2f} "
                f"{rate / limit:12.0%}"
            )
        print(f"{name:8} {len(texts):,} passages, {tokens:,} tokens, {mean} on average")


def _mixed(teacher: Teacher, data: list[str], count: int) -> list[str]:
    """Return passages of all lengths, as the corpus has them."""
    return _distinct(
        (
            passage.text
            for document in read(*data)
            for passage in cut(document, 254, teacher.count_tokens)
        ),
        count,
    )


def _uniform(teacher: Teacher, data: list[str], count: int) -> list[str]:
    """Join the same texts and cut them anew, so that all passages are of nearly one length."""
    joined = " ".join(" ".join(document.text.split()) for document in read(*data))
    document = Document(joined[: count * _UNIFORM_TOKENS * 8])
    passages = cut(document, _UNIFORM_TOKENS, teacher.count_tokens)
    return _distinct((passage.text for passage in passages), count)


def _distinct(texts: Iterator[str], count: int) -> list[str]:
    return list(islice(dict.fromkeys(texts), count))


def _tokenlearn(
    files: TeacherFiles, texts: list[str], tokens: int, options: argparse.Namespace
) -> float:
    from sentence_transformers import SentenceTransformer
    from tokenlearn import featurize as tokenlearn

    model = SentenceTransformer(str(files.path), device=options.device)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rows = iter([{"text": text} for text in texts])
        tokenlearn.featurize(rows, model, folder, len(texts) + 1, _BATCH, "text")
        return tokens / (time.perf_counter() - started)


def _ours(files: TeacherFiles, texts: list[str], dtype: Any, options: argparse.Namespace) -> float:
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.jsonl")
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        result = featurize(
            read(corpus),
            Path(folder, "features"),
            teacher=TeacherSettings(model=files.name, device=options.device, dtype=dtype),
            settings=FeaturizeSettings(batch_size=_BATCH),
        )
        assert result.rows == len(texts), (result.rows, len(texts))
        return result.tokens_per_second


def _limit(
    files: TeacherFiles, dtype: str, tokens: int, width: int, options: argparse.Namespace
) -> float:
    """Return the bare transformer's tokens a second, in full batches of ``width`` tokens a row."""
    import torch
    from transformers import AutoModel

    model: Any = AutoModel.from_pretrained(files.path, dtype=getattr(torch, dtype))
    model = model.to(options.device).eval()
    rows = max(1, batch_tokens(options.device, _BATCH * 256) // width)
    ids = torch.randint(1000, model.config.vocab_size, (rows, width), device=options.device)
    mask = torch.ones_like(ids)
    batches = max(1, tokens // (rows * width))
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask)
        started = time.perf_counter()
        for _ in range(batches):
            hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        hidden[0, 0, 0].item()
    return batches * rows * width / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
