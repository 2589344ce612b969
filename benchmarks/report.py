"""Results for people and for programs: rows come in; a table on the terminal, a JSON file and a picture go out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OURS, THEIRS = "#1b6ca8", "#b8b8b8"


def show(title: str, rows: Mapping[str, Sequence[str]], columns: Sequence[str]) -> None:
    table = Table(columns[0], title=title, title_justify="left")
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console(width=160).print(table)


def number(value: float | None, digits: int = 3) -> str:
    """So many digits that count, and a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def draw_bars(path: Path, panels: Mapping[str, Mapping[str, float | None]], unit: str) -> None:
    """One panel of bars for each measure, a bar for each contender; whose name begins with "ours" is blue."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for bars in panels.values() for name in bars))
    figure = Figure((2.2 * len(panels) + 2.6, 0.28 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, bars) in zip(axes, panels.items(), strict=True):
        values = [bars.get(name) or 0 for name in names]
        drawn = axis.barh(names, values, color=[OURS if name.startswith("ours") else THEIRS for name in names])
        axis.bar_label(drawn, [number(bars.get(name)) for name in names], fontsize=7, padding=2)
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, 1.25 * (max(values) or 1))
        axis.set_xlabel(unit, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    _save(figure, path)


def draw_distribution(path: Path, latencies: Mapping[str, Sequence[float]], goals: Mapping[str, float]) -> None:
    """The share of answers that were there after so many milliseconds; `goals` are vertical lines with their names."""
    from matplotlib.figure import Figure

    figure = Figure((7, 4), layout="constrained")
    axis = figure.subplots()
    for name, values in latencies.items():
        ordered = sorted(values)
        axis.plot(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=name, drawstyle="steps-post")
    for name, at in goals.items():
        axis.axvline(at, color="grey", linewidth=0.8, linestyle=":")
        axis.text(at, 0.02, f" {name}", fontsize=7, color="grey")
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds from key to suggestion")
    axis.set_ylabel("share of suggestions")
    axis.legend(fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    figure.savefig(unfinished, dpi=150)
    unfinished.replace(path)
