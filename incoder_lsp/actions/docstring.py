"""A docstring from the body of a Python function, written as the nearest one of the file is: its quotes, its lines, its full stop.

What is no sentence is not written. What follows the summary is written only where the nearest docstring has several lines, too,
and only if it names no parameter that the function has not.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incoder_lsp.actions.action import Action, Edit, Offer, Outcome, Stop, View, applied
from incoder_lsp.actions.annotation import is_stub
from incoder_lsp.actions.judge import situation
from incoder_lsp.actions.source import Definition, Function, Source
from incoder_lsp.filters import Drop, Suggestion
from incoder_lsp.filters.repetition import drop_circles

if TYPE_CHECKING:
    from incoder_model.infill import Model

LONGEST = 110  # characters of a summary
WORDS = 3  # of a summary, at least
CODE = set("=[]{}<>|;@$")  # where these are, is no sentence

_QUOTES = re.compile(r"[rR]?(\"\"\"|'''|\"|')")
_PARAMETER = re.compile(
    r"^[ \t]*(?:(?::param|@param)(?:[ \t]+\w+)??[ \t]+(\w+)|\*{0,2}([a-z_]\w*)(?:[ \t]*\([^)]*\))?[ \t]*:)",
    re.MULTILINE,
)
_SECTION = {
    "args",
    "arguments",
    "attributes",
    "example",
    "examples",
    "note",
    "notes",
    "parameters",
    "raises",
    "returns",
    "yields",
}


@dataclass(frozen=True)
class Style:
    """How docstrings of a file look."""

    quotes: str = '"""'
    several: bool = False  # lines
    below: bool = False  # the text begins on the line under the opening quotes
    full_stop: bool = True


def offers(view: View) -> Sequence[Offer]:
    function = view.source.function_at(view.ranges[0][0])
    wanted = function is not None and place_of(view.source, function) is not None
    return [Offer("Write a docstring", "function")] if wanted else []


def perform(model: Model, view: View, scope: str, stop: Stop) -> Outcome:
    function = view.source.function_at(view.ranges[0][0])
    if function is None or place_of(view.source, function) is None:
        return Outcome((), "Here is no function that wants a docstring.", complete=False)
    return said_of(model, view, function, style_near(view.source, function), stop)


def said_of(model: Model, view: View, function: Function, style: Style, stop: Stop) -> Outcome:
    """What the model says of a function that has a place for it: whole lines at that place, or none. Raises Stopped."""
    from incoder_model.engine import Stopped
    from incoder_model.infill import InfillRequest, infill

    at, indent = place_of(view.source, function), indent_of(view.source, function)
    assert at is not None
    left, right, opening = view.text[:at], view.text[at:], f"{indent}{style.quotes}"
    if style.below:
        left, opening = f"{left}{opening}\n", indent
    most = min(view.settings.max_tokens, model.context // 4)
    request = InfillRequest(left, f"\n{right}", view.header, opening, one_line=not style.several, max_tokens=most)
    said = infill(model, request, stop)
    if said.stopped == "cancelled":
        raise Stopped
    whole = style.quotes in said.text or said.stopped in ("end-of-mask", "line")
    words = judged(said.text.partition(style.quotes)[0], whole, style, function.node)
    if words is None or isinstance(drop_circles(Suggestion(words), situation(left, right, view.source.path)), Drop):
        return Outcome((), "The model has found no sentence for this function.", complete=False)
    edit = Edit(at, at, written(words, style, indent), "Docstring")
    if not is_nothing_but(view.source, function, edit, words):
        return Outcome((), "The model's sentence would change the program.", complete=False)
    return Outcome((edit,), "A docstring was written; read it before you trust it.")


def place_of(source: Source, function: Function) -> int | None:
    """Where its docstring would begin: the line under the signature. None where it has one, or nothing to tell of."""
    node = function.node
    signature = source.signature_end(node)
    if ast.get_docstring(node, clean=False) is not None or is_stub(node) or signature is None:
        return None
    last = source.line_of(signature[1])
    return source.starts[last + 1] if node.body[0].lineno > last + 1 else None


def style_near(source: Source, function: Function) -> Style:
    """Of the docstring whose owner begins nearest; of functions and classes rather than of the module."""
    assert source.tree is not None
    owners = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, Definition | ast.ClassDef) and ast.get_docstring(node)
    ]
    owners.sort(key=lambda node: abs(node.lineno - function.node.lineno))
    nearest = next(iter(owners), source.tree if ast.get_docstring(source.tree) else None)
    if nearest is None:
        return Style()
    text = source.text[slice(*source.range(nearest.body[0]))]
    opening = _QUOTES.match(text)
    if opening is None or len(opening[1]) == 1:
        return Style()
    inside = text[opening.end() : -3]
    summary = inside.strip().partition("\n")[0].rstrip()
    return Style(opening[1], "\n" in inside.strip(), inside[:1] == "\n", summary.endswith("."))


def judged(said: str, whole: bool, style: Style, node: Definition) -> str | None:
    """The words of a docstring, lines as `inspect.cleandoc` has them. `whole`: the model has come to its end."""
    if "\\" in said or "\t" in said.strip():
        return None
    summary, _, rest = inspect.cleandoc(said).strip().partition("\n")
    letters = sum(character.isalpha() or character in " ,.'-" for character in summary)
    if not (whole or rest) or len(summary) > LONGEST or len(summary.split()) < WORDS or letters < 0.85 * len(summary):
        return None
    if not summary[0].isalpha() or summary.endswith(('"', "'")) or CODE & set(summary):
        return None
    if style.full_stop and summary[-1].isalpha():
        summary += "."
    arguments = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
    named = {a or b for a, b in _PARAMETER.findall(rest)} - _SECTION
    keep = style.several and whole and rest.strip() and named <= arguments
    return f"{summary}\n{rest.rstrip()}" if keep else summary


def written(words: str, style: Style, indent: str) -> str:
    """The whole lines that go under the signature."""
    lines = [f"{indent}{line}" if line.strip() else "" for line in words.split("\n")]
    if style.below:
        lines = [f"{indent}{style.quotes}", *lines, f"{indent}{style.quotes}"]
    elif len(lines) > 1:
        lines = [f"{indent}{style.quotes}{lines[0].lstrip()}", *lines[1:], f"{indent}{style.quotes}"]
    else:
        lines = [f"{indent}{style.quotes}{lines[0].lstrip()}{style.quotes}"]
    return "".join(f"{line}\n" for line in lines)


def is_nothing_but(source: Source, function: Function, edit: Edit, words: str) -> bool:
    """With the edit the file is the same program, but for this function's docstring, which has these words."""
    new = Source(applied(source.text, [edit]), source.path)
    number = source.functions.index(function)
    if new.tree is None or source.tree is None or len(new.functions) != len(source.functions):
        return False
    node = new.functions[number].node
    if ast.get_docstring(node) != words:
        return False
    del node.body[0]
    return ast.dump(new.tree) == ast.dump(source.tree)


def indent_of(source: Source, function: Function) -> str:
    line = source.line(function.node.body[0].lineno - 1)
    return line[: len(line) - len(line.lstrip())]


ACTION = Action("docstring", offers, perform)
