"""A file as text and, where it is Python that parses, as a tree: places of nodes, its functions, the one around a cursor.

All places are offsets in code points of a text whose line ends are `\\n`. A file with other ones has the same lines, so a
position of the one is a position of the other.
"""

from __future__ import annotations

import ast
import bisect
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from incoder_model.python_names import Definition

MASK = "<mask>"
LONGEST = 500_000  # characters that are parsed: an editor asks for actions at every move of the cursor

_STAND_IN = "_mask_"  # as long as MASK, and Python
_LONG_STRING = re.compile(r"(\"\"\"|''')(?:\\.|(?!\1).)*\1", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\r")

Range = tuple[int, int]  # [start, end)


def unified(text: str) -> str:
    """With `\\n` for every line end."""
    return _LINE_END.sub("\n", text) if "\r" in text else text


def parse(text: str) -> ast.Module | None:
    """None for what is no Python. A `<mask>` stands for any name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about somebody else's escape sequences
        try:
            return ast.parse(text.replace(MASK, _STAND_IN))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def top_level(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements of a module, those under its `if`s and `try`s too, and whether they are for type checkers alone."""
    todo: list[tuple[ast.AST, bool]] = [(node, False) for node in reversed(tree.body)]
    while todo:
        node, checking = todo.pop()
        if isinstance(node, ast.stmt):
            yield node, checking
        if isinstance(node, ast.If):
            checking = checking or "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            todo += [
                (child, checking)
                for child in reversed([*ast.iter_child_nodes(node)])
                if not isinstance(child, ast.expr)
            ]


@dataclass(frozen=True)
class Function:
    """A definition, and what it stands in, from the outside in."""

    node: Definition
    parents: tuple[ast.AST, ...]
    range: Range  # whole lines, decorators included, without the last line end

    @property
    def in_class(self) -> bool:
        return bool(self.parents) and isinstance(self.parents[-1], ast.ClassDef)

    @property
    def nested(self) -> bool:
        return any(isinstance(parent, Definition) for parent in self.parents)


class Source:
    """One version of a file."""

    def __init__(self, text: str, path: str):
        self.text = text
        self.path = path
        self.python = path.endswith((".py", ".pyw"))

    @cached_property
    def tree(self) -> ast.Module | None:
        return parse(self.text) if self.python and len(self.text) <= LONGEST else None

    @cached_property
    def functions(self) -> list[Function]:
        """Of the tree, in order; none where there is no tree."""
        found: list[Function] = []
        todo: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(self.tree, ())] if self.tree else []
        while todo:
            node, parents = todo.pop()
            if isinstance(node, Definition):
                first = node.decorator_list[0] if node.decorator_list else node
                found.append(Function(node, parents, (self.starts[first.lineno - 1], self.line_end(node))))
            inside = (*parents, node) if isinstance(node, Definition | ast.ClassDef) else parents
            todo += [(child, inside) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
        return sorted(found, key=lambda function: function.range)

    def function_at(self, offset: int) -> Function | None:
        """The innermost one whose lines hold `offset`."""
        around = [function for function in self.functions if function.range[0] <= offset <= function.range[1]]
        return around[-1] if around else None

    @cached_property
    def long_strings(self) -> list[Range]:
        """Python's strings in three quotes, as far as they can be seen without a tree."""
        return [found.span() for found in _LONG_STRING.finditer(self.text)]

    @cached_property
    def starts(self) -> list[int]:
        """Where each line starts."""
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def line_of(self, offset: int) -> int:
        """0-based."""
        return bisect.bisect_right(self.starts, offset) - 1

    def line(self, number: int) -> str:
        """A line's text, 0-based, without its end; empty behind the last one."""
        if number >= len(self.starts):
            return ""
        end = self.starts[number + 1] - 1 if number + 1 < len(self.starts) else len(self.text)
        return self.text[self.starts[number] : end]

    def line_end(self, node: ast.stmt) -> int:
        """Where the last line of a node ends."""
        assert node.end_lineno is not None  # the parser sets it
        return self.starts[node.end_lineno - 1] + len(self.line(node.end_lineno - 1))

    def at(self, line: int, column: int) -> int:
        """The place that `ast` calls `line`, from 1, and `column`, in bytes of UTF-8."""
        text = self.line(line - 1)
        return self.starts[line - 1] + (column if text.isascii() else len(text.encode()[:column].decode()))

    def range(self, node: ast.expr | ast.stmt | ast.arg) -> Range:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def signature_end(self, node: Definition) -> Range | None:
        """From behind what stands before the `:` that ends a signature to behind that `:`."""
        numbers = iter(range(node.lineno - 1, len(self.starts)))

        def read() -> str:
            number = next(numbers, None)
            return "" if number is None else self.line(number) + "\n"

        depth, before = 0, 0
        try:
            for token in tokenize.generate_tokens(read):
                here, end = (self.starts[node.lineno - 2 + row] + column for row, column in (token.start, token.end))
                depth += (token.string in ("(", "[", "{")) - (token.string in (")", "]", "}"))
                if token.type == tokenize.OP and token.string == ":" and depth == 0:
                    return before, here + 1
                before = end
        except (tokenize.TokenError, SyntaxError):
            pass
        return None
