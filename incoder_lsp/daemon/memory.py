"""What a relay remembers of a session, so that another daemon can go on with it when the first one dies.

The bodies of messages go past, in both directions. What comes out after a death: an answer to each request that is still
open, an end to each progress that still turns, and the messages that bring a new daemon to the same state. The open files
are kept as `documents.Document`s, so they are replayed as they are now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from incoder_lsp.documents import Document

CONTENT_MODIFIED = -32801  # the one error that editors pass over in silence: the question no longer fits, ask again
REPLAYED = "incoder-lsp: initialize again"  # the id of a request that the editor never made
ALIVE = "incoder-lsp: are you there"  # of another one
TAKEN_BACK = "incoder-lsp: unregister"  # the id of one that no daemon made; nobody minds the answer
TRIED_AGAIN = "InCoder's daemon ended before it could answer; ask again."


class Memory:
    """`sent` hears what the editor says, `received` what the daemon says."""

    def __init__(self) -> None:
        self.shut_down = False  # the daemon agreed to the editor's `shutdown`
        self.exited = False
        self.process: int | None = None  # the editor's, as it said in `initialize`
        self._pending: dict[int | str, dict[str, Any]] = {}  # the editor's open requests by id; of most only the method
        self._progress: dict[int | str, None] = {}  # tokens of what the editor shows as under way
        self._initialize: dict[str, Any] | None = None  # once it was answered with a result
        self._initialized = False
        self._encoding: Any = "utf-16"
        self._settings: dict[bytes, None] = {}  # each adds to those before; of equal ones the last counts
        self._documents: dict[str, tuple[str, Document]] = {}  # language and text by uri, notebooks' cells among them
        self._focus: bytes | None = None  # the last word about which document has it
        self._registered: dict[str, str] = {}  # what the daemon asked the editor for: methods by id
        self._notebooks: dict[str, dict[str, Any]] = {}  # as they were opened, with the cells they have now

    def sent(self, body: bytes) -> None:
        message = _parsed(body)
        method, request = message.get("method"), message.get("id")
        if isinstance(method, str) and isinstance(request, (int, str)):
            self._pending[request] = message if method == "initialize" else {"method": method}
            if method == "initialize" and self.process is None:
                process = (_dict(message.get("params"))).get("processId")
                self.process = process if isinstance(process, int) else None
        elif method == "initialized":
            self._initialized = self._initialize is not None
        elif method == "exit":
            self.exited = True
        elif method == "workspace/didChangeConfiguration":
            self._settings.pop(body, None)
            self._settings[body] = None
        elif method == "textDocument/didFocus":
            self._focus = body
        elif method == "workspace/didChangeWorkspaceFolders" and self._initialize is not None:
            self._initialize = _with_folders(self._initialize, _dict(_dict(message.get("params")).get("event")))
        elif method in DOCUMENTS and self._initialize is not None:
            self._mirror(method, _dict(message.get("params")))
        elif method in NOTEBOOKS and self._initialize is not None:
            self._mirror_notebook(method, _dict(message.get("params")))

    def received(self, body: bytes) -> bool:
        """Is this for the editor? Not if it answers what only we asked."""
        message = _parsed(body)
        if "method" not in message:
            request = message.get("id")
            if request in (REPLAYED, ALIVE):
                return False
            asked = self._pending.pop(request, {}) if isinstance(request, (int, str)) else {}
            if "result" in message:
                self._answered(asked, message["result"])
        elif message["method"] == "$/progress":
            params = _dict(message.get("params"))
            kind, token = _dict(params.get("value")).get("kind"), params.get("token")
            if isinstance(token, (int, str)):
                self._progress.pop(token, None)
                if kind != "end":
                    self._progress[token] = None
        elif message["method"] == "client/registerCapability":
            self._registered |= _registrations(message, "registrations")
        elif message["method"] == "client/unregisterCapability":
            for gone in _registrations(message, "unregisterations"):
                self._registered.pop(gone, None)
        return True

    @property
    def owed(self) -> bool:
        """The daemon has not yet answered everything."""
        return bool(self._pending)

    @staticmethod
    def are_you_there() -> bytes:
        return _message(id=ALIVE, method="incoder/statistics")

    def bury(self, for_good: bool) -> Iterator[bytes]:
        """What the editor is told after the daemon's death. An open `initialize` is asked again, if anybody is there to ask."""
        for request, asked in list(self._pending.items()):
            if asked["method"] == "shutdown":
                self.shut_down = True
                yield _message(id=request, result=None)
            elif asked["method"] != "initialize" or self._initialize is not None or for_good:
                yield _message(id=request, error={"code": CONTENT_MODIFIED, "message": TRIED_AGAIN})
            else:
                continue
            del self._pending[request]
        for token in self._progress:
            yield _message(method="$/progress", params={"token": token, "value": {"kind": "end"}})
        self._progress.clear()
        if self._registered:  # the next daemon asks for it anew, and nobody wants to hear of a change twice
            gone = [{"id": name, "method": method} for name, method in self._registered.items()]
            yield _message(id=TAKEN_BACK, method="client/unregisterCapability", params={"unregisterations": gone})
            self._registered.clear()

    def replay(self) -> Iterator[bytes]:
        """What brings a new daemon to where the old one was."""
        for asked in self._pending.values():  # `bury` left only an open `initialize`
            yield json.dumps(asked).encode()
        if self._initialize is not None:
            yield json.dumps({**self._initialize, "id": REPLAYED}).encode()
        if self._initialized:
            yield _message(method="initialized", params={})
        yield from self._settings
        cells: set[str] = set()
        for notebook in self._notebooks.values():
            own = [cell["document"] for cell in notebook["cells"] if cell["document"] in self._documents]
            opened = [self._opened(cell) for cell in own]
            yield _message(
                method="notebookDocument/didOpen", params={"notebookDocument": notebook, "cellTextDocuments": opened}
            )
            cells.update(own)
        for uri in self._documents:
            if uri not in cells:
                yield _message(method="textDocument/didOpen", params={"textDocument": self._opened(uri)})
        if self._focus is not None:
            yield self._focus

    def last_status(self, message: str) -> Iterator[bytes]:
        """That nothing will come any more, for an editor that wants to know how we are."""
        capabilities = _dict(_dict((self._initialize or {}).get("params")).get("capabilities"))
        if _dict(_dict(capabilities.get("experimental")).get("incoder")).get("status") is True:
            yield _message(
                method="incoder/status",
                params={"state": "error", "message": message, "model": "", "latencyMs": None},
            )

    def _opened(self, uri: str) -> dict[str, Any]:
        language, document = self._documents[uri]
        return {"uri": uri, "languageId": language, "version": document.version, "text": document.text}

    def _answered(self, asked: dict[str, Any], result: Any) -> None:
        if asked.get("method") == "shutdown":
            self.shut_down = True
        elif asked.get("method") == "initialize":
            self._initialize = asked
            self._encoding = _dict(_dict(result).get("capabilities")).get("positionEncoding", "utf-16")

    def _mirror(self, method: str, params: dict[str, Any]) -> None:
        """As the server does it; a file whose change cannot be read is forgotten, because no copy is better than a wrong one."""
        described = _dict(params.get("textDocument"))
        uri = str(described.get("uri"))
        try:
            if method == "textDocument/didOpen":
                document = Document(_text(described["text"]), _number(described["version"]), self._encoding)
                self._documents[uri] = (_text(described["languageId"]), document)
            elif method == "textDocument/didClose":
                self._documents.pop(uri, None)
            elif uri in self._documents:
                _change(self._documents[uri][1], params["contentChanges"], _number(described["version"]))
        except (KeyError, TypeError):
            self._documents.pop(uri, None)

    def _mirror_notebook(self, method: str, params: dict[str, Any]) -> None:
        """As the server does it: cells are documents. A notebook whose change cannot be read is forgotten with its cells."""
        described = _dict(params.get("notebookDocument"))
        uri = str(described.get("uri"))
        try:
            if method == "notebookDocument/didOpen":
                self._notebooks[uri] = {**described, "cells": [_cell(cell) for cell in described["cells"]]}
                self._mirror_cells("didOpen", params["cellTextDocuments"])
            elif method == "notebookDocument/didClose":
                self._forget_notebook(uri)
            elif notebook := self._notebooks.get(uri):
                notebook["version"] = _number(described["version"])
                changed = _dict(params["change"].get("cells"))
                if structure := changed.get("structure"):
                    array = structure["array"]
                    first, count = _number(array["start"]), _number(array["deleteCount"])
                    notebook["cells"][first : first + count] = [_cell(cell) for cell in array.get("cells") or []]
                    self._mirror_cells("didOpen", structure.get("didOpen") or [])
                    self._mirror_cells("didClose", structure.get("didClose") or [])
                for content in changed.get("textContent") or []:
                    self._mirror_cells("didChange", [content["document"]], content["changes"])
        except (AttributeError, KeyError, TypeError):
            self._forget_notebook(uri)

    def _mirror_cells(self, what: str, cells: Any, changes: Any = None) -> None:
        for cell in cells:
            self._mirror(f"textDocument/{what}", {"textDocument": cell, "contentChanges": changes})

    def _forget_notebook(self, uri: str) -> None:
        for cell in self._notebooks.pop(uri, {"cells": []})["cells"]:
            self._documents.pop(cell["document"], None)


