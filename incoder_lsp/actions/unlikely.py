"""Words that surprise the model, as hints that the editor pulls, with its own word as a quick fix.

Off by default. A function is asked about once for as long as it stays as it is, and only when the user has stopped typing; for
some seconds at a time, after which the editor is asked to come again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from incoder_lsp.actions.action import Stop, View
from incoder_lsp.actions.edits import position_at, workspace_edit
from incoder_lsp.actions.kept import Kept, Key
from incoder_lsp.actions.running import Session, Stale, encoding_of, found_once, view_of
from incoder_lsp.actions.source import Function
from incoder_lsp.actions.surprise import Surprise, moved, surprises_of
from incoder_lsp.logs import describe, log

if TYPE_CHECKING:
    from incoder_model.infill import Model

CODE = "incoder.unlikely"
IDLE = 1.0  # seconds without a change before the model is asked
BUDGET = 5.0  # seconds of asking for one answer


def kept() -> Kept[Surprise]:
    return Kept(_key, moved)


async def diagnostic(ls: Session, params: types.DocumentDiagnosticParams) -> types.RelatedFullDocumentDiagnosticReport:
    """Raises JsonRpcException where the file changes meanwhile, as then the editor asks again."""
    view = view_of(ls, params.text_document.uri, [])
    if not (view and view.settings.enabled and view.settings.surprise_hints and ls.worker.ready):
        return types.RelatedFullDocumentDiagnosticReport([])
    functions = view.source.functions
    if any(ls.kept_surprises.of(view, function) is None for function in functions):
        await asyncio.sleep(IDLE)
    deadline, found = time.monotonic() + BUDGET, list[types.Diagnostic]()
    try:
        for function in functions:
            if time.monotonic() > deadline and ls.kept_surprises.of(view, function) is None:
                _come_again(ls)
                break
            found += [_shown(ls, view, one) for one in await _surprises(ls, view, function)]
    except Stale:
        code = types.LSPErrorCodes.ServerCancelled
        raise JsonRpcException("The file has changed.", code, {"retriggerRequest": True}) from None
    except Exception as error:
        log.error("no surprise hints because of %s", describe(error))
    return types.RelatedFullDocumentDiagnosticReport(found)


def fixes(
    ls: Session, view: View, wanted: types.CodeActionContext, tags: list[types.CodeActionTag] | None
) -> Iterator[types.CodeAction]:
    """The model's own word for each hint in the selected range that is still true."""
    for function in view.source.functions if view.settings.surprise_hints else ():
        for one in ls.kept_surprises.of(view, function) or ():
            if one.start <= view.ranges[0][1] and view.ranges[0][0] <= one.end:
                shown = _shown(ls, view, one)
                edit = workspace_edit(
                    view,
                    (one.edit,),
                    eol="\n",  # of one line
                    encoding=encoding_of(ls),
                    confirm=False,
                    capabilities=ls.client_capabilities,
                )
                told = [other for other in wanted.diagnostics if other.code == CODE and other.range == shown.range]
                yield types.CodeAction(
                    f"Write {one.instead}",
                    types.CodeActionKind.QuickFix,
                    diagnostics=told or [shown],
                    edit=edit,
                    tags=tags,
                )


async def _surprises(ls: Session, view: View, function: Function) -> list[Surprise]:
    def find(model: Model, stop: Stop) -> list[Surprise]:
        return [*surprises_of(model, view, function, stop)]

    return await found_once(ls, view, function, ls.kept_surprises, find)


def _shown(ls: Session, view: View, one: Surprise) -> types.Diagnostic:
    places = (position_at(view.source, place, encoding_of(ls)) for place in (one.start, one.end))
    message = f"Unlikely here: the model would write {one.instead}."
    return types.Diagnostic(types.Range(*places), message, types.DiagnosticSeverity.Hint, CODE, source="incoder")


def _come_again(ls: Session) -> None:
    workspace = ls.client_capabilities.workspace
    if workspace and workspace.diagnostics and workspace.diagnostics.refresh_support:
        ls.workspace_diagnostic_refresh(None)


def _key(view: View, function: Function) -> Key:
    return view.source.path, view.text[slice(*function.range)]


HANDLERS = [(types.TEXT_DOCUMENT_DIAGNOSTIC, diagnostic, types.DiagnosticOptions(False, False, "incoder"))]
