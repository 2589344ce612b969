"""What of the text around a hole fits into a prompt: the tokens of both sides, and pieces of other files, cut to their room.

Both sides are cut far from the hole, at the edge of a line and, where one is near, of a block. All cuts are made in steps, so
that one more token seldom moves them, and with them all that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incoder_model import metadata

if TYPE_CHECKING:
    from incoder_model.tokenizer import Tokenizer

LEFT_SHARE = 0.7  # of the window, when there is more text on both sides than fits
STEPS = 16  # in so many steps is a window's text cut


@dataclass(frozen=True)
class Neighbour:
    """A piece of another file: whole lines of it, shown before this one as training shows them."""

    path: str
    text: str

    @property
    def document(self) -> str:
        end = "" if self.text.endswith("\n") else "\n"
        return f"{metadata.header(metadata.file_attributes(self.path))}{self.text}{end}"


def fit(
    left: Sequence[int], right: Sequence[int], room: int, step: int = 1, left_share: float = LEFT_SHARE
) -> tuple[list[int], list[int]]:
    """What of the two sides fits into `room` tokens: all of the shorter side if it takes less than its share, and the
    nearest of the other. Raises ValueError when there is no room at all.

    A side that is cut is cut a multiple of `step` tokens from its beginning, so that the cut stays where it is for a while
    when `left` grows at its end.
    """
    if room < 0:
        raise ValueError("what is typed and what may be generated leave no room for context; lower max_tokens")
    for_right = max(min(len(right), int(room * (1 - left_share))), min(len(right), room - len(left)))
    if for_right < len(right):
        for_right -= for_right % step
    cut = max(0, len(left) + for_right - room)
    return list(left[in_steps(cut, step) :]), list(right[:for_right])


def first_edge(tokens: Sequence[int], within: int, tokenizer: Tokenizer) -> int:
    """Where the first block begins, or else the first line, of a text that was cut; 0 where neither does `within` tokens."""
    ends = [place for place, token in enumerate(tokens[:within]) if token in tokenizer.newlines]
    blocks = [place for place, before in zip(ends[1:], ends, strict=False) if place == before + 1]
    return (blocks or ends or [-1])[0] + 1


def last_edge(tokens: Sequence[int], within: int, tokenizer: Tokenizer) -> int:
    """Where the last line ends of a text that was cut; its length where none does `within` tokens from there."""
    places = range(len(tokens) - 1, max(-1, len(tokens) - 1 - within), -1)
    return next((place + 1 for place in places if tokens[place] in tokenizer.newlines), len(tokens))


def front(neighbours: Sequence[Neighbour], room: int, tokenizer: Tokenizer) -> list[int]:
    """The neighbours that fit into `room` tokens, as documents: the best, which is the first, last. The one for which there
    is not enough left loses its last lines."""
    documents: list[list[int]] = []
    for neighbour in neighbours:
        tokens = tokenizer.encode(neighbour.document)
        if len(tokens) > room:
            tokens = tokens[: last_edge(tokens[:room], room, tokenizer)]
            if sum(token in tokenizer.newlines for token in tokens) < 2:  # a header and nothing under it
                break
        documents.insert(0, tokens)
        room -= len(tokens)
    return [token for document in documents for token in document]


def in_steps(count: int, step: int) -> int:
    """The next multiple of `step`."""
    return count + -count % step
