"""An editor's half of a session: initialized, with open documents that know what the server should have of them.

Edits go in, and reach the server as its sync kind wants them; suggestions come out as Items, placed in the client's text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incoder_lsp.conformance import text as texts
from incoder_lsp.conformance.client import PATIENCE, Client, Message
from incoder_lsp.conformance.outcome import Failed, require

INLINE = "textDocument/inlineCompletion"
INVOKED, AUTOMATIC = 1, 2  # trigger kinds
FULL = 1  # a sync kind
NOT_WANTED_ANY_MORE = (-32800, -32801, -32802)  # RequestCancelled, ContentModified, ServerCancelled
LANGUAGES = {".py": "python", ".js": "javascript", ".ts": "typescript", ".md": "markdown"}


@dataclass(frozen=True)
class Item:
    """A suggestion. Without a range it is inserted at the cursor."""

    insert: str
    range: tuple[texts.Position, texts.Position] | None
    raw: Message

    @property
    def command(self) -> Message | None:
        return self.raw.get("command")


class Session:
    def __init__(self, client: Client, folder: Path, result: Message):
        self.client = client
        self.folder = folder
        self.result = result  # of initialize
        self.encoding: str = self.capabilities.get("positionEncoding") or "utf-16"
        sync = self.capabilities.get("textDocumentSync")
        self.whole_texts = (sync.get("change") if isinstance(sync, dict) else sync) == FULL
        self._names = 0

    @property
    def capabilities(self) -> Message:
        return self.result.get("capabilities") or {}

    def open(self, text: str, name: str = "module.py") -> Document:
        """A document of its own folder, so that each name can be opened again and again."""
        self._names += 1
        document = Document(self, (self.folder / f"{self._names}" / name).as_uri(), text)
        language = LANGUAGES.get(Path(name).suffix, "plaintext")
        opened = {"uri": document.uri, "languageId": language, "version": document.version, "text": text}
        self.client.notify("textDocument/didOpen", {"textDocument": opened})
        return document

    def configure(self, settings: Any) -> None:
        self.client.configuration = settings
        self.client.notify("workspace/didChangeConfiguration", {"settings": settings})

    async def alive(self, seconds: float = PATIENCE) -> float:
        """The seconds until a request that nobody knows is answered. Raises Failed where it is not."""
        before = asyncio.get_running_loop().time()
        await self.client.ask("conformance/ping", {}, seconds)
        return asyncio.get_running_loop().time() - before


class Document:
    """An open file as the client has it: the truth that a server's copy must equal."""

    def __init__(self, session: Session, uri: str, text: str):
        self.session, self.uri, self.text = session, uri, text
        self.version = 1

    def edit(self, start: int, end: int, new: str) -> None:
        """Replace what lies between two offsets."""
        change: Message = {"text": new}
        if not self.session.whole_texts:
            change["range"] = {"start": self.at(start), "end": self.at(end)}
        self.text = self.text[:start] + new + self.text[end:]
        if self.session.whole_texts:
            change["text"] = self.text
        self.version += 1
        changed = {"uri": self.uri, "version": self.version}
        self.session.client.notify("textDocument/didChange", {"textDocument": changed, "contentChanges": [change]})

    def close(self) -> None:
        self.session.client.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})

    def at(self, offset: int) -> Message:
        line, character = texts.position(self.text, offset, self.session.encoding)
        return {"line": line, "character": character}

    def question(self, offset: int, kind: int = INVOKED, **context: Any) -> Message:
        return {
            "textDocument": {"uri": self.uri},
            "position": self.at(offset),
            "context": {"triggerKind": kind, **context},
        }

    def request(self, offset: int, kind: int = INVOKED) -> int:
        """Ask without waiting; returns the request's id."""
        return self.session.client.request(INLINE, self.question(offset, kind))

    async def suggest(self, offset: int, kind: int = INVOKED, **context: Any) -> list[Item]:
        """Ask and wait. Raises Failed on an error."""
        return items_of(await self.session.client.ask(INLINE, self.question(offset, kind, **context)))

    def applied(self, item: Item, offset: int) -> str:
        """The whole text once an item is accepted at a cursor. Raises Failed where the item's range is not in the text."""
        start = end = offset
        if item.range:
            first, last = (texts.offset(self.text, place, self.session.encoding) for place in item.range)
            if first is None or last is None:
                raise Failed(f"The range of a suggestion, {item.range}, is not in the text")
            start, end = first, last
        return self.text[:start] + item.insert + self.text[end:]

    def inserted(self, item: Item, offset: int) -> str:
        """What stands at the cursor once an item is accepted, up to the end of the item."""
        applied = self.applied(item, offset)
        end = texts.offset(self.text, item.range[1], self.session.encoding) if item.range else offset
        return applied[offset : len(applied) - len(self.text) + (offset if end is None else end)]


def items_of(reply: Message) -> list[Item]:
    """The suggestions of a reply. Raises Failed where it is an error or has another shape than the protocol's."""
    if error := reply.get("error"):
        raise Failed(f"{INLINE} is answered with error {error.get('code')}: {str(error.get('message'))[:160]}")
    result = reply.get("result")
    items = result.get("items") if isinstance(result, dict) else result or []
    require(isinstance(items, list), f"The result has no list of items: {str(result)[:160]}")
    assert isinstance(items, list)
    return [_item(item) for item in items]


def _item(raw: Any) -> Item:
    try:
        insert = raw["insertText"]
        insert = insert if isinstance(insert, str) else insert["value"]
        ends = raw.get("range")
        start, end = ((ends[name]["line"], ends[name]["character"]) if ends else (0, 0) for name in ("start", "end"))
    except (TypeError, KeyError, AttributeError):
        raise Failed(f"This is no inline completion item: {str(raw)[:160]}") from None
    return Item(insert, (start, end) if ends else None, raw)
