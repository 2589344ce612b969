"""What is known of one open document: its last answers, its edits, and what the last question came to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from incoder_lsp.edits import History
from incoder_lsp.question import Answer, Question
from incoder_lsp.type_along import Known
from incoder_lsp.when import SUBTLE

REMEMBERED = 8  # answers


@dataclass(frozen=True)
class Record:
    """A question and what it came to, for those who ask why."""

    question: Question
    answer: Answer
    from_cache: bool
    milliseconds: float


@dataclass
class Page:
    known: deque[Known] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # the newest is the last
    history: History = field(default_factory=History)
    last: Record | None = None

    def recall(self, question: Question) -> tuple[Known, Answer] | None:
        """The newest answer that still holds for a question, and what is left of it. One that was hidden comes out when the
        user asks."""
        for place in reversed(range(len(self.known))):
            known = self.known[place]
            if answer := known.rest(question):
                if known.hidden and question.invoked:
                    self.known[place] = known = replace(known, hidden=False)
                return known, Answer(why=SUBTLE) if known.hidden else answer
        return None
