"""The curves of runs, as pictures: metrics go in, a PNG or whatever else matplotlib writes comes out.

draw_curve    run/loss.png, the loss of one run, redrawn while it goes on
draw_runs     loss, learning rate, gradient norm, speed and what else there is, of one run or several on top of each other
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incoder_train.errors import UserError
from incoder_train.training.metrics import METRICS, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Lines = list[dict[str, float]]  # the metrics of a run

# Okabe and Ito's colours, which people of all colour visions can tell apart, the pale yellow left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES: dict[str, dict[str, Any]] = {
    "training": {"linewidth": 1.6},
    "held out": {"linestyle": "--", "linewidth": 1, "marker": "o", "markersize": 5, "markeredgecolor": "white"},
    "updates skipped": {"linestyle": "", "marker": "|", "markersize": 9},
}
SMOOTHED_OVER = 40  # a training loss is drawn as the mean of this part of a run, too, with the values pale behind it


@dataclass(frozen=True)
class Panel:
    key: str
    label: str  # with its unit
    scale: float = 1.0
    log: int | None = None  # the base of the axis


PANELS = (
    Panel("lr", "learning rate"),
    Panel("gradient_norm", "gradient norm before clipping", log=10),
    Panel("tokens_per_second", "thousand tokens per second", 1e-3),
    Panel("mfu", "MFU (% of the device's peak)", 100),
    Panel("loss_scale", "loss scale (fp16)", log=2),
)


def draw_curve(run: Path) -> None:
    """Raises UserError when the metrics of the run are damaged."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    _draw_losses(figure.add_subplot(), {run.name: read_metrics(run / METRICS)})
    _save(figure, run / "loss.png")


def draw_runs(runs: dict[str, Lines], picture: Path) -> None:
    """`runs` are the metrics by the name of the run. Panels that no run has values for are left out.

    Raises UserError when the picture's ending is none that matplotlib writes.
    """
    from matplotlib.figure import Figure

    panels = [panel for panel in PANELS if any(panel.key in line for lines in runs.values() for line in lines)]
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(11, 4.5 + 2.4 * rows), layout="constrained")
    grid = figure.add_gridspec(rows + 1, 2, height_ratios=[2.0, *[1.0] * rows])
    loss = figure.add_subplot(grid[0, :])
    _draw_losses(loss, runs)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(grid[1 + place // 2, place % 2], sharex=loss)
        axes.margins(y=0.1)
        for colour, lines in zip(_colours(len(runs)), runs.values(), strict=True):
            tokens, values = _series(lines, panel.key)
            axes.plot(tokens, [value * panel.scale for value in values], color=colour, linewidth=1)
        found = [line[panel.key] for lines in runs.values() for line in lines if line.get(panel.key, 0) > 0]
        if panel.log and found:
            _log_axis(axes, found, panel.log)
        else:
            axes.set_ylim(bottom=0)
        axes.set_title(panel.label, loc="left", fontsize="medium")
        _finish(axes)
    _save(figure, picture)


def _draw_losses(axes: Axes, runs: dict[str, Lines]) -> None:
    """Training loss as a line, held-out loss as points, updates that were skipped as ticks above the axis."""
    for colour, lines in zip(_colours(len(runs)), runs.values(), strict=True):
        tokens, values = _series(lines, "loss")
        axes.plot(tokens, values, color=colour, alpha=0.3, linewidth=0.8)
        axes.plot(tokens, _smooth(values), color=colour, **STYLES["training"])
        axes.plot(*_series(lines, "validation_loss"), color=colour, **STYLES["held out"])
        skipped = _where_skipped(lines)
        low = axes.get_xaxis_transform()  # y from 0 at the axis to 1 at the top
        axes.plot(skipped, [0.03] * len(skipped), color=colour, transform=low, **STYLES["updates skipped"])
    keys = ("loss", "validation_loss")
    losses = [line[key] for lines in runs.values() for line in lines for key in keys if key in line]
    if losses and max(losses) > 3 * min(losses) > 0:  # so that the end of a run can be read beside its beginning
        _log_axis(axes, losses)
    axes.set_title("loss (nats per token)", loc="left", fontsize="medium")
    _finish(axes)
    _explain(axes, runs)


def _explain(axes: Axes, runs: dict[str, Lines]) -> None:
    """The legend: a colour for each run, then what lines, points and ticks are, if there are any."""
    from matplotlib.lines import Line2D

    there = {
        "training": any("loss" in line for lines in runs.values() for line in lines),
        "held out": any("validation_loss" in line for lines in runs.values() for line in lines),
        "updates skipped": any(_where_skipped(lines) for lines in runs.values()),
    }
    names = [Line2D([], [], color=colour, linewidth=4) for colour in _colours(len(runs))]
    styles = [Line2D([], [], color="#444444", **STYLES[style]) for style, drawn in there.items() if drawn]
    labels = [*runs, *(style for style, drawn in there.items() if drawn)]
    axes.legend([*names, *styles], labels, frameon=False, loc="upper right")


def _finish(axes: Axes) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("tokens seen")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _log_axis(axes: Axes, values: Sequence[float], base: int = 10) -> None:
    """A logarithmic axis with plain numbers, more of them the closer the values lie together."""
    from matplotlib.ticker import LogLocator, NullFormatter

    decades = math.log10(max(values) / min(values))
    between = (1, 1.5, 2, 3, 4, 6, 8) if decades < 1 else (1, 2, 5) if decades < 2 else (1,)
    axes.set_yscale("log", base=base)
    axes.yaxis.set_major_locator(LogLocator(base, subs=between if base == 10 else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _where_skipped(lines: Lines) -> list[float]:
    """Tokens seen at the lines that count more skipped updates than the lines before them."""
    counted = [{"skipped": 0.0}, *_having(lines, "skipped")]
    return [after["tokens"] for before, after in pairwise(counted) if after["skipped"] > before["skipped"]]


def _having(lines: Lines, key: str) -> Lines:
    return [line for line in lines if key in line]


def _series(lines: Lines, key: str) -> tuple[list[float], list[float]]:
    """Tokens seen, and the value there."""
    found = _having(lines, key)
    return [line["tokens"] for line in found], [line[key] for line in found]


def _smooth(values: Sequence[float]) -> list[float]:
    """The mean of the values around each, fewer of them at the ends."""
    reach = len(values) // (2 * SMOOTHED_OVER)
    around = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(some) / len(some) for some in around]


def _colours(count: int) -> Iterable[str]:
    return (COLOURS[i % len(COLOURS)] for i in range(count))


def _save(figure: Figure, picture: Path) -> None:
    endings = figure.canvas.get_supported_filetypes()
    if picture.suffix.lstrip(".") not in endings:
        raise UserError(f"{picture} ends in none of {', '.join(sorted(endings))}; name the picture like curves.png")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)  # pyright: ignore
    unfinished = picture.with_name(f".{picture.stem}.unfinished{picture.suffix}")
    figure.savefig(unfinished, dpi=120)
    unfinished.replace(picture)
