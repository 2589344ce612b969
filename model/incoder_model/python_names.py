"""Which names a Python function binds, and how: its tree comes in, sets of names go out. For renaming variables, and for masking
them."""

from __future__ import annotations

import ast

Definition = ast.FunctionDef | ast.AsyncFunctionDef

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


def bound(node: Definition) -> tuple[set[str], set[str]]:
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


def bound_otherwise(node: ast.AST) -> set[str]:
    """Names that something in it binds otherwise than as a parameter or by assignment."""
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


def outside(node: Definition) -> list[ast.expr]:
    """The function's expressions whose names are looked up where it is defined: decorators, defaults, hints."""
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    hints = [argument.annotation for argument in every if argument is not None]
    expressions = [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults, *hints, node.returns]
    return [part for part in expressions if part is not None]
