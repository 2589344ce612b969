"""How well a model predicts whole files from left to right: bits for each byte of text, which compares models whatever their
vocabularies. A file is read in windows of the context, each with the file's header in front; of it nothing is counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from incoder_model.metadata import file_attributes, header
from incoder_model.tokenizer import BOS
from incoder_train.evaluate.case import LEFT_TO_RIGHT, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.sources import load_sources

if TYPE_CHECKING:
    from incoder_model.batch import Generator

NONE = Limits(0)  # nothing is generated


def cases(settings: Settings) -> list[Case]:
    """A case is a file: its text is the answer."""
    return [
        Case(source.id, "", "", source.text, NONE, header(file_attributes(source.path)), source.id, source.lang, "file")
        for source in load_sources()
    ]


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    assert generator is not None  # the only method asks a model
    encode = generator.tokenizer.encode
    owners, fronts, sequences = [], [], []
    for number, case in enumerate(cases):
        front = [BOS, *encode(case.header)]
        for window in windows(
            encode(case.answer), generator.context + 1 - len(front)
        ):  # the last one is only predicted
            owners.append(number)
            fronts.append(len(front))
            sequences.append([*front, *window])
    nats, tokens = [0.0] * len(cases), [0] * len(cases)
    for number, front, log_p in zip(owners, fronts, generator.score(sequences), strict=True):
        counted = log_p[front - 1 :].astype(np.float64)  # log_p[0] is of the second token
        nats[number] -= float(counted.sum())
        tokens[number] += len(counted)
    return [Answer([], {"nats": n, "tokens": t}) for n, t in zip(nats, tokens, strict=True)]


def windows(tokens: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """All tokens once, in pieces of at most `size`."""
    return (tokens[start : start + size] for start in range(0, len(tokens), size))


def score(case: Case, answer: Answer) -> Scores:
    return {"bits": answer.detail["nats"] / math.log(2), "bytes": float(len(case.answer.encode()))}


def summary(scores: Sequence[Scores]) -> dict[str, float]:
    """Of all files as one text."""
    size = sum(one["bytes"] for one in scores)
    return {"bits_per_byte": sum(one["bits"] for one in scores) / size} if size else {}


TASK = Task(
    name="bits-per-byte",
    about="how well the model predicts held-out files from left to right; lower is better",
    methods=(LEFT_TO_RIGHT,),
    cases=cases,
    answer=answer,
    score=score,
    summary=summary,
    percent=False,
)
