"""Which texts are type hints here: what the model said of a type comes in, the hint as it is to be written or None goes out.

A hint parses, has the shape of a type, and is made of names that can be seen: types that are built in, what the file
imports, its classes. A name that exists only later, or only for a type checker, is written as a string where the file does not
put off the evaluation of its hints.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass

from incoder_lsp.actions.source import Definition, Function, Source, top_level

NEEDS_ARGUMENTS = {
    "Annotated",
    "ClassVar",
    "Concatenate",
    "Final",
    "Generic",
    "Literal",
    "Optional",
    "Required",
    "Union",
}

_TYPES = {name for name, value in vars(builtins).items() if isinstance(value, type)}


@dataclass(frozen=True)
class Names:
    """What a hint of one function may be made of."""

    types: frozenset[str]  # to be used as they are
    modules: frozenset[str]  # a type is one of their attributes
    late: frozenset[str]  # of both, those that do not exist when the function is defined


def names_for(source: Source, function: Function) -> Names:
    assert source.tree is not None
    types, modules, late = set(_TYPES), set[str](), set[str]()
    for node, checking in top_level(source.tree):
        match node:
            case ast.Import(names=aliases):
                found = {alias.asname or alias.name.partition(".")[0] for alias in aliases}
                modules |= found
            case ast.ImportFrom(names=aliases):
                found = {alias.asname or alias.name for alias in aliases} - {"*"}
                types |= found
            case ast.ClassDef(name=name):
                found = {name}
                types |= found
            case _:
                continue
        unborn = isinstance(node, ast.ClassDef) and (node in function.parents or node.lineno > function.node.lineno)
        late = late | found if checking or unborn else late - found
    return Names(frozenset(types), frozenset(modules - types), frozenset(() if _puts_off(source.tree) else late))


def hint_of(text: str, names: Names) -> str | None:
    """What `text` says, spelled as Python's own tools do."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    used: set[str] = set()
    if not _is_type(tree, names, used):
        return None
    hint = ast.unparse(tree)
    if not used & names.late:
        return hint
    return None if "'" in hint or '"' in hint else f'"{hint}"'


def _is_type(node: ast.expr, names: Names, used: set[str]) -> bool:
    """The names that it is made of are added to `used`."""
    match node:
        case ast.Name(id=name):
            used.add(name)
            return name in names.types and name not in NEEDS_ARGUMENTS
        case ast.Subscript(value=ast.Name(id=name)) if name not in names.types:
            return False
        case ast.Subscript(value=base, slice=inside):
            used |= {base.id} if isinstance(base, ast.Name) else set()
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            known = isinstance(base, ast.Name) or _dotted(base, names, used)
            if ast.unparse(base).endswith("Literal"):
                return known and all(isinstance(part, ast.Constant) for part in parts)
            return known and bool(parts) and all(_is_argument(part, names, used) for part in parts)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _is_type(left, names, used) and _is_type(right, names, used)
    return _is_none(node) or _dotted(node, names, used)


def _is_argument(node: ast.expr, names: Names, used: set[str]) -> bool:
    """Of a generic type: a type, the dots of `tuple[int, ...]`, the list of `Callable[[int], str]`."""
    if isinstance(node, ast.Constant) and node.value is ...:
        return True
    if isinstance(node, ast.List):
        return all(_is_type(part, names, used) for part in node.elts)
    return _is_type(node, names, used)


def _dotted(node: ast.expr, names: Names, used: set[str]) -> bool:
    """An attribute of something that is imported or of a class."""
    if not isinstance(node, ast.Attribute):
        return False
    while isinstance(node, ast.Attribute):
        node = node.value
    if isinstance(node, ast.Name) and node.id in names.types | names.modules and node.id not in _TYPES:
        used.add(node.id)
        return True
    return False


def _puts_off(tree: ast.Module) -> bool:
    """`from __future__ import annotations`."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


# --- the paper's rule ------------------------------------------------------------------------------------------------


def returns_nothing(node: Definition) -> bool:
    """It neither returns a value other than None nor yields, so that its type is None (paper, Table 11)."""
    return not any(
        isinstance(part, ast.Yield | ast.YieldFrom)
        or (isinstance(part, ast.Return) and not (part.value is None or _is_none(part.value)))
        for part in _own(node)
    )


def is_stub(node: Definition) -> bool:
    """There is nothing in it that would tell its types."""
    return all(
        isinstance(statement, ast.Pass | ast.Raise)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in node.body
    )


def _own(node: Definition) -> list[ast.AST]:
    """What belongs to a function itself, not to one inside it."""
    found: list[ast.AST] = []
    todo: list[ast.AST] = [*node.body]
    while todo:
        part = todo.pop()
        found.append(part)
        if not isinstance(part, Definition | ast.ClassDef | ast.Lambda):
            todo += ast.iter_child_nodes(part)
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