DOCUMENTS = ("textDocument/didOpen", "textDocument/didChange", "textDocument/didClose")
NOTEBOOKS = ("notebookDocument/didOpen", "notebookDocument/didChange", "notebookDocument/didClose")


def _cell(cell: Any) -> dict[str, Any]:
    return {**cell, "document": _text(cell["document"])}


def _registrations(message: dict[str, Any], name: str) -> dict[str, str]:
    entries = _dict(message.get("params")).get(name)
    return {
        str(entry.get("id")): str(entry.get("method"))
        for entry in map(_dict, entries if isinstance(entries, list) else [])
    }


def _with_folders(initialize: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """The request as the editor would make it now."""
    params = _dict(initialize.get("params"))
    added, removed, before = (
        [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        for found in (event.get("added"), event.get("removed"), params.get("workspaceFolders"))
    )
    left = [folder for folder in before if folder.get("uri") not in [one.get("uri") for one in removed]]
    return {**initialize, "params": {**params, "workspaceFolders": [*left, *added]}}


def _change(document: Document, changes: Any, version: int) -> None:
    for change in changes:
        if "range" in change:
            start, end = change["range"]["start"], change["range"]["end"]
            document.edit(_place(start), _place(end), _text(change["text"]))
        else:
            document.replace(_text(change["text"]))
    document.version = version


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        return _dict(json.loads(body))
    except (ValueError, RecursionError):
        return {}  # the daemon will say what is wrong with it


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _place(position: Any) -> tuple[int, int]:
    line, character = _number(position["line"]), _number(position["character"])
    if min(line, character) < 0:
        raise TypeError
    return line, character


def _message(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}).encode()
