"""Commands, run in the same process, and what their output must be."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.conftest import Result
from tests.fuzz.harness import FindingError

# The C0 and C1 controls but tab and line feed, surrogates, and what turns the direction of writing.
_FORGING = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_MAX_ERROR = 5000


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run a command line; what it raises comes through."""
    from typer.testing import CliRunner

    from ragdoll.cli import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    # By bytes, since what is no text must be seen too.
    return Result(
        result.exit_code,
        result.stdout_bytes.decode("utf-8", "surrogateescape"),
        result.stderr_bytes.decode("utf-8", "surrogateescape"),
    )


def check_output(result: Result, folder: Path) -> None:
    """Check that a command ended as one should, and that nothing it said forges a terminal."""
    if result.status not in {0, 1, 2}:
        raise FindingError(f"status {result.status}")
    for said in ("Unexpected ", "Traceback", "defect of ragdoll"):
        if said in result.err and "Error: Unexpected" in result.err:
            raise FindingError(result.err[:400])
    is_json = result.out.startswith("{")
    forged = _FORGING.search(result.err) or (not is_json and _FORGING.search(result.out))
    if forged:
        raise FindingError(f"prints {forged.group()!r}: {(result.err + result.out)[:300]!r}")
    errors = [line for line in result.err.splitlines() if not line.startswith("  ")]
    if result.status and ("Error: " not in result.err or len(errors) > 60):
        raise FindingError(f"no error in a line or two: {result.err[:300]!r}")
    if result.status and len(result.err) > _MAX_ERROR + 100 * len(str(folder)):
        raise FindingError(f"an error of {len(result.err)} characters: {result.err[:100]!r}")
    for line in result.out.splitlines() if is_json else ():
        json.loads(line)
