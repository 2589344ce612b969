"""Outcomes for a person, as a table, and for a program, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import Outcome, Verdict

STYLES: dict[Verdict, str] = {"pass": "green", "fail": "bold red", "not applicable": "dim"}


def tabulate(outcomes: Sequence[Outcome]) -> Table:
    table = Table("#", "Check", "Verdict", "Detail", "Time")
    table.columns[0].justify = table.columns[4].justify = "right"
    table.columns[3].ratio = 1
    for outcome in outcomes:
        table.add_row(
            str(outcome.check.number),
            outcome.check.title,
            Text(outcome.verdict, STYLES[outcome.verdict]),
            Text(outcome.detail),
            f"{outcome.seconds:.1f} s",
        )
    return table


def summary(bench: Bench, outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in outcomes)
    return (
        f"{bench.name} {bench.version}".strip()
        + f": {counts['pass']} passed, {counts['fail']} failed, {counts['not applicable']} not applicable"
    )


def as_json(bench: Bench, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "command": list(bench.command),
        "server": {"name": bench.name, "version": bench.version, "silence": bench.silence},
        "ready_after_seconds": round(bench.ready_after, 2),
        "counts": dict(Counter(outcome.verdict for outcome in outcomes)),
        "checks": [
            {
                "number": outcome.check.number,
                "title": outcome.check.title,
                "asserts": outcome.check.asserts,
                "verdict": outcome.verdict,
                "detail": outcome.detail,
                "seconds": round(outcome.seconds, 2),
            }
            for outcome in outcomes
        ],
    }
