"""The routes for applications: what they answer, and how they refuse."""

from __future__ import annotations

import base64
import shutil
import struct
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from starlette.testclient import TestClient

from ragdoll.embedding.static import StaticModel
from ragdoll.retrieval.index import Index
from tests.closeness import assert_alike
from tests.conftest import Ragdoll, Trained
from tests.serve.conftest import GUIDE, Serving


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()


def error_of(answer: Any) -> dict[str, Any]:
    record = answer.json()
    assert set(record) == {"error"}
    assert set(record["error"]) == {"code", "message", "hint"}
    assert "Traceback" not in answer.text
    return dict(record["error"])


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_answers_are_those_of_the_command(
    client: TestClient, ragdoll: Ragdoll, base: Path, mode: str
) -> None:
    query = "call a function after a delay"
    said = ragdoll("query", query, "--database", base, "--mode", mode, "-k", 5, "--json").json
    asked = {"query": query, "mode": mode, "top_k": 5}
    for answer in (client.post("/search", json=asked), client.get("/search", params=asked)):
        assert answer.status_code == 200
        record = answer.json()
        assert record | {"hits": []} == {**said, "table": "documents", "hits": []}
        for hit, own in zip(record["hits"], said["hits"], strict=True):
            assert hit == {
                name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
                for name, value in own.items()
            }
    assert said["hits"][0]["line"] == 1


def test_several_questions_are_answered_in_their_order(client: TestClient) -> None:
    queries = ["set a timer", "a lock guards", "task 7"]
    record = client.post("/search/batch", json={"queries": queries, "top_k": 1}).json()
    assert [one["query"] for one in record["answers"]] == queries
    sources = [one["hits"][0]["source"] for one in record["answers"]]
    assert sources[:2] == ["guide/loop.md", "locks.txt"]


def test_filters_restrict_the_answers(client: TestClient) -> None:
    asked = {"query": "task", "mode": "text", "top_k": 50}
    found = client.post("/search", json={**asked, "where": "year >= 2025"}).json()["hits"]
    assert sorted(hit["source"] for hit in found) == [f"tasks.jsonl#{n}" for n in range(25, 30)]
    found = client.post("/search", json={**asked, "source": "*.txt"}).json()["hits"]
    assert [hit["source"] for hit in found] == ["locks.txt"]
    asked |= {"query": "lock", "mode": "vector"}
    alike = [hit["vector_score"] for hit in client.post("/search", json=asked).json()["hits"]]
    least = sum(sorted(alike)[-4:-2]) / 2  # scores are rounded
    found = client.post("/search", json={**asked, "min_similarity": least}).json()["hits"]
    assert len(found) == 3


def test_a_text_is_whole_or_in_part_or_left_out(client: TestClient) -> None:
    asked: dict[str, Any] = {"query": "delay", "top_k": 1, "source": "*.md"}
    whole = client.post("/search", json=asked).json()["hits"][0]["text"]
    assert whole == GUIDE.strip()
    (hit,) = client.post("/search", json={**asked, "text": "snippet", "marks": True}).json()["hits"]
    assert [hit["text"][start:end] for start, end in hit["marks"]] == ["Delays", "delay"]
    assert client.post("/search", json={**asked, "text": "none"}).json()["hits"][0]["text"] is None


def test_tables_and_what_is_in_them_can_be_read(client: TestClient) -> None:
    record = client.get("/tables").json()
    assert record["default"] == "documents"
    (facts,) = [one for one in record["tables"] if one["table"] == "documents"]
    assert (facts["documents"], facts["metric"]) == (33, "cosine")
    assert "year" in facts["columns"]
    (document,) = client.get("/documents", params={"source": "guide/loop.md"}).json()["documents"]
    assert document["text"] == GUIDE.strip()
    passage = document["passages"][0]
    assert client.get(f"/passages/{passage['id']}").json() == passage
    many = client.get("/documents", params={"source": "tasks.jsonl"}).json()["documents"]
    assert len(many) == 30


def test_documents_are_read_in_parts(client: TestClient) -> None:
    whole = client.get("/documents", params={"source": "**"}).json()
    assert whole["next"] is None
    places: list[int | None] = [0]
    parts = []
    while places[-1] is not None:
        asked = {"source": "**", "limit": 7, "offset": places[-1]}
        part = client.get("/documents", params=asked).json()
        assert sum(len(one["passages"]) for one in part["documents"]) <= 7
        parts += [passage for one in part["documents"] for passage in one["passages"]]
        places.append(part["next"])
    assert places == [0, 7, 14, 21, 28, None]
    assert parts == [passage for one in whole["documents"] for passage in one["passages"]]
    beyond = client.get("/documents", params={"source": "locks.txt", "offset": 1})
    assert beyond.json() == {"documents": [], "next": None}


