"""Where a function's own variables stand in its text."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from incoder_model.python_names import bound, bound_otherwise, outside
from incoder_train.evaluate.cutting import Definition, Function, Range


def variables(function: Function) -> dict[str, list[Range]]:
    """The places of each parameter and local variable, in order, by name.

    Left out is what cannot be renamed by its name alone: what is bound otherwise than as a parameter or by assignment (an
    import, `except ... as`, a pattern, `global`), what a function, class or comprehension inside binds too, and names
    that mean something outside of the function in its decorators, defaults or hints. Left out as well is what stands in an
    f-string: the places that `ast` gives there depend on Python's version.
    """
    text, node = function.file.text, function.node
    own, inner = bound(node)
    renamable = own - inner - bound_otherwise(node) - _outer(node) - _formatted(node)
    places: dict[str, list[Range]] = defaultdict(list)
    for part in ast.walk(node):
        if not isinstance(part, ast.Name | ast.arg):
            continue
        name = part.id if isinstance(part, ast.Name) else part.arg
        if name in renamable:
            start = function.file.range(part)[0]
            places[name].append((start, start + len(name)))
    # An identifier can be spelled otherwise than it is called: Python reads the ligature of "fi" as two letters.
    return {name: sorted(ranges) for name, ranges in places.items() if all(text[slice(*one)] == name for one in ranges)}


def _outer(node: Definition) -> set[str]:
    """Names that are looked up where the function is defined."""
    return {name for part in outside(node) for name in _names(part)}


def _formatted(node: Definition) -> set[str]:
    return {name for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for name in _names(part)}


def _names(tree: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(tree) if isinstance(part, ast.Name))
