"""Fuzz; see the package."""

from __future__ import annotations

import argparse
import sys

from tests import fuzz as package
from tests.fuzz.harness import Tally, fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz and print; exit with status 1 on a finding."""
    parser = argparse.ArgumentParser(description=package.__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--cases", type=int, help="for each target, if it has time for them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="repeat this one")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(f"{'target':<16}{'cases':>9}{'refused':>9}{'slowest':>18}{'memory':>9}{'found':>7}")
    found = False
    for name in options.targets or TARGETS:
        tally = fuzz(name, options.seed, options.seconds, options.cases, options.case)
        _print(name, tally)
        found = found or bool(tally.findings)
    sys.exit(found)


def _print(name: str, tally: Tally) -> None:
    slowest = f"{tally.slowest:.2f} s (#{tally.slowest_case})"
    print(
        f"{name:<16}{tally.cases:>9,}{tally.refused:>9,}{slowest:>18}"
        f"{tally.peak >> 20:>5} MiB{len(tally.findings):>7}",
        flush=True,
    )
    kinds: dict[str, list[int]] = {}
    for case, said in tally.findings:
        kinds.setdefault(said, []).append(case)
    for said, cases in kinds.items():
        print(f"    #{cases[0]}{f' and {len(cases) - 1} more' * (len(cases) > 1)}: {said}")


if __name__ == "__main__":
    main()
