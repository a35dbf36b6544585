"""A test without labels, made from the documents themselves: finding a known item.

A piece of a document (its title, a heading, a sentence) is taken out of the document and becomes a
question whose answer is that document; see ``corpus.pieces``.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ragdoll.corpus.documents import Document
from ragdoll.corpus.names import UniqueNames
from ragdoll.corpus.passages import cut
from ragdoll.corpus.pieces import Piece, choose, has_words, shared_pieces, unit_lengths
from ragdoll.errors import CorpusError, number_of
from ragdoll.evaluation.collection import TestCollection

QUESTIONS = 500

# Words of a searched passage at most; with these it has about the tokens of a passage of an index.
PASSAGE_WORDS = 192

# Characters of all searched documents: more would take longer and show the same.
_MAX_CHARACTERS = 16_000_000


def known_items(
    documents: Iterable[Document],
    name: str,
    seed: int = 0,
    questions: int = QUESTIONS,
    passage_words: int = PASSAGE_WORDS,
) -> TestCollection:
    """Make a test collection from documents; the same documents and seed make the same one.

    Documents are chosen at random. A title, a heading or a sentence that no other document has
    becomes a question. All occurrences of it are taken out of the document, which is then cut into
    passages. Of a corpus of more than 16 million characters only a random part is searched.

    Raises:
        CorpusError: no document has a piece that could be a question.
    """
    sample, others = _sample(documents, seed)
    shared = shared_pieces((document.text, document.title) for document in sample)
    order = random.Random(seed).sample(range(len(sample)), len(sample))  # noqa: S311
    chosen: dict[int, Piece] = {}
    for place in order:
        if len(chosen) == questions:
            break
        document = sample[place]
        draw = random.Random(_lot(document, seed))  # noqa: S311
        piece = choose(document.text, document.title, shared, draw)
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
    notes = _notes(Counter(piece.kind for piece in chosen.values()), seed, others)
    return TestCollection(name, texts, queries, qrels, parts, notes)


def _sample(documents: Iterable[Document], seed: int) -> tuple[list[Document], int]:
    """Return the documents that are searched, in their order, and the number of the others.

    Documents whose hashed names are lowest are searched: this random choice holds no more in memory
    than it keeps, and hardly changes when a document is added.
    """
    kept: list[tuple[int, int, Document]] = []
    characters = others = 0
    for number, document in enumerate(documents):
        if not has_words(document.text):
            continue
        heapq.heappush(kept, (-_lot(document, seed), number, document))
        characters += len(document.text)
        while characters > _MAX_CHARACTERS and len(kept) > 1:
            characters -= len(heapq.heappop(kept)[2].text)
            others += 1
    return [document for _, _, document in sorted(kept, key=lambda entry: entry[1])], others


def _lot(document: Document, seed: int) -> int:
    named = f"{seed}\0{document.source}\0{document.text[:1000]}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big")


def _passages(
    sample: list[Document], chosen: dict[int, Piece], passage_words: int
) -> tuple[dict[str, str], dict[str, str], dict[int, str]]:
    """Cut the sample; return the texts to search, the documents of parts, and all their names."""
    texts: dict[str, str] = {}
    parts: dict[str, str] = {}
    names: dict[int, str] = {}
    unique = UniqueNames()
    for place, document in enumerate(sample):
        names[place] = unique(document.source)
        text = document.text
        if place in chosen:
            text = text.replace(chosen[place].text, " ")
        passages = list(cut(replace(document, text=text), passage_words, unit_lengths))
        for number, passage in enumerate(passages, 1):
            part = names[place] if len(passages) == 1 else f"{names[place]} [{number}]"
            texts[part] = passage.text
            if len(passages) > 1:
                parts[part] = names[place]
    return texts, parts, names


def _notes(kinds: Counter[str], seed: int, others: int) -> tuple[str, ...]:
    counted = ", ".join(number_of(kind, count) for kind, count in sorted(kinds.items()))
    made = (
        f"A known-item test, made from the documents by the seed {seed}: each question is a piece "
        f"of one document ({counted}) that was taken out of it; that document is its one answer."
    )
    searched = f"Not searched: {number_of('other document', others)}, drawn at random."
    shows = (
        "It can show whether training helped on these documents. It cannot show how well questions "
        "in other words are answered, nor settle BM25 against the model: a piece of a document "
        "shares its words, and a model that was trained on the documents has seen them whole. "
        "Compare its figures with nothing but each other."
    )
    return (made, *([searched] if others else []), shows)
