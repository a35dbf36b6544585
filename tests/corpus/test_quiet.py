"""Other libraries' warnings, ignored without a change of what the rest of the program does."""

from __future__ import annotations

import ast
import itertools
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.formats.quiet import ignore_warnings
from ragdoll.corpus.sources import python_package
from tests.corpus.reading import only, written


def said(module: str) -> list[str]:
    """What a module is heard to warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ignore_warnings(r"noisy(\.|$)")
        warnings.warn_explicit("listen", UserWarning, "a.py", 1, module=module)
    return [str(warning.message) for warning in caught]


def test_only_the_modules_that_are_named_are_not_heard() -> None:
    assert said("noisy") == said("noisy.part") == []
    assert said("noisier") == said("quiet") == ["listen"]


def test_to_say_it_again_changes_nothing() -> None:
    ignore_warnings("noisy")
    before = list(warnings.filters)
    ignore_warnings("noisy")
    assert warnings.filters == before


def test_readings_in_two_threads_leave_the_warnings_of_the_program_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "a.py", r'"""A \d."""')
    calls, parse = itertools.count(), ast.parse
    begun, may_end = ([threading.Event(), threading.Event()] for _ in range(2))

    def in_turn(*arguments: Any, **options: Any) -> Any:
        number = next(calls)
        begun[number].set()
        assert may_end[number].wait(60)
        return parse(*arguments, **options)

    monkeypatch.setattr(python_package.ast, "parse", in_turn)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as threads:
        readings = []
        for number in range(2):
            readings.append(threads.submit(python_package._parse, file))
            assert begun[number].wait(60)
        for number in range(2):
            may_end[number].set()
            readings[number].result()
    added = [entry for entry in warnings.filters if entry not in before]
    assert [entry[3].pattern for entry in added] == [python_package._PARSED]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.html", "<?xml version='1.0'?><p>Text.</p>"), ("b.html", "/etc/hosts")],
    ids=["XML", "a file's name"],
)
def test_the_parser_of_pages_is_not_heard(
    name: str, content: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    only(written(tmp_path, name, content))
    assert list(recwarn) == []
