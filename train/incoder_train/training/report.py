"""What became of runs: their metrics go in; a table to read and a picture to look at come out, several runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

from rich.table import Table

from incoder_train.errors import UserError
from incoder_train.training.curve import Lines, draw_runs
from incoder_train.training.metrics import METRICS, read_metrics

LAST = 10  # logged steps whose mean is the last training loss: one batch says little

Values = list[float]  # of one key, in order


def read_runs(folders: Sequence[Path]) -> dict[str, Lines]:
    """The metrics of each run by its name, which is its folder's, or the whole path where two have the same.

    Raises UserError when a folder has no metrics, or damaged ones.
    """
    runs: dict[str, Lines] = {}
    for folder in folders:
        lines = read_metrics(folder / METRICS)
        if not lines:
            raise UserError(f"{folder} holds no metrics of a run; name a folder that `incoder train` has written to")
        namesakes = sum(other.resolve().name == folder.resolve().name for other in folders)
        runs[folder.resolve().name if namesakes == 1 else str(folder)] = lines
    return runs


def summarise(lines: Lines) -> dict[str, str]:
    """What there is to say about a run, by what it is called."""
    summary = {}
    for label, key, fold, written in ROWS:
        values = [line[key] for line in lines if key in line]
        if values:
            summary[label] = written.format(fold(values))
    waited = sum(line.get("data_wait", 0.0) for line in lines)
    seconds = max((line.get("seconds", 0.0) for line in lines), default=0.0)
    if waited and seconds:
        summary["waiting for data"] = f"{waited / seconds:.1%}"
    return summary


def tabulate(runs: dict[str, Lines]) -> Table:
    """A column for each run, a row for each thing that at least one of them has."""
    summaries = [summarise(lines) for lines in runs.values()]
    table = Table("", *runs)
    for column in table.columns[1:]:
        column.justify = "right"
    labels = [label for label, *_ in ROWS] + ["waiting for data"]
    for label in labels:
        if any(label in summary for summary in summaries):
            table.add_row(label, *(summary.get(label, "-") for summary in summaries))
    return table


def report_runs(folders: Sequence[Path], picture: Path | None = None) -> tuple[Table, Path]:
    """The table, and where the picture is: by default report.png in the first run's folder."""
    runs = read_runs(folders)
    picture = picture or folders[0] / "report.png"
    draw_runs(runs, picture)
    return tabulate(runs), picture


def _last(values: Values) -> float:
    return values[-1]


def _recent(values: Values) -> float:
    return mean(values[-LAST:])


ROWS: tuple[tuple[str, str, Callable[[Values], float], str], ...] = (
    ("steps", "step", _last, "{:,.0f}"),
    ("tokens", "tokens", _last, "{:,.0f}"),
    ("minutes of training", "seconds", lambda values: values[-1] / 60, "{:,.1f}"),
    (f"training loss, mean of last {LAST}", "loss", _recent, "{:.4f}"),
    ("held-out loss, last", "validation_loss", _last, "{:.4f}"),
    ("held-out loss, lowest", "validation_loss", min, "{:.4f}"),
    ("bits per byte, last", "bits_per_byte", _last, "{:.4f}"),
    ("tokens/s, median", "tokens_per_second", median, "{:,.0f}"),
    ("MFU, median", "mfu", median, "{:.1%}"),
    ("HFU, median", "hfu", median, "{:.1%}"),
    ("peak memory, GiB", "memory_gib", max, "{:.2f}"),
    ("padding", "padding", mean, "{:.1%}"),
    ("updates skipped", "skipped", _last, "{:.0f}"),
    ("loss scale, last", "loss_scale", _last, "{:g}"),
)
