"""Where a Python function surprises the model: its lines go in, one by one as a hole in the file; words come out in whose place the
model would have written another one, and how much likelier the line would be with that.

    the file up to a line   |   the file below the line        the line's own tokens are forced, and the model's are compared

Compared are names and operators of code, no strings and no comments. The model's word must be of the same kind: a name that is in
sight, or an operator; and the file must parse with it.
"""

from __future__ import annotations

import builtins
import io
import re
import tokenize
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import TYPE_CHECKING

import numpy as np

from incoder_lsp.actions.action import Edit, Stop, View, applied
from incoder_lsp.actions.source import Function, Range, Source, parse

if TYPE_CHECKING:
    from incoder_model.infill import Model

# How much likelier, in nats, the line must be with the model's word for a hint. `python benchmarks/surprise.py`: from 6 on the
# bundled model finds 15 % of swapped words in the packages that this was chosen on and 12 % in the others, with 4 and 3 hints in
# 100 lines that nobody has touched. More finds half of that, less says twice as much. A larger model should do better.
LEAST_GAIN = 6.0
LEAST_GAP = 2.0  # nats between the token and the model's own, from which on a word is looked at
TRIES = 2  # words of a line
LONGEST_LINE, LONGEST_FUNCTION = 160, 80  # characters, lines
RIGHT = 1500  # characters below the line that the model reads
MOST_TOKENS = 8  # of a word

_NAME = re.compile(r"[^\W\d]\w*")
_OPERATOR = re.compile(r"[-+*/%<>=!&|^~@]+|\b(?:and|or|not|in|is)\b")
_WORD = re.compile(r"\s*(\w+|[-+*/%<>=!&|^~@]+)")
_ALWAYS = {*dir(builtins), "self", "cls"}


@dataclass(frozen=True)
class Surprise:
    start: int
    end: int
    instead: str
    gain: float  # nats of its line

    @property
    def edit(self) -> Edit:
        return Edit(self.start, self.end, self.instead, f"{self.instead} instead")


def moved(surprise: Surprise, by: int) -> Surprise:
    """The same where the text begins elsewhere."""
    return replace(surprise, start=surprise.start + by, end=surprise.end + by)


def surprises_of(
    model: Model, view: View, function: Function, stop: Stop, least: float = LEAST_GAIN
) -> Iterator[Surprise]:
    """At most one in a line, the one with the largest gain. Raises Stopped."""
    source, node = view.source, function.node
    if not source.text.isascii() or (node.end_lineno or 0) - node.lineno > LONGEST_FUNCTION:
        return
    words = words_of(source)
    for number in range(node.body[0].lineno - 1, node.end_lineno or 0):
        start, line = source.starts[number], source.line(number)
        inside = [word for word in words if start <= word[0] and word[1] <= start + len(line)]
        if inside and len(line) <= LONGEST_LINE:
            found = [*_of_line(model, view, (start, start + len(line)), inside, stop)]
            best = max(found, key=lambda one: one.gain, default=None)
            if best and best.gain >= least:
                yield best


def _of_line(model: Model, view: View, line: Range, words: Sequence[Range], stop: Stop) -> Iterator[Surprise]:
    from incoder_model.answer import answer
    from incoder_model.infill import InfillRequest, prompt_of

    text = view.text
    body = line[0] + len(text[slice(*line)]) - len(text[slice(*line)].lstrip())
    written = text[body : line[1]]
    request = InfillRequest(text[:body], text[line[1] :][:RIGHT], view.header, "", max_tokens=len(written) + 2)
    prompt = prompt_of(model, request)
    gaps, total = _read(model, prompt, written, stop)

    def gap(word: Range) -> float:
        return max((size for at, size in gaps if word[0] <= body + at < word[1]), default=0.0)

    known = {*_NAME.findall(text), *_ALWAYS}
    suspects = sorted((word for word in words if gap(word) >= LEAST_GAP), key=lambda word: (-gap(word), word))
    for start, end in suspects[:TRIES]:
        typed = text[body:start]
        said = answer(model, prompt, typed=typed, max_tokens=MOST_TOKENS, enough=_has_word, stop=stop)
        found = _WORD.match(said.text)
        instead = found[1] if found else ""
        if instead == text[start:end] or not _is_alike(text[start:end], instead, known):
            continue
        _, other = _read(model, prompt, f"{typed}{instead}{text[end : line[1]]}", stop)
        one = Surprise(start, end, instead, other - total)
        if parse(applied(text, [one.edit])) is not None:
            yield one


def _has_word(said: str) -> bool:
    """Something stands behind its first word."""
    found = _WORD.match(said)
    return bool(said.strip()) and (not found or found.end() < len(said))


def _is_alike(word: str, instead: str, known: Container[str]) -> bool:
    """Both are operators, or names, the new one in sight."""
    if _OPERATOR.fullmatch(word):
        return bool(_OPERATOR.fullmatch(instead))
    return bool(_NAME.fullmatch(instead)) and instead in known and not iskeyword(instead)


def _read(model: Model, prompt: Sequence[int], written: str, stop: Stop) -> tuple[list[tuple[int, float]], float]:
    """Of each token of `written`: where it begins, and how far it is below the likeliest, in nats; and the log-probability of
    all of them and of the end."""
    tokens = [*model.tokenizer.encode(written), model.tokenizer.sentinels.end]
    first = model.engine.prefill(prompt, stop)
    scores = np.concatenate([first[None], model.engine.step_each(tokens[:-1])]).astype(
        np.float64
    )  # (tokens, vocab_size)
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    own = log_p[np.arange(len(tokens)), tokens]
    gaps, at = [], 0
    for token, gap in zip(tokens[:-1], log_p.max(axis=1) - own, strict=False):
        piece = model.tokenizer.token_bytes[token]
        gaps.append((at + len(piece) - len(piece.lstrip()), float(gap)))
        at += len(piece)
    return gaps, float(own.sum())


def words_of(source: Source) -> list[Range]:
    """Where names and operators stand, parameters passed by name and what is behind a dot left out."""
    found: list[Range] = []
    before = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            start, end = (source.starts[row - 1] + column for row, column in (token.start, token.end))
            name = token.type == tokenize.NAME and not iskeyword(token.string) and before != "."
            if (name and source.text[end : end + 1] != "=") or _OPERATOR.fullmatch(token.string):
                found.append((start, end))
            before = token.string
    except (tokenize.TokenError, SyntaxError, IndexError):
        return []
    return found
