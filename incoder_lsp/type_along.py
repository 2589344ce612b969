"""What was answered last about a document, and for how long it holds: what the user types of a suggestion costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from incoder_lsp.question import Answer, Question


@dataclass(frozen=True)
class Known:
    """A question and its answer, which holds for as long as only the beginning of a suggestion is typed."""

    question: Question
    answer: Answer

    def rest(self, later: Question) -> Answer | None:
        """What is left of the answer for a later question; None where the model must be asked again."""
        earlier, typed = self.question, self._typed(later)
        if later.offset < earlier.offset or later.invoked > earlier.invoked or later.cells != earlier.cells:
            return None
        if later.text != earlier.text[: earlier.offset] + typed + earlier.text[earlier.offset :]:
            return None
        if not typed:
            return self.answer
        going_on = [one for one in self.answer.suggestions if one.text.startswith(typed) and one.text != typed]
        rests = tuple(replace(one, text=one.text[len(typed) :]) for one in going_on)
        return Answer(rests) if rests else None

    def likely_next(self) -> Question:
        """The next line, after the suggestion was accepted."""
        from incoder_lsp.context import next_line

        asked, text, offset = self.question, self.question.text, self.question.offset
        if suggestion := self.answer.best:
            text = text[:offset] + suggestion.text + text[offset + suggestion.covers :]
            offset += len(suggestion.text)
        text, offset = next_line(text, offset, asked.eol)
        return anchored(replace(asked, text=text, offset=offset), asked)

    def _typed(self, later: Question) -> str:
        return later.text[self.question.offset : later.offset]


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
