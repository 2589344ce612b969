"""Shows a corpus to people. The statistics of a build go in; tables for a terminal and a picture come out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from incoder_train.corpus.build import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 12  # of a table or a picture; the rest is one row
INK, KEPT, PALE, DROPPED, OWN = "#333333", "#2f6f9f", "#c9d8e4", "#d9a05b", "#a8661f"
LEGEND: dict[str, Any] = {"frameon": False, "loc": "lower right"}

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
    from matplotlib.patches import Patch

    figure = Figure(figsize=(14, 10), layout="constrained", facecolor="white")
    languages, stages, reasons, copies = figure.subplots(2, 2).flat
    total = f"{statistics.documents:,} documents, {_megabytes(statistics.bytes)} MB"
    figure.suptitle(f"{statistics.name}: {total}", fontsize=16, color=INK, x=0.01, ha="left")

    sizes = _largest(statistics.languages, lambda sizes: sizes["collected"]["bytes"])
    kept = [row["kept"]["bytes"] / 1e6 for _, row in sizes]
    collected = [(ext, row["collected"]["bytes"] / 1e6) for ext, row in sizes]
    labels = [f"{_short(part)} of {_short(whole)}" for part, (_, whole) in zip(kept, collected, strict=True)]
    _bars(languages, "Languages, MB", collected, PALE, labels)
    languages.barh(range(len(kept)), kept, color=KEPT, height=0.7)
    languages.legend(handles=[Patch(color=PALE, label="collected"), Patch(color=KEPT, label="kept")], **LEGEND)
    flow = [(f"after {stage.name}", stage.bytes_out / 1e6) for stage in statistics.stages]
    _bars(stages, "What each stage let through, MB", flow, KEPT)
    dropped = [
        (f"{stage.name}: {reason}", count) for stage in statistics.stages for reason, count in stage.dropped.items()
    ]
    _bars(reasons, "Why documents went, documents", _top(dropped), DROPPED)
    found = statistics.duplicates["archives"]
    rows = _top([(name, row["documents"]) for name, row in found.items()])
    _bars(copies, "Where exact copies lay, documents", rows, DROPPED)
    own = [found[name]["own"] if name in found else 0 for name, _ in rows]
    copies.barh(range(len(own)), own, color=OWN, height=0.7)
    if rows:
        handles = [Patch(color=OWN, label="of the archive's own files"), Patch(color=DROPPED, label="of another's")]
        copies.legend(handles=handles, **LEGEND)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=120)


def _bars(axes: "Axes", title: str, rows: Sequence[Row], colour: str, labels: Sequence[str] = ()) -> None:
    drawn = axes.barh(range(len(rows)), [value for _, value in rows], color=colour, height=0.7)
    axes.set_yticks(range(len(rows)), [name if len(name) <= 40 else f"{name[:39]}…" for name, _ in rows])
    axes.bar_label(drawn, labels or [_short(value) for _, value in rows], padding=4, color=INK)
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.xaxis.set_visible(False)  # each bar has its number
    axes.set_ylim(max(len(rows), 6) - 0.5, -0.5)  # a few bars stay as thin as many
    axes.margins(x=0.2)
    if not rows:
        axes.yaxis.set_visible(False)
        axes.text(0, 0, "none", color=INK)


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


def _short(value: float) -> str:
    """A count as it is; a size with as many digits as tell it from nothing."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"
