"""`incoder/whyNot` {textDocument, position} -> {code, message}: why nothing is suggested there, or that something is.

What the last question about the same place came to is told; about another place, what would keep the model from being asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from incoder_lsp.asking import question_at
from incoder_lsp.completer import NOT_READY
from incoder_lsp.reasons import NOT_ASKED, NOT_OPEN, SUGGESTED, Reason, reason_of

if TYPE_CHECKING:
    from incoder_lsp.question import Question
    from incoder_lsp.server import Server

METHOD = "incoder/whyNot"


def why_not(ls: Server, params: Any) -> dict[str, str]:
    reason = _reason(ls, *_place(params))
    return {"code": reason.code, "message": reason.message}


def _reason(ls: Server, uri: str, position: types.Position) -> Reason:
    question = question_at(ls, uri, position, invoked=False)
    if question is None:
        return NOT_OPEN
    why, last = ls.completer.why_not(question), ls.completer.last(uri)
    if why == NOT_READY:
        return Reason("noModel", ls.status.failure) if ls.status.failure else reason_of(why)
    if last and last.answer.why != NOT_READY and _same_place(last.question, question):
        return SUGGESTED if last.answer.suggestions else reason_of(last.answer.why)
    return NOT_ASKED if why is None else reason_of(why)


def _same_place(before: Question, now: Question) -> bool:
    return (before.text, before.offset, before.settings) == (now.text, now.offset, now.settings)


def _place(params: Any) -> tuple[str, types.Position]:
    """Raises JsonRpcInvalidParams."""
    try:
        uri, line, character = params.textDocument.uri, params.position.line, params.position.character
    except AttributeError:
        uri = line = character = None
    if not (isinstance(uri, str) and isinstance(line, int) and isinstance(character, int)) or min(line, character) < 0:
        raise JsonRpcInvalidParams("write {textDocument: {uri}, position: {line, character}}")
    return uri, types.Position(line, character)


HANDLERS: list[tuple[str, Any, Any]] = [(METHOD, why_not, None)]
