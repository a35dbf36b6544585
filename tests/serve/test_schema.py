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
    app = create_app(service, Counts(), page=False, metrics=False)
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