def test_a_hint_says_what_to_do_on_the_command_line(serving: Serving, tmp_path: Path) -> None:
    answer = serving(tmp_path / "nowhere").get("/search", params={"query": "a lock"})
    assert "ragdoll index DOCS" in error_of(answer)["hint"]
    assert "(...)" not in error_of(answer)["hint"]


def test_another_table_is_asked_by_its_name(client: TestClient) -> None:
    record = client.post("/search", json={"query": "semaphore", "table": "other"}).json()
    assert (record["table"], len(record["hits"])) == ("other", 1)


@pytest.fixture
def changing(base: Path, tmp_path: Path) -> Path:
    """A copy of the database, which a test may change."""
    return Path(shutil.copytree(base, tmp_path / "changing"))


def test_a_table_that_cannot_be_searched_is_named_apart(
    changing: Path, serving: Serving, trained: Trained
) -> None:
    lancedb.connect(changing).create_table("foreign", [{"x": 1}])
    moved = shutil.copytree(trained.model, changing.parent / "moved")
    Index.create(changing, table="orphan", model=moved).update(["A task waits."])
    shutil.rmtree(moved)
    client = serving(changing)
    record = client.get("/tables").json()
    assert [one["table"] for one in record["tables"]] == ["documents", "other"]
    foreign, orphan = record["problems"]
    assert (foreign["table"], orphan["table"]) == ("foreign", "orphan")
    assert "foreign" in foreign["message"]
    assert str(moved) in f"{orphan['message']} {orphan['hint']}"
    assert "`" not in f"{foreign['hint']} {orphan['hint']}"
    models = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["documents", "other"]


def test_a_table_that_was_dropped_is_not_there(changing: Path, serving: Serving) -> None:
    client = serving(changing)
    for name in ("other", "documents"):
        asked = {"query": "task", "table": name}
        assert client.post("/search", json=asked).status_code == 200
        lancedb.connect(changing).drop_table(name)
        answer = client.post("/search", json=asked)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "no_table")
    health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "gone")


def test_a_table_that_is_named_twice_is_listed_once(serving: Serving) -> None:
    record = serving(names=["other", "other"]).get("/tables").json()
    assert [one["table"] for one in record["tables"]] == ["other"]


