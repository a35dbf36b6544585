"""The test collections of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CORPUS
from tests.evaluation.making import written
from tests.making import open_corpus


@pytest.fixture(scope="session")
def docstrings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The docstrings of the test corpus; the question for each is its name."""
    documents, queries = {}, {}
    for document in open_corpus([CORPUS]):
        name, _, docstring = document.text.partition("\n\n")
        if len(docstring) > 40 and name not in queries.values():
            documents[f"d{len(documents)}"] = docstring
            queries[f"q{len(queries)}"] = name
    qrels = "".join(f"q{number}\td{number}\t1\n" for number in range(0, len(documents), 3))
    return written(tmp_path_factory.mktemp("beir") / "docstrings", documents, queries, qrels)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Three documents and two questions."""
    documents = {"a": "a lock guards", "b": "the loop runs", "c": "locks and loops"}
    queries = {"q1": "what guards", "q2": "what runs"}
    return written(tmp_path / "tiny", documents, queries, "q1\ta\t1\nq2\tb\t1\n")
