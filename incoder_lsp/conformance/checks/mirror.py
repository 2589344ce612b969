"""The server's copy of a document: what it believes stands there, seen by what it suggests there."""

from __future__ import annotations

import copy
import random

from incoder_lsp.conformance import text as texts
from incoder_lsp.conformance import witness
from incoder_lsp.conformance.bench import CAPABILITIES, Bench
from incoder_lsp.conformance.outcome import Failed, NotApplicable, check, require
from incoder_lsp.conformance.session import INLINE, Document, Session, items_of

EDITS = 40
ROUNDS = 3
TEXT = (
    "import math\nimport json\n\n\nclass Box:\n    def __init__(self, width, height):\r\n        self.width = width\r\n"
    "        self.height = height\r    # 😀 \f and \u2028 are characters: e\u0301\n\n    def area(self):\n"
    "        return self.width * self.height\n\n\ndef load(path):\n    with open(path) as file:\n        return json.load(file)\n"
)
QUESTIONS = 3  # after each round


@check(3, "Mirror", starts=2, seconds=120)
async def mirror(bench: Bench) -> str:
    """After random edits (astral and combining characters, CRLF, CR, form feed, U+2028), in each position encoding that the
    server takes, it suggests what it suggests in a newly opened document with the same text."""
    bench.require_suggestions()
    compared = {}
    for encoding in texts.UNIT:
        capabilities = copy.deepcopy(CAPABILITIES)
        capabilities["general"]["positionEncodings"] = [encoding]
        if encoding == "utf-16":
            session = await bench.shared()
        else:
            session = await bench.start(capabilities)
            if session.encoding != encoding:  # every server takes utf-16, and need not take another
                await session.client.close()
                continue
            if why := await bench.wait_until_ready(session):
                raise Failed(f"With {encoding} it is silent: {why}")
        compared[encoding] = await _compare(session, random.Random(7))
        if session is not await bench.shared():
            await session.client.close()
    if not any(compared.values()):
        raise NotApplicable("It suggested nothing in the edited documents")
    return ", ".join(f"{encoding}: {count} suggestions equal" for encoding, count in compared.items())


async def _compare(session: Session, rng: random.Random) -> int:
    """How many suggestions were compared. Raises Failed at the first that differs."""
    document, seen = session.open(TEXT), 0
    for _ in range(ROUNDS):
        for _ in range(EDITS):
            document.edit(*texts.edit(rng, document.text))
        for _ in range(QUESTIONS):
            seen += await witness.compare(document, rng)
    return seen


@check(11, "Files that are not open")
async def not_open(bench: Bench) -> None:
    """A request before didOpen, after didClose and for a URI of an unknown scheme is answered, and with no suggestion."""
    session = await bench.shared()
    text = "def add(a, b):\n    return "
    closed = session.open(text)
    closed.close()
    for what, uri in (
        ("before didOpen", (session.folder / "never.py").as_uri()),
        ("after didClose", closed.uri),
        ("for an unknown scheme", "nowhere:never"),
    ):
        reply = await session.client.ask(INLINE, Document(session, uri, text).question(len(text)))
        require("error" in reply or not items_of(reply), f"It suggests something {what}")
    await session.alive()


@check(12, "Positions outside the text")
async def outside(bench: Bench) -> None:
    """A position past the end of a line means its end; one past the last line is answered, and the server lives on."""
    bench.require_suggestions()
    session = await bench.shared()
    document = session.open("def add(a, b):\n    return \n\n\nprint(1)\n")
    offset = len("def add(a, b):\n    return ")
    question = document.question(offset)
    at_end = items_of(await session.client.ask(INLINE, question))
    question["position"]["character"] += 5000
    past = items_of(await session.client.ask(INLINE, question))
    require(
        [document.applied(item, offset) for item in past] == [document.applied(item, offset) for item in at_end],
        "What it suggests past a line's end differs from what it suggests at its end",
    )
    question["position"] = {"line": 5000, "character": 5000}
    await session.client.ask(INLINE, question)
    await session.alive()


@check(13, "Empty document")
async def empty(bench: Bench) -> None:
    """In an empty document a request is answered without an error."""
    bench.require_suggestions()
    document = (await bench.shared()).open("")
    for item in await document.suggest(0):
        document.applied(item, 0)
