"""Holes like an editor's. The paper's spans are uniform: a third of a file long on average, and they begin anywhere. A cursor
asks for a part of a line, for a few lines or for a body, so a recipe can have a share of its samples masked like that:

    within_line     from a token of a line to another of the same line
    rest_of_line    from a token of a line to the line's end
    lines           whole lines, their indentation included: the editor's prompt anchors a hole at the start of a line
    block           from a line to in front of the next one that is indented less, at most what the block of tokens has of it

Tokens never hold both a line end and text, so lines are told apart by token ids alone, and so are their indentations. The
first and the last line of a block of tokens are never a hole: they are the metadata around a file or what a cut left of a
line. No hole reaches beyond metadata, so it lies in one file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, islice, takewhile

import numpy as np

from incoder_model.causal_mask import Span
from incoder_model.tokenizer import DELIMITERS, Tokenizer

MORE_LINES = 0.3  # `lines` go on for another line with this probability
ANCHORED = 0.5  # of `within_line` begin with their line: there the prompt anchors a hole that text of the line follows
TAB = 4  # columns; all that counts is that a file which mixes tabs and spaces is read about right

Rng = np.random.Generator


@dataclass(frozen=True)
class EditorSpans:
    """How often each shape is drawn, in relation to the others, and how often the text behind the hole ends early."""

    within_line: float = 0.15
    rest_of_line: float = 0.25
    lines: float = 0.45
    block: float = 0.15
    truncate_right: float = 0.2  # of the samples: half end with the last hole, half with a line behind it
    region: float = 0.0  # of the samples: all text up to the hole's end is in its span, see `masking.mask_region`
    more_holes: float = 0.0  # the probability of another hole in a sample: one is a few of its hundreds of tokens

    def __post_init__(self) -> None:
        for shape, weight in zip(SHAPES, self.weights, strict=True):
            if not 0 <= weight < np.inf:
                raise ValueError(f"{shape} is {weight}; it must be at least 0")
        if not sum(self.weights):
            raise ValueError(f"{', '.join(SHAPES)} are all 0; one of them must be more")
        for share in ("truncate_right", "region"):
            if not 0 <= getattr(self, share) <= 1:
                raise ValueError(f"{share} is {getattr(self, share)}; it must lie between 0 and 1")
        if not 0 <= self.more_holes < 1:
            raise ValueError(f"more_holes is {self.more_holes}; it must be at least 0 and below 1")

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(getattr(self, shape) for shape in SHAPES)

    @cached_property
    def reach(self) -> list[float]:
        """The weights summed up to each shape and it."""
        return list(accumulate(self.weights))


# --- lines of token ids ------------------------------------------------------------------------------------------

BLANK, TEXT, DELIMITER = range(3)  # kinds of tokens


@dataclass(frozen=True)
class Lexicon:
    """What lines need to know of each token of a vocabulary. Arrays for many tokens at a time, lists for one."""

    ends_line: np.ndarray  # (vocabulary,) bool
    kinds: list[int]  # DELIMITER opens metadata (<| and <|/), BLANK is nothing but spaces and tabs
    indents: list[int]  # columns of spaces and tabs that a token begins with


def read_lexicon(tokenizer: Tokenizer) -> Lexicon:
    texts = tokenizer.token_bytes
    ends_line = np.zeros(len(texts), bool)
    ends_line[list(tokenizer.newlines)] = True
    opening = {name.encode() for name in DELIMITERS[:2]}
    kinds = [DELIMITER if text in opening else TEXT if text.strip(b" \t") else BLANK for text in texts]
    leading = [text[: len(text) - len(text.lstrip(b" \t"))] for text in texts]
    return Lexicon(ends_line, kinds, [len(space) + (TAB - 1) * space.count(b"\t") for space in leading])


class Lines:
    """The lines of a block of tokens (time,) by number, the outermost left out. A line's end is where its line end stands."""

    def __init__(self, block: np.ndarray, lexicon: Lexicon):
        self.block, self.lexicon = block, lexicon
        self.breaks: list[int] = lexicon.ends_line[block].nonzero()[0].tolist()

    def __len__(self) -> int:
        return max(0, len(self.breaks) - 1)

    def bounds(self, line: int) -> Span:
        return self.breaks[line] + 1, self.breaks[line + 1]

    def is_metadata(self, line: int) -> bool:
        start, end = self.bounds(line)
        return start < end and self.lexicon.kinds[self.block[start]] == DELIMITER

    def indent(self, line: int) -> int | None:
        """Columns; None for a line without text."""
        columns = 0
        for place in range(*self.bounds(line)):
            token = self.block[place]
            columns += self.lexicon.indents[token]
            if self.lexicon.kinds[token] != BLANK:
                return columns
        return None

    def draw(self, rng: Rng, fits: Callable[[int], bool]) -> int | None:
        """A line with text that is no metadata and `fits`, each with the same probability."""
        for line in rng.permutation(len(self)).tolist():
            if self.indent(line) is not None and not self.is_metadata(line) and fits(line):
                return line
        return None

    def run(self, line: int) -> Iterator[tuple[int, int]]:
        """This line, and those with text that follow up to the next metadata, with their indentations."""
        for later in range(line, len(self)):
            if self.is_metadata(later):
                return
            indent = self.indent(later)
            if indent is not None:
                yield later, indent


