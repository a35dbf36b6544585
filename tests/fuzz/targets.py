"""All targets by their names."""

from __future__ import annotations

from tests.fuzz import (
    evaluation,
    features,
    models,
    office,
    records,
    service,
    settings,
    tables,
    texts,
)
from tests.fuzz.harness import Prepare

TARGETS: dict[str, Prepare] = {
    name: prepare
    for group in (settings, texts, records, office, models, features, tables, evaluation, service)
    for name, prepare in group.TARGETS.items()
}
