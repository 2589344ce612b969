"""What tasks, methods and runs share: a case, an answer to it, and its scores.

task.cases(settings) -> cases -> task.answer -> answers -> task.score -> scores -> task.summary -> measures
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from incoder_model.batch import Generator

CAUSAL_MASK, REGION, ANCHORED, LEFT_TO_RIGHT, RERANK, RETRIEVAL = (
    "causal-mask",
    "region",
    "anchored",
    "left-to-right",
    "rerank",
    "retrieval",
)
METHODS = (CAUSAL_MASK, REGION, ANCHORED, LEFT_TO_RIGHT, RERANK, RETRIEVAL)

Scores = dict[str, float]  # of one case, by measure; a measure that does not apply to the case is left out


@dataclass(frozen=True)
class Limits:
    """How long an answer may get, and where it ends before that."""

    max_tokens: int
    stops: tuple[str, ...] = ()  # the text from the first of these on is cut off
    truncate: str = ""  # a name in truncations.TRUNCATIONS; "" cuts nothing
    one_line: bool = False  # end with the line


@dataclass(frozen=True)
class Case:
    """A hole between `left` and `right`, and what stood in it."""

    id: str  # unique in its task and split
    left: str
    right: str
    answer: str  # "" where a test, not a text, says what is right
    limits: Limits
    header: str = "<| file ext=.py |>\n"  # the metadata line before `left`
    path: str = ""
    lang: str = "python"
    kind: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)  # what only the case's task reads


@dataclass(frozen=True)
class Answer:
    """What a method said to a case. It can be written as JSON."""

    samples: list[str]  # texts for the hole, the method's choice first
    detail: dict[str, Any] = field(default_factory=dict)  # such as log-probabilities


@dataclass(frozen=True)
class Settings:
    """What a run is asked for. The same settings, model and data give the same answers."""

    task: str
    split: str = ""
    method: str = CAUSAL_MASK
    model: Path | None = None  # a model directory; None: the bundled one
    limit: int | None = None  # cases, drawn with the seed
    seed: int = 0
    temperature: float | None = None  # None: greedy, and 0.8 where several samples are drawn (paper section 5)
    top_p: float = 0.95
    samples: int = 1  # answers to each case, for pass@k
    batch: int = 16  # cases asked at a time
    benchmarks: Path | None = None  # the folder of the benchmarks that do not come along
    cases: Path | None = None  # a JSONL file, for tasks that read one


def means(scores: Sequence[Scores]) -> dict[str, float]:
    """The mean of each measure over the cases that have it, in the order in which measures first come."""
    names = list(dict.fromkeys(name for one in scores for name in one))
    having = {name: [one[name] for one in scores if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in having.items()}


@dataclass(frozen=True)
class Task:
    """One way to test a model. Raises UserError, from `cases`, for data that are missing or of another form."""

    name: str
    about: str  # a line for the help
    methods: tuple[str, ...]  # the first is the default
    cases: Callable[[Settings], list[Case]]
    answer: Callable[[Sequence[Case], Settings, Generator | None], list[Answer]]  # None: the method asks no model
    score: Callable[[Case, Answer], Scores]
    splits: tuple[str, ...] = ("",)  # the first is the default
    summary: Callable[[Sequence[Scores]], dict[str, float]] = means
    percent: bool = True  # measures are shares, shown as percentages
    takes_cases: bool = False  # settings.cases may bring others than its own
