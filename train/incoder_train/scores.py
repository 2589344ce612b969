"""Results of `incoder eval` for a model card: files go in, tables in Markdown come out. A table is a task, a row is a method: the
model's own ways, the baseline beside them, and the floor that needs no model.

Whose score it is, the hash of the weights says. What belongs to none of those that the card is about is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incoder_train.errors import UserError
from incoder_train.evaluate.case import ANCHORED, CAUSAL_MASK, LEFT_TO_RIGHT, REGION, RERANK, RETRIEVAL

# How a card names the methods, in the order of its rows.
METHODS = {
    REGION: "infilling, by region",
    CAUSAL_MASK: "infilling, by the paper's prompt",
    ANCHORED: "infilling, as the editor asks",
    LEFT_TO_RIGHT: "left to right (baseline)",
    RERANK: "left to right, best of several (baseline)",
    RETRIEVAL: "line retrieval (floor)",
}
NO_SHARES = {"bits_per_byte"}  # all other measures are shares, and shown as percentages
BUNDLE, CHECKPOINT, NO_MODEL = "this model", "before quantisation", "no model"


@dataclass(frozen=True)
class Score:
    task: str
    split: str
    method: str
    of: str  # BUNDLE, CHECKPOINT or NO_MODEL
    cases: int
    measures: Mapping[str, float]

    @property
    def key(self) -> tuple[str, str]:
        return self.task, self.split


def read_scores(files: Iterable[Path], *, bundle_sha256: str, checkpoint_sha256: str) -> list[Score]:
    """Raises UserError for a file that is no result, or the score of another model."""
    models = {None: NO_MODEL, checkpoint_sha256: CHECKPOINT, bundle_sha256: BUNDLE}
    return [_read(file, models) for file in files]


def _read(file: Path, models: Mapping[str | None, str]) -> Score:
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        model = result["model"]
        of = models.get(None if model is None else model["sha256"])
        task, split, method = (result[key] for key in ("task", "split", "method"))
        measures = {str(name): float(value) for name, value in result["measures"].items()}
        cases = len(result["cases"])
        if not all(isinstance(text, str) for text in (task, split, method)):
            raise TypeError("task, split and method must be texts")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is no result of `incoder eval` ({error}); give what its --json wrote") from None
    if of is None:
        raise UserError(
            f"{file} is the score of another model; a card holds those of the bundle, of the checkpoint that it was made of, and "
            "of no model"
        )
    return Score(task, split, method, of, cases, measures)


def tables(scores: Sequence[Score]) -> Iterator[str]:
    """A heading and a table for each task and split, in the order in which they first come."""
    for task, split in dict.fromkeys(score.key for score in scores):
        rows = sorted((score for score in scores if score.key == (task, split)), key=_place)
        names = list(dict.fromkeys(name for row in rows for name in row.measures))
        yield f"### {f'{task}, {split}' if split else task}\n\n" + table(
            ("method", "of", "cases", *names),
            [
                (METHODS.get(row.method, row.method), row.of, f"{row.cases:,}", *_shown(row.measures, names))
                for row in rows
            ],
        )


def lost(scores: Sequence[Score]) -> Iterator[tuple[str, str, str, float]]:
    """(task and split, method, measure, points): how much less this model has than its checkpoint, where both were measured on as
    many cases. Of measures that are shares, in percentage points."""
    before = {(*score.key, score.method, score.cases): score for score in scores if score.of == CHECKPOINT}
    for score in scores:
        original = before.get((*score.key, score.method, score.cases))
        if score.of == BUNDLE and original is not None:
            for name, value in score.measures.items():
                if name in original.measures and name not in NO_SHARES:
                    points = 100 * (original.measures[name] - value)
                    yield " ".join(filter(None, score.key)), METHODS.get(score.method, score.method), name, points


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _place(score: Score) -> tuple[int, int]:
    methods, models = list(METHODS), (BUNDLE, CHECKPOINT, NO_MODEL)
    return methods.index(score.method) if score.method in methods else len(methods), models.index(score.of)


def _shown(measures: Mapping[str, float], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = measures.get(name)
        yield "" if value is None else f"{value:.3f}" if name in NO_SHARES else f"{100 * value:.1f} %"
