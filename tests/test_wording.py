"""Numbers in sentences."""

from __future__ import annotations

import pytest

from ragdoll.errors import number_of


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 passes"), (1, "1 pass"), (2, "2 passes"), (1234, "1,234 passes")]
)
def test_one_thing_is_no_plural(number: int, said: str) -> None:
    assert number_of("pass", number, "passes") == said
    assert number_of("row", number) == said.replace("passes", "rows").replace("pass", "row")
