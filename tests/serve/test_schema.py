"""Whatever is sent, the answers are those that ``/openapi.json`` promises."""

from __future__ import annotations

from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from ragdoll.serve.api import create_app
from ragdoll.serve.guard import Counts
from ragdoll.serve.job import Job
from ragdoll.serve.service import Service
from ragdoll.settings import IndexSettings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_route_keeps_to_its_description(base: Path) -> None:
    service = Service(IndexSettings(database=str(base)))
    app = create_app(service, Counts(), page=False, metrics=True)
    with TestClient(app):
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        for operation in schema.get_all_operations():
            check(operation.ok())


def check(operation: schemathesis.APIOperation) -> None:  # type: ignore[name-defined]
    @given(case=operation.as_strategy())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def answers_are_as_described(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    answers_are_as_described()


def test_every_answer_is_described_and_only_health_needs_no_token(base: Path) -> None:
    service = Service(IndexSettings(database=str(base)))
    app = create_app(service, Counts(), metrics=True, job=Job([]))
    routes = {
        f"{method} {path}": route
        for path, methods in app.openapi()["paths"].items()
        for method, route in methods.items()
    }
    assert {name for name, route in routes.items() if "security" not in route} == {"get /health"}
    for name, route in routes.items():
        answers = route["responses"]
        for status, answer in answers.items():
            assert all(kind["schema"] for kind in answer["content"].values()), (name, status)
        assert ("415" in answers) == ("requestBody" in route), name
    assert set(routes["get /metrics"]["responses"]["200"]["content"]) == {"text/plain"}
    assert "404" not in routes["get /tables"]["responses"]
    assert "next" in routes["get /documents"]["description"]
