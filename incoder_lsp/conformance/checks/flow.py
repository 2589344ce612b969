"""Many things at once: cancelling, storms of keys, and a server that listens while it thinks."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid

from incoder_lsp.conformance.bench import PLACES, Bench
from incoder_lsp.conformance.client import Client
from incoder_lsp.conformance.outcome import check, require
from incoder_lsp.conformance.session import AUTOMATIC, NOT_WANTED_ANY_MORE, Document, Session
from incoder_lsp.conformance.witness import Pair, first_alike, suggested, told

CANCELS = 9
AT_ONCE = 0.05  # seconds for the answer to a cancel
HEARD = 0.1  # seconds for the answer to a ping while suggestions are being made
KEYS = 100  # in one second
SETTLED = 0.3  # seconds in which a second reply would come


@check(4, "Cancel")
async def cancel(bench: Bench) -> str:
    """A cancelled request is answered within 50 ms, with a result or as cancelled, and exactly once."""
    bench.require_suggestions()
    session = await bench.shared()
    client, waits, requests = session.client, [], []
    for i in range(CANCELS):
        document, offset = _question(session, i)
        requests.append(request := document.request(offset))
        await asyncio.sleep(0.01)
        cancelled = time.perf_counter()
        client.cancel(request)
        reply = await client.reply(request)
        waits.append(reply["_at"] - cancelled)
    await asyncio.sleep(SETTLED)
    _require_one_reply_each(client, requests)
    median = statistics.median(waits)
    require(median <= AT_ONCE, f"The answer to a cancel takes {median * 1000:.0f} ms (median of {CANCELS})")
    if all(wait < 0 for wait in waits):
        return "every request was answered before it was cancelled"
    return f"median {max(0.0, median) * 1000:.0f} ms"


@check(5, "Storm of keys", seconds=90)
async def storm(bench: Bench) -> str:
    """Of 100 requests in a second, one after each key, none is lost, none is answered twice, and the last one is answered
    as if it were alone."""
    bench.require_suggestions()
    session = await bench.shared()
    client, requests = session.client, []
    document = session.open("import json\n\n\ndef load(path):\n    with open(path) as file:\n        \n")
    start = len(document.text) - 1
    typed = (" items = json.load(file)\n        " * 4)[: KEYS - 1] + "#"
    typed = typed[:-12] + "return json."
    for i, key in enumerate(typed):
        document.edit(start + i, start + i, key)
        requests.append(document.request(start + i + 1, AUTOMATIC))
        await asyncio.sleep(1 / KEYS)
    last = document.text
    replies = [await client.reply(request, 60) for request in requests]
    await asyncio.sleep(SETTLED)
    _require_one_reply_each(client, requests)
    alone = session.open(last)
    expected = await alone.suggest(start + len(typed), AUTOMATIC)
    result = replies[-1].get("result")
    suggested = bool(result and (result.get("items") if isinstance(result, dict) else result))
    require(
        suggested or not expected, f"The last request is answered with {_kind(replies[-1])}; alone it gets a suggestion"
    )
    empty = sum(1 for reply in replies[:-1] if not reply.get("result"))
    return f"{empty} of {len(replies) - 1} superseded requests were answered with null or as cancelled"


@check(6, "Changes during inference")
async def changes(bench: Bench) -> str:
    """While a suggestion is made, changes are taken: what is sent behind them is answered within 100 ms or before the
    suggestion, and the next suggestion is for the changed text."""
    bench.require_suggestions()
    session = await bench.shared()
    waits: list[float] = []

    async def ask(number: int) -> Pair:
        document, offset = _question(session, 2 + number)
        request = document.request(offset)
        await asyncio.sleep(0.005)
        for key in "width":
            document.edit(offset, offset, key)
            offset += 1
        waits.append(await session.alive())
        _require_heard(session.client, waits[-1], [request])
        seen = await suggested(document, offset)
        wanted = await suggested(session.open(document.text), offset)
        await session.client.reply(request)
        return seen, wanted

    seen, wanted = await first_alike(ask)
    require(seen == wanted, f"After the change it suggests {told(seen, wanted)}")
    return f"answered after {waits[-1] * 1000:.0f} ms"


@check(7, "Reading during inference")
async def reading(bench: Bench) -> str:
    """While eight suggestions are made, for eight documents, the server reads on: another request is answered within
    100 ms or before them."""
    bench.require_suggestions()
    session = await bench.shared()
    questions = [_question(session, i) for i in range(8)]
    requests = [document.request(offset) for document, offset in questions]
    await asyncio.sleep(0.02)
    waited = await session.alive(60)
    _require_heard(session.client, waited, requests)
    for request in requests:
        await session.client.reply(request, 60)
    return f"answered after {waited * 1000:.0f} ms"


def _question(session: Session, number: int) -> tuple[Document, int]:
    """A document that no answer is known for."""
    left, right = PLACES[number % len(PLACES)]
    left = f"# {uuid.uuid4().hex[:8]}\n{left}"
    return session.open(left + right), len(left)


def _require_heard(client: Client, waited: float, requests: list[int]) -> None:
    ahead = all(request in client.replies for request in requests)
    require(
        waited <= HEARD or not ahead, f"Another request was answered only behind them, after {waited * 1000:.0f} ms"
    )


def _require_one_reply_each(client: Client, requests: list[int]) -> None:
    for request in requests:
        replies = client.replies[request]
        require(len(replies) == 1, f"A request was answered {len(replies)} times")
        error = replies[0].get("error", {"code": NOT_WANTED_ANY_MORE[0]})
        require(error["code"] in NOT_WANTED_ANY_MORE, f"A request was answered with error {error['code']}")


def _kind(reply: dict[str, object]) -> str:
    return f"error {reply['error']}" if "error" in reply else repr(reply.get("result"))[:80]
