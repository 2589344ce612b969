"""Checks in, outcomes out: each within its time, none able to hang or to end the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import Check, Failed, NotApplicable, Outcome, Verdict

START = 30.0  # seconds that a start may take beyond twice the first one's


async def run(bench: Bench, checks: Sequence[Check], done: Callable[[Outcome], None] = lambda _: None) -> list[Outcome]:
    """Run them in their order. A server that cannot be started at all fails each of them, with the same sentence."""
    outcomes = []
    try:
        fault = await _prepare(bench)
        for check in checks:
            outcomes.append(await _perform(bench, check) if fault is None else Outcome(check, "fail", fault, 0.0))
            done(outcomes[-1])
    finally:
        await bench.close()
    return outcomes


async def _prepare(bench: Bench) -> str | None:
    try:
        await bench.prepare()
    except Failed as reason:
        return f"{reason}."
    return None


async def _perform(bench: Bench, check: Check) -> Outcome:
    started = time.monotonic()
    allowed = check.seconds + check.starts * (2 * bench.ready_after + START)
    try:
        verdict, detail = await asyncio.wait_for(_verdict(bench, check), allowed)
    except asyncio.TimeoutError:
        verdict, detail = "fail", f"It was not done after {allowed:.0f} s"
    await bench.release()
    return Outcome(check, verdict, f"{detail}." if detail else "", time.monotonic() - started)


async def _verdict(bench: Bench, check: Check) -> tuple[Verdict, str]:
    try:
        return "pass", await check.run(bench) or ""
    except Failed as reason:
        return "fail", str(reason)
    except NotApplicable as reason:
        return "not applicable", str(reason)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # a reply of a shape that nobody expects
        return "fail", f"The check came upon something it cannot read: {type(error).__name__}: {str(error)[:120]}"
