"""What every action is made of: what it reads, what it offers, what it answers.

View  ->  offers  ->  the user takes one  ->  perform, on the worker  ->  Outcome
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incoder_lsp.actions.source import Range, Source
from incoder_lsp.settings import Settings
from incoder_model import metadata

if TYPE_CHECKING:
    from incoder_model.infill import Model

Stop = Callable[[], bool]
KIND = "refactor.rewrite.incoder"


@dataclass(frozen=True)
class View:
    """One version of a document, and what is selected in it: one range, or one for each cursor."""

    uri: str
    version: int
    source: Source
    ranges: tuple[Range, ...]
    settings: Settings

    @property
    def text(self) -> str:
        return self.source.text

    @property
    def header(self) -> str:
        return metadata.header(metadata.file_attributes(self.source.path))


@dataclass(frozen=True)
class Edit:
    """`text` instead of what stands in [start, end); the label tells the user what it is."""

    start: int
    end: int
    text: str
    label: str


@dataclass(frozen=True)
class Outcome:
    """The edits, in order and disjoint, and one sentence about them. `complete`: all that was asked for was done."""

    edits: tuple[Edit, ...]
    sentence: str
    complete: bool = True


@dataclass(frozen=True)
class Offer:
    """A line in the editor's menu. `scope` says to `perform` which of an action's offers was taken."""

    title: str
    scope: str


@dataclass(frozen=True)
class Action:
    name: str  # ends the kind
    offers: Callable[[View], Sequence[Offer]]  # quick, and without the model
    perform: Callable[[Model, View, str, Stop], Outcome]  # of a scope; raises Stopped when the stop flag is up
    confirm: bool = False  # several edits are shown before they are made, where the editor can


def applied(text: str, edits: Sequence[Edit]) -> str:
    """`text` with the edits made."""
    pieces, position = [], 0
    for edit in edits:
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])
