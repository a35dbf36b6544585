"""A test without labels, made from the documents themselves: finding a known item.

A piece of a document (its title, a heading, a sentence) is taken out of it and becomes a question
whose answer is that document. After Azzopardi, de Rijke and Balog, "Building Simulated Queries for
Known-Item Topics" (2007), with whole pieces of text in the place of sampled words.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import cut
from ragdoll.corpus.seen import UniqueNames
from ragdoll.errors import CorpusError
from ragdoll.evaluation.collection import TestCollection

QUESTIONS = 500

# Words of a searched passage at most, which is about as many tokens as a passage of an index has.
PASSAGE_WORDS = 192

# Characters of the documents that are searched together: more would take longer and show the same.
_MAX_CHARACTERS = 16_000_000

# A piece is a question if it has so many words, and if it leaves as many of its document and no
# fewer than _MIN_LEFT: of less, nobody could tell what the document is about.
_MIN_WORDS, _MAX_WORDS = 3, 40
_MIN_LEFT = 10

# Where a text has no sentences, so many words in a row are a question.
_RUN = (5, 10)

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)\s*|[。！？．｡]+[”’」』）]*|\n\s*\n\s*|\n(?=#{1,6} )")
_WORD = re.compile(r"\w+")

# In languages without spaces a character counts as a word.
_UNIT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a document that can be a question."""

    kind: str
    text: str


def known_items(
    documents: Iterable[Document],
    name: str,
    seed: int = 0,
    questions: int = QUESTIONS,
    passage_words: int = PASSAGE_WORDS,
) -> TestCollection:
    """Make a test collection from documents, the same one for the same documents and seed.

    Of each document chosen at random, a title, a heading or a sentence that no other has becomes a
    question. All occurrences of it are taken out of the document, which is then cut into passages.
    Of a corpus of more than 16 million characters a random part is searched.

    Raises:
        CorpusError: no document has a piece that could be a question.
    """
    sample, left_out = _sample(documents, seed)
    shared = _frequent(sample)
    order = random.Random(seed).sample(range(len(sample)), len(sample))  # noqa: S311
    chosen: dict[int, _Piece] = {}
    for place in order:
        if len(chosen) == questions:
            break
        piece = _choose(sample[place], shared, seed)
        if piece is not None:
            chosen[place] = piece
    if not chosen:
        raise CorpusError(
            f"{name} has no document with a title, a heading or a sentence to ask for.",
            hint="Give documents of several sentences, or a test collection in BEIR layout.",
        )
    texts, parts, names = _passages(sample, chosen, passage_words)
    queries = {f"q{number}": chosen[place].text for number, place in enumerate(sorted(chosen), 1)}
    qrels = {f"q{number}": {names[place]: 1} for number, place in enumerate(sorted(chosen), 1)}
    notes = _notes(Counter(piece.kind for piece in chosen.values()), seed, left_out)
    return TestCollection(name, texts, queries, qrels, parts, notes)


def _sample(documents: Iterable[Document], seed: int) -> tuple[list[Document], int]:
    """As many documents as may be searched, in their order, and how many others there are.

    Those stay whose hashed names are lowest: a random choice that needs to hold no more than it
    keeps, and that hardly changes when a document is added.
    """
    kept: list[tuple[int, int, Document]] = []
    characters = left_out = 0
    for number, document in enumerate(documents):
        if not _WORD.search(document.text):
            continue
        heapq.heappush(kept, (-_lot(document, seed), number, document))
        characters += len(document.text)
        while characters > _MAX_CHARACTERS and len(kept) > 1:
            characters -= len(heapq.heappop(kept)[2].text)
            left_out += 1
    return [document for _, _, document in sorted(kept, key=lambda entry: entry[1])], left_out


def _lot(document: Document, seed: int) -> int:
    named = f"{seed}\0{document.source}\0{document.text[:1000]}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big")


