"""``ragdoll featurize``: its JSON, what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Ragdoll


def test_the_json_has_the_keys_of_the_contract_and_training_on_it_comes_next(
    ragdoll: Ragdoll, small_teacher: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs.parent)
    Path("my.toml").write_text('[featurize]\noutput = "f"\n[train]\nfeatures = "other"\n')
    result = ragdoll("featurize", docs, "--teacher", small_teacher, "--config", "my.toml", "--json")
    assert result.status == 0
    record = result.json
    assert record.keys() >= {
        *("features", "teacher", "target", "dimension", "rows", "rows_resumed", "tokens"),
        *("skipped", "seconds", "rows_per_second", "tokens_per_second"),
    }
    assert (record["rows"], record["dimension"], record["rows_resumed"]) == (4, 384, 0)
    assert f"Next: ragdoll train --config my.toml --features {Path('f').absolute()}" in result.err


def test_a_second_run_says_that_all_is_there(
    ragdoll: Ragdoll, small_teacher: Path, docs: Path
) -> None:
    command = ["featurize", docs, "--teacher", small_teacher, "--output", "f"]
    first, second = ragdoll(*command), ragdoll(*command)
    assert (first.status, second.status) == (0, 0)
    assert "passages            4\n" in first.out
    assert "passages            4, all of them there already\n" in second.out


def test_other_settings_are_refused_with_what_differs_and_restart_makes_anew(
    ragdoll: Ragdoll, small_teacher: Path, docs: Path
) -> None:
    command = ["featurize", docs, "--teacher", small_teacher, "--output", "f"]
    assert ragdoll(*command).status == 0
    refused = ragdoll(*command, "--target", "sentence")
    assert refused.status == 1
    problem, hint = refused.err.splitlines()
    assert "target was mean, now sentence" in problem
    assert "--restart" in hint
    assert "--output" in hint
    assert ragdoll(*command, "--target", "sentence", "--restart").status == 0


def test_no_corpus_is_wrong_usage(ragdoll: Ragdoll) -> None:
    result = ragdoll("featurize")
    assert (result.status, result.out) == (2, "")
    assert "corpus" in result.err
