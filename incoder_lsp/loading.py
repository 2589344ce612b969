"""The session's model is loaded, or another one in its place: the user sees one progress, and one message if it fails."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from incoder_lsp.logs import describe, log

if TYPE_CHECKING:
    from incoder_lsp.server import Server


async def load_model(ls: Server) -> None:
    """Load on the worker. The user sees one progress, and one message if it fails."""
    ls.completer.forget()
    loading = asyncio.create_task(ls.worker.load(ls.source))
    await asyncio.gather(_show_progress(ls, loading), _show_failure(ls, loading))


async def _show_progress(ls: Server, loading: asyncio.Task[None]) -> None:
    window = ls.client_capabilities.window
    if window is None or not window.work_done_progress:
        return
    token = str(uuid.uuid4())
    try:
        await ls.work_done_progress.create_async(token)
    except JsonRpcException:
        return  # the client declined
    ls.work_done_progress.begin(token, types.WorkDoneProgressBegin("InCoder", message="loading the model"))
    await asyncio.wait({loading})
    ls.work_done_progress.end(
        token, types.WorkDoneProgressEnd(message="not loaded" if loading.exception() else "ready")
    )


async def _show_failure(ls: Server, loading: asyncio.Task[None]) -> None:
    from incoder_model.checkpoint import ModelDirectoryError

    await asyncio.wait({loading})
    if error := loading.exception():
        known = isinstance(error, ModelDirectoryError)
        sentence = str(error) if known else f"the model could not be loaded because of {describe(error)}"
        log.error("no model: %s", describe(error))
        ls.tell(sentence)
