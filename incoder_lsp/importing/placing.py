"""Where an import goes: a Python file and an Import in, an Edit out, or None where the file has it already.

A statement that imports from the same module gets one more name. Else a line is added after the last import of its group (the
future, Python's own modules, others', the workspace's), or between the groups around it, or below what a file begins with.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Sequence

from incoder_lsp.actions.action import Edit
from incoder_lsp.actions.source import Source
from incoder_lsp.importing.statements import Import
from incoder_lsp.importing.unresolved import forgiving

Statement = ast.Import | ast.ImportFrom


def edit_for(text: str, one: Import, own: Collection[str] = ()) -> Edit | None:
    """own: names of the workspace's packages at the top. `text` has `\\n` line ends. None where that is no Python, too."""
    tree = forgiving(text)
    if tree is None:
        return None
    source, label = Source(text, ""), f"Import {one.binds}"
    found = _at_the_top(tree)
    for node in found:
        if any(_binds(alias) == one.binds for alias in node.names):
            return None
    for node in found:
        if isinstance(node, ast.ImportFrom) and one.name and _module(node) == one.module and node.names[0].name != "*":
            end = _end(source, node.names[-1])
            return Edit(end, end, f", {one.name}{f' as {one.alias}' if one.alias else ''}", label)
    rank = _rank(one.module, own)
    before = [node for node in found if _rank(_module(node), own) <= rank]
    if before:
        end = source.line_end(before[-1])
        gap = "\n" if _rank(_module(before[-1]), own) == rank else "\n\n"
        return Edit(end, end, f"{gap}{one.line}", label)
    if found:
        start = source.starts[found[0].lineno - 1]
        return Edit(start, start, f"{one.line}\n\n", label)
    return _below_the_head(source, tree, one, label)


def _at_the_top(tree: ast.Module) -> list[Statement]:
    """The imports before the first statement that is something else."""
    found: list[Statement] = []
    for number, node in enumerate(tree.body):
        if isinstance(node, Statement):
            found.append(node)
        elif number or not _is_docstring(node):
            break
    return found


def _below_the_head(source: Source, tree: ast.Module, one: Import, label: str) -> Edit:
    """Below the comments and the docstring that a file begins with."""
    if tree.body and _is_docstring(tree.body[0]):
        end = source.line_end(tree.body[0])
        return Edit(end, end, f"\n\n{one.line}", label)
    number = 0
    while source.line(number).startswith("#"):
        number += 1
    start = source.starts[number] if number < len(source.starts) else len(source.text)
    return Edit(start, start, f"{one.line}\n{'' if not source.line(number).strip() else chr(10)}", label)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _module(node: Statement) -> str:
    return node.names[0].name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")


def _binds(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _end(source: Source, alias: ast.alias) -> int:
    assert alias.end_lineno is not None
    assert alias.end_col_offset is not None
    return source.at(alias.end_lineno, alias.end_col_offset)


def _rank(module: str, own: Collection[str]) -> int:
    top = module.partition(".")[0]
    ranks: Sequence[bool] = (module == "__future__", top in sys.stdlib_module_names, bool(top) and top not in own)
    return next((rank for rank, is_it in enumerate(ranks) if is_it), len(ranks))
