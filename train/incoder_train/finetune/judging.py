"""Does a model fill lines of a repository better than another? Held-out documents go in; the same holes, each a line, for
both models, and a verdict on the difference come out.

What decides is the log-likelihood of the true line given the text on both sides, as an editor gives it: it needs no luck, and
two models can be compared case by case. Greedy filling says what a person would have seen.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from incoder_model.infill import InfillRequest, Model, infill, prompt_of
from incoder_model.metadata import file_attributes, header
from incoder_train.corpus.document import Document
from incoder_train.evaluate.metrics import edit_distance

LEFT_WINDOW, RIGHT_WINDOW = 16_000, 8_000  # characters around a hole, as the editor's side sends them
MAX_TOKENS = 32  # of an answer, as for one line in the editor
SHORTEST = 5  # characters of a line worth asking for
COMMENTS = ("# ", "#!", "//", "/*", "* ", "-- ")
LINE_END = re.compile(r"\r\n|\r|\n")

STANDARD_ERRORS = 2.0  # a mean gain within so many of them may be chance
LEAST_GAIN = 0.01  # nats per token: a gain below is of no use, however certain


@dataclass(frozen=True)
class Case:
    """A line to be filled in."""

    path: str
    left: str  # up to the start of the line
    indent: str  # given
    line: str  # the answer
    right: str
    known: bool  # the same line stands in a file that was learned from


@dataclass(frozen=True)
class Score:
    """Of one case."""

    log_likelihood: float  # nats per token of the true line and its end
    exact: bool
    similarity: float  # of the answer and the line: 1 - edit distance / length of the longer one


@dataclass(frozen=True)
class Verdict:
    gain: float  # nats per token, the mean over the cases
    error: float  # its standard error, see `standard_error`
    exact_before: int
    exact_after: int

    @property
    def improved(self) -> bool:
        """The true lines became more likely, by more than chance and by what one can notice, and no fewer are filled exactly."""
        return self.gain > max(STANDARD_ERRORS * self.error, LEAST_GAIN) and self.exact_after >= self.exact_before


def draw_cases(held_out: Sequence[Document], training: Iterable[Document], count: int, seed: int = 1) -> list[Case]:
    """At most `count` cases, from as many files as there are. Comments, very short lines and the first of a file are left
    out."""
    rng = random.Random(seed)
    places: list[list[tuple[Document, list[str], int]]] = []
    for document in held_out:
        lines = LINE_END.split(document.text)
        numbers = [number for number, line in enumerate(lines) if number and is_asked(line.strip())]
        rng.shuffle(numbers)
        places.append([(document, lines, number) for number in numbers])
    drawn = [place for turn in zip_longest(*places) for place in turn if place is not None][:count]
    known = {line.strip() for document in training for line in LINE_END.split(document.text)}
    return [case_at(document.path, lines, number, known) for document, lines, number in drawn]


def is_asked(line: str) -> bool:
    return len(line) >= SHORTEST and not line.startswith(COMMENTS)


def case_at(path: str, lines: list[str], number: int, known: set[str]) -> Case:
    body = lines[number].rstrip()
    line = body.lstrip()
    left = "".join(f"{before}\n" for before in lines[:number])
    right = "".join(f"\n{after}" for after in lines[number + 1 :])
    indent = body.removesuffix(line)
    return Case(path, left[-LEFT_WINDOW:], indent, line, right[:RIGHT_WINDOW], line in known)


def score(model: Model, case: Case) -> Score:
    """Deterministic: the answer is the greedy one."""
    attributes = header(file_attributes(case.path))
    request = InfillRequest(case.left, case.right, attributes, case.indent, one_line=True, max_tokens=MAX_TOKENS)
    log_likelihood = mean_log_likelihood(model, request, case.indent + case.line)
    answer = infill(model, request).text.strip()
    return Score(log_likelihood, answer == case.line, similarity(answer, case.line))


def mean_log_likelihood(model: Model, request: InfillRequest, span: str) -> float:
    """Nats per token of `span` and of the token that ends it, all its tokens from the first on."""
    prompt = prompt_of(model, request)
    tokens = [*model.tokenizer.encode(span), model.tokenizer.sentinels.end]
    tokens = tokens[: model.engine.context - len(prompt) + 1]  # of a very long line, the beginning
    total, scores = 0.0, model.engine.prefill(prompt)
    for position, token in enumerate(tokens):
        exact = scores.astype(np.float64)
        total += exact[token] - np.logaddexp.reduce(exact)
        if position + 1 < len(tokens):
            scores = model.engine.step(token)
    return total / len(tokens)


def judge(cases: Sequence[Case], before: Sequence[Score], after: Sequence[Score]) -> Verdict:
    """Scores of the same cases, at least two, in the same order."""
    gains = np.array([b.log_likelihood - a.log_likelihood for a, b in zip(before, after, strict=True)])
    error = standard_error(gains, [case.path for case in cases])
    return Verdict(float(gains.mean()), error, sum(s.exact for s in before), sum(s.exact for s in after))


def standard_error(gains: np.ndarray, files: Sequence[str]) -> float:
    """Of the mean of `gains` (cases,): as if each case stood for itself, or as if only files did, since the lines of a file are
    alike (Liang and Zeger 1986); the larger of the two."""
    by_case = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    names, which = np.unique(files, return_inverse=True)
    if len(names) < 2:
        return by_case
    sums = np.bincount(which, weights=gains - gains.mean())
    by_file = np.sqrt(len(names) / (len(names) - 1) * (sums**2).sum()) / len(gains)
    return max(by_case, float(by_file))


def similarity(one: str, other: str) -> float:
    """1 for equal texts, 0 for texts with nothing in common (Levenshtein distance)."""
    return 1 - edit_distance(one, other) / max(1, len(one), len(other))


def table_rows(cases: Sequence[Case], before: Sequence[Score], after: Sequence[Score]) -> list[tuple[str, str, str]]:
    """(what, before, after) for a person."""
    new = [k for k, case in enumerate(cases) if not case.known]
    rows: list[tuple[str, Callable[[Sequence[Score]], str]]] = [
        ("log-likelihood of the true line (nats per token)", lambda s: f"{np.mean([x.log_likelihood for x in s]):.3f}"),
        ("filled exactly", lambda s: f"{sum(x.exact for x in s)} of {len(s)}"),
        ("  of the lines that no learned file has", lambda s: f"{sum(s[k].exact for k in new)} of {len(new)}"),
        ("edit similarity", lambda s: f"{np.mean([x.similarity for x in s]):.1%}"),
    ]
    return [(what, of(before), of(after)) for what, of in rows]
