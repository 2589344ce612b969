"""The prompt viewer: the virtual document `incoder:/last-prompt.md` shows the last question of a session, and how it was answered.

It is kept in memory, and worked out when somebody looks. An editor that has looked, and can be told, hears when there is
something new: when the keys rest, and not again before it has looked again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from incoder_lsp.logs import describe, log
from incoder_lsp.prompt_page import Heard, page_of, pieces_of

if TYPE_CHECKING:
    from incoder_lsp.page import Record
    from incoder_lsp.server import Server

SCHEME = "incoder"
URI = f"{SCHEME}:/last-prompt.md"
REST = 0.5  # seconds without a question, after which the keys rest


class Viewer:
    """Of one session."""

    def __init__(self, ls: Server):
        self._ls = ls
        self._last: Heard | None = None  # the last question
        self._asked: Heard | None = None  # the last one that the model was asked
        self._opened = False  # and not told of anything newer since
        self._resting: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None

    def heard(self, record: Record) -> None:
        self._last = Heard(time.time(), record)
        if record.answer.thought:
            self._asked = self._last
        self.leave()
        if self._opened:
            self._resting = asyncio.get_running_loop().call_later(REST, self._tell)

    def forget(self) -> None:
        """Another model, with other tokens."""
        self._asked = self._last = None

    def leave(self) -> None:
        if self._resting:
            self._resting.cancel()

    async def text(self) -> str:
        self._opened = True
        last, asked = self._last, self._asked
        thought = asked and asked.record.answer.thought
        pieces = thought and (
            await self._ls.worker.ask(lambda model: pieces_of(model, thought.situation.request))
            or pieces_of(None, thought.situation.request)
        )
        return page_of(last, asked, pieces or [])

    def _tell(self) -> None:
        if _can_be_told(self._ls.client_capabilities):
            self._opened = False
            self._telling = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self._ls.workspace_text_document_content_refresh_async(types.TextDocumentContentRefreshParams(URI))
        except JsonRpcException as error:
            log.warning("the editor does not look at the prompt again: %s", describe(error))


async def content(ls: Server, params: types.TextDocumentContentParams) -> types.TextDocumentContentResult:
    if params.uri.replace(":///", ":/") != URI:
        raise JsonRpcInvalidParams(f"the only document here is {URI}")
    return types.TextDocumentContentResult(await ls.viewer.text())


def _can_be_told(capabilities: types.ClientCapabilities) -> bool:
    return bool(capabilities.workspace and capabilities.workspace.text_document_content)


HANDLERS: list[tuple[str, Any, Any]] = [
    (types.WORKSPACE_TEXT_DOCUMENT_CONTENT, content, types.TextDocumentContentOptions([SCHEME])),
]
