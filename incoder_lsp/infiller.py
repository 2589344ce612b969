"""Who fills holes: the model of this process, or a server that the user named. Both look the same from here.

A Source says which; `open_source` makes an Infiller of it. Everything here is for the worker's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from incoder_lsp.backend.address import Address

if TYPE_CHECKING:
    from incoder_model.infill import Infill, InfillRequest, Model

Source = Path | Address | None  # a model directory, a server, or the bundled model

Stop = Callable[[], bool]  # true as soon as nobody wants the answer any more
Done = Callable[[str], bool]  # asked after every token about the text so far: whether it is enough


class Unavailable(Exception):  # noqa: N818 - it says what is, and passes
    """There is no completion to be had at the moment; why, and where, in one sentence for the user."""


class Infiller(Protocol):
    name: str  # for people
    context: int  # tokens that a prompt and its answer may have together

    def infill(self, request: InfillRequest, stop: Stop, done: Done | None = None) -> Infill:
        """Fill one hole. Who cannot ask `done` between two tokens says more than is wanted. Raises Unavailable."""
        ...

    def prompt_tokens(self, request: InfillRequest) -> int:
        """What `request` is to read; 0 where only the other side knows."""
        ...


class LocalModel:
    """The model of this process."""

    def __init__(self, model: Model, name: str):
        self.model = model
        self.name = name
        self.context = model.context

    def infill(self, request: InfillRequest, stop: Stop, done: Done | None = None) -> Infill:
        from incoder_model.infill import infill

        return infill(self.model, request, stop, done)

    def prompt_tokens(self, request: InfillRequest) -> int:
        from incoder_model.infill import prompt_of

        return len(prompt_of(self.model, request)) + len(self.model.tokenizer.encode(request.typed))


def own_model(infiller: Infiller | None) -> Model | None:
    """The model of this process, which can do more than fill one hole; None where a server is asked."""
    return infiller.model if isinstance(infiller, LocalModel) else None


def name_of(source: Source) -> str:
    """For people."""
    if isinstance(source, Address):
        return source.url
    return source.resolve().name if source else "incoder-bundled"


def open_source(source: Source) -> Infiller:
    """Raises what `load_model` raises. A server is not asked anything before the first request."""
    if isinstance(source, Address):
        from incoder_lsp.backend.client import Backend

        return Backend(source)
    from incoder_model.loading import load_model  # here and not above: what runs a model takes a while to import

    return LocalModel(load_model(source), name_of(source))
