"""A suggestion for the popup of editors that know no inline completion. Others are not offered it: nobody sees one twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types

from incoder_lsp.asking import question_at
from incoder_lsp.items import word_start

if TYPE_CHECKING:
    from incoder_lsp.server import Server

OPTIONS = types.CompletionOptions(trigger_characters=["."])
LAST = "~"  # sorts a popup's item behind those of the language's own server
SNIPPET_SYNTAX = re.compile(r"[\\$}]")


async def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    """For the popup: the suggestion's first line, joined to the word that is being typed, as clients filter by it."""
    question = question_at(ls, params.text_document.uri, params.position, invoked=False)
    answer = question and await ls.completer.ask(question)
    suggestion = answer and answer.best
    line = suggestion.text.splitlines()[0] if suggestion and suggestion.text else ""
    if not question or not suggestion or not line:
        return types.CompletionList(is_incomplete=True, items=[])
    start = word_start(question.text, question.offset)
    text = question.text[start : question.offset] + line
    snippets = _has_snippets(ls.client_capabilities)
    item = types.CompletionItem(
        label=text,
        label_details=types.CompletionItemLabelDetails(description="incoder"),
        kind=types.CompletionItemKind.Snippet,
        sort_text=LAST,
        filter_text=text,
        # Neovim 0.11 cuts a plain text edit at its first space, but not a snippet.
        insert_text_format=types.InsertTextFormat.Snippet if snippets else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(
            ls.range_of(question.uri, start, question.offset + suggestion.covers),
            SNIPPET_SYNTAX.sub(r"\\\g<0>", text) if snippets else text,
        ),
    )
    return types.CompletionList(is_incomplete=True, items=[item])


def _has_snippets(capabilities: types.ClientCapabilities) -> bool:
    popup = capabilities.text_document and capabilities.text_document.completion
    return bool(popup and popup.completion_item and popup.completion_item.snippet_support)
