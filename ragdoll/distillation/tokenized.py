"""Texts as a teacher reads them, and the batches that they are embedded in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Texts as a teacher reads them: the tokenizer's columns, each a list of lists.

    The column ``special_tokens_mask`` is 1 for what is not the text: special tokens and prompt.
    ``prompt_tokens`` is how many tokens stand before the text for a prompt, 0 without one.
    """

    columns: dict[str, list[list[int]]]
    prompt_tokens: int

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text, special tokens and prompt included."""
        return [len(ids) for ids in self.columns["input_ids"]]

    def rows(self, chosen: Sequence[int]) -> dict[str, list[list[int]]]:
        """The columns of some of the texts."""
        return {name: [column[row] for row in chosen] for name, column in self.columns.items()}


def longest_first(lengths: Sequence[int]) -> list[int]:
    """The rows by length, longest first, so that too large a batch fails at once."""
    return sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))


def batch_size(width: int, budget: int) -> int:
    """How many rows, padded to ``width`` tokens, a budget has room for: one at least."""
    return max(1, budget // max(1, width))
