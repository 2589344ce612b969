"""How much infilling gains from what stands right of the hole, as the paper's Figure 4 draws it: results of one or several
methods go in; a picture comes out, a panel for each split and measure, a line for each method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from incoder_train.errors import UserError
from incoder_train.evaluate.report import interval
from incoder_train.evaluate.run import Result
from incoder_train.training.curve import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 5  # of the share, of equal width
MEASURES = {"pass": "pass rate (%)", "exact": "exact match (%)"}

Point = tuple[float, float, float, float]  # share right of the hole, mean, low and high end of its interval; 0 to 1


def require_drawable(picture: Path) -> None:
    """Before anything is measured. Raises UserError when the picture's ending is none that matplotlib writes."""
    from matplotlib.figure import Figure

    endings = Figure().canvas.get_supported_filetypes()
    if picture.suffix.lstrip(".") not in endings:
        raise UserError(f"{picture} ends in none of {', '.join(sorted(endings))}; name the picture like figure.png")
    picture.parent.mkdir(parents=True, exist_ok=True)


def draw(results: Sequence[Result], picture: Path) -> None:
    """Raises UserError when no result knows where its holes lie."""
    from matplotlib.figure import Figure

    drawn = [result for result in results if any(points(result, measure) for measure in MEASURES)]
    if not drawn:
        raise UserError("only of infilling there is a picture: the cases of this task have no lines right of a hole")
    rows = list(dict.fromkeys((result.task, result.split) for result in drawn))
    measures = [measure for measure in MEASURES if any(points(result, measure) for result in drawn)]
    figure = Figure(figsize=(5.2 * len(measures), 0.6 + 3.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(measures), squeeze=False, sharex=True)
    methods = list(dict.fromkeys(result.method for result in drawn))
    for (task, split), line in zip(rows, grid, strict=True):
        for measure, axes in zip(measures, line, strict=True):
            for result in drawn:
                found = points(result, measure) if (result.task, result.split) == (task, split) else []
                if found:
                    _draw_line(axes, found, result.method, COLOURS[methods.index(result.method)])
            _finish(axes, f"{task} {split}: {MEASURES[measure]}")
    for axes in grid[-1]:
        axes.set_xlabel("lines right of the hole (% of those around it)")
    grid[0][0].legend(frameon=False)
    unfinished = picture.with_name(f".{picture.stem}.unfinished{picture.suffix}")
    figure.savefig(unfinished, dpi=120)
    unfinished.replace(picture)


def points(result: Result, measure: str) -> list[Point]:
    """The mean of the measure in each bin that has cases."""
    bins: list[list[tuple[float, float]]] = [[] for _ in range(BINS)]
    for case in result.cases:
        if "share_right" in case and measure in case["scores"]:
            share = case["share_right"]
            bins[min(int(share * BINS), BINS - 1)].append((share, case["scores"][measure]))
    found = []
    for inside in filter(None, bins):
        shares, values = zip(*inside, strict=True)
        found.append((sum(shares) / len(shares), sum(values) / len(values), *interval(values)))
    return found


def _draw_line(axes: Axes, found: Sequence[Point], method: str, colour: str) -> None:
    shares, means, lows, highs = ([100 * value for value in column] for column in zip(*found, strict=True))
    axes.plot(shares, means, color=colour, marker="o", markersize=4, linewidth=1.6, label=method)
    axes.fill_between(shares, lows, highs, color=colour, alpha=0.15, linewidth=0)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize="medium")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
