"""The server an editor talks to: each handler reads its params, calls one function and returns LSP types.

What is advertised: inline completion always, and the popup's completion only to clients that do not announce inline
completion, so that nobody sees a suggestion twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from incoder_lsp import configuring, dialect, learning, notebooks, popup, version, viewer, why_not
from incoder_lsp.actions import handlers as actions
from incoder_lsp.actions import inlay, unlikely
from incoder_lsp.actions.running import Running
from incoder_lsp.asking import question_at
from incoder_lsp.backend.address import parse_backend
from incoder_lsp.completer import Completer
from incoder_lsp.configuration import Configuration
from incoder_lsp.documents import Document, Encoding
from incoder_lsp.filling import Fill, fill
from incoder_lsp.importing import accepted as importing
from incoder_lsp.importing.workspace import Workspace
from incoder_lsp.infiller import Source, own_model
from incoder_lsp.items import placed
from incoder_lsp.loading import load_model
from incoder_lsp.logs import describe, log
from incoder_lsp.page import Record
from incoder_lsp.protocol import Protocol
from incoder_lsp.settings import Settings
from incoder_lsp.status import Teller
from incoder_lsp.surroundings import Surroundings
from incoder_lsp.worker import Worker

STATISTICS = "incoder/statistics"  # ours: for benchmarks and for the curious
_converter = cache(default_converter)  # a tenth of a second to make, and the same for every session


class Server(LanguageServer):
    """One editor's session: its open files, its settings, its model.

    `model` is the command line's: a directory or a server. A relative directory in the settings starts in `folder`, where the
    editor started us. `user_file`: where the user's settings are. `learned`: what was learned of repositories, and how.
    """

    protocol: Protocol  # pyright: ignore[reportIncompatibleVariableOverride] - as pygls itself narrows it

    def __init__(
        self,
        model: Source = None,
        worker: Worker | None = None,
        fill: Fill = fill,
        folder: Path | None = None,
        user_file: Path | None = None,
        learned: learning.Learning | None = None,
        make_completer: Callable[..., Completer] = Completer,
        backend_key: str | None = None,
    ):
        """backend_key: what this editor's environment says; None is that of this process."""
        super().__init__(
            "incoder-lsp",
            version(),
            notebook_document_sync=notebooks.ALL_CELLS,
            protocol_cls=Protocol,
            converter_factory=_converter,
        )
        self.documents: dict[str, Document] = {}  # cells of notebooks among them
        self.notebooks: dict[str, notebooks.Notebook] = {}
        self.surroundings = Surroundings()
        self.configuration = Configuration(user_file, self.note, self.tell)
        self.worker = worker or Worker()
        self.status, self.viewer = Teller(self), viewer.Viewer(self)
        self.completer = make_completer(self.worker, fill, self.tell, heard=self._heard, working=self.status.working)
        self.running = Running()
        self.kept_hints = inlay.kept()
        self.kept_surprises = unlikely.kept()
        self.importing = Workspace()
        self.learning = learned or learning.Learning()
        self._model = model
        self._folder = folder or Path()
        self._backend_key = backend_key
        self._loading: asyncio.Task[None] | None = None  # held, so that it lives until it ends
        for method, handler, options in HANDLERS:
            self.feature(method, options)(handler)
        for name, command in {**actions.COMMANDS, **learning.COMMANDS, **importing.COMMANDS}.items():
            self.command(name)(command)

    @property
    def settings(self) -> Settings:
        """Of the session as a whole; a file may have others, see `configuration`."""
        return self.configuration.settings

    @property
    def source(self) -> Source:
        """Where completions come from: the command line wins, and a server wins over a directory; where nobody names one it is
        what was learned of the workspace, or the bundled model."""
        if self._model is not None:
            return self._model
        if self.settings.backend is not None:
            return parse_backend(self.settings.backend, self._backend_key)
        if self.settings.model:
            return self._folder / Path(self.settings.model).expanduser()
        return self.learning.model_of([*self.configuration.paths.values()])

    @property
    def is_free_to_learn(self) -> bool:
        """Nobody has named a model."""
        return self._model is None and self.settings.backend is None and not self.settings.model

    def tell(self, sentence: str) -> None:
        self.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"InCoder: {sentence}"))

    def leave(self) -> None:
        """The session is over: what is in the air ends, and the model is there for others."""
        self.learning.leave()
        self.completer.forget()
        self.completer.acceptance.save()
        self.status.leave()
        self.viewer.leave()
        self.documents.clear()  # pygls caches by session what type a message has, and so keeps the last few dozen of us
        self.protocol.abandon()
        self.worker.leave()

    def note(self, sentence: str) -> None:
        """For who looks into the editor's log."""
        self.window_log_message(types.LogMessageParams(types.MessageType.Warning, sentence))

    def settle(self, before: Source) -> None:
        """Settings have changed; `before`: where completions came from until now."""
        self.completer.forget()
        if self.source != before:
            self._loading = asyncio.create_task(load_model(self))
        self.status.look()

    def _heard(self, record: Record) -> None:
        self.viewer.heard(record)
        self.status.heard(record)

    def range_of(self, uri: str, start: int, end: int) -> types.Range:
        """Offsets as the client counts them."""
        document = self.documents[uri]
        return types.Range(types.Position(*document.position_at(start)), types.Position(*document.position_at(end)))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """pygls would open a message box instead."""
        log.error("a message could not be handled: %s", describe(error))


