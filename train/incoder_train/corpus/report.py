"""Shows a corpus to people. The statistics of a build go in; tables for a terminal and a picture come out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from incoder_train.corpus.build import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 12  # of a table or a picture; the rest is one row
INK, KEPT, DROPPED = "#333333", "#2f6f9f", "#d08a3e"

Row = tuple[str, float]  # what, how much


def print_stages(console: Console, statistics: Statistics) -> None:
    table = _table("Stages", "stage", "in", "out", "MB in", "MB out")
    for stage in statistics.stages:
        table.add_row(
            stage.name,
            f"{stage.documents_in:,}",
            f"{stage.documents_out:,}",
            _megabytes(stage.bytes_in),
            _megabytes(stage.bytes_out),
        )
    console.print(table)
    reasons = _table("Why documents went", "stage", "reason", "documents", "MB", text=2)
    for stage in statistics.stages:
        for reason, count in sorted(stage.dropped.items(), key=lambda item: -item[1]):
            reasons.add_row(stage.name, reason, f"{count:,}", _megabytes(stage.dropped_bytes[reason]))
    console.print(reasons)


def print_report(console: Console, statistics: Statistics) -> None:
    console.print(
        f"[bold]{statistics.name}[/bold]: {statistics.documents:,} documents, {_megabytes(statistics.bytes)} MB; "
        + ", ".join(f"{name} {sizes['documents']:,}" for name, sizes in statistics.splits.items())
    )
    languages = _table("Languages", "extension", "collected", "MB", "kept", "MB", "share of MB kept")
    for ext, sizes in _largest(statistics.languages, lambda sizes: sizes["collected"]["bytes"]):
        collected, kept = sizes["collected"], sizes["kept"]
        languages.add_row(
            ext,
            f"{collected['documents']:,}",
            _megabytes(collected["bytes"]),
            f"{kept['documents']:,}",
            _megabytes(kept["bytes"]),
            f"{kept['bytes'] / max(collected['bytes'], 1):.0%}",
        )
    console.print(languages)
    print_stages(console, statistics)

    if copies := statistics.duplicates["archives"]:
        sources = _table("Where copies lay", "archive", "copies", "MB", "of its own files")
        for name, row in _largest(copies, lambda row: row["documents"]):
            sources.add_row(name, f"{row['documents']:,}", _megabytes(row["bytes"]), f"{row['own']:,}")
        console.print(sources)
        originals = _table("Files with the most copies", "archive", "path", "copies", text=2)
        for row in statistics.duplicates["originals"][:ROWS]:
            originals.add_row(row["archive"], row["path"], f"{row['copies']:,}")
        console.print(originals)


def draw(path: Path, statistics: Statistics) -> None:
    """Writes a PNG: languages before and after, what each stage let through, why documents went, where copies lay."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained", facecolor="white")
    languages, stages, reasons, copies = figure.subplots(2, 2).flat
    figure.suptitle(
        f"{statistics.name}: {statistics.documents:,} documents, {_megabytes(statistics.bytes)} MB", fontsize=15
    )

    sizes = _largest(statistics.languages, lambda sizes: sizes["collected"]["bytes"])
    _bars(languages, "Languages, MB", [(ext, row["collected"]["bytes"] / 1e6) for ext, row in sizes], "#c9d8e4")
    _bars(languages, "", [(ext, row["kept"]["bytes"] / 1e6) for ext, row in sizes], KEPT, labels=False)
    languages.legend(["collected", "kept"], frameon=False, loc="lower right")
    flow = [("collected", statistics.stages[0].bytes_in / 1e6)]
    flow += [(f"after {stage.name}", stage.bytes_out / 1e6) for stage in statistics.stages]
    _bars(stages, "What each stage let through, MB", flow, KEPT)
    dropped = [
        (f"{stage.name}: {reason}", count) for stage in statistics.stages for reason, count in stage.dropped.items()
    ]
    _bars(reasons, "Why documents went", _top(dropped), DROPPED)
    found = [(name, row["documents"]) for name, row in statistics.duplicates["archives"].items()]
    _bars(copies, "Where copies lay, documents", _top(found), DROPPED)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=120)


def _bars(axes: "Axes", title: str, rows: Sequence[Row], colour: str, labels: bool = True) -> None:
    names = [name if len(name) <= 44 else f"{name[:43]}…" for name, _ in rows]
    drawn = axes.barh(names, [value for _, value in rows], color=colour)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if labels:
        axes.set_title(title, loc="left", color=INK)
        axes.bar_label(drawn, [f"{value:,.4g}" if value < 100 else f"{value:,.0f}" for _, value in rows], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.12)


def _top(rows: Sequence[Row]) -> Sequence[Row]:
    rows = sorted(rows, key=lambda row: -row[1])
    return (
        rows if len(rows) <= ROWS else [*rows[: ROWS - 1], ("all others", sum(value for _, value in rows[ROWS - 1 :]))]
    )


def _largest(table: dict, size) -> list:
    return sorted(table.items(), key=lambda item: -size(item[1]))[:ROWS]


def _table(title: str, *headings: str, text: int = 1) -> Table:
    """A table whose first `text` columns are words and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < text else "right", overflow="fold")
    return table


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f}"
