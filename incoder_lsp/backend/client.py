"""Completions from a server: an InfillRequest goes out over HTTP, an Infill comes back, or Unavailable with one sentence.

What a server speaks is found out by asking it (`dialects`), once, and again after it was away. A server that refuses,
hangs, trickles or talks nonsense is away: it is logged once, then left in peace for a while that doubles with each failure,
and logged once more when it answers again. Nothing is ever asked of another place: no redirect is followed and no proxy of
the environment is used. Certificates are verified against the system's. Used by one thread, whose stop flag closes the connection.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from incoder_lsp.backend.address import Address
from incoder_lsp.backend.dialects import Dialect, NotUnderstood, OpenAI, Said, detect, refusal
from incoder_lsp.backend.fim import form_of
from incoder_lsp.infiller import Done, Stop, Unavailable
from incoder_lsp.logs import log

if TYPE_CHECKING:
    from incoder_model.infill import Infill, InfillRequest

CONNECT = 1.0  # seconds
ANSWER = 8.0  # seconds from the question to the last byte of the answer
KEPT = 60.0  # seconds that an idle connection stays open
GLANCE = 0.02  # seconds between two looks at the stop flag
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds that a server which is away is left in peace
LARGEST_ANSWER = 1 << 20  # bytes
CONTEXT = 1 << 20  # tokens; what a server really reads is its own business

T = TypeVar("T")


class Backend:
    """An Infiller on the other end of a connection. The connection is kept between two requests."""

    context = CONTEXT

    def __init__(self, address: Address):
        self.name = address.url
        self._loop = asyncio.new_event_loop()
        self._client = httpx2.AsyncClient(
            base_url=address.url,
            headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
            timeout=httpx2.Timeout(ANSWER, connect=CONNECT),
            limits=httpx2.Limits(keepalive_expiry=KEPT),
            trust_env=False,
        )
        self._dialect: Dialect | None = None
        self._away = ""  # why, in one sentence; empty while it answers
        self._pause = 0.0
        self._next_try = 0.0

    def infill(self, request: InfillRequest, stop: Stop, done: Done | None = None) -> Infill:
        from incoder_model.infill import Infill

        if self._away and time.monotonic() < self._next_try:
            raise Unavailable(self._away)
        started = time.perf_counter()
        try:
            said = self._loop.run_until_complete(_unless(stop, self._ask(request)))
        except NotUnderstood as error:
            raise self._is_away(str(error)) from None
        except asyncio.TimeoutError:
            raise self._is_away(f"it has not answered within {ANSWER:.0f} seconds") from None
        except httpx2.HTTPError as error:
            raise self._is_away(_reason(error)) from None
        milliseconds = (time.perf_counter() - started) * 1000
        if said is None:
            return Infill("", 0, 0.0, "cancelled", milliseconds)
        if self._away:
            log.warning("the backend at %s answers again", self.name)
        self._away, self._pause = "", 0.0
        return Infill(said.text, said.tokens, 0.0, said.stopped, milliseconds)

    def prompt_tokens(self, request: InfillRequest) -> int:
        return 0

    async def _ask(self, request: InfillRequest) -> Said:
        dialect = self._dialect or await detect(self._get)
        status, answer = await self._send("POST", dialect.path, dialect.body(request))
        if isinstance(dialect, OpenAI) and dialect.refuses_suffix(status, answer):
            dialect = dialect.by_form(form_of(dialect.model))
            status, answer = await self._send("POST", dialect.path, dialect.body(request))
        if status != 200:
            raise NotUnderstood(refusal(status, answer))
        said = dialect.read(answer, request)
        self._dialect = dialect
        return said

    async def _get(self, path: str) -> tuple[int, Any]:
        return await self._send("GET", path)

    async def _send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON). What is no JSON is None."""
        async with self._client.stream(method, path, json=body) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise NotUnderstood("its answer does not end")
        try:
            return response.status_code, json.loads(content)
        except ValueError:
            return response.status_code, None

    def _is_away(self, reason: str) -> Unavailable:
        sentence = f"the backend at {self.name} gives no completions: {reason}."
        if not self._away:
            log.warning("%s", sentence)
        self._away, self._dialect = sentence, None
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        self._next_try = time.monotonic() + self._pause
        return Unavailable(sentence)


async def _unless(stop: Stop, work: Awaitable[T]) -> T | None:
    """The result of `work`, or None once `stop` is up, which breaks the work off. Raises asyncio.TimeoutError."""
    task = asyncio.ensure_future(asyncio.wait_for(work, ANSWER))
    while not task.done():
        await asyncio.wait({task}, timeout=GLANCE)
        if stop():
            task.cancel()
            await asyncio.wait({task})
            return None
    return task.result()


def _reason(error: httpx2.HTTPError) -> str:
    """Why there was no answer. An error's own text could hold what was sent."""
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer"
    if isinstance(error, httpx2.ConnectError):
        certificate = "CERTIFICATE" in str(error).upper()
        return "its certificate is not valid" if certificate else "nobody answers there"
    return "its answer is not HTTP" if isinstance(error, httpx2.RemoteProtocolError) else "the connection broke"
