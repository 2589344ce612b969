"""Holes in files that no model of ours may learn from (`sources`), as they come up in an editor:

    single-line    a line, its indent given
    multi-line     2 to 6 whole lines, indent and all
    random-span    any characters within a few lines
    rest-of-line   from a place where people pause to the end of the line
    all            these one after the other

Which holes, is a function of the sources alone: a run's seed decides only which of them it takes, and how it samples. `--cases`
brings other holes, from a file of JSON lines.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from incoder_model.metadata import file_attributes, header
from incoder_train.errors import UserError
from incoder_train.evaluate.case import ANCHORED, METHODS, RETRIEVAL, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.metrics import LINE_END, edit_similarity, elsewhere, exact, parses
from incoder_train.evaluate.sources import Source, load_sources

if TYPE_CHECKING:
    from incoder_model.batch import Generator

SEED = 1
CASES = {"python": 500, "typescript": 250, "javascript": 100, "rust": 50, "go": 50, "c++": 50}  # of each kind
SHORTEST = 5  # characters of a line worth asking for, white space not counted
COMMENTS = {"python": ("#",)}
OTHER_COMMENTS = ("//", "/*", "* ", "*/")  # of languages that look like C
MOST_LINES = 6  # of a hole
PAUSE = re.compile(r"\w+|\s+|[^\w\s]")  # people stop typing where a word, white space or a sign ends

LIMITS = {
    "single-line": Limits(64, truncate="num-lines", one_line=True),
    "multi-line": Limits(256, truncate="num-lines"),
    "random-span": Limits(160),
    "rest-of-line": Limits(64, truncate="num-lines", one_line=True),
}
ALL = "all"

Range = tuple[int, int]  # [start, end) in characters of a text


# --- where a hole may be ------------------------------------------------------------------------------------------


class Lines:
    """A file's text, and where its lines are."""

    def __init__(self, source: Source):
        self.text = source.text
        self.comments = COMMENTS.get(source.lang, OTHER_COMMENTS)
        ends = list(LINE_END.finditer(self.text))
        starts, stops = [0, *(end.end() for end in ends)], [*(end.start() for end in ends), len(self.text)]
        self.ranges: list[Range] = list(zip(starts, stops, strict=True))
        self.worth_asking = [number for number in range(len(self.ranges)) if self._worth_asking(number)]

    def content(self, number: int) -> Range:
        """A line without the white space around it."""
        start, end = self.ranges[number]
        line = self.text[start:end]
        return start + len(line) - len(line.lstrip()), start + len(line.rstrip())

    def _worth_asking(self, number: int) -> bool:
        start, end = self.content(number)
        line = self.text[start:end]
        visible = len(line) - sum(map(str.isspace, line))
        return number > 0 and visible >= SHORTEST and not line.startswith(self.comments)


Cut = Callable[[random.Random, Lines], Range]  # may be blank: then another one is drawn


def single_line(rng: random.Random, lines: Lines) -> Range:
    return lines.content(rng.choice(lines.worth_asking))


def multi_line(rng: random.Random, lines: Lines) -> Range:
    first = rng.choice(lines.worth_asking)
    last = first + rng.randint(2, MOST_LINES) - 1
    if last >= len(lines.ranges) or lines.content(last)[0] == lines.ranges[last][1]:  # the last one would be blank
        return 0, 0
    return lines.ranges[first][0], lines.content(last)[1]


def random_span(rng: random.Random, lines: Lines) -> Range:
    first = rng.choice(lines.worth_asking)
    last = min(first + rng.randint(1, MOST_LINES), len(lines.ranges)) - 1
    start, end = lines.ranges[first][0], lines.content(last)[1]
    one, other = rng.randint(start, end), rng.randint(start, end)
    return min(one, other), max(one, other)


def rest_of_line(rng: random.Random, lines: Lines) -> Range:
    start, end = lines.content(rng.choice(lines.worth_asking))
    pauses = [pause.end() for pause in PAUSE.finditer(lines.text, start, end)]
    return rng.choice(pauses[:-1] or [end]), end  # not behind the last


CUTS: dict[str, Cut] = {
    "single-line": single_line,
    "multi-line": multi_line,
    "random-span": random_span,
    "rest-of-line": rest_of_line,
}


def draw(sources: Sequence[Source], kind: str, count: int, rng: random.Random) -> list[Case]:
    """At most `count` different holes, each from a file chosen evenly; in the order of the files."""
    texts = [(source, Lines(source)) for source in sources]
    texts = [(source, lines) for source, lines in texts if lines.worth_asking]
    drawn: set[tuple[int, Range]] = set()
    for _ in range(20 * count if texts else 0):
        which = rng.randrange(len(texts))
        lines = texts[which][1]
        start, end = CUTS[kind](rng, lines)
        if lines.text[start:end].strip():
            drawn.add((which, (start, end)))
        if len(drawn) == count:
            break
    return [case_at(texts[which][0], kind, place) for which, place in sorted(drawn)]