# --- shapes: functions of a line, and what that line must be like ------------------------------------------------


def _within_line(lines: Lines, line: int, rng: Rng) -> Span:
    start, end = lines.bounds(line)
    if rng.random() >= ANCHORED:
        start = int(rng.integers(start, end - 1))
    return start, int(rng.integers(start + 1, end))


def _rest_of_line(lines: Lines, line: int, rng: Rng) -> Span:
    start, end = lines.bounds(line)
    return int(rng.integers(start, end)), end


def _lines(lines: Lines, line: int, rng: Rng) -> Span:
    *_, (last, _) = islice(lines.run(line), int(rng.geometric(1 - MORE_LINES)))
    return lines.bounds(line)[0], lines.bounds(last)[1]


def _block(lines: Lines, line: int, rng: Rng) -> Span:
    margin = lines.indent(line) or 0
    *_, (last, _) = takewhile(lambda later: later[1] >= margin, lines.run(line))
    return lines.bounds(line)[0], lines.bounds(last)[1]


@dataclass(frozen=True)
class Shape:
    span: Callable[[Lines, int, Rng], Span]
    fits: Callable[[Lines, int], bool] = lambda lines, line: True


SHAPES = {
    "within_line": Shape(_within_line, lambda lines, line: lines.bounds(line)[1] - lines.bounds(line)[0] > 1),
    "rest_of_line": Shape(_rest_of_line),
    "lines": Shape(_lines),
    "block": Shape(_block, lambda lines, line: bool(lines.indent(line))),
}


def editor_span(lines: Lines, rng: Rng, how: EditorSpans) -> Span | None:
    """One span of a shape drawn by weight; whole lines where that shape has no place, None where there is no line."""
    drawn = bisect_right(how.reach, rng.random() * how.reach[-1], hi=len(how.reach) - 1)
    for shape in (list(SHAPES.values())[drawn], SHAPES["lines"]):
        line = lines.draw(rng, partial(shape.fits, lines))
        if line is not None:
            return shape.span(lines, line, rng)
    return None


def editor_spans(lines: Lines, n: int, rng: Rng, how: EditorSpans) -> list[Span]:
    """Up to `n` spans in order; what lies in or next to one that was drawn before is dropped."""
    kept: list[Span] = []
    for _ in range(n):
        span = editor_span(lines, rng, how)
        if span and all(span[1] < start or end < span[0] for start, end in kept):
            kept.append(span)
    return sorted(kept)


def truncated(lines: Lines, span: Span, rng: Rng) -> int:
    """Where a document whose right side is cut ends: with the span, or at the end of a random line behind it."""
    end = line_end_behind(lines, span[1], rng, 0.5)
    return span[1] if end is None else end


def line_end_behind(lines: Lines, place: int, rng: Rng, probability: float) -> int | None:
    """The end of a random line behind `place`, with this probability and if there is one."""
    ends = lines.breaks[bisect_right(lines.breaks, place) :]
    return ends[rng.integers(len(ends))] if ends and rng.random() < probability else None
