"""The time that the command line takes for its help, against importing typer and rich.

    python -m tests.benchmarks.start [--rounds N]

Medians of whole processes, each round one of every kind, with a warm file cache.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

_REFERENCE = "import typer, rich"
_WAYS = {
    _REFERENCE: ["-c", _REFERENCE],
    "ragdoll --version": ["-m", "ragdoll", "--version"],
    "ragdoll --help": ["-m", "ragdoll", "--help"],
    "ragdoll query --help": ["-m", "ragdoll", "query", "--help"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    for _ in range(rounds):
        for name, arguments in _WAYS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    reference = statistics.median(seconds[_REFERENCE])
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:22} {median:6.3f} s {median / reference:5.2f} ×")


if __name__ == "__main__":
    main()
