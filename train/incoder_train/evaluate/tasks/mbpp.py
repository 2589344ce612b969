'''MBPP (Austin et al. 2021; the paper's Table 6): short programs to be written from a sentence, judged by three asserts.

    <| file ext=.py |>
    """
    the sentence
    the first assert
    """

Zero-shot, as in the paper; its 500 test items. The file is not ours to ship.
'''

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from incoder_train.evaluate.benchmarks import brought, read_rows
from incoder_train.evaluate.case import LEFT_TO_RIGHT, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.passing import pass_scores, run_tests
from incoder_train.evaluate.sandbox import available_way

if TYPE_CHECKING:
    from incoder_model.batch import Generator

FILE = "mbpp/mbpp.jsonl.gz"
SOURCE = "the folder mbpp of the repository google-research/google-research (mbpp.jsonl, gzipped)"
KEYS = ("task_id", "text", "code", "test_setup_code", "test_list")
TEST_ITEMS = range(11, 511)
STOPS = ("\nassert", "\nclass", "\nif", '\n"""', "\nprint", "[DONE]")
LIMITS = Limits(max_tokens=450, stops=STOPS)
SECONDS = 10.0


def cases(settings: Settings) -> list[Case]:
    rows = read_rows(brought(settings, FILE, SOURCE), KEYS)
    available_way()  # before a model writes what could not be run
    return [
        Case(
            f"MBPP/{row['task_id']}",
            _prompt(row["text"], row["test_list"][0]),
            "",
            "",
            LIMITS,
            kind="program",
            extra=row,
        )
        for row in rows
        if row["task_id"] in TEST_ITEMS
    ]


def _prompt(sentence: str, example: str) -> str:
    return f'"""\n{sentence}\n{example}\n"""\n'


def program(case: Case, sample: str) -> str:
    return "\n".join([case.left + sample, case.extra["test_setup_code"], *case.extra["test_list"], ""])


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill  # brings torch

    return run_tests(cases, fill(cases, settings, generator), settings, program, SECONDS)


def score(case: Case, answer: Answer) -> Scores:
    return pass_scores(answer)


TASK = Task(
    name="mbpp",
    about="short programs written from a sentence, judged by asserts (MBPP)",
    methods=(LEFT_TO_RIGHT,),
    cases=cases,
    answer=answer,
    score=score,
)
