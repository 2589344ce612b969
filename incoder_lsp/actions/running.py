"""What is under way: a job for the model comes in, what it made of one version of a document goes out, unless that has changed.

A job runs on the worker, with a progress that the user can cancel. It ends early when its request is cancelled, when its
progress is, and when its document changes or is closed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from incoder_lsp.actions.action import Stop, View
from incoder_lsp.actions.edits import range_at
from incoder_lsp.actions.source import Function, Source, unified
from incoder_lsp.documents import Document, Encoding, path_of
from incoder_lsp.infiller import Infiller, own_model
from incoder_lsp.progress import showing
from incoder_lsp.worker import Worker

if TYPE_CHECKING:
    from incoder_lsp.actions.annotate import Hint
    from incoder_lsp.actions.kept import Kept
    from incoder_lsp.actions.surprise import Surprise
    from incoder_lsp.configuration import Configuration
    from incoder_model.infill import Model

Finding = TypeVar("Finding")
Result = TypeVar("Result")
Job = Callable[["Model", Stop], Result]


class Session(LanguageServer):
    """What actions need of the server; only its types."""

    documents: dict[str, Document]
    configuration: Configuration
    worker: Worker
    running: Running
    kept_hints: Kept[Hint]
    kept_surprises: Kept[Surprise]


@dataclass(eq=False)
class _Run:
    stop: Event = field(default_factory=Event)
    stale: bool = False  # the document is not what it was


class Stale(Exception):  # noqa: N818 - not an error: the user types on
    """The document changed while the model was asked about it."""


class Running:
    def __init__(self) -> None:
        self._runs: dict[str, set[_Run]] = defaultdict(set)  # by uri
        self._shown: set[asyncio.Task[None]] = set()  # asyncio itself does not hold on to its tasks
        self._sources: dict[str, tuple[Document, int, Source]] = {}  # by uri, of the last version asked about

    def source_of(self, uri: str, path: str, document: Document) -> Source:
        """A document as it is now; the same object while it stays so, as its tree is worth keeping."""
        kept = self._sources.get(uri)
        if kept is None or kept[0] is not document or kept[1] != document.version:
            kept = self._sources[uri] = document, document.version, Source(unified(document.text), path)
        return kept[2]

    def drop(self, uri: str) -> None:
        """The document changed, or is closed: what is under way no longer fits it."""
        self._sources.pop(uri, None)
        for run in self._runs.pop(uri, ()):
            run.stale = True
            run.stop.set()

    async def run(
        self, ls: Session, uri: str, title: str, job: Job[Result], sentence: Callable[[Result], str]
    ) -> Result | None:
        """What `job` makes of the model, and None where there is none of our own or the user has stopped it. Raises Stale.

        `title` stands over the progress while it lasts, the `sentence` about the result when it has come. "" shows none.
        """
        from incoder_model.engine import Stopped

        run = _Run()
        self._runs[uri].add(run)

        def ask(infiller: Infiller) -> Result | None:
            model = own_model(infiller)
            return None if model is None else job(model, run.stop.is_set)

        task = asyncio.create_task(ls.worker.ask(ask))
        if title:  # it is not waited for, as the editor may be slow to agree to a progress
            showing = asyncio.create_task(_show(ls, title, task, run.stop, sentence))
            self._shown.add(showing)
            showing.add_done_callback(self._shown.discard)
        try:
            await asyncio.wait({task})
        finally:
            run.stop.set()  # where our request was cancelled the worker frees itself at its next token
            self._runs[uri].discard(run)
            if not self._runs[uri]:
                del self._runs[uri]
            task.add_done_callback(_look_at)
        if run.stale:
            raise Stale
        try:
            return task.result()
        except Stopped:
            return None


def view_of(ls: Session, uri: str, ranges: Sequence[types.Range]) -> View | None:
    """None where the file is not open."""
    document = ls.documents.get(uri)
    if document is None:
        return None
    source = ls.running.source_of(uri, path_of(uri), document)
    places = tuple(range_at(source, one, encoding_of(ls)) for one in ranges)
    return View(uri, document.version, source, places, ls.configuration.settings_of(uri))


def encoding_of(ls: Session) -> Encoding:
    return cast("Encoding", types.PositionEncodingKind(ls.workspace.position_encoding).value)


def _look_at(task: asyncio.Future[Any]) -> None:
    """A result that nobody waits for any more may be a failure that nobody needs to hear of."""
    if not task.cancelled():
        task.exception()


async def _show(
    ls: Session, title: str, task: asyncio.Task[Result | None], stop: Event, sentence: Callable[[Result], str]
) -> None:
    async with showing(ls, title, stop.set) as progress:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None and (result := task.result()) is not None:
            progress.last = sentence(result)


async def found_once(
    ls: Session, view: View, function: Function, kept: Kept[Finding], find: Callable[[Model, Stop], list[Finding]]
) -> list[Finding]:
    """What is kept of a function, or what `find` makes of the model now. One job for each function, so that completions do not
    wait for a page of them. Raises Stale."""
    known = kept.of(view, function)
    if known is not None:
        return known
    document = ls.documents.get(view.uri)
    if document is None or document.version != view.version:
        raise Stale
    found = await ls.running.run(ls, view.uri, "", find, lambda _: "")
    if found is not None:
        kept.keep(view, function, found)
    return found or []