def _choose(document: Document, shared: set[str], seed: int) -> _Piece | None:
    """Draw a question: of the kinds that a document has one, and of that kind a piece."""
    draw = random.Random(_lot(document, seed))  # noqa: S311
    kinds: dict[str, list[_Piece]] = {}
    for piece in _pieces(document):
        words = _length(piece.text)
        left = _length(document.text.replace(piece.text, " "))
        is_long_enough = _MIN_WORDS <= words <= _MAX_WORDS and left >= max(words, _MIN_LEFT)
        if is_long_enough and _normal(piece.text) not in shared:
            kinds.setdefault(piece.kind, []).append(piece)
    if kinds:
        return draw.choice(kinds[draw.choice(sorted(kinds))])
    return _run_of_words(document, draw)


def _pieces(document: Document) -> Iterator[_Piece]:
    """The pieces of a document that may be a question, each once."""
    text, title = document.text, document.title.strip()
    seen = set()
    if title and title in text:
        seen.add(title)
        yield _Piece("title", title)
    for heading in _HEADING.findall(text):
        if heading not in seen:
            seen.add(heading)
            yield _Piece("heading", heading)
    for sentence in islice(_sentences(text), 1000):
        if sentence not in seen and not sentence.startswith("#"):
            seen.add(sentence)
            yield _Piece("sentence", sentence)


def _sentences(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        if piece := text[begin : end.end()].strip():
            yield piece
        begin = end.end()
    if piece := text[begin:].strip():
        yield piece


def _run_of_words(document: Document, draw: random.Random) -> _Piece | None:
    """Some words in a row of a text that has no sentences; None where it is too short."""
    words = list(_WORD.finditer(document.text))
    count = min(draw.randint(*_RUN), len(words) // 3)
    if count < _MIN_WORDS or len(words) - count < _MIN_LEFT:
        return None
    first = draw.randrange(len(words) - count + 1)
    return _Piece(
        "run of words", document.text[words[first].start() : words[first + count - 1].end()]
    )


def _frequent(sample: list[Document]) -> set[str]:
    """The pieces that more than one document has: no question, since it would have two answers."""
    counts: Counter[str] = Counter()
    for document in sample:
        counts.update({_normal(piece.text) for piece in _pieces(document)})
    return {piece for piece, count in counts.items() if count > 1}


def _length(text: str) -> int:
    """The number of words; a qualified name is one, a sign of punctuation none."""
    return sum(1 for unit in _UNIT.findall(text) if _WORD.search(unit))


def _normal(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _passages(
    sample: list[Document], chosen: dict[int, _Piece], passage_words: int
) -> tuple[dict[str, str], dict[str, str], dict[int, str]]:
    """The texts to be searched, the documents of those that are parts, and the documents' names."""
    texts: dict[str, str] = {}
    parts: dict[str, str] = {}
    names: dict[int, str] = {}
    unique = UniqueNames()
    for place, document in enumerate(sample):
        names[place] = unique(document.source)
        text = document.text
        if place in chosen:
            text = text.replace(chosen[place].text, " ")
        passages = list(cut(replace(document, text=text), passage_words, _lengths))
        for number, passage in enumerate(passages, 1):
            part = names[place] if len(passages) == 1 else f"{names[place]} [{number}]"
            texts[part] = passage.text
            if len(passages) > 1:
                parts[part] = names[place]
    return texts, parts, names


def _lengths(words: Sequence[str]) -> list[int]:
    return [max(1, len(_UNIT.findall(word))) for word in words]


def _notes(kinds: Counter[str], seed: int, left_out: int) -> tuple[str, ...]:
    counted = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(kinds.items()))
    made = (
        f"A known-item test, made from the documents by the seed {seed}: each question is a piece "
        f"of one document ({counted}) that was taken out of it; that document is its one answer."
    )
    searched = f"{left_out:,} other documents, drawn at random, are not searched."
    shows = (
        "It can show whether training helped on these documents. It cannot show how well questions "
        "in other words are answered, nor settle BM25 against the model: a piece of a document "
        "shares its words, and a model that was trained on the documents has seen them whole. "
        "Compare its figures with nothing but each other."
    )
    return (made, *([searched] if left_out else []), shows)
