"""A work-done progress that we begin ourselves, for editors that have that: a title in, something to report to out."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer


class Progress:
    """`last` is said at the end."""

    def __init__(self, ls: LanguageServer, token: str):
        self._ls, self._token = ls, token
        self.last = "stopped"

    def report(self, message: str, percentage: int) -> None:
        if self._token:
            self._ls.work_done_progress.report(
                self._token, types.WorkDoneProgressReport(message=message, percentage=percentage)
            )


@contextlib.asynccontextmanager
async def showing(
    ls: LanguageServer, title: str, cancel: Callable[[], None], percentage: int | None = None
) -> AsyncIterator[Progress]:
    """`cancel` is called when the user has had enough. percentage: what it begins with, where any will be reported."""
    window = ls.client_capabilities.window
    token = str(uuid.uuid4()) if window and window.work_done_progress else ""
    if token:
        try:
            await ls.work_done_progress.create_async(token)
        except JsonRpcException:
            token = ""  # the client declined
    if token:
        ls.work_done_progress.tokens[token].add_done_callback(lambda _: cancel())  # its only end is a cancel
        ls.work_done_progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=True, percentage=percentage))
    progress = Progress(ls, token)
    try:
        yield progress
    finally:
        if token:
            ls.work_done_progress.end(token, types.WorkDoneProgressEnd(message=progress.last))
            ls.work_done_progress.tokens.pop(token, None)
