"""What was answered about a document, and for how long it holds: what the user types of a suggestion costs nothing.

A Known is a question and its answer. A later question or a later text comes in; what is left of the answer, or how much of a
suggestion stands in the text, goes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from incoder_lsp.question import Answer, Question

if TYPE_CHECKING:
    from incoder_lsp.filters.suggestion import Suggestion


@dataclass(frozen=True)
class Known:
    """A question and its answer, which holds for as long as only the beginning of a suggestion is typed."""

    question: Question
    answer: Answer
    hidden: bool = False  # computed, and not shown until it is asked for

    def rest(self, later: Question) -> Answer | None:
        """What is left of the answer for a later question; None where the model must be asked again.

        Who asks once more, by hand, wants more than there is already, unless it was hidden.
        """
        asked = self.question
        seen = not (self.hidden and self.answer.suggestions)
        if later.offset < asked.offset or later.cells != asked.cells or (later.invoked > asked.invoked and seen):
            return None
        if later.offset == asked.offset and later.text == asked.text:
            return self.answer
        if not later.text.startswith(asked.text[: asked.offset]):
            return None
        rests = tuple(rest for one in self.answer.suggestions if (rest := self._rest(one, later)))
        return Answer(rests) if rests else None

    def standing(self, text: str) -> tuple[Suggestion, int] | None:
        """The suggestion whose beginning stands in `text`, and how many characters of it; None where something else does."""
        offset = self.question.offset
        left, right = self.question.text[:offset], self.question.text[offset:]
        found = [
            (one, len(text) - offset - len(tail))
            for one in self.answer.suggestions
            for tail in {right, right[one.covers :]}
            if len(text) >= offset + len(tail)
            and text.endswith(tail)
            and one.text.startswith(text[offset : len(text) - len(tail)])
        ]
        return max(found, key=lambda standing: standing[1], default=None) if text.startswith(left) else None

    def likely_next(self) -> Question:
        """The next line, after the suggestion was accepted."""
        from incoder_lsp.context import next_line

        asked, text, offset = self.question, self.question.text, self.question.offset
        if suggestion := self.answer.best:
            text = text[:offset] + suggestion.text + text[offset + suggestion.covers :]
            offset += len(suggestion.text)
        text, offset = next_line(text, offset, asked.eol)
        return anchored(replace(asked, text=text, offset=offset), asked)

    def _rest(self, one: Suggestion, later: Question) -> Suggestion | None:
        typed = later.text[self.question.offset : later.offset]
        covers = self._covers(one, later)
        if covers is None or not one.text.startswith(typed) or one.text == typed:
            return None
        return replace(one, text=one.text[len(typed) :], covers=covers)

    def _covers(self, one: Suggestion, later: Question) -> int | None:
        """How much of what is right of the cursor the rest of a suggestion stands in for; None where that has changed.

        Covered closers may have been typed through, and what was opened may have got its closer from the editor.
        """
        from incoder_lsp.context import CLOSERS

        before, now = self.question.text[self.question.offset :], later.text[later.offset :]
        gone = len(before) - len(now)
        if 0 <= gone <= one.covers and before[gone:] == now:
            return one.covers - gone
        line = one.text[later.offset - self.question.offset :].splitlines()[:1]
        if gone == -1 and now[1:] == before and now[0] in CLOSERS and line and now[0] in line[0]:
            return one.covers + 1
        return None


def anchored(question: Question, earlier: Question | None) -> Question:
    """With the anchor of the `earlier` question about the same document, if it still holds, and with its neighbours."""
    from incoder_lsp.context import anchor_at, keeps_anchor, same_place

    text, offset, anchor = question.text, question.offset, earlier and earlier.anchor
    if earlier is None or anchor is None or not keeps_anchor(anchor, (earlier.text, earlier.offset), text, offset):
        anchor = anchor_at(text, offset)
    choice = question.choice
    if (
        choice
        and earlier
        and earlier.choice
        and same_place(earlier.choice.at, (earlier.text, earlier.offset), text, offset)
    ):
        choice = earlier.choice
    return replace(question, anchor=anchor, choice=choice)
