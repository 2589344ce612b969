"""What became of suggestions, for people: the numbers of the file come in, a table goes out."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.table import Table

from incoder_lsp.tally import COUNTS, Languages

NOTHING = "–"
Cell = Callable[[dict[str, int]], str]


def number(name: str) -> Cell:
    return lambda counts: f"{counts.get(name, 0):,}"


def share(name: str, whole: str) -> Cell:
    return lambda counts: f"{counts.get(name, 0) / counts[whole]:.0%}" if counts.get(whole) else NOTHING


COLUMNS: dict[str, Cell] = {
    "shown": number("shown"),
    "taken": number("accepted"),
    "of shown": share("accepted", "shown"),
    "whole": number("whole"),
    "line": number("line"),
    "word": number("word"),
    "typed": number("typed"),
    "characters": number("characters"),
    "30 s": share("kept30s", "measured30s"),
    "5 min": share("kept5min", "measured5min"),
}
LEGEND = (
    "taken: something of it was accepted; whole, line, word: how often and by what; typed: by hand to its end; characters: "
    "accepted; 30 s, 5 min: how many of these were still there."
)


def table_of(since: str, languages: Languages) -> Table:
    """One row for each kind of files, the most used first, and one for all."""
    table = Table("files", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=LEGEND)
    table.title, table.title_justify, table.caption_justify = f"Suggestions since {since}", "left", "left"
    for title in COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for language in sorted(languages, key=lambda language: (-languages[language].get("shown", 0), language)):
        table.add_row(language, *(cell(languages[language]) for cell in COLUMNS.values()))
    if len(languages) > 1:
        together = {name: sum(one.get(name, 0) for one in languages.values()) for name in COUNTS}
        table.add_section()
        table.add_row("all", *(cell(together) for cell in COLUMNS.values()))
    return table
