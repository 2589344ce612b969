"""Groups of runs that one command makes, and the table that each fills: data only. `report` knows how to print it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from incoder_train.evaluate.case import ANCHORED, CAUSAL_MASK, LEFT_TO_RIGHT, REGION, RERANK, RETRIEVAL


@dataclass(frozen=True)
class Run:
    """What of the settings a group decides."""

    task: str
    split: str = ""
    method: str = CAUSAL_MASK
    temperature: float | None = None  # where the command line says none

    @property
    def name(self) -> str:
        return ".".join(part for part in (self.task, self.split, self.method) if part)


@dataclass(frozen=True)
class Measured:
    """Of our model."""

    run: Run
    measure: str
    lang: str = ""  # of the cases in this language; "": of all


@dataclass(frozen=True)
class Paper:
    """Of the paper's 6.7B, where it has published one."""

    run: Run
    measure: str


@dataclass(frozen=True)
class Ratio:
    over: Measured | Paper
    under: Measured | Paper


Figure: TypeAlias = Measured | Paper | Ratio


@dataclass(frozen=True)
class Row:
    label: str
    figures: tuple[Figure | None, ...]  # one for each column; None: an empty cell


@dataclass(frozen=True)
class Group:
    name: str
    about: str
    columns: tuple[str, ...]  # without that of the labels
    rows: tuple[Row, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Each once, in the order of the table."""
        figures = [figure for row in self.rows for figure in row.figures]
        parts = [part for f in figures for part in ((f.over, f.under) if isinstance(f, Ratio) else (f,))]
        return tuple(dict.fromkeys(part.run for part in parts if isinstance(part, Measured)))


# --- the paper's Table 1 ------------------------------------------------------------------------------------------

INFILL = "humaneval-infill"
NAMES = {LEFT_TO_RIGHT: "left to right", RERANK: "left to right, reranked", CAUSAL_MASK: "causal masking"}
SAMPLED_AT = {LEFT_TO_RIGHT: 0.2, RERANK: 0.8, CAUSAL_MASK: 0.2}  # as in the paper


def _of_table_1(split: str, method: str) -> Row:
    run = Run(INFILL, split, method, SAMPLED_AT[method])
    pairs = [(Measured(run, measure), Paper(run, measure)) for measure in ("pass", "exact")]
    return Row(f"{split}, {NAMES[method]}", tuple(figure for pair in pairs for figure in pair))


TABLE_1 = Group(
    "table-1",
    "the paper's Table 1: HumanEval infilling by three methods, sampled as in the paper",
    ("pass", "6.7B", "exact match", "6.7B"),
    tuple(_of_table_1(split, method) for split in ("single-line", "multi-line") for method in NAMES),
)

# --- how good a model is, in one table ----------------------------------------------------------------------------

COMPARED = (REGION, CAUSAL_MASK, LEFT_TO_RIGHT, RETRIEVAL)


def _compared(label: str, task: str, split: str, measure: str, lang: str = "") -> Row:
    ours = [Measured(Run(task, split, method), measure, lang) for method in COMPARED]
    return Row(label, (*ours, Paper(Run(task, split), measure) if not lang else None))


def _at_cursor(label: str, lang: str) -> Row:
    """As an editor asks, the beginning of the line forced onto the answer. Left to right nothing is forced: no comparison."""
    anchored, retrieved = (Measured(Run("heldout", "rest-of-line", m), "exact", lang) for m in (ANCHORED, RETRIEVAL))
    return Row(label, (anchored, None, None, retrieved, None))


def _gain(label: str, task: str, split: str, lang: str = "") -> tuple[Row, Row]:
    region, masked, continued, retrieved = (Measured(Run(task, split, method), "exact", lang) for method in COMPARED)
    paper = None
    if not lang:
        paper = Ratio(Paper(Run(task, split), "exact"), Paper(Run(task, split, LEFT_TO_RIGHT), "exact"))
    return (
        Row(f"{label}, / left to right", (Ratio(region, continued), Ratio(masked, continued), None, None, paper)),
        Row(f"{label}, / retrieval", (Ratio(region, retrieved), Ratio(masked, retrieved), None, None, None)),
    )


def _predicted(label: str, lang: str) -> Row:
    run = Run("bits-per-byte", method=LEFT_TO_RIGHT)
    return Row(label, (None, None, Measured(run, "bits_per_byte", lang), None, None))


QUALITY = Group(
    "quality",
    "how good a model is, in one table: HumanEval and held-out files, greedy, beside left to right and retrieval",
    ("region", "causal mask", "left to right", "retrieval", "6.7B, infilling"),
    (
        _compared("HumanEval single-line, pass", INFILL, "single-line", "pass"),
        _compared("HumanEval single-line, exact", INFILL, "single-line", "exact"),
        _compared("HumanEval multi-line, pass", INFILL, "multi-line", "pass"),
        _compared("HumanEval multi-line, exact", INFILL, "multi-line", "exact"),
        _compared("HumanEval random-span-light, pass", INFILL, "random-span-light", "pass"),
        _compared("held-out Python line, exact", "heldout", "single-line", "exact", "python"),
        _compared("held-out TypeScript line, exact", "heldout", "single-line", "exact", "typescript"),
        _at_cursor("held-out Python rest of line, exact", "python"),
        _at_cursor("held-out TypeScript rest of line, exact", "typescript"),
        *_gain("HumanEval line, exact", INFILL, "single-line"),
        *_gain("held-out Python line, exact", "heldout", "single-line", "python"),
        *_gain("held-out TypeScript line, exact", "heldout", "single-line", "typescript"),
        _predicted("held-out Python, bits per byte", "python"),
        _predicted("held-out TypeScript, bits per byte", "typescript"),
    ),
)

GROUPS = {group.name: group for group in (TABLE_1, QUALITY)}
