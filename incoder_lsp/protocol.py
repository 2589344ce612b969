"""JSON-RPC that never leaves a client waiting: message bodies come in, handlers are called, every request is answered.

pygls does the typed part. What it lacks is added here: an answer to what cannot be read, patience with clients newer than
our message types, the states before `initialize` and after `shutdown`, an exit code, and documents that are ours alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from concurrent.futures import Future
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method

from incoder_lsp.logs import describe, log

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

OURS = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
)
Error = types.ErrorCodes | types.LSPErrorCodes


class Protocol(LanguageServerProtocol):
    """One client's session."""

    def __init__(self, server: LanguageServer, converter: cattrs.Converter):
        super().__init__(server, converter)
        self.exit_code: int | None = None  # set by `exit`: the session is over
        self._initialized = False
        for method in OURS:
            del self.fm.builtin_features[method]  # pygls would keep a second copy of each file, with other line ends

    @property
    def exit_code_at_hang_up(self) -> int:
        """As the protocol has it: an end without `shutdown` is a failure."""
        return 0 if self._shutdown else 1

    @property
    def parent_process(self) -> int | None:
        """The editor's process, as it said in `initialize`."""
        return self._server.process_id

    def abandon(self) -> None:
        """Nobody waits for our answers any more, and nobody will answer us."""
        for future in list(self._request_futures.values()):
            future.cancel()

    def receive(self, body: bytes | None) -> None:
        """Handle one message; None is a message that the framing lost."""
        if body is None:
            return self._refuse(None, types.ErrorCodes.ParseError, "A message has no usable Content-Length header.")
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return self._refuse(None, types.ErrorCodes.ParseError, "A message is not JSON in UTF-8.")
        fault = _fault(message)
        if fault is not None:
            return self._refuse(_id(message), types.ErrorCodes.InvalidRequest, fault)
        if "method" not in message:
            return self._deliver(message, lambda _: None)
        method = message["method"]
        return (
            self._receive_request(message, method) if "id" in message else self._receive_notification(message, method)
        )

    def _receive_request(self, message: dict[str, Any], method: str) -> None:
        def refuse(code: Error, sentence: str) -> None:
            self._refuse(message["id"], code, sentence)

        if self._shutdown:
            return refuse(types.ErrorCodes.InvalidRequest, "The server was shut down; only exit may follow.")
        if not self._initialized and method != types.INITIALIZE:
            return refuse(types.ErrorCodes.ServerNotInitialized, "The first request must be initialize.")
        if self._initialized and method == types.INITIALIZE:
            return refuse(types.ErrorCodes.InvalidRequest, "The server was initialized before.")
        handled = method in self.fm.builtin_features or method in self.fm.features
        notification = method in types.METHOD_TO_TYPES and self.get_result_type(method) is None
        if not handled or notification:
            return refuse(types.ErrorCodes.MethodNotFound, f"This server has no method {method}.")
        self._deliver(
            message, lambda fault: refuse(types.ErrorCodes.InvalidParams, f"{method} cannot be read: {fault}.")
        )
        if method == types.INITIALIZE:
            self._initialized = self._workspace is not None
        return None

    def _receive_notification(self, message: dict[str, Any], method: str) -> None:
        def unreadable(_: str) -> None:
            log.warning("a %s notification could not be read", method)
            if method == types.TEXT_DOCUMENT_DID_CHANGE:
                self._forget(message.get("params"))
            if method == types.NOTEBOOK_DOCUMENT_DID_CHANGE:
                self._forget_notebook(message.get("params"))

        if method == types.EXIT or (self._initialized and not self._shutdown):
            self._deliver(message, unreadable)

    def _deliver(self, message: dict[str, Any], unreadable: Callable[[str], None]) -> None:
        try:
            structured = self.structure_message(message)
        except JsonRpcException as error:
            unreadable(_explain(error.__cause__ or error))
        else:
            self.handle_message(structured)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Strict, but for `initialize`: a client may announce more than our message types know."""
        if data.get("method") == types.INITIALIZE:
            try:
                return _tolerant_converter().structure(data, types.InitializeRequest)
            except Exception as error:
                raise JsonRpcException(code=types.ErrorCodes.InvalidParams.value) from error
        return super().structure_message(data)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        """pygls takes any JSON for an id here, and fails on what it cannot look up."""
        if isinstance(msg_id, (int, str)):
            super()._handle_cancel_notification(msg_id)

    def _check_handler_result(self, future: Future[Any]) -> None:
        """After a notification; pygls' own log line would quote it."""
        if not future.cancelled() and (error := future.exception()):
            log.error("a notification could not be handled: %s", describe(error))

    def _send_handler_result(self, future: Future[Any], *, msg_id: int | str) -> None:
        """After a request."""
        if not future.cancelled() and (error := future.exception()):
            log.error("a request could not be handled: %s", describe(error))
        super()._send_handler_result(future, msg_id=msg_id)

    def _forget(self, params: Any) -> None:
        """After a change that could not be read our copy is wrong, and no copy is better than a wrong one."""
        try:
            uri = str(params["textDocument"]["uri"])
        except (KeyError, TypeError):
            return
        closed = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        self._handle_notification(types.TEXT_DOCUMENT_DID_CLOSE, closed)

    def _forget_notebook(self, params: Any) -> None:
        """The same for a notebook, with all its cells."""
        try:
            uri = str(params["notebookDocument"]["uri"])
        except (KeyError, TypeError):
            return
        closed = types.DidCloseNotebookDocumentParams(types.NotebookDocumentIdentifier(uri), [])
        self._handle_notification(types.NOTEBOOK_DOCUMENT_DID_CLOSE, closed)

    def _refuse(self, request: int | str | None, code: Error, sentence: str) -> None:
        error = {"code": code.value, "message": sentence}
        self._send_data({"jsonrpc": self.VERSION, "id": request, "error": error})

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> Generator[Any, Any, None]:
        """Leave the ending to the transport; pygls would end the process here, always with code 0."""
        self.exit_code = self.exit_code_at_hang_up
        yield from ()


def _fault(message: Any) -> str | None:
    """What keeps a JSON value from being a request, a notification or a response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != Protocol.VERSION:
        return 'A message must be a JSON object with "jsonrpc": "2.0".'
    if "id" in message and _id(message) is None and not ("error" in message and message["id"] is None):
        return "An id must be a number or a string."
    if "method" in message:
        return None if isinstance(message["method"], str) else "A method must be a string."
    return None if "id" in message else "A message needs a method or an id."


def _id(message: Any) -> int | str | None:
    value = message.get("id") if isinstance(message, dict) else None
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _explain(error: BaseException) -> str:
    """The first thing that is wrong with a message, by its path: "required field missing at params.position"."""
    fault, _, path = cattrs.transform_error(error)[0].partition(" @ $.")
    return f"{fault} at {re.sub('_([a-z])', lambda match: match[1].upper(), path)}" if path else fault


@cache
def _tolerant_converter() -> cattrs.Converter:
    """A converter that keeps an enum value it does not know as the number or string it is."""

    def tolerate(value: Any, kind: type[Enum]) -> Any:
        try:
            return kind(value)
        except ValueError:
            return value

    converter = default_converter()
    for kind in vars(types).values():
        if isinstance(kind, type) and issubclass(kind, Enum):
            converter.register_structure_hook(kind, tolerate)
    return converter
