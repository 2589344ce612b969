"""A toy that passes every conformance check, and has one fault when asked for it: `conforming_server.py [FAULT]`. Not a test.

Its model makes up a name from what stands around the cursor; it takes a moment to think, shares its 64 MB with other
windows, and knows what it suggested. Standard library only, but for the positions of a text, which are tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import re
import socket
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from incoder_lsp.conformance import text as texts

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
INVALID_PARAMS, NO_METHOD, INTERNAL, CANCELLED = -32602, -32601, -32603, -32800
AUTOMATIC = 2
THINKS = 0.03  # seconds
MODEL = 64 << 20  # bytes
SECRET = re.compile(r"\.env|\.pem$|id_rsa|secrets\.|/ignored/|\.min\.js$")
INLINE = "textDocument/inlineCompletion"


class Error(Exception):
    def __init__(self, code: int, message: str = "no"):
        super().__init__(message)
        self.code = code


class Toy:
    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.earlier: dict[str, str] = {}  # the text before the last change
        self.cells: dict[str, list[str]] = {}  # the sibling cells of a cell
        self.known: dict[str, tuple[str, int, list[str]]] = {}  # the last question and its answer
        self.thinking: dict[str, tuple[Any, asyncio.Task[None]]] = {}  # by uri
        self.encoding, self.on, self.dynamic, self.progress = "utf-16", True, False, False
        self.parent: int | None = None
        self.shut_down, self.requests, self.leak = False, 0, []
        self.memory: Any = None

    # --- messages ------------------------------------------------------------------------------------------------------

    def send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sys.stdout.buffer.flush()

    def ask(self, method: str, params: Any) -> None:
        self.requests += 1
        self.send(id=f"toy {self.requests}", method=method, params=params)

    async def receive(self, message: Any) -> None:
        method, number, params = message.get("method"), message.get("id"), message.get("params")
        if method is None:
            return None
        if number is None:
            handle = getattr(self, "on_" + method.replace("/", "_").replace("$", ""), None)
            if handle:
                with contextlib.suppress(KeyError, TypeError):  # a notification that cannot be read
                    handle(params)
            return None
        if method == INLINE:
            return self.inline(number, params)
        try:
            self.send(id=number, result=self.answer(method, params))
        except Error as error:
            self.send(id=number, error={"code": error.code, "message": str(error)})

    def answer(self, method: str, params: Any) -> Any:
        if method == "initialize":
            return self.initialize(params)
        if method == "shutdown":
            self.shut_down = True
            return None
        if method == "incoder/whyNot":
            return {"reason": "secret"} if self.silent_in(params["textDocument"]["uri"]) else None
        if method == "workspace/executeCommand":
            return None
        raise Error(NO_METHOD)

    # --- the session ---------------------------------------------------------------------------------------------------

    def initialize(self, params: Any) -> Any:
        if FAULT == "knows its enums" and "hope" in json.dumps(params):
            raise Error(INVALID_PARAMS)
        capabilities = params["capabilities"]
        offered = capabilities.get("general", {}).get("positionEncodings", ["utf-16"])
        self.encoding = next((encoding for encoding in offered if encoding in texts.UNIT), "utf-16")
        inline = capabilities.get("textDocument", {}).get("inlineCompletion", {})
        self.dynamic = inline.get("dynamicRegistration", False)
        self.progress = capabilities.get("window", {}).get("workDoneProgress", False)
        self.parent = params.get("processId")
        self.missing = (params.get("initializationOptions") or {}).get("model")
        provided: Any = {} if self.dynamic or FAULT == "no capability" else {"inlineCompletionProvider": {}}
        return {
            "serverInfo": {"name": "toy", "version": "1"},
            "capabilities": {
                "positionEncoding": self.encoding,
                "textDocumentSync": {"openClose": True, "change": 2},
                "notebookDocumentSync": {"notebookSelector": [{"cells": [{"language": "python"}]}]},
                "executeCommandProvider": {"commands": ["toy.accepted"]},
                **provided,
            },
        }

    def on_initialized(self, _: Any) -> None:
        if FAULT == "opens a socket":
            self.leak.append(socket.socket())
        if self.missing:
            self.send(method="window/showMessage", params={"type": 1, "message": "no model"})
            return self.send(method="toy/didChangeStatus", params={"kind": "notReady"})
        shared = Path(os.environ["XDG_RUNTIME_DIR"]) / "toy-model"
        if FAULT == "own model" or not shared.exists():
            shared.write_bytes(bytes(MODEL))
        with shared.open("r+b") as file:
            self.memory = bytearray(b"x") * MODEL if FAULT == "own model" else mmap.mmap(file.fileno(), MODEL)
        sum(self.memory[i] for i in range(0, MODEL, 4096))  # every page is there
        self.show_progress()
        if self.dynamic:
            self.register("client/registerCapability", "registrations")
        return None

    def show_progress(self) -> None:
        if self.progress:
            self.ask("window/workDoneProgress/create", {"token": 1})
            for value in ({"kind": "begin", "title": "loading"}, {"kind": "end"}):
                self.send(method="$/progress", params={"token": 1, "value": value})

    def register(self, method: str, name: str) -> None:
        self.ask(method, {name: [{"id": "1", "method": INLINE}]})

    def on_workspace_didChangeConfiguration(self, params: Any) -> None:  # noqa: N802
        before, self.on = (
            self.on,
            self.on if FAULT == "keeps its settings" else params["settings"]["incoder"]["enabled"],
        )
        if self.dynamic and before and not self.on and FAULT != "stays registered":
            self.register("client/unregisterCapability", "unregisterations")
        if self.dynamic and not before and self.on:
            self.register("client/registerCapability", "registrations")

    def on_exit(self, _: Any) -> None:
        os._exit(0 if self.shut_down or FAULT == "always exits 0" else 1)

    # --- documents -----------------------------------------------------------------------------------------------------

    def on_textDocument_didOpen(self, params: Any) -> None:  # noqa: N802
        self.documents[params["textDocument"]["uri"]] = params["textDocument"]["text"]
        if FAULT == "logs the text":
            print(params["textDocument"]["text"], file=sys.stderr, flush=True)
        if FAULT == "writes the text":
            (Path(os.environ["HOME"]) / "toy.log").write_text(params["textDocument"]["text"])

    def on_textDocument_didChange(self, params: Any) -> None:  # noqa: N802
        uri = params["textDocument"]["uri"]
        text = self.earlier[uri] = self.documents[uri]
        self.drop(uri)
        for change in params["contentChanges"]:
            start, end = (self.place(text, change["range"][name]) for name in ("start", "end"))
            text = text[:start] + change["text"] + text[end:]
        self.documents[uri] = text

    def on_textDocument_didClose(self, params: Any) -> None:  # noqa: N802
        if FAULT != "keeps closed files":
            self.documents.pop(params["textDocument"]["uri"], None)

    def on_notebookDocument_didOpen(self, params: Any) -> None:  # noqa: N802
        cells = {cell["uri"]: cell["text"] for cell in params["cellTextDocuments"]}
        self.documents |= cells
        self.cells |= {uri: [text for other, text in cells.items() if other != uri] for uri in cells}

    def place(self, text: str, position: Any) -> int:
        line, column = position["line"], position["character"]
        if FAULT == "python lines":
            lines = text.splitlines(True)
            return min(len(text), sum(map(len, lines[:line])) + column)
        found = texts.offset(text, (line, column), self.encoding)
        if found is None and FAULT == "refuses what is outside":
            raise Error(INTERNAL)
        if found is None:  # past the end of the line, or of the text
            starts = [m.end() for m in re.finditer(r"\r\n|\r|\n", text)]
            end = [*(m.start() for m in re.finditer(r"\r\n|\r|\n", text)), len(text)]
            return end[min(line, len(starts))]
        return found

    # --- suggestions ---------------------------------------------------------------------------------------------------

    def inline(self, number: Any, params: Any) -> None:
        try:
            uri = params["textDocument"]["uri"]
            line, column = params["position"]["line"], params["position"]["character"]
            automatic = {1: False, 2: True}[params["context"]["triggerKind"]]
            if not isinstance(line, int) or not isinstance(column, int):
                raise TypeError
        except (KeyError, TypeError):
            if FAULT == "takes any params":
                return self.send(id=number, result=None)
            return self.send(id=number, error={"code": INVALID_PARAMS, "message": "cannot be read"})
        if FAULT == "a toast a key" and self.missing:
            self.send(method="window/showMessage", params={"type": 1, "message": "no model"})
        if FAULT == "progress a key":
            self.show_progress()
        if FAULT == "leaks":
            self.leak.append(bytearray(3000))
        self.drop(uri)
        text = self.documents.get(uri)
        if text is None or not self.on or self.missing or (automatic and self.silent_in(uri)):
            return self.send(id=number, result=None)
        if FAULT == "stale":
            text = self.earlier.get(uri, text)
        try:
            offset = self.place(text, params["position"])
            if not text and FAULT == "no empty files":
                raise Error(INTERNAL)
        except Error as error:
            return self.send(id=number, error={"code": error.code, "message": "no"})
        thought = self.think(number, uri, text, offset, automatic, params["context"])
        if FAULT == "deaf":  # it thinks, without a pause, before it reads on
            with contextlib.suppress(StopIteration):
                thought.send(None)
            return None
        self.thinking[uri] = number, asyncio.create_task(thought)
        return None

    async def think(self, number: Any, uri: str, text: str, offset: int, automatic: bool, context: Any) -> None:
        candidates = self.remember(uri, text, offset, automatic)
        if candidates is None:
            time.sleep(0.3) if FAULT == "deaf" else await asyncio.sleep(0.3 if FAULT == "ignores cancels" else THINKS)
            candidates = self.candidates(uri, text, offset, automatic)
            self.known[uri] = text, offset, candidates
        word = re.search(r"\w*\Z", text[:offset])
        assert word
        selected = context.get("selectedCompletionInfo")
        items = []
        for candidate in candidates:
            start = offset if FAULT == "range at the cursor" else word.start()
            insert, span = text[start:offset] + candidate, self.span(text, start, offset)
            if selected and FAULT != "ignores the popup":
                insert, span = selected["text"] + candidate, selected["range"]
            command = "toy.unknown" if FAULT == "undeclared command" else "toy.accepted"
            items.append({"insertText": insert, "range": span, "command": {"command": command, "title": ""}})
        self.thinking.pop(uri, None)
        self.send(id=number, result={"items": items})
        if FAULT == "answers twice":
            self.send(id=number, result=None)

    def remember(self, uri: str, text: str, offset: int, automatic: bool) -> list[str] | None:
        """What is left of the last answer, where only its beginning was typed since."""
        if uri not in self.known or FAULT == "forgets":
            return None
        before, cursor, candidates = self.known[uri]
        typed = text[cursor:offset]
        if FAULT == "sticks after a backspace" and offset == cursor and text != before:
            return candidates
        left = [c[len(typed) :] for c in candidates if c.startswith(typed) and c != typed]
        same = offset >= cursor and text == before[:cursor] + typed + before[cursor:]
        if FAULT == "sticks after a backspace" and same and typed:
            self.known[uri] = text, offset - 1, left
        return left[: 1 if automatic else 2] if same and typed and left else None

    def candidates(self, uri: str, text: str, offset: int, automatic: bool) -> list[str]:
        left, right = text[:offset], text[offset:]
        line = re.split(r"[\r\n]", left)[-1]
        if "<|" in text and FAULT == "says markup":
            return ["<|endofmask|>"]
        if sibling := next((name for name in self.names(uri, line) if FAULT != "no siblings"), None):
            return [sibling]
        found = []
        for number in range(1 if automatic or FAULT == "one candidate" else 2):
            name = f"v{zlib.crc32(f'{left[-40:]}{right[:20]}{number}'.encode()):x}"
            if not automatic and not line.strip() and FAULT != "unbalanced":
                end = (re.findall(r"\r\n|\r|\n", text) or ["\n"])[0]
                indent = "    " if FAULT == "spaces only" and line else line
                name += f" = 1{chr(10) if FAULT == 'LF only' else end}{indent}{name} = 2"
            found.append(name + ")" if FAULT == "unbalanced" else name)
        return found

    def names(self, uri: str, line: str) -> list[str]:
        """The ends of names in sibling cells that begin like the word that is typed."""
        word = re.search(r"\w*\Z", line)
        assert word
        others = re.findall(r"\w+", " ".join(self.cells.get(uri, [])))
        return [
            name[len(word[0]) :] for name in others if len(word[0]) > 3 and name.startswith(word[0]) and name != word[0]
        ]

    def span(self, text: str, start: int, end: int) -> Any:
        places = (texts.position(text, offset, self.encoding) for offset in (start, end))
        return {name: {"line": line, "character": c} for name, (line, c) in zip(("start", "end"), places, strict=True)}

    def silent_in(self, uri: str) -> bool:
        text = self.documents.get(uri, "")
        odd = "\0" in text or len(text) > 1_000_000
        return FAULT != "tells secrets" and (odd or bool(SECRET.search(uri)))

    def drop(self, uri: str) -> None:
        if uri in self.thinking:
            number, task = self.thinking.pop(uri)
            task.cancel()
            self.send(id=number, result=None)

    def on__cancelRequest(self, params: Any) -> None:  # noqa: N802
        for uri, (number, task) in list(self.thinking.items()):
            if number == params["id"] and FAULT != "ignores cancels":
                task.cancel()
                del self.thinking[uri]
                self.send(id=number, error={"code": CANCELLED, "message": "cancelled"})


async def main() -> None:
    toy, loop = Toy(), asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watch = asyncio.create_task(watch_parent(toy))
    length = 0
    while line := await reader.readline():
        strict = re.match(rb"Content-Length: (\d+)\r\n", line)
        found = strict if FAULT == "strict headers" else re.match(rb"(?i)content-length:\s*(\d+)", line)
        if found:
            length = int(found[1])
        elif line == b"\r\n" and length:
            await toy.receive(json.loads(await reader.readexactly(length)))
            length = 0
    watch.cancel()
    os._exit(1)


async def watch_parent(toy: Toy) -> None:
    while True:
        await asyncio.sleep(0.1)
        if toy.parent and not Path(f"/proc/{toy.parent}").exists() and FAULT != "outlives its editor":
            os._exit(1)


if __name__ == "__main__":
    if FAULT == "dies":
        sys.exit("cannot start: the moon is full")
    if FAULT == "hangs":
        time.sleep(600)
    asyncio.run(main())
