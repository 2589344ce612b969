"""A long day of work in a minute: thousands of edits and requests, random cancels, and servers that are ended and started.

A Writer keeps one session busy and counts its replies; `soak` is the check that runs writers through several lives of a
server. Requests go out in bursts, so most of them are superseded, as those of a fast typist are.
"""

from __future__ import annotations

import contextlib
import random

from incoder_lsp.conformance import processes, witness
from incoder_lsp.conformance import text as texts
from incoder_lsp.conformance.bench import PLACES, Bench
from incoder_lsp.conformance.outcome import Check, NotApplicable, require
from incoder_lsp.conformance.session import AUTOMATIC, INVOKED, NOT_WANTED_ANY_MORE, Document, Session

BURST = 200  # requests
DOCUMENTS = 2
LONGEST = 12_000  # characters; a longer document loses its second half, and is longer than most windows still
CANCELLED = 0.2  # of the requests
LIVES = 4
WARM_UP = 0.25  # of a life; its caches are full then
GROWTH = 0.05
MEGABYTE = 1 << 20
COMPARISONS = 3
PATIENCE = 60.0  # seconds for the last reply of a burst


class Writer:
    """Types into a few documents of a session, each beginning with one of `start`; else they are as long as they will ever
    get, because a server's caches are full only then."""

    def __init__(self, session: Session, rng: random.Random, start: list[str] | None = None):
        self.session, self.rng = session, rng
        self.documents = [session.open(text) for text in start or map(_long, PLACES[:DOCUMENTS])]

    async def write(self, requests: int) -> None:
        """Raises Failed where a request is not answered exactly once, or with an error that is no cancellation."""
        while requests > 0:
            count = min(BURST, requests)
            await self._burst(count)
            requests -= count

    async def _burst(self, count: int) -> None:
        client, rng, asked = self.session.client, self.rng, []
        for _ in range(count):
            document = rng.choice(self.documents)
            self._edit(document)
            kind = AUTOMATIC if rng.random() < 0.9 else INVOKED
            asked.append(document.request(rng.choice(_places(document.text)), kind))
            if rng.random() < CANCELLED:
                client.cancel(rng.choice(asked[-5:]))
        await self.session.alive(PATIENCE)  # everything sent before was read
        for request in asked:
            await client.reply(request, PATIENCE)
        for request in asked:
            replies = client.replies.pop(request)
            code = replies[0].get("error", {"code": NOT_WANTED_ANY_MORE[0]})["code"]
            require(len(replies) == 1, f"A request was answered {len(replies)} times")
            require(code in NOT_WANTED_ANY_MORE, f"A request was answered with {replies[0].get('error')}")

    def _edit(self, document: Document) -> None:
        text = document.text
        if len(text) > LONGEST:
            document.edit(places[len(places) // 2], len(text), "") if (places := _places(text)) else None
        else:
            document.edit(*texts.edit(self.rng, text))


def _long(place: tuple[str, str]) -> str:
    text = "".join(place)
    return text * (LONGEST // len(text))


def soak(requests: int) -> Check:
    """A check of its own, since it takes as long as one likes."""
    return Check(
        36, "Soak", " ".join((_soak.__doc__ or "").split()), lambda bench: _soak(bench, requests), LIVES, requests
    )


async def _soak(bench: Bench, requests: int) -> str:
    """Through several lives of the server, ended in order or killed in the middle of its work, no reply is lost or given
    twice, its memory grows by at most 5 % in each life, and in the end its text is the client's."""
    rng, start, growths, compared = random.Random(36), None, [], 0
    for life in range(LIVES):
        session = await (bench.start() if bench.silence else bench.ready())
        writer = Writer(session, rng, start)
        await writer.write(round(requests / LIVES * WARM_UP))
        before = _memory(bench)
        await writer.write(round(requests / LIVES * (1 - WARM_UP)))
        after = _memory(bench)
        growths.append(after / before - 1 if before else 0.0)
        require(
            growths[-1] <= GROWTH, f"{before / MEGABYTE:.0f} MB grew to {after / MEGABYTE:.0f} MB in life {life + 1}"
        )
        compared += await _compare(writer, rng)
        start = [document.text for document in writer.documents]
        await _end(session, writer, killed=life % 2 == 1)
        await bench.release()
    growth = f"memory grew by at most {max(growths):.1%}" if processes.supported else "memory cannot be seen here"
    return f"{requests} requests in {LIVES} lives; {growth}; {compared} suggestions equal to those in new documents"


async def _compare(writer: Writer, rng: random.Random) -> int:
    seen = 0
    for document in writer.documents:
        for _ in range(COMPARISONS):
            with contextlib.suppress(NotApplicable):  # it has other merits
                seen += await witness.compare(document, rng)
    return seen


async def _end(session: Session, writer: Writer, *, killed: bool) -> None:
    """With requests in the air, all of which an orderly end answers."""
    client = session.client
    asked = [document.request(0) for document in writer.documents]
    if killed:
        await client.close()
        return
    await client.ask("shutdown")
    for request in asked:
        await client.reply(request)
    client.notify("exit", None)
    code = await client.exit_code()
    require(code == 0, f"After shutdown and exit its code is {code}")


def _memory(bench: Bench) -> int:
    return processes.own_memory(bench.processes()) if processes.supported else 0


def _places(text: str) -> list[int]:
    """The offsets that have a position: not between \\r and \\n."""
    return [i for i in range(len(text) + 1) if text[max(0, i - 1) : i + 1] != "\r\n" or i == len(text)]
