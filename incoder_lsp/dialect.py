"""What clients say by themselves of the suggestions they show: Copilot's notifications, which exist in several clients today.

    textDocument/didShowCompletion              {item}
    textDocument/didPartiallyAcceptCompletion   {item, acceptedLength}: from the start of its text
    textDocument/didFocus                       {textDocument?}

The protocol knows no such messages, so anything may be in them; what cannot be read is passed over.
"""

from __future__ import annotations

from typing import Any, Protocol

from incoder_lsp.completer import Completer


class Session(Protocol):
    completer: Completer


def did_show_completion(ls: Session, params: Any) -> None:
    ls.completer.acceptance.told_shown(_insert_text(params))


def did_partially_accept_completion(ls: Session, params: Any) -> None:
    length = getattr(params, "acceptedLength", None)
    if isinstance(length, int) and length > 0:
        ls.completer.acceptance.told_part(_insert_text(params), length)


def did_focus(ls: Session, params: Any) -> None:
    """Which document has the focus makes no difference here."""


def _insert_text(params: Any) -> str:
    text = getattr(getattr(params, "item", None), "insertText", "")
    text = getattr(text, "value", text)
    return text if isinstance(text, str) else ""


HANDLERS: list[tuple[str, Any, Any]] = [
    ("textDocument/didShowCompletion", did_show_completion, None),
    ("textDocument/didPartiallyAcceptCompletion", did_partially_accept_completion, None),
    ("textDocument/didFocus", did_focus, None),
]
