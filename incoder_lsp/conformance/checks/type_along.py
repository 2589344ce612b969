"""While a suggestion is shown and the user goes on typing: no flicker, no second thought, and soon."""

from __future__ import annotations

import asyncio
import statistics
import time

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import NotApplicable, check, require
from incoder_lsp.conformance.session import AUTOMATIC, INVOKED, Document, Session

FREE = 0.03  # seconds within which an answer can only have been known already
ALONG = 6  # keys
PAUSE = 0.12  # seconds between two keys of a fast typist
TYPED = "\n\n\ndef read_names(path):\n    names = []\n    with open(path) as file:\n        for line in file:\n"


@check(17, "Typing along")
async def along(bench: Bench) -> str:
    """While the characters of a suggestion are typed, the same text stays suggested, and without a new inference: at once,
    or in less than half of the first time."""
    session, kept, waits, first = await bench.shared(), 0, [], []
    for number in range(3):
        document, offset, items = await bench.suggestion(session, AUTOMATIC, number)
        first.append(await _first_wait(session, document, offset))
        goal = document.applied(items[0], offset)
        rest = document.inserted(items[0], offset)
        for key in rest[: min(ALONG, len(rest.rstrip()) - 1)]:
            document.edit(offset, offset, key)
            offset += 1
            asked = time.perf_counter()
            now = await document.suggest(offset, AUTOMATIC)
            waits.append(time.perf_counter() - asked)
            require(now, f"The suggestion is gone after {key!r}, its next character, was typed")
            require(
                document.applied(now[0], offset) == goal, f"Another text is suggested after {key!r} was typed along"
            )
            kept += 1
    if not kept:
        raise NotApplicable("No suggestion was long enough to type along")
    before, after = statistics.median(first), statistics.median(waits)
    figures = f"{after * 1000:.0f} ms typing along, {before * 1000:.0f} ms for a new suggestion (medians)"
    require(after <= max(FREE, before / 2), f"It thinks again: {figures}")
    return f"{kept} keys; {figures}"


@check(18, "Backspace")
async def backspace(bench: Bench) -> str:
    """After a backspace it suggests nothing, what it suggested before the key, or what it suggests in a newly opened
    document with the same text; never the rest of what was suggested for the longer text."""
    session, compared = await bench.shared(), 0
    for number in range(3):
        document, offset, items = await bench.suggestion(session, AUTOMATIC, number)
        goal = document.applied(items[0], offset)
        key = document.inserted(items[0], offset)[:1]
        document.edit(offset, offset, key)
        await document.suggest(offset + 1, AUTOMATIC)
        document.edit(offset, offset + 1, "")
        fresh = session.open(document.text)
        for kind in (AUTOMATIC, INVOKED):
            now = [document.applied(item, offset) for item in await document.suggest(offset, kind)]
            then = [fresh.applied(item, offset) for item in await fresh.suggest(offset, kind)]
            require(
                not now or now[0] == goal or now == then,
                f"After a backspace it suggests {now and now[0][offset : offset + 40]!r}, in a new document "
                f"{then and then[0][offset : offset + 40]!r}",
            )
            compared += 1
    return f"{compared} times"


@check(35, "Latency", seconds=90)
async def latency(bench: Bench) -> str:
    """From a key to its answer it takes, for 95 of 100 keys, at most the budget (--budget)."""
    bench.require_suggestions()
    session = await bench.shared()
    document = session.open("import json\nimport os\n" + TYPED)
    offset, waits, suggested = len(document.text), [], 0
    for key in "            name = line.strip()\n            names.append(name)\n    return names\n":
        pause = asyncio.create_task(asyncio.sleep(PAUSE))
        document.edit(offset, offset, key)
        offset += 1
        asked = time.perf_counter()
        items = await document.suggest(offset, AUTOMATIC)
        waits.append((time.perf_counter() - asked) * 1000)
        suggested += bool(items)
        await pause
    waits.sort()
    p50, p95 = statistics.median(waits), waits[int(len(waits) * 0.95)]
    figures = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms; {suggested} of {len(waits)} keys got a suggestion"
    require(p95 <= bench.budget_ms, f"{figures}; the budget is {bench.budget_ms:g} ms")
    return figures


async def _first_wait(session: Session, document: Document, offset: int) -> float:
    """The seconds that the same question takes in a document that is new to the server."""
    fresh = session.open("# another\n" + document.text)
    asked = time.perf_counter()
    await fresh.suggest(offset + len("# another\n"), AUTOMATIC)
    return time.perf_counter() - asked
