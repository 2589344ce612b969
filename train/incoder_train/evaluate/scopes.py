"""Where a function's own variables stand in its text."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from incoder_train.evaluate.cutting import Definition, Function, Range

INNER = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def variables(function: Function) -> dict[str, list[Range]]:
    """The places of each parameter and local variable, in order, by name.

    Left out is what cannot be renamed by its name alone: what is bound otherwise than as a parameter or by assignment (an
    import, `except ... as`, a pattern, `global`), what a function, class or comprehension inside binds too, and names
    that mean something outside of the function in its decorators, defaults or hints. Left out as well is what stands in an
    f-string: the places that `ast` gives there depend on Python's version.
    """
    text, node = function.file.text, function.node
    own, inner = _bound(node)
    renamable = own - inner - _bound_otherwise(node) - _outer(node) - _formatted(node)
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


def _bound(node: Definition) -> tuple[set[str], set[str]]:
    """Names that are parameters of the function or assigned in it, and the same for what is inside it."""
    own = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
    inner: set[str] = set()
    todo: list[tuple[ast.AST, set[str]]] = [(statement, own) for statement in node.body]
    while todo:
        part, names = todo.pop()
        if isinstance(part, INNER):
            names = inner
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, ast.arg):
            names.add(part.arg)
        todo += [(child, names) for child in ast.iter_child_nodes(part)]
    return own, inner


def _bound_otherwise(node: Definition) -> set[str]:
    names: set[str | None] = set()
    for part in ast.walk(node):
        match part:
            case ast.Global(names=listed) | ast.Nonlocal(names=listed):
                names.update(listed)
            case ast.alias():
                names.add((part.asname or part.name).partition(".")[0])
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(part.name)
            case ast.ClassDef():
                names.add(part.name)
            case ast.MatchMapping():
                names.add(part.rest)
    return {name for name in names if name}


def _outer(node: Definition) -> set[str]:
    """Names that are looked up where the function is defined."""
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    hints = [argument.annotation for argument in every if argument is not None]
    expressions = [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults, *hints, node.returns]
    return {name for part in expressions if part is not None for name in _names(part)}


def _formatted(node: Definition) -> set[str]:
    return {name for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for name in _names(part)}


def _names(tree: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(tree) if isinstance(part, ast.Name))
