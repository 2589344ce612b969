"""What became of runs, for a person: results go in, tables come out, the paper's 6.7B beside our own numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from incoder_train.evaluate.case import Scores, Task
from incoder_train.evaluate.groups import Figure, Group, Measured, Paper, Ratio, Run
from incoder_train.evaluate.published import PUBLISHED, Published
from incoder_train.evaluate.run import Result

Z = 1.959964  # standard deviations on both sides that hold 95 % of a normal distribution
RESAMPLES = 1000
Interval = tuple[float, float]
ALL = "all"  # cases


# --- how certain a share is ---------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> Interval:
    """The 95 % interval of the mean of shares, as if each case were drawn for itself: Wilson's where each is 0 or 1, else a
    bootstrap with a fixed seed."""
    if all(value in (0, 1) for value in values):
        return wilson(round(sum(values)), len(values))
    sample = np.asarray(values)
    rng = np.random.default_rng(0)
    resampled = sample[rng.integers(len(sample), size=(RESAMPLES, len(sample)))].mean(1)  # (resamples,)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def wilson(right: int, count: int) -> Interval:
    """Of a share, `right` of `count` (Wilson 1927)."""
    share, z2 = right / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, middle - reach), min(1.0, middle + reach)


# --- a run --------------------------------------------------------------------------------------------------------


def parts_of(result: Result) -> dict[str, list[Scores]]:
    """The scores of all cases, then by language and by kind, where there are several."""
    parts = {ALL: [case["scores"] for case in result.cases]}
    for key in ("lang", "kind"):
        names = list(dict.fromkeys(case[key] for case in result.cases))
        if len(names) > 1:
            parts |= {name: [case["scores"] for case in result.cases if case[key] == name] for name in names}
    return parts


def tabulate(result: Result, task: Task) -> Table:
    """A row for each measure: of all cases, and of those in one language or of one kind. Columns that stay empty are left out."""
    sections = [
        [row_of(part, name, value, scores, result, task) for name, value in task.summary(scores).items()]
        for part, scores in parts_of(result).items()
    ]
    names = ("", "cases", "measure", "ours", "95 %", "6.7B (paper)")
    shown = [column for column in range(len(names)) if any(row[column] for rows in sections for row in rows)]
    table = Table()
    for column in shown:
        table.add_column(names[column], justify="left" if names[column] in ("", "measure") else "right")
    for rows in sections:
        for row in rows:
            table.add_row(*(row[column] for column in shown))
        table.add_section()
    return table


def row_of(
    part: str, measure: str, value: float, scores: Sequence[Scores], result: Result, task: Task
) -> tuple[str, ...]:
    having = [one[measure] for one in scores if measure in one]
    key = (result.task, result.split, result.method, measure)
    paper = published(PUBLISHED.get(key)) if part == ALL else ""
    return part, f"{len(having) or len(scores):,}", measure, shown(value, task), spread(value, having, task), paper


def title_of(result: Result) -> str:
    what = " ".join(part for part in (result.task, result.split) if part)
    model = f"{result.model['path']} ({result.model['parameters'] / 1e6:,.1f}M)" if result.model else "no model"
    return f"{what}, {result.method}: {model}, {result.seconds:,.0f} s"


def shown(value: float, task: Task) -> str:
    return f"{100 * value:.1f} %" if task.percent else f"{value:.3f}"


def spread(value: float, having: Sequence[float], task: Task) -> str:
    """The interval, if `value` is the mean of shares."""
    if not (task.percent and having and math.isclose(value, sum(having) / len(having), abs_tol=1e-9)):
        return ""
    low, high = interval(having)
    return f"{100 * low:.1f} - {100 * high:.1f}"


def published(paper: Published | None) -> str:
    if paper is None:
        return ""
    return f"{paper.value:.1f} %, {paper.source}" + ("" if paper.same_data else ", other data")


# --- a group ------------------------------------------------------------------------------------------------------


def tabulate_group(group: Group, results: Mapping[Run, Result], tasks: Mapping[str, Task]) -> Table:
    table = Table("", *group.columns)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for row in group.rows:
        table.add_row(row.label, *(cell(figure, results, tasks) for figure in row.figures))
    return table


def cell(figure: Figure | None, results: Mapping[Run, Result], tasks: Mapping[str, Task]) -> str:
    if figure is None or (value := value_of(figure, results, tasks)) is None:
        return ""
    if isinstance(figure, Ratio):
        return f"{value:.2f}x"
    if isinstance(figure, Paper):
        return f"{100 * value:.1f}"
    task = tasks[figure.run.task]
    if not task.percent:
        return f"{value:.3f}"
    having = [one[figure.measure] for one in scores_of(figure, results) if figure.measure in one]
    return f"{100 * value:.1f} ({spread(value, having, task)})"


def value_of(figure: Figure, results: Mapping[Run, Result], tasks: Mapping[str, Task]) -> float | None:
    """None where there is no such number, such as a ratio to nothing."""
    if isinstance(figure, Ratio):
        over, under = value_of(figure.over, results, tasks), value_of(figure.under, results, tasks)
        return over / under if over is not None and under else None
    if isinstance(figure, Paper):
        run = figure.run
        paper = PUBLISHED.get((run.task, run.split, run.method, figure.measure))
        return paper and paper.value / 100
    return tasks[figure.run.task].summary(scores_of(figure, results)).get(figure.measure)


def scores_of(figure: Measured, results: Mapping[Run, Result]) -> list[Scores]:
    cases = results[figure.run].cases
    return [case["scores"] for case in cases if figure.lang in ("", case["lang"])]
