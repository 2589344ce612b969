"""HumanEval's solutions with holes in (Fried et al. 2022, Tables 1 and 10; Bavarian et al. 2022), judged by the same tests.

    single-line, multi-line             whole lines, every one and every run of them
    random-span, random-span-light      any characters, ten holes of a solution and one

    <| file ext=.py |>
    the function's head and docstring, and the solution's lines above the hole  [hole]  those below it

A hole of whole lines ends with a line end, which an answer may lack: it is added before the tests are run, as in the paper's
scripts. How many lines the true answer has is told to every method, as there; not for random spans, where others do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from incoder_train.evaluate.benchmarks import SHIPPED, read_rows
from incoder_train.evaluate.case import (
    ANCHORED,
    CAUSAL_MASK,
    METHODS,
    REGION,
    Answer,
    Case,
    Limits,
    Scores,
    Settings,
    Task,
)
from incoder_train.evaluate.metrics import edit_similarity, exact
from incoder_train.evaluate.passing import FAILURES, pass_scores, run_tests
from incoder_train.evaluate.sandbox import available_way
from incoder_train.evaluate.tasks import humaneval

if TYPE_CHECKING:
    from incoder_model.batch import Generator

FILES = {
    "single-line": "HumanEval-SingleLineInfilling.jsonl.gz",
    "multi-line": "HumanEval-MultiLineInfilling.jsonl.gz",
    "random-span": "HumanEval-RandomSpanInfilling.jsonl.gz",
    "random-span-light": "HumanEval-RandomSpanInfillingLight.jsonl.gz",
}
KEYS = (*humaneval.KEYS, "suffix")
WHOLE_LINES = ("single-line", "multi-line")


def limits(split: str, method: str) -> Limits:
    """Of the paper's scripts, which give one line fewer tokens where the model knows what follows."""
    lines = split in WHOLE_LINES
    one_line = 30 if method in (CAUSAL_MASK, REGION, ANCHORED) else 40
    most = one_line if split == "single-line" else 450
    return Limits(max_tokens=most, stops=humaneval.STOPS, truncate="num-lines" if lines else "")


def cases(settings: Settings) -> list[Case]:
    available_way()  # before a model writes what could not be run
    split = settings.split or next(iter(FILES))
    rows = read_rows(SHIPPED / "human-eval-infilling" / FILES[split], KEYS)
    solutions = {row["task_id"]: row["canonical_solution"] for row in read_rows(humaneval.FILE, humaneval.KEYS)}
    return [_case(row, split, limits(split, settings.method), solutions) for row in rows]


def _case(row: dict[str, Any], split: str, limits: Limits, solutions: dict[str, str]) -> Case:
    _, name, number, *_ = row["task_id"].split("/")  # SingleLineInfilling/HumanEval/0/L0
    share_right = min(1.0, _lines(row["suffix"]) / _lines(solutions[f"{name}/{number}"]))
    right = row["suffix"].rstrip() if split in WHOLE_LINES else row["suffix"]  # what the model is shown
    extra = {**row, "share_right": share_right}
    return Case(row["task_id"], row["prompt"], right, row["canonical_solution"], limits, kind=split, extra=extra)


def _lines(text: str) -> int:
    """Those that are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


def program(case: Case, sample: str) -> str:
    line_end = "\n" if case.kind in WHOLE_LINES and not sample.endswith("\n") else ""
    whole = case.left + sample + line_end + case.extra["suffix"]
    return f"{whole}\n{case.extra['test']}\ncheck({case.extra['entry_point']})\n"


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill  # brings torch

    return run_tests(cases, fill(cases, settings, generator), settings, program)


def score(case: Case, answer: Answer) -> Scores:
    """pass, or pass@k of several samples; exact and similarity of the first."""
    passes = pass_scores(answer)
    sample = answer.samples[0]
    return {
        **(passes if len(answer.detail[FAILURES]) > 1 else {"pass": passes["pass@1"]}),
        "exact": exact(sample, case.answer),
        "similarity": edit_similarity(sample, case.answer),
    }


TASK = Task(
    name="humaneval-infill",
    about="holes in HumanEval's solutions, judged by its tests and by the text itself",
    methods=METHODS,
    splits=tuple(FILES),
    cases=cases,
    answer=answer,
    score=score,
)
