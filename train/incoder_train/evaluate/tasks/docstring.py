'''Docstrings of held-out functions (paper section 4.3, Table 2): what does this function do, in one line?

    def signature and `"""`                                         left
    the body from behind the docstring, and the end of a file       right

The first line of what a model says, up to a `"""`, is compared with the first line of the docstring by smoothed BLEU-4, as
CodeXGLUE does it. The paper's scores are of CodeXGLUE's own test functions.
'''

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from incoder_model import metadata
from incoder_train.evaluate.bleu import bleu, words
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.cutting import Function, cut_cases
from incoder_train.evaluate.sources import load_sources

if TYPE_CHECKING:
    from incoder_model.batch import Generator

QUOTES = '"""'
WORDS = 3  # of a first line, at least, as in CodeXGLUE
LIMITS = Limits(max_tokens=64, stops=(QUOTES,))


def cases(_: Settings) -> list[Case]:
    return cut_cases(load_sources(), cut)


def cut(function: Function, _: random.Random | None = None) -> Case | None:
    """None for a function without a docstring, or with one that says next to nothing."""
    docstring = ast.get_docstring(function.node)
    if docstring is None or len(words(docstring.partition("\n")[0])) < WORDS or QUOTES in docstring:
        return None
    file, (start, end) = function.file, function.range
    first, last = file.range(function.node.body[0])
    return Case(
        id=function.id,
        left=file.text[start:first] + QUOTES,
        right=f"{file.text[last:end]}\n{metadata.footer({})}",
        answer=docstring.partition("\n")[0],
        limits=LIMITS,
        path=file.source.path,
        kind="docstring",
        extra={"rerank": "mean"},
    )


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill  # brings torch

    return fill(cases, settings, generator)


def score(case: Case, answer: Answer) -> Scores:
    return {"bleu": bleu(first_line(answer.samples[0]), case.answer)}


def first_line(text: str) -> str:
    """The first line that is not empty, up to the closing quotes."""
    return text.partition(QUOTES)[0].strip().partition("\n")[0]


TASK = Task(
    name="docstring",
    about="what held-out functions do, in one line, by BLEU-4",
    methods=(CAUSAL_MASK, LEFT_TO_RIGHT, RERANK),
    cases=cases,
    answer=answer,
    score=score,
)
