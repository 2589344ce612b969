"""Whether a server has the text that its client has, which nobody can look at from outside.

A question is typed into the edited document, and the answer compared with the one for a document that is opened anew with
the same text: where the copies differ near the cursor, so do the answers. A model may give other words to the same text, where
two were equally likely and its sums were rounded in another order; so only the beginnings of answers are compared, and those that
differ are asked for elsewhere again. A copy that is wrong stays wrong.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from incoder_lsp.conformance.outcome import Failed, NotApplicable
from incoder_lsp.conformance.session import Document

QUESTIONS = ("\nvalue = json.", "\nfor item in ", "\nbox = Box(", "\nreturn self.", "\nimport ma")
COMPARED = 24  # characters of a suggestion
TRIES = 3  # in a row, before answers that differ are a copy that does

Pair = tuple[list[str], list[str]]  # what is suggested in the edited document, and in a new one


async def compare(document: Document, rng: random.Random) -> bool:
    """Type a question somewhere and compare; True if something was suggested. Raises Failed where the suggestions differ, TRIES
    times in a row, and NotApplicable where those for two new documents with the same text do."""
    here, anew = await first_alike(lambda _: _ask(document, rng))
    if here != anew:
        edits = document.version - 1
        raise Failed(f"With {document.session.encoding}, after {edits} edits, it suggests {told(here, anew)}")
    return bool(here)


async def first_alike(ask: Callable[[int], Awaitable[Pair]]) -> Pair:
    """The first of TRIES pairs, asked by number, that are equal; the last where none are."""
    pair = await ask(0)
    for number in range(1, TRIES):
        if pair[0] == pair[1]:
            break
        pair = await ask(number)
    return pair


async def _ask(document: Document, rng: random.Random) -> Pair:
    """The answers in the edited document and in a new one."""
    text = document.text
    offset = rng.choice([i for i in range(len(text) + 1) if _ends_line(text, i)])
    question = rng.choice(QUESTIONS)
    document.edit(offset, offset, question)
    offset += len(question)
    here = await suggested(document, offset)
    anew = await suggested(twin := document.session.open(document.text), offset)
    again = await suggested(third := document.session.open(document.text), offset)
    twin.close()
    third.close()
    if anew != again:
        raise NotApplicable("Its answers to the same text differ, so that nothing can be compared")
    return here, anew


def _ends_line(text: str, offset: int) -> bool:
    """A place where the content of a line ends; never between \\r and \\n."""
    return offset == len(text) or (text[offset] in "\r\n" and text[max(0, offset - 1) : offset + 1] != "\r\n")


async def suggested(document: Document, offset: int) -> list[str]:
    """The beginning of the first one: others may be drawn, as many as there is time for."""
    return [document.applied(item, offset)[offset:][:COMPARED] for item in (await document.suggest(offset))[:1]]


def told(here: list[str], anew: list[str]) -> str:
    return f"{_short(here)}, and in a new document with the same text {_short(anew)}"


def _short(suggested: list[str]) -> str:
    return repr(suggested[0]) if suggested else "nothing"
