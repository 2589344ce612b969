"""Editors as they are: their recorded capabilities, a typed client, each position encoding with emoji before the cursor."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_lsp
from conftest import SCRIPTED
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

URI = "file:///emoji.py"
TEXT = "s = '😀é漢'; value\n"
EMOJI_ENDS = {"utf-8": 14, "utf-16": 9, "utf-32": 8}  # the column after "漢", in each encoding's units
EDITORS = {"neovim": "utf-8", "visual_studio_code": "utf-16", "emacs": "utf-32"}


@pytest_lsp.fixture(config=ClientServerConfig(server_command=SCRIPTED), params=EDITORS)
async def client(lsp_client: LanguageClient, request: pytest.FixtureRequest):
    capabilities = client_capabilities(request.param)
    lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda _: None)  # as editors do that announce it
    capabilities.window = types.WindowClientCapabilities(work_done_progress=True)
    result = await lsp_client.initialize_session(types.InitializeParams(capabilities=capabilities))
    assert result.capabilities.position_encoding == EDITORS[request.param]
    yield lsp_client
    await lsp_client.shutdown_session()


def params(client: LanguageClient, character: int) -> types.InlineCompletionParams:
    return types.InlineCompletionParams(
        context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Invoked),
        text_document=types.TextDocumentIdentifier(URI),
        position=types.Position(0, character),
    )


async def item_at(client: LanguageClient, character: int) -> Any:
    while not (result := await client.text_document_inline_completion_async(params(client, character))):
        await asyncio.sleep(0.01)  # the model is loading
    assert isinstance(result, types.InlineCompletionList)
    return result.items[0]


async def test_columns_are_counted_as_the_editor_counts_them(client: LanguageClient, request: pytest.FixtureRequest):
    encoding = EDITORS[request.node.callspec.params["client"]]
    end = EMOJI_ENDS[encoding]
    opened = types.TextDocumentItem(uri=URI, language_id="python", version=1, text=TEXT)
    client.text_document_did_open(types.DidOpenTextDocumentParams(opened))
    item = await item_at(client, end)
    word = {"utf-8": 5, "utf-16": 2, "utf-32": 2}[encoding]
    assert item.insert_text == "é漢|😀é漢|'; |"
    assert item.range == types.Range(start=types.Position(0, end - word), end=types.Position(0, end))
    change = types.TextDocumentContentChangePartial(
        text="🎉", range=types.Range(start=types.Position(0, end), end=types.Position(0, end))
    )
    version = types.VersionedTextDocumentIdentifier(uri=URI, version=2)
    client.text_document_did_change(types.DidChangeTextDocumentParams(version, [change]))
    after = end + {"utf-8": 4, "utf-16": 2, "utf-32": 1}[encoding]
    item = await item_at(client, after)
    assert item.insert_text == "|é漢🎉|'; |"
    assert item.range == types.Range(start=types.Position(0, after), end=types.Position(0, after))
    assert client.messages == []
