"""The variable at a cursor: a Python file and a place come in, all places of the function's variable there go out, or why not.

Renamed can be parameters and variables of a function that it binds by assignment alone. Not renamed is what has a second meaning
by its name: what something inside the function binds as well, what is imported, caught, global, used in a default, a decorator or
a hint, named in an f-string where Python does not say where that stands, passed by callers by its name.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from dataclasses import dataclass
from keyword import iskeyword

from incoder_lsp.actions.source import Definition, Function, Range, Source
from incoder_model.python_names import bound, bound_otherwise, outside

WORD = re.compile(r"[^\W\d]\w*")

_PLACES_IN_STRINGS = sys.version_info >= (3, 12)
_BY_NAME = {"eval", "exec", "globals", "locals", "vars"}  # may look a variable up


@dataclass(frozen=True)
class Variable:
    name: str
    function: Function
    places: tuple[Range, ...]
    taken: frozenset[str]  # names that would collide with something, or hide it


def variable_at(source: Source, offset: int) -> Variable | None:
    """None where there is none, or none that can be renamed for sure."""
    word = next(
        (found for found in WORD.finditer(*_line_around(source, offset)) if found.start() <= offset <= found.end()),
        None,
    )
    if word is None or iskeyword(word.group()) or source.tree is None:
        return None
    name = word.group()
    around = [one for one in source.functions if one.range[0] <= offset <= one.range[1]]
    for function in reversed(around):
        own, inner = bound(function.node)
        if name not in own:
            if name in inner:
                return None
            continue
        if name in inner | bound_otherwise(function.node) | _outer(function.node) or name in ("self", "cls"):
            return None
        if _is_of_interface(source, function, name) or _used(function.node) & _BY_NAME:
            return None
        places = _places(source, function, name)
        return (
            Variable(name, function, places, _taken(source, function, name))
            if places and word.span() in places
            else None
        )
    return None


def _line_around(source: Source, offset: int) -> tuple[str, int, int]:
    number = source.line_of(offset)
    return source.text, source.starts[number], source.starts[number] + len(source.line(number))


def _places(source: Source, function: Function, name: str) -> tuple[Range, ...]:
    """None at all where one of them cannot be told."""
    if not _PLACES_IN_STRINGS and name in _formatted(function.node):
        return ()
    found = []
    for part in ast.walk(function.node):
        if (isinstance(part, ast.Name) and part.id == name) or (isinstance(part, ast.arg) and part.arg == name):
            start = source.range(part)[0]
            found.append((start, start + len(name)))
    # An identifier can be spelled otherwise than it is called: Python reads the ligature of "fi" as two letters.
    return tuple(sorted(found)) if all(source.text[slice(*one)] == name for one in found) else ()


def _taken(source: Source, function: Function, name: str) -> frozenset[str]:
    assert source.tree is not None
    names = set(dir(builtins)) | {"_", "match", "case", "type", "self", "cls"}
    names |= _used(function.node) | bound_otherwise(function.node)
    for outer in (source.tree, *(parent for parent in function.parents if isinstance(parent, Definition))):
        names |= _used(outer) | bound_otherwise(outer)
    return frozenset(names - {name})


def _is_of_interface(source: Source, function: Function, name: str) -> bool:
    """A parameter that somebody may pass by its name, in this file or another."""
    arguments = function.node.args
    if name not in {part.arg for part in ast.walk(arguments) if isinstance(part, ast.arg)}:
        return False
    if any(part.arg == name for part in (*arguments.posonlyargs, arguments.vararg, arguments.kwarg) if part):
        return False
    assert source.tree is not None
    passed = {part.arg for part in ast.walk(source.tree) if isinstance(part, ast.keyword)}
    private = function.nested or (function.node.name.startswith("_") and not function.node.name.endswith("__"))
    return not private or name in passed or None in passed


def _outer(node: Definition) -> set[str]:
    """Names that are looked up where the function is defined."""
    return {name for part in outside(node) for name in _used(part)}


def _formatted(node: Definition) -> set[str]:
    return {name for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for name in _used(part)}


def _used(tree: ast.AST) -> set[str]:
    """Every name in it, parameters and those passed by name included."""
    names = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
    return names | {part.arg for part in ast.walk(tree) if isinstance(part, ast.arg | ast.keyword) and part.arg}
