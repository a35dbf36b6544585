"""Terms of the corpus that a static model gets vectors of their own for: words and pairs of words.

A term is worth a token where the teacher's tokenizer splits it: its vector is then the teacher's
for the whole term, and no longer an average of pieces.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from ragdoll.distillation.static_tokenizer import StaticTokenizer, open_tokenizer
from ragdoll.distillation.teacher_files import TeacherFiles
from ragdoll.distillation.terms import TermCounts

logger = logging.getLogger(__name__)


def corpus_vocabulary(
    texts: Iterable[str],
    size: int,
    teacher: TeacherFiles,
    trust_remote_code: bool = False,
) -> list[str]:
    """Return up to ``size`` terms of the texts, the best first, for ``distil`` to add.

    They are what ``terms_of`` finds for the teacher's tokenizer. Without a ``size`` nothing is
    read.

    Raises:
        TrainingError: the teacher's tokenizer cannot be used.
    """
    if size < 1:
        return []
    return terms_of(texts, size, open_tokenizer(teacher, trust_remote_code))


def terms_of(texts: Iterable[str], size: int, tokenizer: StaticTokenizer) -> list[str]:
    """Return the ``size`` terms that save the most tokens, each in the form that is matched.

    A term is a word, or two words next to each other, joined by a space or a hyphen, that by their
    normalized pointwise mutual information occur together much more often than by chance. It
    occurs three times at least, is several of the tokenizer's tokens, and can be added to it. Texts
    are read once, one at a time; the same texts give the same terms in the same order.
    """
    counts = TermCounts()
    for text in texts:
        counts.add(tokenizer.as_matched(text))
    if counts.words.error or counts.pairs.error:
        logger.info(
            "The corpus has more words than are counted at once: counts may be too low, by %d for "
            "words and %d for pairs.",
            counts.words.error,
            counts.pairs.error,
        )
    candidates = dict(counts.candidates())
    pieces = tokenizer.pieces(list(candidates))
    saves = {term: len(ids) - 1 for term, ids in zip(candidates, pieces, strict=True) if ids[1:]}
    lost = _lost(counts, saves)
    gains = {term: candidates[term] * each - lost[term] for term, each in saves.items()}
    useful = [term for term, gain in gains.items() if gain > 0]
    ranked = iter(sorted(useful, key=lambda term: (-gains[term], term)))
    terms: list[str] = []
    while len(terms) < size and (more := list(islice(ranked, size - len(terms)))):
        terms = list(tokenizer.with_terms([*terms, *more]).terms)
    return terms


def _lost(counts: TermCounts, saves: Mapping[str, int]) -> Counter[str]:
    """How many tokens each pair costs by hiding terms; ``saves`` is what a term saves each time.

    Tokenizers look for the longest term at a place and go on behind it even where it turns out to
    be no whole word: "event loop" hides both "event" and "loops" in "event loops".
    """
    lost: Counter[str] = Counter()
    for pair, count in counts.pairs.items():
        first, joint, second = pair.partition(" ") if " " in pair else pair.partition("-")
        hidden = saves.get(first, 0) + saves.get(second, 0)
        if not hidden or pair in saves:
            continue
        shorter = [f"{first}{joint}{second[:end]}" for end in range(1, len(second))]
        if first not in saves:
            shorter += [f"{first[start:]}{joint}{second}" for start in range(1, len(first))]
        lost.update({hiding: count * hidden for hiding in shorter if hiding in saves})
    return lost
