"""Kills a real featurize run again and again, at random moments while it embeds.

A program of its own: it imports everything once and forks, so that no kill hits an import.
Prints how often it killed a run that was embedding, and how many runs came to their end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import sentence_transformers  # noqa: F401  (imported before the fork)

from ragdoll.corpus.sources import open_corpus
from ragdoll.distillation import windows
from ragdoll.distillation.featurize import FeaturizeSettings, featurize
from ragdoll.progress import Report


def main(teacher: str, corpus: str, output: Path, kills: int) -> None:
    """Kill ``kills`` runs, then let the last one end in ``output``."""
    chance = random.Random(0)
    killed = ended = 0
    while killed < kills:
        if output.exists() and ended:
            shutil.rmtree(output)
        ended = 0
        while not ended:
            batches, seconds = chance.randint(1, 12), chance.uniform(0, 0.02)
            if killed_while_embedding(teacher, corpus, output, batches, seconds):
                killed += 1
            else:
                ended = 1
    print(killed)


def killed_while_embedding(
    teacher: str, corpus: str, output: Path, batches: int, seconds: float
) -> bool:
    """Start a run and kill it so long after so many batches; False where it ended before."""
    begun, report_begun = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(begun)
        status = 1
        try:
            run(teacher, corpus, output, lambda stage, done, total: tell(report_begun, stage))
            status = 0
        finally:
            os._exit(status)
    os.close(report_begun)
    while batches and os.read(begun, 1):  # nothing is read where the run has ended
        batches -= 1
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(begun)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("a run failed")
    return os.WIFSIGNALED(status)


def tell(pipe: int, stage: str) -> None:
    """Say that a batch is done."""
    if stage == "passages":
        os.write(pipe, b".")


def run(teacher: str, corpus: str, output: Path, report: Report) -> None:
    """Run as the tests of this folder do, in small windows and small batches."""
    windows.WINDOW = 16
    settings = FeaturizeSettings(
        teacher, output, {"path": [corpus]}, max_means=120, batch_size=1, dtype="float32"
    )
    featurize(open_corpus([corpus]), settings, report=report)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
