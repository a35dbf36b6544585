"""When to look at the places of a corpus again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.sources.folder import FileSource
from ragdoll.extras import require

# Milliseconds in which changes are taken together: an editor writes a file in several steps.
_TOGETHER = 400
# Seconds between two looks at the clock, with or without events.
_STEP = 1.0


def changes(corpus: Corpus, every: float) -> Iterator[None]:
    """Yield when files of a corpus may have changed, without end.

    That is when the system tells of a change in a folder, and every so many seconds in any case:
    network drives tell nothing, nor do places that are no folders.

    Raises:
        MissingExtraError: the extra for the service is not installed.
    """
    require("serve", "Watching")
    from watchfiles import watch

    while True:
        folders = [
            source.path
            for source in corpus.sources
            if isinstance(source, FileSource) and source.path.is_dir()
        ]
        if not folders:
            time.sleep(every)
            yield
            continue
        told = watch(
            *folders,
            watch_filter=partial(_is_seen, folders),
            debounce=_TOGETHER,
            rust_timeout=int(min(every, _STEP) * 1000),
            yield_on_timeout=True,
            raise_interrupt=True,
        )
        # At once, too: no event tells of changes from before the watch began.
        due = time.monotonic()
        for found in told:
            if found or time.monotonic() >= due:
                yield
                due = time.monotonic() + every
            if not all(folder.is_dir() for folder in folders):
                break  # a folder that comes back has to be watched anew


def _is_seen(folders: list[Path], _change: object, name: str) -> bool:
    """Tell whether a path is one that is read: neither hidden, nor written by indexing itself."""
    path = Path(name)
    inner = next((path.relative_to(root) for root in folders if path.is_relative_to(root)), path)
    return not any(part.startswith(".") or part.endswith(".lance") for part in inner.parts)
