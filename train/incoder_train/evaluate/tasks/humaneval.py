"""HumanEval (Chen et al. 2021; the paper's Table 6): functions to be written from their docstrings, judged by tests.

    <| file ext=.py |>
    the function's head and docstring, right-stripped: what the model writes begins with the line end

It ends at the next thing at the left margin. In the paper pass@1 is at temperature 0.2, pass@10 and pass@100 at 0.8, of 200
samples each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from incoder_train.evaluate.benchmarks import SHIPPED, read_rows
from incoder_train.evaluate.case import LEFT_TO_RIGHT, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.passing import pass_scores, run_tests
from incoder_train.evaluate.sandbox import available_way

if TYPE_CHECKING:
    from incoder_model.batch import Generator

FILE = SHIPPED / "human-eval" / "HumanEval.jsonl.gz"
KEYS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
STOPS = ("\nclass", "\ndef", "\n#", "\nif")  # spec of the paper's scripts
LIMITS = Limits(max_tokens=450, stops=STOPS)


def cases(settings: Settings) -> list[Case]:
    available_way()  # before a model writes what could not be run
    return [
        Case(row["task_id"], row["prompt"].rstrip(), "", "", LIMITS, kind="function", extra=row)
        for row in read_rows(FILE, KEYS)
    ]


def program(case: Case, sample: str) -> str:
    return f"{case.left}{sample}\n{case.extra['test']}\ncheck({case.extra['entry_point']})\n"


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill  # brings torch

    return run_tests(cases, fill(cases, settings, generator), settings, program)


def score(case: Case, answer: Answer) -> Scores:
    return pass_scores(answer)


TASK = Task(
    name="humaneval",
    about="functions written from their docstrings, judged by tests (HumanEval)",
    methods=(LEFT_TO_RIGHT,),
    cases=cases,
    answer=answer,
    score=score,
)