def case_at(source: Source, kind: str, place: Range) -> Case:
    start, end = place
    left, answer, right = source.text[:start], source.text[start:end], source.text[end:]
    return hole(f"{source.id}:{start}-{end}", left, answer, right, path=source.id, lang=source.lang, kind=kind)


def hole(name: str, left: str, answer: str, right: str, *, path: str, lang: str, kind: str) -> Case:
    above, below = left.count("\n"), right.count("\n")
    extra = {"share_right": below / max(1, above + below)}
    about = header(file_attributes(path))
    return Case(f"{kind}/{name}", left, right, answer, LIMITS[kind], about, path, lang, kind, extra)


# --- the task -----------------------------------------------------------------------------------------------------


def cases(settings: Settings) -> list[Case]:
    if settings.cases:
        return list(read_cases(settings.cases))
    kinds = list(CUTS) if settings.split == ALL else [settings.split]
    return [
        case
        for kind in kinds
        for lang, count in CASES.items()
        for case in draw(
            [source for source in load_sources() if source.lang == lang],
            kind,
            count,
            random.Random(f"{SEED} {kind} {lang}"),
        )
    ]


def read_cases(file: Path) -> Iterator[Case]:
    """One case a line: {"prefix", "middle", "suffix", "path", "lang", "kind"}, all of them texts. Raises UserError that names the
    line and what is wrong with it."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}); give a file of JSON lines") from None
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise UserError(f"{file} is empty; give a file with a case on each line")
    for number, line in numbered:
        yield _case(line, f"{file}, line {number}", str(number))


KEYS = ("prefix", "middle", "suffix", "path", "lang", "kind")


def _case(line: str, where: str, number: str) -> Case:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is no JSON ({error}); write an object with {', '.join(KEYS)}") from None
    if not isinstance(row, dict):
        raise UserError(f"{where} is no object; write one with {', '.join(KEYS)}")
    if unknown := [key for key in row if key not in KEYS]:
        raise UserError(f"{where} has the key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    for key in KEYS:
        if not isinstance(row.get(key), str):
            raise UserError(f"{where} needs a text as {key!r}; it has {row.get(key)!r}")
    if not row["middle"].strip():
        raise UserError(f"{where} has a blank 'middle'; a hole needs an answer")
    if row["kind"] not in LIMITS:
        raise UserError(f"{where} is of kind {row['kind']!r}; the kinds are {', '.join(LIMITS)}")
    places = {"path": row["path"], "lang": row["lang"], "kind": row["kind"]}
    return hole(number, row["prefix"], row["middle"], row["suffix"], **places)


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill

    if settings.method in (ANCHORED, RETRIEVAL):
        return fill(cases, settings, generator)
    said = fill([from_line_start(case) for case in cases], settings, generator)
    return [
        replace(one, samples=[sample.lstrip() for sample in one.samples]) if case.kind == "single-line" else one
        for case, one in zip(cases, said, strict=True)
    ]


def from_line_start(case: Case) -> Case:
    """A hole of a line with its indent in it. `anchored` forces the indent onto its answer. The other methods know of a left side
    only that it ends where a token does, and white space is seldom a token's end. So they are asked from where the line starts,
    as in HumanEval infilling, and the indent that they write is not looked at."""
    left = case.left.rstrip(" \t")
    indent = case.left[len(left) :]
    if case.kind != "single-line" or not left.endswith(("\n", "\r")):
        return case
    return replace(case, left=left, answer=indent + case.answer)


def score(case: Case, answer: Answer) -> Scores:
    """exact, similarity; *_new: where the answer stands nowhere else in view; parses: where the true file does."""
    sample = answer.samples[0]
    scores = {"exact": exact(sample, case.answer), "similarity": edit_similarity(sample, case.answer)}
    if not elsewhere(case.answer, case.left, case.right):
        scores |= {f"{measure}_new": value for measure, value in scores.items()}
    if case.lang == "python" and _parses(case.left + case.answer + case.right):
        scores["parses"] = float(parses(case.left + sample + case.right))
    return scores


_parses = lru_cache(maxsize=8)(parses)  # a file has many holes


TASK = Task(
    name="heldout",
    about="holes in packages that no model of ours may learn from, as they come up in an editor",
    methods=METHODS,
    splits=(*LIMITS, ALL),
    cases=cases,
    answer=answer,
    score=score,
    takes_cases=True,
)
