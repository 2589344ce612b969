"""Where a session's files were edited last: changes come in, the lines around them go out, the latest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from incoder_lsp.documents import Document, split_lines

MOST = 16  # places
NEAR = 8  # lines: what is edited so close to an earlier place makes that one larger
AROUND = 4  # lines shown above and below
LARGEST = 60  # lines of a place; from then on a new one begins


@dataclass(frozen=True)
class Place:
    uri: str
    first: int  # lines, 0-based
    last: int

    def near(self, other: Place) -> bool:
        return self.uri == other.uri and self.first - NEAR <= other.last and other.first <= self.last + NEAR

    def joined(self, other: Place) -> Place:
        return Place(self.uri, min(self.first, other.first), max(self.last, other.last))

    def moved(self, edit: Place, lines: int) -> Place:
        """The place after an edit put `lines` more lines (or fewer) above it."""
        if self.uri != edit.uri or self.first <= edit.first:
            return self
        return Place(self.uri, max(edit.first, self.first + lines), max(edit.first, self.last + lines))


class RecentEdits:
    def __init__(self) -> None:
        self._places: list[Place] = []  # the latest last

    def edited(self, uri: str, first: int, last: int, text: str) -> None:
        """`text` took the place of what stood between two lines."""
        edit = Place(uri, first, first + len(split_lines(text)) - 1)
        moved = [place.moved(edit, edit.last - last) for place in self._places]
        for place in [place for place in moved if place.near(edit)]:
            joined = place.joined(edit)
            if joined.last - joined.first < LARGEST:
                moved.remove(place)
                edit = joined
        self._places = [*moved, edit][-MOST:]

    def forget(self, uri: str) -> None:
        """The document is closed, or came as a whole."""
        self._places = [place for place in self._places if place.uri != uri]

    def pieces(self, documents: Mapping[str, Document]) -> Iterator[tuple[str, str]]:
        """(uri, lines) of every place, as the documents are now."""
        for place in reversed(self._places):
            if document := documents.get(place.uri):
                yield place.uri, document.lines(place.first - AROUND, place.last + AROUND + 1)
