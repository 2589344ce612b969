"""A recorded session once more: its messages go through the real server, in their order and without their pauses.

Times are the recorded ones, by a clock that stands still between two messages. Each request is answered before the next message
comes, nothing waits for the next key, and nothing is read ahead. So the same recording gives the same answers each time, however
busy the machine is; a request that the next key had stopped is answered here. Nothing is added to anybody's statistics.
Files of the workspace are read as they are now; the user's own settings file is not.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from incoder_lsp.acceptance import Acceptance
from incoder_lsp.completer import Completer
from incoder_lsp.documents import path_of
from incoder_lsp.filling import Fill, fill
from incoder_lsp.infiller import Source, open_source, own_model
from incoder_lsp.page import Record
from incoder_lsp.question import Answer, Question
from incoder_lsp.reasons import NOT_OPEN, Reason, reason_of
from incoder_lsp.recording import Heard
from incoder_lsp.server import Server
from incoder_lsp.shared_model import Load
from incoder_lsp.worker import Worker

ASKING = {"textDocument/inlineCompletion": "inline", "textDocument/completion": "popup"}
TURNS = 20  # of the event loop, until a notification has had its effect
PATIENTLY = partial(fill, patience=math.inf)
LONGEST = 300.0  # seconds that a model may take to load, or a request to be answered


@dataclass(frozen=True)
class Replayed:
    """A request for a suggestion and what came of it."""

    milliseconds: int  # when it was made
    path: str
    line: int  # 0-based, as the client counts
    character: int
    kind: str  # inline or popup
    invoked: bool
    suggestions: tuple[str, ...]
    reason: Reason | None  # why there is none
    from_cache: bool
    evaluated: int | None  # tokens; None where only a server knows

    def as_json(self) -> dict[str, Any]:
        reason = self.reason and {"code": self.reason.code, "message": self.reason.message}
        names = ("path", "line", "character", "kind", "invoked", "suggestions")
        known = {name: getattr(self, name) for name in names}
        return {
            "ms": self.milliseconds,
            **known,
            "why": reason,
            "fromCache": self.from_cache,
            "evaluated": self.evaluated,
        }

    def __str__(self) -> str:
        place = f"{self.path}:{self.line + 1}:{self.character + 1}"
        how = "asked" if self.invoked else "key"
        said = "  |  ".join(map(json.dumps, self.suggestions)) if not self.reason else f"nothing: {self.reason.code}"
        cost = ", from the cache" if self.from_cache else f", {self.evaluated} evaluated" if self.evaluated else ""
        return f"{self.milliseconds / 1000:9.3f} s  {place} ({how}{cost})  {said}"


class Clock:
    """Seconds, as they were when what is replayed now was recorded."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Forgetful(Acceptance):
    """Counts for this replay alone."""

    def save(self) -> None:
        self.settle()


class _Unhurried(Completer):
    """Waits for no key."""

    def __init__(self, *parts: Any, clock: Callable[[], float], **more: Any):
        super().__init__(*parts, clock=clock, prepare=lambda *_: None, **more)
        self.acceptance = _Forgetful(clock)

    async def _think(self, question: Question, pressed: float) -> Answer:
        return await super()._think(replace(question, settings=replace(question.settings, debounce_ms=0)), pressed)


class Replay:
    """Of one recording. `load` and `fill` are the model's part."""

    def __init__(
        self,
        recorded: Sequence[Heard],
        source: Source = None,
        load: Load = open_source,
        fill: Fill = PATIENTLY,
    ):
        self._recorded = recorded
        self._clock = Clock()
        self._records: list[Record] = []
        self._server = Server(source, Worker(load), fill, make_completer=self._completer)
        self._server.protocol.set_writer(self, include_headers=False)  # pyright: ignore[reportArgumentType] - all that it needs
        self._replies: dict[str | int, asyncio.Future[Any]] = {}
        self._answers: dict[str, deque[Heard]] = defaultdict(deque)  # to requests of the server, by their method
        for heard in recorded:
            if "method" not in heard.message:
                self._answers[heard.answers].append(heard)
        self.replayed: list[Replayed] = []

    async def run(self) -> dict[str, int]:
        """The sums; the requests are in `replayed`."""
        initialized = False
        for heard in self._recorded:
            method = heard.message.get("method")
            if method == "exit":
                break
            if method is None:
                continue
            self._clock.now = heard.milliseconds / 1000
            if "id" in heard.message:
                await self._ask(heard)
            else:
                self._server.protocol.receive(json.dumps(heard.message).encode())
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            initialized = initialized or method == "initialized"
            if initialized and method != "shutdown":
                await self._loaded()
        return await self._sums()

    @property
    def failure(self) -> str:
        """Why there was no model, in a sentence."""
        return self._server.status.failure

    def write(self, body: bytes) -> None:
        """The server says something; what it asks is answered as it was."""
        message = json.loads(body)
        if "method" not in message:
            reply = self._replies.pop(message.get("id"), None)
            if reply and not reply.done():
                reply.set_result(message)
        elif "id" in message:
            answers = self._answers[message["method"]]
            said = answers.popleft().message if answers else {"jsonrpc": "2.0", "result": None}
            answer = json.dumps({**said, "id": message["id"]}).encode()
            asyncio.get_running_loop().call_soon(self._server.protocol.receive, answer)

    def close(self) -> None:
        """For pygls, which closes its writer."""

    def _completer(self, *parts: Any, heard: Callable[[Record], None], **more: Any) -> Completer:
        def both(record: Record) -> None:
            self._records.append(record)
            heard(record)

        return _Unhurried(*parts, clock=self._clock, heard=both, **more)

    async def _ask(self, heard: Heard) -> None:
        message, before = heard.message, len(self._records)
        reply = self._replies[message["id"]] = asyncio.get_running_loop().create_future()
        self._server.protocol.receive(json.dumps(message).encode())
        answer = await asyncio.wait_for(reply, LONGEST)
        if message["method"] in ASKING and "result" in answer:
            self.replayed.append(_replayed(heard, self._records[-1] if len(self._records) > before else None))

    async def _loaded(self) -> None:
        """Until there is a model, or why there is none has been said."""
        end = asyncio.get_running_loop().time() + LONGEST
        while not self._server.worker.ready and not self._server.status.failure:
            if asyncio.get_running_loop().time() > end:
                raise TimeoutError
            await asyncio.sleep(0.005)

    async def _sums(self) -> dict[str, int]:
        worker, completer = self._server.worker, self._server.completer
        own = own_model(worker.model)
        evaluated = await worker.ask(lambda _: own.engine.evaluated if own else 0)
        completer.acceptance.settle()
        counts = completer.acceptance.tally.total
        self._server.leave()
        return {
            "requests": len(self.replayed),
            "suggestions": sum(bool(one.suggestions) for one in self.replayed),
            "fromCache": sum(one.from_cache for one in self.replayed),
            "accepted": counts["accepted"],
            "charactersAccepted": counts["characters"],
            "evaluated": evaluated or 0,
        }


def _replayed(heard: Heard, record: Record | None) -> Replayed:
    params = heard.message["params"]
    kind, position = ASKING[heard.message["method"]], params["position"]
    answer = record.answer if record else Answer()
    thought = answer.thought
    return Replayed(
        heard.milliseconds,
        path_of(params["textDocument"]["uri"]),
        position["line"],
        position["character"],
        kind,
        kind == "inline" and params["context"]["triggerKind"] == 1,
        tuple(one.text for one in answer.suggestions),
        None if answer.suggestions else reason_of(answer.why) if record else NOT_OPEN,
        bool(record and record.from_cache),
        thought.evaluated if thought else 0,
    )
