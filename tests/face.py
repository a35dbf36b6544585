"""The types of the library's face: checked by mypy, never run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import ragdoll


class Counting:
    """An encoder of a user's own."""

    identity = ragdoll.ModelIdentity(fingerprint="lengths-1", dimension=2)

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return two numbers a text."""
        return np.array([[len(text), text.count(" ")] for text in texts], dtype=np.float32)


def train() -> None:
    """Read, featurize and train."""
    corpus = ragdoll.read("docs", Path("more"), settings=ragdoll.CorpusSettings(text_key="body"))
    assert_type(corpus, ragdoll.Corpus)
    for document in corpus:
        assert_type(document, ragdoll.Document)
        assert_type(document.title, str)
    teacher = ragdoll.TeacherSettings(model="teacher", device="cpu")
    engine = ragdoll.EngineSettings(name="ray", workers=2)
    features = ragdoll.featurize(corpus, "features", teacher=teacher, engine=engine)
    assert_type(features, ragdoll.FeaturizeResult)
    assert_type(features.skipped, list[ragdoll.Skipped])
    trained = ragdoll.train("features", Path("model"), ragdoll.TrainSettings(pca_dims=128))
    assert_type(trained, ragdoll.TrainResult)
    assert_type(trained.agreement, dict[str, float])


def search() -> None:
    """Encode, index and search."""
    model = ragdoll.StaticModel.load("model")
    assert_type(model.encode(["a", "b"]), npt.NDArray[np.float32])
    assert_type(model.identity, ragdoll.ModelIdentity)
    index = ragdoll.Index.create("database", model=model)
    documents: list[str | dict[str, str] | ragdoll.Document]
    documents = ["a", {"text": "b"}, ragdoll.Document("c")]
    assert_type(index.update(documents), ragdoll.IndexResult)
    hits = index.search("a", 3, mode="vector", where="year > 1990", source="*.md")
    assert_type(hits, list[ragdoll.Hit])
    assert_type(hits[0].metadata, dict[str, Any])
    assert_type(index.search_many(["a", "b"]), Iterator[list[ragdoll.Hit]])
    assert_type(ragdoll.Index.open("database", model=Counting()), ragdoll.Index)


async def ask() -> None:
    """Ask a service, and read what a table has."""
    with ragdoll.Client("http://127.0.0.1:8765", "token", table="documents") as client:
        assert_type(client.search("a", 3, mode="text"), list[ragdoll.Hit])
        assert_type(await client.asearch("a"), list[ragdoll.Hit])
        assert_type(client.documents("a.md"), list[ragdoll.StoredDocument])
    index = ragdoll.Index.open("database", warm=True)
    assert_type(await index.asearch("a"), list[ragdoll.Hit])
    assert_type(index.passage("id"), ragdoll.StoredPassage | None)
    assert_type(index.sources("*.md"), list[str])


def judge() -> None:
    """Evaluate, and run everything."""
    settings = ragdoll.EvaluateSettings(mode="vector", k=5)
    result = ragdoll.evaluate("collection", ["model", "other"], settings=settings)
    assert_type(result, ragdoll.Evaluation)
    sections = ragdoll.Settings(train=ragdoll.TrainSettings(seed=1))
    assert_type(ragdoll.run("docs", settings=sections), ragdoll.RunResult)