def initialize(ls: Server, params: types.InitializeParams) -> None:
    configuring.start(ls, params)
    text_document = params.capabilities.text_document
    if text_document is None or text_document.inline_completion is None:
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, popup.OPTIONS)(popup.completion)


async def initialized(ls: Server, _: types.InitializedParams) -> None:
    await configuring.begin(ls)
    await load_model(ls)


def shutdown(ls: Server, _: None) -> None:
    ls.completer.acceptance.save()


def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    opened = params.text_document
    encoding = cast("Encoding", types.PositionEncodingKind(ls.workspace.position_encoding).value)
    ls.completer.forget(opened.uri)
    ls.running.drop(opened.uri)
    ls.documents[opened.uri] = Document(opened.text, opened.version, encoding, opened.language_id)
    configuring.look(ls)
    importing.importable(ls, opened.uri)  # what it may import is read before it is asked for
    ls.status.look()


def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    changed = params.text_document
    document = ls.documents.get(changed.uri)
    if document is None:
        return
    ls.running.drop(changed.uri)
    before = document.text
    for change in params.content_changes:
        if isinstance(change, types.TextDocumentContentChangePartial):
            start, end = change.range.start, change.range.end
            document.edit((start.line, start.character), (end.line, end.character), change.text)
            ls.surroundings.edits.edited(changed.uri, start.line, end.line, change.text)
        else:
            document.replace(change.text)
            ls.surroundings.edits.forget(changed.uri)
    document.version = changed.version
    ls.completer.edited(changed.uri, before, document.text)


def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    ls.completer.forget(params.text_document.uri)
    ls.running.drop(params.text_document.uri)
    ls.surroundings.edits.forget(params.text_document.uri)
    ls.documents.pop(params.text_document.uri, None)


async def inline_completion(ls: Server, params: types.InlineCompletionParams) -> types.InlineCompletionList | None:
    invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
    selected = params.context.selected_completion_info
    question = question_at(ls, params.text_document.uri, params.position, invoked=invoked, selected=selected)
    answer = question and await ls.completer.ask(question)
    if not question or not answer:
        return None
    items = [
        types.InlineCompletionItem(
            place.text,
            range=ls.range_of(question.uri, place.start, place.end),
            command=importing.command_for(question.uri, one.imports),
        )
        for one in answer.suggestions
        if (place := placed(question, one))
    ]
    return types.InlineCompletionList(items) if items else None


async def statistics(ls: Server, _: Any) -> dict[str, int]:
    """What was asked so far and what it has cost: tokens that went through the network, answers' tokens among them. The
    network is that of all sessions that share it. And what became of the suggestions of this session."""
    own = own_model(ls.worker.model)
    evaluated = await ls.worker.ask(lambda _: own.engine.evaluated if own else 0)
    ls.completer.acceptance.settle()
    return {"fromCache": ls.completer.from_cache, "evaluated": evaluated or 0, **ls.completer.acceptance.tally.total}


HANDLERS: list[tuple[str, Any, Any]] = [
    (types.INITIALIZE, initialize, None),
    (types.INITIALIZED, initialized, None),
    (types.SHUTDOWN, shutdown, None),
    (types.TEXT_DOCUMENT_DID_OPEN, did_open, None),
    (types.TEXT_DOCUMENT_DID_CHANGE, did_change, None),
    (types.TEXT_DOCUMENT_DID_CLOSE, did_close, None),
    # pygls advertises inline completion only where options are given
    (types.TEXT_DOCUMENT_INLINE_COMPLETION, inline_completion, types.InlineCompletionOptions()),
    *configuring.HANDLERS,
    *notebooks.HANDLERS,
    *actions.HANDLERS,
    *inlay.HANDLERS,
    *unlikely.HANDLERS,
    (STATISTICS, statistics, None),
    *why_not.HANDLERS,
    *viewer.HANDLERS,
    *dialect.HANDLERS,
]
