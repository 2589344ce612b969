"""Where the holes of a file are: what is selected, and what people write where code is still to come.

| placeholder | where |
|---|---|
| `<mask>` | anywhere, but in files with a `</mask>`, where it is a tag |
| `...` | as a statement of a function, or as all that is assigned or returned |
| `# TODO ...` | at the end of a block, or over (or behind) `pass`, `...`, `raise NotImplementedError` |

A comment stays, and what it asks for stands below. `...` is no hole where it means what it says: in stubs, protocols,
overloads, abstract methods, bodies of classes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from incoder_lsp.actions.source import MASK, Definition, Range, Source

LONGEST_SELECTION = 2_000  # characters that a fill may stand in for

_DOTS = re.compile(r"^[ \t]*(\.\.\.)[ \t]*;?[ \t]*$|(?:=|\breturn)[ \t]+(\.\.\.)(?=[ \t]*;?[ \t]*$)", re.MULTILINE)
_TODO = re.compile(r"^([ \t]*)((?:pass|\.\.\.)[ \t]+)?((?:#|//)[ \t]*TODO\b.*)$", re.MULTILINE)
_COMMENT = re.compile(r"[ \t]*(?:#|//)")
_NOTHING = re.compile(r"(?:pass|\.\.\.|raise NotImplementedError(?:\(.*\))?)[ \t]*$")
_HEAD = re.compile(r"[ \t]*(?:[\w ]*\b(?:def|function|func|fn|fun)\b.*|.*=>[ \t]*\{[ \t]*)$")
_LEGITIMATE = {"overload", "abstractmethod", "Protocol"}  # decorators and bases under which `...` means what it says


@dataclass(frozen=True)
class Hole:
    """What is replaced, and what stays in front of the text that goes in."""

    start: int
    end: int
    block: bool  # it stands alone on its line, so it may become several
    before: str = ""


def selected(source: Source, start: int, end: int) -> Hole | None:
    """A selection or a cursor as a hole: indentation before it and a line end behind it stay. None where it is too long."""
    chosen = source.text[start:end]
    if len(chosen) > LONGEST_SELECTION:
        return None
    if chosen.strip():
        start += len(chosen) - len(chosen.lstrip())
        end -= len(chosen) - len(chosen.rstrip())
    return Hole(start, end, _alone(source, start, end))


def placeholders(source: Source, within: Range) -> list[Hole]:
    """In order, none inside another."""
    found: list[Hole] = []
    for hole in (*_todos(source), *_masks(source), *_dots(source)):  # of two for one place, the first
        fits = within[0] <= hole.start and hole.end <= within[1]
        if fits and all(hole.end <= other.start or other.end <= hole.start for other in found):
            found.append(hole)
    return sorted(found, key=lambda hole: hole.start)


def function_around(source: Source, offset: int) -> Range | None:
    """The lines of the function at `offset`. Where there is no tree, those of a line that looks like a head and what is
    indented under it."""
    if source.tree is not None:
        function = source.function_at(offset)
        return function.range if function else None
    at = source.line_of(offset)
    depth = _depth(source.line(at)) if source.line(at).strip() else 1_000
    for head in range(at, -1, -1):
        line = source.line(head)
        if _HEAD.match(line) and (head == at or _depth(line) < depth):
            last = head
            while last + 1 < len(source.starts) and (
                not source.line(last + 1).strip() or _depth(source.line(last + 1)) > _depth(line)
            ):
                last += 1
            return source.starts[head], source.starts[last] + len(source.line(last))
        if line.strip():
            depth = min(depth, _depth(line))
    return None


def _masks(source: Source) -> Iterator[Hole]:
    if "</mask>" not in source.text:
        for found in re.finditer(MASK, source.text):
            yield Hole(found.start(), found.end(), _alone(source, found.start(), found.end()))


def _dots(source: Source) -> Iterator[Hole]:
    if source.path.endswith(".pyi"):
        return
    written = (found.span(found.lastindex or 0) for found in _DOTS.finditer(source.text))
    ranges = (
        _ellipses(source) if source.tree is not None else (one for one in written if not _in_string(source, one[0]))
    )
    for start, end in ranges:
        yield Hole(start, end, _alone(source, start, end))


def _ellipses(source: Source) -> list[Range]:
    """Where `...` is a statement of a function or of no class, or all of a value."""
    assert source.tree is not None
    found: list[Range] = []
    todo: list[tuple[ast.AST, bool]] = [(source.tree, True)]  # a node, and whether its own statements may be holes
    while todo:
        node, open_ = todo.pop()
        if isinstance(node, ast.ClassDef):
            open_ = False
            if _LEGITIMATE & _called(node.bases):
                continue
        elif isinstance(node, Definition):
            open_ = True
            if _LEGITIMATE & _called(node.decorator_list):
                continue
        elif open_ and isinstance(node, ast.Expr | ast.Assign | ast.Return | ast.AnnAssign):
            value = node.value
            if isinstance(value, ast.Constant) and value.value is ...:
                found.append(source.range(value))
        todo += [(child, open_) for child in ast.iter_child_nodes(node)]
    return sorted(found)


def _called(expressions: list[ast.expr]) -> set[str]:
    """The last words of dotted names: `typing.overload` is called overload."""
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for expression in expressions
        for node in ast.walk(expression)
        if isinstance(node, ast.Name | ast.Attribute)
    }


def _todos(source: Source) -> Iterator[Hole]:
    for found in _TODO.finditer(source.text):
        if _in_string(source, found.start()):
            continue
        indent, statement, comment = found.groups()
        if statement:
            yield Hole(found.start(2), found.end(), block=True, before=f"{comment}\n{indent}")
            continue
        last = source.line_of(found.start())
        while _COMMENT.match(line := source.line(last + 1)) and _depth(line) == _depth(indent):
            last += 1  # the comment goes on
        if source.text.count("TODO", found.end(), source.starts[last] + len(source.line(last))):
            continue  # of several in one comment, the last
        below = next((n for n in range(last + 1, len(source.starts)) if source.line(n).strip()), None)
        line = source.line(below) if below is not None else ""
        if below is not None and _depth(line) == _depth(indent) and _NOTHING.match(line.strip()):
            start = source.starts[below] + len(indent)
            yield Hole(start, start + len(line.strip()), block=True)
        elif _depth(line) < _depth(indent) or below is None:
            end = source.starts[last] + len(source.line(last))
            yield Hole(end, end, block=True, before=f"\n{indent}")


def _in_string(source: Source, offset: int) -> bool:
    """Inside one of Python's long strings, where examples have dots and comments."""
    return source.python and any(start < offset < end for start, end in source.long_strings)


def _alone(source: Source, start: int, end: int) -> bool:
    first, last = source.line_of(start), source.line_of(end)
    left = source.text[source.starts[first] : start]
    right = source.text[end : source.starts[last] + len(source.line(last))]
    return not left.strip() and not right.strip().rstrip(";")


def _depth(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())
