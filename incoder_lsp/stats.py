"""What became of suggestions, for people: the numbers of the file come in, a table goes out."""

from __future__ import annotations

from rich.table import Table

from incoder_lsp.tally import COUNTS, Languages

NOTHING = "–"
SHARES = {"accepted": "shown", "kept30s": "measured30s", "kept5min": "measured5min"}  # also told as a share of this
COLUMNS = {
    "shown": "shown",
    "accepted": "accepted",
    "whole": "whole",
    "line": "by line",
    "word": "by word",
    "typed": "typed along",
    "characters": "characters",
    "kept30s": "kept 30 s",
    "kept5min": "kept 5 min",
}


def table_of(since: str, languages: Languages) -> Table:
    """One row for each language, the most used first, and one for all."""
    table = Table("language", title=f"Suggestions since {since}", title_justify="left", title_style="bold")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    order = sorted(languages, key=lambda language: (-languages[language].get("shown", 0), language))
    for language in order:
        table.add_row(language, *_cells(languages[language]))
    if len(order) > 1:
        together = {name: sum(one.get(name, 0) for one in languages.values()) for name in COUNTS}
        table.add_section()
        table.add_row("all", *_cells(together))
    return table


def _cells(counts: dict[str, int]) -> list[str]:
    return [_cell(counts, name) for name in COLUMNS]


def _cell(counts: dict[str, int], name: str) -> str:
    number, whole = counts.get(name, 0), counts.get(SHARES.get(name, ""), 0)
    if name in SHARES and not whole:
        return NOTHING
    return f"{number:,} ({number / whole:.0%})" if name in SHARES else f"{number:,}"
