"""Which names of a Python file come from nowhere: a text in, the names that it uses and nothing in it binds out.

The text may be in the middle of being written. A line that does not parse is left out, a few of them at most.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings

TRIES = 6  # lines that may be left out

_ALWAYS = {*dir(builtins), "__file__", "__name__", "__doc__", "__path__", "__class__", "__qualname__", "__module__"}
_WITHOUT_BLOCK = re.compile(r"expected an indented block after .* on line (\d+)")


def unresolved(text: str) -> frozenset[str]:
    """Empty where that cannot be told: the text is no Python, or a star brings what nobody sees."""
    tree = forgiving(text)
    if tree is None:
        return frozenset()
    used, bound = set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.arg(arg=name):
                bound.add(name)
            case ast.alias(name="*"):
                return frozenset()
            case ast.alias(name=name, asname=alias):
                bound.add(alias or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                bound.update(names)
            case _ if type(node).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):  # of Python 3.12
                bound.add(node.name)  # pyright: ignore[reportAttributeAccessIssue]
    return frozenset(used - bound - _ALWAYS)


def forgiving(text: str) -> ast.Module | None:
    """The tree of a text, or of most of it."""
    lines = text.replace("\r\n", "\n").split("\n")
    for _ in range(TRIES):
        tree, number, empty = _parsed(lines)
        if tree or not 0 < number <= len(lines) or lines[number - 1].strip() == "pass":
            return tree
        line = lines[number - 1].rstrip()
        indent = line[: len(line) - len(line.lstrip())]
        lines[number - 1] = f"{line} pass" if empty and line.endswith(":") else f"{indent}pass"
    return None


def _parsed(lines: list[str]) -> tuple[ast.Module | None, int, bool]:
    """The tree, or the line, from 1, for which there is none, and whether that lacks its block; 0 where no line is to blame."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about somebody else's escape sequences
            return ast.parse("\n".join(lines)), 0, False
    except SyntaxError as error:
        empty = _WITHOUT_BLOCK.search(error.msg)
        return None, int(empty[1]) if empty else error.lineno or 0, bool(empty)
    except (ValueError, RecursionError, MemoryError):
        return None, 0, False
