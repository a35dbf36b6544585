"""The retrievers of frameworks, each where its framework is installed."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from pathlib import Path

import pytest

from ragdoll import Index
from ragdoll.errors import MissingExtraError, ServiceError, UsageError
from tests.conftest import Trained
from tests.making import open_corpus

QUERY = "call a function after a delay"


@pytest.fixture
def index(trained: Trained, docs: Path, tmp_path: Path) -> Index:
    index = Index.create(tmp_path / "base", model=trained.model)
    index.update(open_corpus([docs]))
    return index


@pytest.mark.parametrize(
    ("module", "framework", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index.core", "llama-index"),
        ("haystack", "haystack", "haystack"),
    ],
)
def test_without_its_framework_a_retriever_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, framework: str, extra: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(framework)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework, None)
    monkeypatch.delitem(sys.modules, f"ragdoll.integrations.{module}", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module(f"ragdoll.integrations.{module}")
    assert f"[{extra}]" in str(caught.value.hint)


def test_langchain(index: Index) -> None:
    pytest.importorskip("langchain_core")
    from ragdoll.integrations.langchain import RagdollRetriever

    retriever = RagdollRetriever(index=index, k=2)
    found = retriever.invoke(QUERY)
    assert asyncio.run(retriever.ainvoke(QUERY)) == found
    assert len(found) == 2
    assert "call_later" in found[0].page_content
    assert found[0].metadata["source"] == "loop.md"
    assert RagdollRetriever(index=index, source="*.txt").invoke(QUERY)[0].id != found[0].id
    assert retriever.invoke(QUERY, k=1) == found[:1]
    assert asyncio.run(retriever.ainvoke(QUERY, k=1)) == found[:1]
    with pytest.raises(UsageError, match="mode"):
        retriever.invoke(QUERY, mode="sound")


def test_llama_index(index: Index) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import MetadataMode

    from ragdoll.integrations.llama_index import RagdollRetriever

    retriever = RagdollRetriever(index, 2)
    found = retriever.retrieve(QUERY)
    again = asyncio.run(retriever.aretrieve(QUERY))
    assert [one.node.node_id for one in again] == [one.node.node_id for one in found]
    assert "call_later" in found[0].text
    assert found[0].score == pytest.approx(index.search(QUERY, 1)[0].score)
    assert found[0].metadata["line"] == 1
    shown = found[0].node.get_content(MetadataMode.LLM)
    assert "source: loop.md" in shown
    assert not re.search("path|line|score", shown.removesuffix(found[0].text))
    with pytest.raises(UsageError, match="mode"):
        RagdollRetriever(index, mode="sound")  # type: ignore[arg-type]


def test_haystack(index: Index, tmp_path: Path) -> None:
    pytest.importorskip("haystack")
    from haystack import Pipeline

    from ragdoll.integrations.haystack import RagdollRetriever

    pipeline = Pipeline()
    pipeline.add_component("retriever", RagdollRetriever(tmp_path / "base", top_k=2))
    ours = "ragdoll.integrations.haystack"
    pipeline = Pipeline.loads(pipeline.dumps(), allowed_modules=[ours])
    found = pipeline.run({"retriever": {"query": QUERY}})["retriever"]["documents"]
    assert len(found) == 2
    assert "call_later" in found[0].content
    assert found[0].meta["path"] == str(tmp_path / "docs/loop.md")
    with pytest.raises(UsageError, match="k must be at least 1"):
        RagdollRetriever(tmp_path / "base").run(QUERY, top_k=0)
    with pytest.raises(UsageError, match="mode"):
        RagdollRetriever(tmp_path / "base", mode="sound")
    with pytest.raises(ServiceError, match="cannot be reached"):
        RagdollRetriever("HTTP://127.0.0.1:1").run(QUERY)
