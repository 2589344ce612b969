"""A language server that also answers what is InCoder's own, as written down beforehand.

In: `answering_server.py SCRIPT LOG ANSWERS`. SCRIPT and LOG are those of scripted_server.py, but SCRIPT holds two scripts, one
for each kind of question: `{"automatic": {...}, "invoked": {...}}`. ANSWERS is JSON, `{method: result}`, with the server's
capabilities under "initialize"; a request that is not in it is unknown to the server.
Out: besides the answers, a line in LOG for each message: `{"method": ..., "params": ...}`. The command "test.send" sends its
arguments as messages, "test.die" ends the process.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scripted_server

ANSWERS: dict[str, Any] = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
METHOD_NOT_FOUND = -32601


class Server(scripted_server.Server):
    def serve(self) -> None:
        while message := scripted_server.read():
            method, params, request = message.get("method", ""), message.get("params"), message.get("id")
            with scripted_server.LOG.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"left": None, "method": method, "params": params}) + "\n")
            handler: Callable[..., None] | None = getattr(self, "on_" + method.replace("/", "_").replace("$", ""), None)
            if handler:
                handler(request, params)
            elif method in ANSWERS:
                scripted_server.send(id=request, result=ANSWERS[method])
            elif method and request is not None:
                error = {"code": METHOD_NOT_FOUND, "message": f"{method} is not known"}
                scripted_server.send(id=request, error=error)

    def on_initialize(self, request: Any, params: dict[str, Any]) -> None:
        capabilities = {"textDocumentSync": 1, "inlineCompletionProvider": {}, **ANSWERS.get("initialize", {})}
        scripted_server.send(id=request, result={"capabilities": capabilities})

    def on_shutdown(self, request: Any, params: None) -> None:
        scripted_server.send(id=request, result=None)

    def script(self, params: dict[str, Any]) -> Any:
        return super().script(params).get("invoked" if params["context"]["triggerKind"] == 1 else "automatic", {})

    def on_workspace_executeCommand(self, request: Any, params: dict[str, Any]) -> None:  # noqa: N802
        if params["command"] == "test.die":
            os._exit(3)
        if params["command"] == "test.send":
            for message in params["arguments"]:
                scripted_server.send(**message)
        scripted_server.send(id=request, result=None)


if __name__ == "__main__":
    Server().serve()
