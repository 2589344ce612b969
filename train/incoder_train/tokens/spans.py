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
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from incoder_model.causal_mask import Span
from incoder_model.tokenizer import DELIMITERS, Tokenizer

MORE_LINES = 0.3  # `lines` go on for another line with this probability
ANCHORED = (
    0.5  # of `within_line` begin where the line does: there the prompt anchors a hole when text follows the cursor
)
TAB = 4  # columns; all that counts is that a file which mixes tabs and spaces is read about right

Rng = np.random.Generator


@dataclass(frozen=True)
class EditorSpans:
    """How often each shape is drawn, in relation to the others, and how often the text behind the hole ends early."""

    within_line: float = 0.15
    rest_of_line: float = 0.25
    lines: float = 0.45
    block: float = 0.15
    truncate_right: float = 0.2  # of the samples: half of them end with the hole, half at the end of a line behind it

    def __post_init__(self) -> None:
        for shape, weight in zip(SHAPES, self.weights, strict=True):
            if not 0 <= weight < np.inf:
                raise ValueError(f"{shape} is {weight}; it must be at least 0")
        if not sum(self.weights):
            raise ValueError(f"{', '.join(SHAPES)} are all 0; one of them must be more")
        if not 0 <= self.truncate_right <= 1:
            raise ValueError(f"truncate_right is {self.truncate_right}; it must lie between 0 and 1")

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(getattr(self, shape) for shape in SHAPES)


# --- lines of token ids ------------------------------------------------------------------------------------------

LINE_END, BLANK, TEXT, DELIMITER = range(4)  # kinds of tokens; BLANK is nothing but spaces and tabs


@dataclass(frozen=True)
class Lexicon:
    """What lines need to know of each token of a vocabulary."""

    kinds: np.ndarray  # (vocabulary,) int8; DELIMITER are those that open metadata: <| and <|/
    indents: np.ndarray  # (vocabulary,) int32: columns of spaces and tabs that it begins with


def read_lexicon(tokenizer: Tokenizer) -> Lexicon:
    texts = tokenizer.token_bytes
    leading = [text[: len(text) - len(text.lstrip(b" \t"))] for text in texts]
    blank = [bool(text) and text == space for text, space in zip(texts, leading, strict=True)]
    kinds = np.where(blank, BLANK, TEXT).astype(np.int8)
    kinds[list(tokenizer.newlines)] = LINE_END
    kinds[[token for token, text in enumerate(texts) if text in [name.encode() for name in DELIMITERS[:2]]]] = DELIMITER
    return Lexicon(kinds, np.array([len(space) + (TAB - 1) * space.count(b"\t") for space in leading], np.int32))


@dataclass(frozen=True)
class Lines:
    """The lines of a block of tokens that a hole may be in: those with text, metadata and the outermost lines left out."""

    starts: np.ndarray  # (lines,) the first token
    ends: np.ndarray  # (lines,) behind the last token, the line end not included
    files: np.ndarray  # (lines,) another number for each file; they rise
    columns: np.ndarray  # (lines,) where the first token with text is
    spaces: np.ndarray  # (time,) what each token of the block is indented, if it is the first in its line

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def indents(self) -> np.ndarray:
        """(lines,) columns: of the blank tokens in front and of the first one with text."""
        reach = np.concatenate([[0], np.cumsum(self.spaces)])
        return reach[self.columns + 1] - reach[self.starts]


def read_lines(block: np.ndarray, lexicon: Lexicon) -> Lines:
    """block: (time,) token ids."""
    kinds = lexicon.kinds[block]
    breaks = np.flatnonzero(kinds == LINE_END)
    starts, ends = breaks[:-1] + 1, breaks[1:]
    visible = np.append(np.flatnonzero(kinds >= TEXT), len(block))
    columns = visible[np.searchsorted(visible, starts)]  # of the first token with text from each start on
    metadata = kinds[starts] == DELIMITER
    kept = (columns < ends) & ~metadata
    return Lines(
        starts[kept], ends[kept], np.cumsum(metadata)[kept], columns[kept], lexicon.indents[block]
    )  # fmt: skip


# --- shapes ------------------------------------------------------------------------------------------------------


def _within_line(lines: Lines, rng: Rng) -> Span | None:
    several = np.flatnonzero(lines.ends - lines.starts > 1)
    if not len(several):
        return None
    line = several[rng.integers(len(several))]
    start, end = int(lines.starts[line]), int(lines.ends[line])
    if rng.random() >= ANCHORED:
        start = int(rng.integers(start, end - 1))
    return start, int(rng.integers(start + 1, end))


def _rest_of_line(lines: Lines, rng: Rng) -> Span:
    line = rng.integers(len(lines))
    return int(rng.integers(lines.starts[line], lines.ends[line])), int(lines.ends[line])


def _lines(lines: Lines, rng: Rng) -> Span:
    first = int(rng.integers(len(lines)))
    last = min(first + int(rng.geometric(1 - MORE_LINES)) - 1, _last_of_file(lines, first))
    return int(lines.starts[first]), int(lines.ends[last])


def _block(lines: Lines, rng: Rng) -> Span | None:
    indents = lines.indents
    indented = np.flatnonzero(indents)
    if not len(indented):
        return None
    first = int(indented[rng.integers(len(indented))])
    beyond = _last_of_file(lines, first) + 1
    less = indents[first:beyond] < indents[first]
    last = first + int(less.argmax()) - 1 if less.any() else beyond - 1
    return int(lines.starts[first]), int(lines.ends[last])


def _last_of_file(lines: Lines, line: int) -> int:
    return int(np.searchsorted(lines.files, lines.files[line], side="right")) - 1


SHAPES: dict[str, Callable[[Lines, Rng], Span | None]] = {  # None where the lines have no such place
    "within_line": _within_line,
    "rest_of_line": _rest_of_line,
    "lines": _lines,
    "block": _block,
}


def editor_span(lines: Lines, rng: Rng, how: EditorSpans) -> Span | None:
    """One span of a shape drawn by weight; whole lines where that shape has no place, None where there is no line."""
    if not len(lines):
        return None
    reach = list(accumulate(how.weights))
    shape = list(SHAPES.values())[min(bisect_right(reach, rng.random() * reach[-1]), len(reach) - 1)]
    return shape(lines, rng) or _lines(lines, rng)


def truncated(lines: Lines, span: Span, rng: Rng) -> int:
    """Where a document whose right side is cut ends: with the span, or at the end of a random line behind it."""
    ends = lines.ends[np.searchsorted(lines.ends, span[1], side="right") :]
    if not len(ends) or rng.random() < 0.5:
        return span[1]
    return int(ends[rng.integers(len(ends))])
