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
    """A piece of another file: whole lines of it, shown before this one as training shows them (tokens/neighbours.py)."""

    path: str
    text: str  # without its last line end


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


def cut_at_edges(
    left: Sequence[int], right: Sequence[int], room: int, step: int, left_share: float, tokenizer: Tokenizer
) -> tuple[list[int], list[int]]:
    """The same as `fit`, without the rest of a line or of a block that a cut left: up to a `step` of each side goes."""
    near_left, near_right = fit(left, right, room, step, left_share)
    if len(near_left) < len(left):
        near_left = near_left[_first_edge(near_left[:step], tokenizer) :]
    if len(near_right) < len(right):
        tail = max(0, len(near_right) - step)
        near_right = near_right[: _last_edge(near_right, tail, tokenizer)]
    return near_left, near_right


def show_neighbours(neighbours: Sequence[Neighbour], room: int, tokenizer: Tokenizer) -> list[int]:
    """Those that fit into `room` tokens, as documents: the best, which comes first, stands last. The one for which there is
    not enough left loses its last lines."""
    documents: list[list[int]] = []
    for neighbour in neighbours:
        header = tokenizer.encode(metadata.header(metadata.file_attributes(neighbour.path)))
        tokens = [*header, *tokenizer.encode(f"{neighbour.text}\n")]
        if len(tokens) > room:
            tokens = tokens[: _last_edge(tokens[: max(0, room)], len(header), tokenizer)]
        if not len(header) < len(tokens) <= room or tokens[-1] not in tokenizer.newlines:
            break
        documents.insert(0, tokens)
        room -= len(tokens)
    return [token for document in documents for token in document]


def in_steps(count: int, step: int) -> int:
    """The next multiple of `step`."""
    return count + -count % step


def _first_edge(tokens: Sequence[int], tokenizer: Tokenizer) -> int:
    """Where the first line after a blank one begins, or else the first line; 0 where none does."""
    edges = [place + 1 for place, token in enumerate(tokens) if token in tokenizer.newlines]
    blocks = [edge for edge in edges if edge - 1 in edges or tokenizer.token_bytes[tokens[edge - 1]].count(b"\n") > 1]
    return (blocks or edges or [0])[0]


def _last_edge(tokens: Sequence[int], first: int, tokenizer: Tokenizer) -> int:
    """Where the last line ends that ends behind `first`; the end of `tokens` where none does."""
    ends = (place + 1 for place in range(len(tokens) - 1, first - 1, -1) if tokens[place] in tokenizer.newlines)
    return next(ends, len(tokens))
