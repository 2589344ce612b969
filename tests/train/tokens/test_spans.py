"""Holes like an editor's: where each shape begins and ends, judged by the text itself, and how often each one comes."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.tokenizer import Tokenizer
from incoder_train.tokens.shards import Shard, open_shard
from incoder_train.tokens.spans import (
    ANCHORED,
    MORE_LINES,
    SHAPES,
    TAB,
    EditorSpans,
    Lexicon,
    Lines,
    Shape,
    editor_span,
    read_lexicon,
    truncated,
)

METADATA = ("<|/ file |>", "<| file ext=.py |>", "<|")
LINES = ("x = f(y)", "\tif x:", "        return self", " \ty = 1", "    ", "\t", "", "}", "value", *METADATA)
texts = st.tuples(
    st.lists(st.sampled_from(LINES), max_size=25), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans()
).map(lambda parts: parts[1].join(parts[0]) + parts[1] * parts[2])


@pytest.fixture(scope="module")
def lexicon(tokenizer: Tokenizer) -> Lexicon:
    return read_lexicon(tokenizer)


def only(shape: str, **more: float) -> EditorSpans:
    return EditorSpans(**{name: float(name == shape) for name in SHAPES} | more)


class Text:
    """A text as tokens, and what stands where by characters."""

    def __init__(self, text: str, tokenizer: Tokenizer):
        self.text, self.tokens = text, np.array(tokenizer.encode(text), np.uint16)
        self.places = np.cumsum([0, *(len(tokenizer.token_bytes[token]) for token in self.tokens)])
        ends = [(match.start(), match.end()) for match in re.finditer(r"[\r\n]+", text)]
        inner = [(a[1], b[0]) for a, b in pairwise(ends)]
        self.lines = [(start, end) for start, end in inner if text[start:end].strip(" \t")]
        self.metadata = [start for start, end in inner if text.startswith("<|", start)]
        self.usable = [line for line in self.lines if line[0] not in self.metadata]

    def indent(self, line: tuple[int, int]) -> int:
        words = self.text[line[0] : line[1]]
        return len(words[: len(words) - len(words.lstrip(" \t"))].replace("\t", " " * TAB))

    def line_of(self, place: int) -> tuple[int, int]:
        return next(line for line in self.usable if line[0] <= place <= line[1])

    def fence(self, place: int) -> int:
        """Where the next metadata begins."""
        return next((start for start in self.metadata if start > place), len(self.text))


@given(texts, st.integers(0, 2**32), st.sampled_from(list(SHAPES)))
def test_a_span_begins_and_ends_where_its_shape_says(
    tokenizer: Tokenizer, lexicon: Lexicon, text: str, seed: int, shape: str
) -> None:
    whole = Text(text, tokenizer)
    span = editor_span(Lines(whole.tokens, lexicon), np.random.default_rng(seed), only(shape))
    if not whole.usable:
        assert span is None
        return
    assert span
    start, end = (int(whole.places[place]) for place in span)
    first, last = whole.line_of(start), whole.line_of(end)
    assert start < end <= whole.fence(start)
    in_lines = [int(np.diff(np.searchsorted(whole.places, line))[0]) for line in whole.usable]
    if shape == "within_line" and max(in_lines) > 1:
        assert first == last
        assert start < end < first[1]
    elif shape == "rest_of_line":
        assert first == last
        assert end == first[1]
    elif shape == "block" and any(map(whole.indent, whole.usable)):
        assert start == first[0]
        assert whole.indent(first) > 0
        inside = [line for line in whole.usable if first <= line <= last]
        after = [line for line in whole.usable if last < line and line[0] < whole.fence(start)]
        assert end == last[1]
        assert all(whole.indent(line) >= whole.indent(first) for line in inside)
        assert not after or whole.indent(after[0]) < whole.indent(first)
    else:
        assert (start, end) == (first[0], last[1])


@given(texts, st.integers(0, 2**32))
def test_a_right_side_is_cut_behind_the_hole_where_a_line_ends(
    tokenizer: Tokenizer, lexicon: Lexicon, text: str, seed: int
) -> None:
    whole, rng = Text(text, tokenizer), np.random.default_rng(seed)
    lines = Lines(whole.tokens, lexicon)
    if span := editor_span(lines, rng, EditorSpans()):
        end = truncated(lines, span, rng)
        assert end == span[1] or (end > span[1] and text[whole.places[end]] in "\r\n")


# --- how often ---------------------------------------------------------------------------------------------------

CODE = (
    "import re\n" + "def area(self, width):\n    if width:\n        return width * self.height\n    return 0\n\n\n" * 12
)
TIMES = 4000


def test_shapes_come_as_often_as_their_weights_say(
    tokenizer: Tokenizer, lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: Counter[str] = Counter()
    for name, shape in SHAPES.items():
        counted = Shape(lambda *rest, name=name, shape=shape: drawn.update([name]) or shape.span(*rest), shape.fits)
        monkeypatch.setitem(SHAPES, name, counted)
    lines, rng = Lines(np.array(tokenizer.encode(CODE)), lexicon), np.random.default_rng(0)
    for _ in range(TIMES):
        editor_span(lines, rng, EditorSpans(within_line=1, rest_of_line=0, lines=5, block=2))
    assert [drawn[name] / TIMES for name in SHAPES] == pytest.approx([1 / 8, 0, 5 / 8, 2 / 8], abs=0.03)


def test_how_many_lines_and_how_many_begin_with_their_line(tokenizer: Tokenizer, lexicon: Lexicon) -> None:
    """Of lines that are all alike, of nine tokens each."""
    text = Text("\n".join(["$%&#!?@^~"] * 60), tokenizer)
    lines, rng = Lines(text.tokens, lexicon), np.random.default_rng(0)
    assert {lines.bounds(line)[1] - lines.bounds(line)[0] for line in range(len(lines))} == {9}
    length = np.diff([editor_span(lines, rng, only("lines")) for _ in range(TIMES)])[:, 0]
    assert (length == 9).mean() == pytest.approx(1 - MORE_LINES, abs=0.03)
    assert (length == 19).mean() == pytest.approx((1 - MORE_LINES) * MORE_LINES, abs=0.03)
    begins = np.array([editor_span(lines, rng, only("within_line")) for _ in range(TIMES)])[:, 0] % 10
    assert (begins == 0).mean() == pytest.approx(ANCHORED + (1 - ANCHORED) / 8, abs=0.03)
    assert set(begins) == set(range(8))
    begins = np.array([editor_span(lines, rng, only("rest_of_line")) for _ in range(TIMES)])[:, 0] % 10
    assert set(begins) == set(range(9))


def test_a_cut_right_side_is_empty_in_half_of_the_cases(tokenizer: Tokenizer, lexicon: Lexicon) -> None:
    lines, rng = Lines(np.array(tokenizer.encode(CODE)), lexicon), np.random.default_rng(0)
    span = lines.bounds(3)
    cuts = Counter(truncated(lines, span, rng) for _ in range(TIMES))
    assert cuts[span[1]] / TIMES == pytest.approx(0.5, abs=0.03)
    assert set(cuts) == set(lines.breaks[4:])


# --- the vocabulary and the weights ------------------------------------------------------------------------------


def test_the_lines_of_a_document(tokenizer: Tokenizer, lexicon: Lexicon, data_directory: Path) -> None:
    shard: Shard = open_shard(data_directory / "train")
    document = shard.tokens[slice(*shard.offsets[:2])]
    lines = Lines(document, lexicon)
    text = tokenizer.decode(document.tolist())
    kept = [line for line in range(len(lines)) if lines.indent(line) is not None and not lines.is_metadata(line)]
    shown = [tokenizer.decode(document[slice(*lines.bounds(line))].tolist()) for line in kept]
    assert shown == [line for line in text.splitlines() if line.strip() and not line.startswith("<|")]
    assert [lines.indent(line) for line in kept] == [len(line) - len(line.lstrip()) for line in shown]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"block": -0.1}, "block is -0.1; it must be at least 0"),
        ({"lines": float("nan")}, "lines is nan; it must be at least 0"),
        (dict.fromkeys(SHAPES, 0.0), "within_line, rest_of_line, lines, block are all 0"),
        ({"truncate_right": 1.5}, "truncate_right is 1.5; it must lie between 0 and 1"),
    ],
)
def test_weights_that_make_no_sense(values: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        EditorSpans(**values)
