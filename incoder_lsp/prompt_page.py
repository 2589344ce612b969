"""What the prompt viewer shows, as Markdown: a Record with its time comes in, a text goes out.

All text of files, and what the model says, stands between fences that are longer than any run of backticks in it, so that it
stays what it is.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incoder_lsp.infiller import own_model
from incoder_lsp.reasons import reason_of

if TYPE_CHECKING:
    from incoder_lsp.context import Situation
    from incoder_lsp.filters.suggestion import Drop, Suggestion
    from incoder_lsp.infiller import Infiller
    from incoder_lsp.page import Record
    from incoder_lsp.question import Thought
    from incoder_model.infill import Infill, InfillRequest

NOTHING_YET = "# The last prompt\n\nNothing was asked yet.\n"


@dataclass(frozen=True)
class Heard:
    when: float  # seconds since 1970
    record: Record


@dataclass(frozen=True)
class Piece:
    """A part of the prompt, as far as there was room for it. size: in tokens, or in characters."""

    name: str
    text: str
    size: int
    unit: str


def pieces_of(model: Infiller | None, request: InfillRequest) -> list[Piece]:
    """For the worker's thread. Without a model of our own only the request is known, not what was left of it."""
    from incoder_model import infill

    own = own_model(model)
    if own is None:
        neighbours = "\n".join(one.text for one in request.neighbours)
        parts = (neighbours, request.header, request.left, request.right, request.typed)
        return [Piece(name, text, len(text), "characters") for name, text in zip(NAMES, parts, strict=True)]
    request = infill.typed_line(own, request)
    found, tokenizer = infill.pieces_of(own, request), own.tokenizer
    tokens = (found.neighbours, found.header, found.left, found.right, tokenizer.encode(request.typed))
    return [Piece(name, tokenizer.decode(part), len(part), "tokens") for name, part in zip(NAMES, tokens, strict=True)]


NAMES = ("Other files", "Header", "Left of the cursor", "Right of the cursor", "Typed since")


def page_of(last: Heard | None, asked: Heard | None, pieces: list[Piece]) -> str:
    """asked: the last question for which the model was asked, which is not always the last one."""
    if last is None:
        return NOTHING_YET
    parts = ["# The last prompt", *_question(last)]
    if asked and (thought := asked.record.answer.thought):
        if asked is not last:
            parts += ["## When the model was asked last", *_question(asked)]
        parts += ["## Prompt", _cost(thought), _sizes(pieces)]
        parts += [part for piece in pieces if piece.text for part in (f"### {piece.name}", fenced(piece.text))]
        for number, said in enumerate(thought.said, 1):
            which = f" ({number} of {len(thought.said)})" if len(thought.said) > 1 else ""
            parts += [f"## What the model said{which}", *_said(said), f"### Filters{which}"]
            parts += [fenced("\n".join(_decisions(said, thought.situation)))]
    return "\n\n".join(parts) + "\n"


def fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def inline(text: str) -> str:
    """On a line of Markdown."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks} {' '.join(text.split())} {ticks}"


def _question(heard: Heard) -> Iterator[str]:
    question, answer = heard.record.question, heard.record.answer
    before = question.text[: question.offset]
    line, column = before.count("\n") + 1, question.offset - before.rfind("\n")
    yield "\n".join(
        [
            f"- When: {time.strftime('%H:%M:%S', time.localtime(heard.when))}, {heard.record.milliseconds:.0f} ms",
            f"- Where: {inline(question.place or question.path)}, line {line}, column {column}",
            f"- Why: {'it was asked for' if question.invoked else 'a key was pressed'}",
            *(["- From: an earlier answer"] if heard.record.from_cache else []),
            *(["- From: the model"] if answer.thought else []),
        ]
    )
    if not answer.suggestions:
        yield f"Nothing was suggested. {reason_of(answer.why).message}"
    for one in answer.suggestions:
        covers = f", in the place of the {one.covers} characters after the cursor" if one.covers else ""
        yield f"Suggested{covers}:"
        yield fenced(one.text)


def _cost(thought: Thought) -> str:
    took = f"The model took {thought.milliseconds:.0f} ms"
    if thought.evaluated is None:
        return f"{took}; what that has cost, only the server knows that completed."
    return f"{took}: {thought.evaluated} tokens went through it, {thought.reused} were in its cache."


def _sizes(pieces: list[Piece]) -> str:
    unit = pieces[0].unit if pieces else "tokens"
    rows = [(piece.name, piece.size) for piece in pieces]
    rows.append(("Together", sum(size for _, size in rows)))
    table = [
        f"| Piece | {unit[:1].upper()}{unit[1:]} |",
        "|---|---:|",
        *(f"| {name} | {size} |" for name, size in rows),
    ]
    return "\n".join(table)


def _said(said: Infill) -> Iterator[str]:
    yield fenced(said.text)
    whole = f", {100 * math.exp(said.log_probability):.2g}% likely as a whole" if said.chances else ""
    yield f"{said.tokens} tokens{whole}; it ended by: {said.stopped}."
    if said.chances:
        start, lines = 0, []
        for end, chance in said.chances:
            lines.append(f"{math.exp(chance):7.1%}  {json.dumps(said.text[max(0, start) : end], ensure_ascii=False)}")
            start = end
        yield fenced("\n".join(lines))


def _decisions(said: Infill, situation: Situation) -> Iterator[str]:
    """What each filter did: a line for each, and what it left where that has changed."""
    from incoder_lsp.filters import Drop, steps

    before: Suggestion | Drop | None = None
    for name, after in steps(said, situation):
        if isinstance(after, Drop):
            yield f"{name}: dropped, {after.reason}"
        elif before is None:
            same = after.text == said.text
            yield f"{name}: {'as it was' if same else json.dumps(after.text, ensure_ascii=False)}"
        elif after == before:
            yield f"{name}: as it was"
        else:
            covers = f", covers {after.covers}" if after.covers else ""
            yield f"{name}: {json.dumps(after.text, ensure_ascii=False)}{covers}"
        before = after
