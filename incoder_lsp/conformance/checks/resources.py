"""Memory: of many windows, and after many requests."""

from __future__ import annotations

import random

from incoder_lsp.conformance import processes
from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import NotApplicable, check, require
from incoder_lsp.conformance.soak import Writer

REQUESTS = 10_000
WARM_UP = 2_000  # requests until caches are full
GROWTH, SMALL = 0.05, 2 << 20  # of the memory; bytes, of a server that has little
SHARED = 0.5  # of what the first window takes, at most, a further one may take
MEGABYTE = 1 << 20


@check(28, "Many windows", starts=1)
async def windows(bench: Bench) -> str:
    """A second window costs less than half of the memory that the first one does, because they share one model."""
    _require_proc()
    first = await bench.shared()
    await first.alive()
    before_second = processes.memory(bench.processes())
    second = await bench.start()
    if not bench.silence:
        await bench.wait_until_ready(second)
    both = processes.memory(bench.processes())
    one, further = before_second / MEGABYTE, (both - before_second) / MEGABYTE
    figures = f"{one:.0f} MB with one window, {further:.0f} MB more with two"
    require(further <= one * SHARED, figures)
    return figures


@check(31, "Memory", seconds=240)
async def memory(bench: Bench) -> str:
    """After 10,000 requests with edits and cancels, each answered, the server has at most 5 % more memory than after the
    first 2,000."""
    _require_proc()
    bench.require_suggestions()
    writer = Writer(await bench.shared(), random.Random(31))
    await writer.write(WARM_UP)
    before = processes.own_memory(bench.processes())
    await writer.write(REQUESTS - WARM_UP)
    after = processes.own_memory(bench.processes())
    figures = f"{before / MEGABYTE:.0f} MB after {WARM_UP} requests, {after / MEGABYTE:.0f} MB after {REQUESTS}"
    require(after <= before + max(SMALL, before * GROWTH), figures)
    return figures


def _require_proc() -> None:
    if not processes.supported:
        raise NotApplicable("The memory of processes can be seen on Linux only")
