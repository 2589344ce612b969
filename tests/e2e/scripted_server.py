"""A language server whose suggestions are written down beforehand: the test double for the model's words, nothing else.

In: `scripted_server.py SCRIPT LOG`. SCRIPT is JSON, `{text of the line left of the cursor: [item, ...]}`, where an item is
`{"text": ..., "back": n, "over": m, "delay": seconds, "deaf": true, "along": true}`: the range reaches n code units back and m
on from the cursor, a deaf one is not cancelled, and of one that goes along the rest is suggested when its beginning was typed.
The script is read afresh at each request.
Out: the answers over stdio, null for a line that is not in the script; LOG gets one JSON line for each request when it
was answered or cancelled. It needs the standard library alone, so that it starts at once.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

SCRIPT, LOG = Path(sys.argv[1]), Path(sys.argv[2])
CODEC = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
CANCELLED = -32800
Script = dict[str, list[dict[str, Any]]]


def read() -> dict[str, Any] | None:
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def send(**message: Any) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


def suggestions(script: Script, left: str) -> list[dict[str, Any]] | None:
    along = [
        {**item, "text": item["text"][len(typed) :]}
        for beginning, items in script.items()
        if left.startswith(beginning)
        for typed in [left[len(beginning) :]]
        for item in items
        if "along" in item and item["text"].startswith(typed) and item["text"] != typed
    ]
    return script.get(left) or along or None


class Server:
    def __init__(self) -> None:
        self.encoding = "utf-16"
        self.texts: dict[str, str] = {}
        self.waiting: dict[Any, tuple[threading.Timer, dict[str, Any]]] = {}
        self.lock = threading.Lock()

    def serve(self) -> None:
        while message := read():
            handler = getattr(self, "on_" + message.get("method", "").replace("/", "_").replace("$", ""), None)
            if handler:
                handler(message.get("id"), message.get("params"))
            elif "method" in message and "id" in message:
                send(id=message["id"], result=None)

    def script(self, params: dict[str, Any]) -> Script:
        return json.loads(SCRIPT.read_text(encoding="utf-8"))

    def on_initialize(self, request: Any, params: dict[str, Any]) -> None:
        self.encoding = params["capabilities"].get("general", {}).get("positionEncodings", ["utf-16"])[0]
        capabilities = {"positionEncoding": self.encoding, "textDocumentSync": 1, "inlineCompletionProvider": {}}
        send(id=request, result={"capabilities": capabilities})

    def on_exit(self, request: Any, params: None) -> None:
        sys.exit()

    def on_textDocument_didOpen(self, request: None, params: dict[str, Any]) -> None:  # noqa: N802
        self.texts[params["textDocument"]["uri"]] = params["textDocument"]["text"]

    def on_textDocument_didChange(self, request: None, params: dict[str, Any]) -> None:  # noqa: N802
        self.texts[params["textDocument"]["uri"]] = params["contentChanges"][-1]["text"]

    def on_textDocument_inlineCompletion(self, request: Any, params: dict[str, Any]) -> None:  # noqa: N802
        row, character = params["position"]["line"], params["position"]["character"]
        line = self.texts[params["textDocument"]["uri"]].split("\n")[row]
        codec, width = CODEC[self.encoding]
        left = line.encode(codec)[: character * width].decode(codec)
        items = suggestions(self.script(params), left)
        answer = items and [
            {
                "insertText": item["text"],
                "range": {
                    "start": {"line": row, "character": character - item.get("back", 0)},
                    "end": {"line": row, "character": character + item.get("over", 0)},
                },
            }
            for item in items
        ]
        entry = {"left": left, "character": character, "deaf": any("deaf" in item for item in items or [])}
        timer = threading.Timer(
            max((item.get("delay", 0) for item in items or []), default=0), self.reply, [request, answer]
        )
        timer.daemon = True
        self.waiting[request] = (timer, entry)
        timer.start()

    def on__cancelRequest(self, request: None, params: dict[str, Any]) -> None:  # noqa: N802
        if not self.waiting.get(params["id"], (None, {}))[1].get("deaf"):
            self.reply(params["id"], None, error={"code": CANCELLED, "message": "cancelled"})

    def reply(self, request: Any, answer: Any, error: dict[str, Any] | None = None) -> None:
        with self.lock:
            timer, entry = self.waiting.pop(request, (None, None))
            if timer:
                timer.cancel()
                with LOG.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**(entry or {}), "cancelled": error is not None}) + "\n")
                send(id=request, **({"error": error} if error else {"result": answer}))


if __name__ == "__main__":
    Server().serve()
