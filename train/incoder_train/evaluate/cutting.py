"""Functions of held-out Python files, with places in their text, for the tasks that cut something out of them.

A function's text is the file's, indentation and comments included, from its first decorator to the end of its last line. All
places are characters of the file, so what is cut out and put back gives the file again. Taken are functions of a module and
methods of its classes that do something: no stubs, and none from files that a program wrote. Which of them become cases depends
on nothing but the files.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from incoder_model.python_names import Definition
from incoder_train.evaluate.case import Case
from incoder_train.evaluate.sources import Source

CASES = 300
EACH_FILE = 8  # at most
SEED = 2022

Range = tuple[int, int]  # [start, end) in characters of the file


@dataclass(frozen=True)
class File:
    source: Source
    tree: ast.Module

    @property
    def text(self) -> str:
        return self.source.text

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        """Where each line starts, and its text."""
        lines, start = [], 0
        for line in self.text.split("\n"):
            lines.append((start, line))
            start += len(line) + 1
        return lines

    def at(self, line: int, column: int) -> int:
        """The place that `ast` calls `line`, from 1, and `column`, in bytes of UTF-8."""
        start, text = self._lines[line - 1]
        return start + (column if text.isascii() else len(text.encode()[:column].decode()))

    def range(self, node: ast.expr | ast.stmt | ast.arg) -> Range:
        end_line, end_column = node.end_lineno, node.end_col_offset
        assert end_line is not None and end_column is not None  # the parser sets both
        return self.at(node.lineno, node.col_offset), self.at(end_line, end_column)

    def whole_lines(self, node: ast.expr | ast.stmt) -> Range:
        """From the start of the node's first line to the end of its last, without the line end."""
        assert node.end_lineno is not None
        last, text = self._lines[node.end_lineno - 1]
        return self._lines[node.lineno - 1][0], last + len(text)

    def without(self, start: int, end: int, cut: Sequence[Range]) -> str:
        """The text from `start` to `end` but for those of the ranges `cut` that lie in it."""
        kept = []
        for a, b in sorted(cut):
            if start <= a and b <= end:
                kept.append(self.text[start:a])
                start = b
        return "".join([*kept, self.text[start:end]])


@dataclass(frozen=True)
class Function:
    file: File
    node: Definition

    @cached_property
    def range(self) -> Range:
        first = self.node.decorator_list[0] if self.node.decorator_list else self.node
        return self.file.whole_lines(first)[0], self.file.whole_lines(self.node)[1]

    @property
    def text(self) -> str:
        return self.file.text[slice(*self.range)]

    @property
    def indent(self) -> str:
        text = self.text
        return text[: len(text) - len(text.lstrip())]

    @property
    def id(self) -> str:
        return f"{self.file.source.id}:{self.node.lineno}"


def parse(text: str) -> ast.Module | None:
    """None for what is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about somebody else's escape sequences
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def parse_indented(text: str) -> ast.Module | None:
    """The same for lines that stand deeper, such as a method's."""
    return parse(f"if True:\n{text}" if text[:1].isspace() else text)


def functions(source: Source) -> list[Function]:
    """The functions of a Python file, in order; none of one that is no Python or generated."""
    # ast reads other line ends as \n, so that its lines would not be ours.
    from incoder_train.corpus.generated import is_generated

    tree = None if "\r" in source.text or "\f" in source.text or is_generated(source.text) else parse(source.text)
    if tree is None:
        return []
    file = File(source, tree)
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    found = [node for body in bodies for node in body if isinstance(node, Definition)]
    return [Function(file, node) for node in sorted(found, key=lambda node: node.lineno) if not _is_stub(node)]


def cut_cases(
    sources: Sequence[Source],
    cut: Callable[[Function, random.Random], Case | None],
    count: int = CASES,
    each: int = EACH_FILE,
) -> list[Case]:
    """At most `count` cases that `cut` makes of functions, at most `each` from a file, and from as many files as there are."""
    python = sorted((source for source in sources if source.lang == "python"), key=lambda source: source.id)
    random.Random(SEED).shuffle(python)
    waiting = [_cases_of(source, cut) for source in python]
    cases: list[Case] = []
    for _ in range(each):
        still = []
        for one in waiting:
            if len(cases) == count:
                return cases
            if (case := next(one, None)) is not None:
                cases.append(case)
                still.append(one)
        waiting = still
    return cases


def _cases_of(source: Source, cut: Callable[[Function, random.Random], Case | None]) -> Iterator[Case]:
    rng = random.Random(f"{SEED} {source.id}")  # so that no file's cases depend on another's
    found = functions(source)
    for function in rng.sample(found, len(found)):
        if (case := cut(function, rng)) is not None:
            yield case


def _is_stub(node: Definition) -> bool:
    """Is there nothing in it but a docstring, `pass`, `...`, or that it is not implemented?"""
    return all(_says_nothing(statement) for statement in node.body)


def _says_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
    return False
