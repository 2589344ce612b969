"""The command `incoder-lsp conformance`: options in, a table on the terminal, a JSON file, and whether all is well."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from incoder_lsp.conformance import report, runner
from incoder_lsp.conformance.bench import Bench, Knobs
from incoder_lsp.conformance.checks import CHECKS
from incoder_lsp.conformance.outcome import Check, Outcome
from incoder_lsp.conformance.soak import soak as soak_of

WIDE = 132  # columns, where there is no terminal that has its own number


@dataclass(frozen=True)
class Choice:
    """What to run against what."""

    bench: Bench
    checks: tuple[Check, ...]

    @classmethod
    def read(
        cls,
        server: str,
        *,
        only: str | None = None,
        soak: int | None = None,
        knobs: str | None = None,
        home: Path | None = None,
        ready: float = 120.0,
        budget: float = 300.0,
    ) -> Choice:
        """Raises ValueError with one sentence for the user."""
        try:
            words = shlex.split(server)
        except ValueError:
            raise ValueError(f"--server {server!r} has a quote that is not closed") from None
        if not words:
            raise ValueError('--server is empty; give a command, for example --server "incoder-lsp serve"')
        given = Knobs.read(knobs) if knobs is not None else None
        checks = (soak_of(soak),) if soak is not None else chosen(only)
        return cls(Bench(words, ready_within=ready, budget_ms=budget, given_knobs=given, home=home), checks)


def chosen(only: str | None) -> tuple[Check, ...]:
    """All checks, or those with the numbers of `3,5-7`. Raises ValueError with one sentence."""
    if only is None:
        return CHECKS
    numbers: set[int] = set()
    for part in only.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(f"--only takes numbers and ranges such as 3,5-7, not {part.strip()!r}")
        numbers.update(range(int(first), int(last if dash else first) + 1))
    if unknown := numbers - {check.number for check in CHECKS}:
        raise ValueError(f"there is no check {min(unknown)}; they are numbered from 1 to {CHECKS[-1].number}")
    return tuple(check for check in CHECKS if check.number in numbers)


def conform(choice: Choice, json_out: Path | None) -> bool:
    """Run the checks and report. Raises OSError where the JSON file cannot be written, before anything is run."""
    partial = json_out.with_name(json_out.name + ".partial") if json_out else None
    if partial:
        partial.touch()
    bench, console = choice.bench, Console()
    if not console.is_terminal:
        console.width = WIDE
    try:
        outcomes = asyncio.run(runner.run(bench, choice.checks, _tell))
        console.print(report.tabulate(outcomes))
        console.print(report.summary(bench, outcomes), soft_wrap=True)
        if json_out and partial:
            partial.write_text(json.dumps(report.as_json(bench, outcomes), indent=1) + "\n", encoding="utf-8")
            partial.replace(json_out)
    finally:
        if partial:
            partial.unlink(missing_ok=True)
    return all(outcome.verdict != "fail" for outcome in outcomes)


def _tell(outcome: Outcome) -> None:
    """One line while it goes on, for somebody who waits."""
    print(f"{outcome.check.number} {outcome.check.title}: {outcome.verdict}", file=sys.stderr, flush=True)
