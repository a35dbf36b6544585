"""Fuzzing that is guided by coverage: atheris chooses what the cases of a target draw.

    python -m tests.fuzz.guided TARGET [--seconds N]

The targets are those of ``python -m tests.fuzz``. It ends with the first finding: an exception that
ragdoll does not raise on purpose, a case of more than ten seconds, or a file written outside the
case's folder. Needs atheris, which is installed by hand, as it is not to be had for all systems.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

import atheris

from tests.fuzz.harness import WALL_SECONDS, FindingError, isolate, watch_writes

_MEMORY_MIB = 3000


class _Guided(Random):
    """Draws what it was given, and the same for all when that is used up."""

    def __new__(cls, _: bytes) -> Random:
        return super().__new__(cls)

    def __init__(self, given: bytes) -> None:
        super().__init__(0)
        self._given = given
        self._at = 0

    def getrandbits(self, k: int) -> int:
        """The next bits; see ``Random.getrandbits``."""
        if self._at >= len(self._given):
            return super().getrandbits(k)  # zeros would let some methods draw for ever
        size = (k + 7) // 8
        taken = self._given[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        return int.from_bytes(taken, "big") >> (8 * size - k)

    def random(self) -> float:
        """The next number; see ``Random.random``."""
        return float(self.getrandbits(53) / 2**53)


def main() -> None:
    """Fuzz; atheris ends the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")).resolve()
    isolate(folder)
    with atheris.instrument_imports(include=["ragdoll"]):
        from ragdoll.corpus.formats.behind_wall import wall
        from ragdoll.corpus.formats.decoding import UnreadableError
        from ragdoll.errors import RagdollError
        from tests.fuzz.targets import TARGETS

        if options.target not in TARGETS:
            parser.error(f"unknown: {options.target}; there are {', '.join(TARGETS)}")
        wall.SECONDS = WALL_SECONDS
        case = TARGETS[options.target](folder)
        refusals = (RagdollError, UnreadableError)
        for seed in range(20):  # for what is imported in the middle of a case
            with suppress(*refusals):
                case(Random(seed))
    outside = watch_writes(folder)

    def run(given: bytes) -> None:
        outside.clear()
        with suppress(*refusals):
            case(_Guided(given))
        if outside:
            raise FindingError(f"outside its folder: {outside}")

    found = Path(os.environ["TMPDIR"]) / "found"
    limits = (f"-max_total_time={options.seconds}", "-timeout=10", f"-rss_limit_mb={_MEMORY_MIB}")
    how = ("-max_len=4096", "-len_control=20", "-print_final_stats=1")
    found.mkdir()
    atheris.Setup([sys.argv[0], *limits, *how, f"-artifact_prefix={folder}/", str(found)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