def test_only_the_tables_that_are_named_are_served(serving: Serving) -> None:
    client = serving(names=["other"])
    assert [one["table"] for one in client.get("/tables").json()["tables"]] == ["other"]
    answer = client.post("/search", json={"query": "lock", "table": "documents"})
    assert (answer.status_code, error_of(answer)["code"]) == (404, "no_table")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "query: Field required"),
        ({"query": ""}, 422, "query"),
        ({"query": "  "}, 400, "empty"),
        ({"query": "x" * 8193}, 422, "8192"),
        ({"query": "x", "top_k": 0}, 422, "top_k"),
        ({"query": "x", "top_k": 101}, 400, "100 is the most"),
        ({"query": "x", "mode": "best"}, 422, "mode"),
        ({"query": "x", "mode": "text", "alpha": 0.5}, 400, "alpha"),
        ({"query": "x", "alpha": 2}, 400, "alpha"),
        ({"query": "x", "mode": "text", "min_similarity": 0.5}, 400, "min_similarity"),
        ({"query": "x", "where": "start / 0 = 1"}, 400, "Divide by zero"),
        ({"query": "x", "where": "nope = 1"}, 400, "No field named nope"),
        ({"query": "x", "where": "year >= 1) or (true"}, 400, "bracket"),
        ({"query": "x", "table": "nope"}, 404, "nope"),
        ({"query": "x", "limit": 3}, 422, "limit"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_request_is_refused_with_what_is_wrong(
    client: TestClient, body: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post("/search", json=body)
    assert answer.status_code == status
    assert said in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("PUT", "/search", 405),
        ("GET", "/documents?source=nope.md", 404),
        ("GET", "/passages/nope", 404),
        ("GET", "/documents?source=../../etc/passwd", 404),
        ("GET", "/page/..%2fapi.py", 404),
        ("GET", "/page/api.py", 404),
    ],
)
def test_what_is_not_there_is_said(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    error_of(answer)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", rb'{"input": ["\ud800"], "model": "documents"}'),
        ("/v1/embeddings", rb'{"input": "x", "model": "\udfff"}'),
        ("/search", rb'{"query": "x", "table": "\ud800"}'),
        ("/search", rb'{"query": "x", "source": "\ud800"}'),
        ("/search", rb'{"query": "x", "\ud800": 1}'),
        ("/search/batch", rb'{"queries": ["x", "\ud800"]}'),
    ],
)
def test_half_of_a_character_is_refused(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert error_of(answer)["message"] == "A text has half of a character, a lone surrogate."


def test_values_of_any_depth_are_answered_or_refused(client: TestClient) -> None:
    """Also where reading them just works, and checking them no longer does."""
    for depth in range(700, 1000, 3):
        nested = "[" * depth + "]" * depth
        body = f'{{"model": "documents", "input": {nested}}}'.encode()
        answer = client.post(
            "/v1/embeddings", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code in {400, 422}
        error_of(answer)


@pytest.mark.parametrize("path", ["/search", "/search/batch", "/v1/embeddings"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonx", "application/xml"])
def test_a_body_of_another_type_is_refused(client: TestClient, path: str, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = client.post(path, content=b'{"query": "lock"}', headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "media_type")


def test_json_has_several_types(client: TestClient) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.api+json"):
        answer = client.post("/search", content=b'{"query": "x"}', headers={"content-type": kind})
        assert answer.status_code == 200
    assert client.post("/search").status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/search", "GET, POST"), ("POST", "/tables", "GET"), ("POST", "/", "GET, HEAD")],
)
def test_the_methods_of_a_path_are_said(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/", "/health", "/page/page.css"])
def test_the_head_of_an_answer_can_be_asked_for(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == client.get(path).status_code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/documents?source=locks.txt&tabel=other"),
        ("GET", "/passages/0?tabel=other"),
        ("GET", "/search?query=x&limit=3"),
        ("POST", "/v1/embeddings"),
    ],
)
def test_fields_that_are_not_known_are_refused(client: TestClient, method: str, path: str) -> None:
    body = {"input": "x", "model": "documents", "tabel": 1}
    answer = client.request(method, path, json=body if method == "POST" else None)
    assert answer.status_code == 422
    assert "not permitted" in error_of(answer)["message"]


def test_a_body_that_is_no_json_is_refused(client: TestClient) -> None:
    answer = client.post("/search", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    error_of(answer)


def test_the_description_of_the_routes_names_all_of_them(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/search", "/search/batch", "/tables", "/documents", "/health"} <= set(paths)
    assert "/" not in paths


def test_counts_of_requests_have_no_queries(client: TestClient) -> None:
    client.post("/search", json={"query": "a secret question"})
    text = client.get("/metrics").text
    assert 'ragdoll_requests_total{route="/search",status="200"} 1' in text
    assert "secret" not in text


# OpenAI's client


@pytest.fixture
def openai(client: TestClient) -> OpenAI:
    return OpenAI(base_url="http://localhost/v1", api_key="none", http_client=client, max_retries=0)


def test_the_client_of_openai_gets_embeddings(openai: OpenAI, trained: Trained) -> None:
    texts = ["a lock guards", "set a timer"]
    answer = openai.embeddings.create(model="documents", input=texts)
    vectors = np.array([one.embedding for one in answer.data], np.float32)
    model = StaticModel.load(trained.model)
    assert_alike(vectors, model.encode(texts))
    assert answer.usage.prompt_tokens == sum(model.count_tokens(texts)) > 2
    floats = openai.embeddings.create(model="other", input=texts[0], encoding_format="float")
    assert_alike(np.array(floats.data[0].embedding, np.float32), vectors[0])
    assert {model.id for model in openai.models.list()} == {"documents", "other"}
    assert openai.models.retrieve("other").id == "other"
    with pytest.raises(NotFoundError):
        openai.models.retrieve("nope")


def test_base64_is_little_endian_floats(client: TestClient) -> None:
    asked = {"model": "documents", "input": "a lock", "encoding_format": "base64"}
    (one,) = client.post("/v1/embeddings", json=asked).json()["data"]
    (plain,) = client.post("/v1/embeddings", json={**asked, "encoding_format": "float"}).json()[
        "data"
    ]
    content = base64.b64decode(one["embedding"])
    numbers = struct.unpack(f"<{len(content) // 4}f", content)
    assert_alike(np.array(numbers, np.float32), np.array(plain["embedding"], np.float32))


def test_what_cannot_be_embedded_is_refused(openai: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="check_embedding_ctx_length=False"):
        openai.embeddings.create(model="documents", input=[[1, 2, 3]])
    with pytest.raises(BadRequestError, match="dimensions, not 7"):
        openai.embeddings.create(model="documents", input="a", dimensions=7)
    with pytest.raises(NotFoundError):
        openai.embeddings.create(model="text-embedding-3-small", input="a")
