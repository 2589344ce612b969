"""What a session knows of the files around one: the open ones, those edited lately, those that it imports; and the choice of
which of their pieces the model is shown.

Collected on the event loop, which only notes references to texts; read and ranked on the worker, when a prompt is made anew.
Files that may hold secrets are never among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from incoder_lsp.documents import path_of
from incoder_lsp.imports import Imports
from incoder_lsp.neighbours import File, choose
from incoder_lsp.recent import RecentEdits
from incoder_lsp.silence import is_private

if TYPE_CHECKING:
    from incoder_lsp.documents import Document
    from incoder_lsp.question import Question
    from incoder_model.window import Neighbour

_LINE_END = re.compile(r"\r\n|\r|\n")

Files = Callable[[], Iterator[File]]


class Choice:
    """The neighbours of one place. Made once: as long as the user types there, they stay, and with them the engine's cache."""

    def __init__(self, at: int, files: Files):
        self.at = at  # the cursor's offset
        self._files = files
        self._chosen: tuple[Neighbour, ...] | None = None

    def neighbours(self, left: str, right: str) -> tuple[Neighbour, ...]:
        """left, right: what stands around the cursor. For the worker's thread."""
        if self._chosen is None:
            self._chosen = choose(self._files(), left, right)
        return self._chosen


class Surroundings:
    def __init__(self) -> None:
        self.edits = RecentEdits()
        self._imports = Imports()

    def choice(self, question: Question, documents: Mapping[str, Document], folders: Sequence[str]) -> Choice | None:
        """None where the user wants no neighbours. folders: the workspace's."""
        settings, own = question.settings, question.path
        if not settings.neighbour_share:
            return None
        pieces = self.edits.pieces(documents) if settings.neighbour_edits else ()
        texts = ((uri, document.text) for uri, document in documents.items()) if settings.neighbour_files else ()
        found = [(path_of(uri), text) for uri, text in (*pieces, *texts)]
        shown = [
            (path, text) for path, text in found if path != own and not path.startswith(f"{own}#")
        ]  # its own cells
        imports = self._imports if settings.neighbour_imports else None
        if not shown and not imports:
            return None

        def files() -> Iterator[File]:
            files = [File(path, _LINE_END.sub("\n", text)) for path, text in shown]
            if imports and (cells := question.cells):
                place = str(PurePath(own).with_name(cells.name))
                files += imports.of(place, f"{cells.above}{question.text}{cells.below}", folders)
            elif imports:
                files += imports.of(own, question.text, folders)
            return (file for file in files if not is_private(file.path, file.text))

        return Choice(question.offset, files)
