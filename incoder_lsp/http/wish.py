"""What a request over HTTP asks for, whichever API it came by: a Wish; and where an answer to it ends: `cut` and `settled`.

The hole is anchored as the editor's are (see `context`): what stands in the cursor's line before it is forced onto the answer.
So wherever a client cuts the text, the model reads what it was trained on, and a line that is typed costs its new tokens.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from incoder_lsp.http import fields
from incoder_model.infill import InfillRequest, typed_part
from incoder_model.metadata import file_attributes, header
from incoder_model.sampling import Sampling

DEFAULT_TOKENS = 128
LONGEST_HEADER = 1000  # characters
UNKNOWN_FILE = header({})  # the metadata line of a text of which nothing is told

_LINE_END = re.compile(r"\r\n|\r|\n")

Reason = Literal["eos", "word", "limit"]  # the answer is complete; a stop string came; tokens or time are used up


@dataclass(frozen=True)
class Wish:
    request: InfillRequest
    stops: tuple[str, ...] = ()  # the answer ends before the first of them
    milliseconds: float = 0.0  # for the tokens after the first, counted where a line is finished; 0 is no limit
    indent: int = 0  # the answer ends before a line, other than its first, with less white space in front


@dataclass(frozen=True)
class Cut:
    text: str
    reason: Reason
    word: str = ""  # the stop string


def wish(
    body: Mapping[str, Any], left: str, right: str, tokens: int, context: int, extras: Sequence[Mapping[str, str]] = ()
) -> Wish:
    """The fields that both APIs share, around a hole between `left` and `right`. Raises Problem.

    A header and extras are for the models of this project: metadata lines, and pieces of other files in front.
    """
    left, right = _LINE_END.sub("\n", left), _LINE_END.sub("\n", right)
    told = fields.read(body, "header", fields.TEXT, UNKNOWN_FILE)[:LONGEST_HEADER]
    if front := _front(extras, context):
        left, told = f"{front}{told}{left}", ""
    typed = typed_part(left[left.rfind("\n") + 1 :])
    stops = fields.stops(body)
    seed = fields.read(body, "seed", fields.SEED, -1)
    request = InfillRequest(
        left=left[: len(left) - len(typed)],
        right=right,
        header=told,
        typed=typed,
        one_line="\n" in stops,
        max_tokens=max(1, min(tokens, context // 2)),
        sampling=Sampling(
            fields.read(body, "temperature", fields.TEMPERATURE, 0.0),
            fields.read(body, "top_p", fields.SHARE, 0.95),
            secrets.randbits(32) if seed < 0 else seed,
        ),
    )
    return Wish(
        request,
        tuple(stop for stop in stops if stop != "\n"),
        fields.read(body, "t_max_predict_ms", fields.MILLISECONDS, 0.0),
        fields.read(body, "n_indent", fields.whole(0), 0),
    )


def cut(text: str, wish: Wish, milliseconds: float = 0.0) -> Cut | None:
    """Where `text`, said so far, ends; None where it may go on. The end that was to be seen first counts, whatever its reason:
    so it does not matter in how many pieces the text comes."""
    ends = [(at + len(stop), Cut(text[:at], "word", stop)) for stop in wish.stops if (at := text.find(stop)) >= 0]
    if wish.indent and (outdented := _outdented(text, wish.indent)):
        seen, at = outdented
        ends.append((seen, Cut(text[:at], "limit")))
    if ends:
        return min(ends, key=lambda end: end[0])[1]
    late = wish.milliseconds and milliseconds > wish.milliseconds and "\n" in text
    return Cut(text, "limit") if late else None


def settled(text: str, wish: Wish) -> str:
    """What of `text` will stay, whatever comes: not the beginning of a stop string, nor a line that may be cut off."""
    held = max((_shared(text, stop) for stop in wish.stops), default=0)
    text = text[: len(text) - held]
    last = text.rfind("\n")
    return text[:last] if wish.indent and last >= 0 and not text[last:].strip() else text


def _outdented(text: str, indent: int) -> tuple[int, int] | None:
    """Where the first line with less than `indent` shows that it is one, and where the line end before it stands."""
    at = text.find("\n")
    while at >= 0:
        line_end = text.find("\n", at + 1)
        line = text[at + 1 :] if line_end < 0 else text[at + 1 : line_end]
        if line.strip() and (spaces := len(line) - len(line.lstrip())) < indent:
            return at + 1 + spaces + 1, at
        at = line_end
    return None


def _shared(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def _front(extras: Sequence[Mapping[str, str]], context: int) -> str:
    """Pieces of other files as training shows them: each under its metadata line, about a quarter of the window together.

    Clients send the freshest piece last. It is kept at the cost of older ones, and of a long piece its first lines.
    """
    room = context  # characters; a token has about four
    pieces: list[str] = []
    for extra in reversed(extras):
        piece = header(file_attributes(extra.get("filename") or "")) if extra.get("filename") else UNKNOWN_FILE
        for line in _LINE_END.sub("\n", extra["text"]).splitlines(keepends=True):
            if len(piece) + len(line) > room:
                break
            piece += line if line.endswith("\n") else f"{line}\n"
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
    return "".join(reversed(pieces))
