"""Rows in which a file stands behind a piece of another file of its package, as an editor would show a model the project:

    <| file ext=.py filename=shapes.py |>        the header of the neighbour
    ...whole lines of it...                      at most a quarter of the row
    <| file ext=.py filename=area.py |>          the header of the file
    ...a block of it...                          from a line's start

It is one text: masked, read and learned as a whole, its positions run on, and a span of the paper's may cross the files. A
block comes once an epoch; what stands in front of it is drawn with the sample, near files more often than far ones, half of
the pieces from the top of a file, where its imports are, half from any line. So a file meets many others, and no licence
notice is learned by heart. Windows cut from files that are simply joined would seldom do: at 512 tokens, where a file has
some thousands, one in ten has something of two files, and then it is the end of the first. A file that is alone in its
package has its header and its block only, and so has one whose neighbour has no line that is short enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from incoder_train.errors import UserError
from incoder_train.tokens.blocks import SHORTEST, Blocks, cut_blocks
from incoder_train.tokens.order import Rng
from incoder_train.tokens.rows import SPAN_COST
from incoder_train.tokens.shards import Shard
from incoder_train.tokens.spans import DELIMITER, Lexicon

QUARTER = 4  # the share of a row that is the neighbour's
SLACK = (
    16  # a header, and what is read again to begin with a whole line, have each at most one in so many tokens of a row
)
TOP = 0.5  # of the pieces
NEARER = 0.5  # the file beside this one is the neighbour with about this probability, else one beyond it, and so on


@dataclass(frozen=True)
class Neighbours:
    shard: Shard
    packages: np.ndarray  # (packages + 1,) the first document of each
    lexicon: Lexicon
    context: int

    def blocks(self) -> Blocks:
        """Every block of every document: what a neighbour leaves of the context."""
        return cut_blocks(self.shard.offsets, self.context - self.context // QUARTER)

    def text(self, start: int, length: int, rng: Rng) -> np.ndarray:
        """The row of the block of `length` tokens at `start`: at most `context` tokens less those that a span takes."""
        document = _place(self.shard.offsets, start)
        own = self._header(document)
        if start == self.shard.offsets[document]:
            own = own[:0]  # it is in the block
        else:
            back = self._line_rest(document, start)
            start, length = start - back, length + back
        room = min(self.context // QUARTER, self.context - SPAN_COST - len(own) - length)
        neighbour = self._neighbour(document, rng)
        piece = [] if neighbour is None else self._piece(neighbour, room, rng)
        return np.concatenate([*piece, own, self.shard.tokens[start : start + length]])

    def _header(self, document: int) -> np.ndarray:
        """The document's first line if that is metadata and not too long."""
        start, end = self._bounds(document)
        tokens = self.shard.tokens[start : min(end, start + self.context // SLACK)]
        breaks = self._breaks(tokens)
        if not len(breaks) or self.lexicon.kinds[tokens[0]] != DELIMITER:
            return tokens[:0]
        return tokens[: breaks[0] + 1]

    def _line_rest(self, document: int, start: int) -> int:
        """How many tokens of its line stand before `start`; 0 where the line began too long ago."""
        tokens = self.shard.tokens[max(self._bounds(document)[0], start - self.context // SLACK) : start]
        breaks = self._breaks(tokens)
        return len(tokens) - 1 - int(breaks[-1]) if len(breaks) else 0

    def _neighbour(self, document: int, rng: Rng) -> int | None:
        """Another document of the package, if there is one. Behind the last comes the first."""
        package = _place(self.packages, document)
        first, end = int(self.packages[package]), int(self.packages[package + 1])
        if end - first == 1:
            return None
        distance = 1 + (int(rng.geometric(NEARER)) - 1) % (end - first - 1)
        return first + (document - first + (distance if rng.random() < 0.5 else -distance)) % (end - first)

    def _piece(self, document: int, room: int, rng: Rng) -> list[np.ndarray]:
        """At most `room` tokens: the document's header and lines that follow each other; nothing if not one line fits."""
        header = self._header(document)
        start, end = self._bounds(document)
        room -= len(header)
        if room < SHORTEST:
            return []
        start = max(start, start + len(header) - 1)  # at the line end in front of the first line
        if rng.random() >= TOP:
            start += int(rng.integers(max(0, end - start - room) + 1))
        tokens = self.shard.tokens[start : min(end, start + room + 1)]
        breaks = self._breaks(tokens)
        return [header, tokens[breaks[0] + 1 : breaks[-1] + 1]] if len(breaks) > 1 else []

    def _bounds(self, document: int) -> tuple[int, int]:
        return int(self.shard.offsets[document]), int(self.shard.offsets[document + 1])

    def _breaks(self, tokens: np.ndarray) -> np.ndarray:
        return self.lexicon.ends_line[tokens].nonzero()[0]


def open_neighbours(shard: Shard, lexicon: Lexicon, context: int) -> Neighbours:
    """Raises UserError when the shard was written before packages were noted."""
    if shard.packages is None:
        raise UserError(
            f'{shard.name} does not say which documents are of one package, as rows = "neighbours" needs; '
            "make the shard again with `incoder data shard`"
        )
    return Neighbours(shard, shard.packages, lexicon, context)


def _place(starts: np.ndarray, position: int) -> int:
    """Which of the things that begin at `starts` (sorted; the last one is the end) `position` lies in."""
    return int(np.searchsorted(starts, position, side="right")) - 1
