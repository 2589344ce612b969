"""A short typing session in the terminal: the real server as a process of its own, the real model, a few ordinary files.

What is typed is fixed; what is suggested, and how long it takes, is whatever the server answers on this machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from rich.console import Console
from rich.text import Text

READY_WITHIN = 120.0  # seconds; a model without a graph waits for torch, which can take a while


@dataclass(frozen=True)
class Scene:
    """A file with the cursor between `left` and `right`, and what is typed there, one pause after each piece."""

    filename: str
    left: str
    right: str
    typed: tuple[str, ...]


SCENES = (
    Scene(
        "inventory.py",
        'import json\n\n\ndef load_items(path):\n    """Read the items of a JSON file."""\n    with open(path) as file:\n',
        "\n    return items\n\n\ndef count_items(items):\n    return len(items)\n",
        ("        ", "items", " = ", "json", ".load("),
    ),
    Scene(
        "shapes.py",
        "class Rectangle:\n    def __init__(self, width, height):\n        self.width = width\n",
        "\n\n    def area(self):\n        return self.width * self.height\n",
        ("        self", ".", "hei", "ght ="),
    ),
    Scene(
        "report.py",
        "def largest(numbers):\n    best = None\n    for number in numbers:\n        if best is None or number > best:\n",
        "\n    return best\n",
        ("            ", "best"),
    ),
)


async def play(model: Path | None, console: Console) -> bool:
    """Play all scenes; False if the server could not get its model ready, which it has said."""
    client = LanguageClient("incoder-lsp demo", "1")
    ready = asyncio.Event()
    failed: list[str] = []
    client.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)(lambda params: None)

    @client.feature(types.PROGRESS)
    def progress(params: types.ProgressParams) -> None:
        if isinstance(params.value, dict) and params.value["kind"] == "end":
            ready.set()

    @client.feature(types.WINDOW_SHOW_MESSAGE)
    def show_message(params: types.ShowMessageParams) -> None:
        failed.append(params.message)

    options = ["--model", str(model)] if model else []
    started = time.perf_counter()
    await client.start_io(sys.executable, "-m", "incoder_lsp", "serve", "--no-daemon", *options)
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        ),
        window=types.WindowClientCapabilities(work_done_progress=True),
    )
    await client.initialize_async(types.InitializeParams(capabilities=capabilities, process_id=None, root_uri=None))
    client.initialized(types.InitializedParams())
    with console.status("incoder-lsp serve is loading its model"):
        await asyncio.wait_for(ready.wait(), READY_WITHIN)
    await asyncio.sleep(0)
    if failed:
        console.print(Text(failed[0]), soft_wrap=True)
    else:
        console.print(
            f"incoder-lsp serve: ready after {time.perf_counter() - started:.1f} s; the dimmed text is its suggestion."
        )
        for scene in SCENES:
            await _perform(client, scene, console)
    await client.shutdown_async(None)
    client.exit(None)
    return not failed


async def _perform(client: LanguageClient, scene: Scene, console: Console) -> None:
    document = types.VersionedTextDocumentIdentifier(uri=f"file:///demo/{scene.filename}", version=0)
    opened = types.TextDocumentItem(document.uri, "python", 0, scene.left + scene.right)
    client.text_document_did_open(types.DidOpenTextDocumentParams(opened))
    console.print(Text(f"\n{scene.filename}", "bold"))
    for line in scene.left.splitlines():
        _show(console, "", Text(line))
    line_number = scene.left.count("\n")
    for typed in _beginnings(scene.typed):
        document.version += 1
        whole = types.TextDocumentContentChangeWholeDocument(scene.left + typed + scene.right)
        client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))
        asked = time.perf_counter()
        answer = await client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
                text_document=types.TextDocumentIdentifier(document.uri),
                position=types.Position(line_number, len(typed)),
            )
        )
        milliseconds = (time.perf_counter() - asked) * 1000
        ghost = _first_text(answer, len(typed))
        first, *more = ghost.split("\n")
        _show(console, f"{milliseconds:.0f} ms", Text(typed, "bold").append(first, "dim italic"))
        for line in more:
            _show(console, "", Text(line, "dim italic"))
    for line in scene.right.removeprefix("\n").splitlines():
        _show(console, "", Text(line))


def _show(console: Console, latency: str, line: Text) -> None:
    console.print(Text(f"{latency:>8} \u2502 ", "dim") + line, no_wrap=True, overflow="ellipsis")


def _beginnings(pieces: tuple[str, ...]) -> Iterator[str]:
    return ("".join(pieces[: count + 1]) for count in range(len(pieces)))


def _first_text(answer: types.InlineCompletionList | Sequence[types.InlineCompletionItem] | None, column: int) -> str:
    """What it adds at the column of the cursor; the suggestion may begin with the word that is being typed."""
    items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or ()
    if not items:
        return ""
    text, place = items[0].insert_text, items[0].range
    return (text if isinstance(text, str) else text.value)[column - place.start.character if place else 0 :]
