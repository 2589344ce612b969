"""Return types of held-out functions (paper section 4.2, Tables 4 and 11).

    imports of the file                       \\
                                               > left, ends in " -> "
    def signature, without other hints ->     /
    the body from behind its ":", and "def " two lines further down, which says that the function has ended: right

All other type hints of the function are taken out. What a model says ends at a ":", and is right if it parses to the same type.

| measure | over | |
|---|---|---|
| exact | all functions | |
| exact_not_none | those whose type is not None | Table 4 |
| with_none_rule | all, None standing for what a model says of a function that returns and yields nothing | Table 11 |
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.cutting import Function, Range, cut_cases, parse_indented
from incoder_train.evaluate.sources import load_sources

if TYPE_CHECKING:
    from incoder_model.batch import Generator

LIMITS = Limits(max_tokens=20, stops=(":",), one_line=True)


def cases(_: Settings) -> list[Case]:
    return cut_cases(load_sources(), cut)


def cut(function: Function, _: random.Random | None = None) -> Case | None:
    """None for a function without such a hint, or where the hint cannot be cut out neatly."""
    file, node = function.file, function.node
    if node.returns is None or "# type:" in function.text:  # a comment would tell
        return None
    (start, end), (hint_start, hint_end) = function.range, file.range(node.returns)
    answer = file.text[hint_start:hint_end]
    arrow = file.text.rfind("->", start, hint_start)
    if ":" in answer or "\n" in answer or file.text[hint_end : hint_end + 1] != ":":
        return None
    hints = [range_ for range_ in hint_ranges(function) if range_[0] != arrow]
    signature = file.without(start, arrow, hints).rstrip()
    body = file.without(hint_end + 1, end, hints)
    rebuilt = parse_indented(f"{signature} -> {answer}:{body}")
    if rebuilt is None or ast.dump(rebuilt) != ast.dump(_without_hints(function)):
        return None
    return Case(
        id=function.id,
        left=f"{_imports(function)}\n\n{signature} -> ",
        right=f"{body}\n\n{function.indent}def ",
        answer=answer,
        limits=LIMITS,
        path=file.source.path,
        kind="return-type",
        extra={"returns": gives_something(function)},
    )


def score(case: Case, answer: Answer) -> Scores:
    true = normalised(case.answer)
    said = normalised(answer.samples[0])
    ruled = said if case.extra["returns"] else "None"
    scores = {"exact": float(said == true), "with_none_rule": float(ruled == true)}
    return scores if true == "None" else {**scores, "exact_not_none": scores["exact"]}


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    from incoder_train.evaluate.methods import fill  # brings torch

    return fill(cases, settings, generator)


def normalised(type_: str) -> str | None:
    """The type as `ast` spells it; None for what is no expression."""
    try:
        return ast.unparse(ast.parse(type_.strip(), mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def gives_something(function: Function) -> bool:
    """Does it return a value other than None, or yield?"""
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom)
        or (isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)))
        for statement in function.node.body
        for node in _own(statement)
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that belong to a function itself, not to one inside it."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _imports(function: Function) -> str:
    """The import statements of the file, whatever they stand under; those in functions are not for all."""
    file = function.file
    blocks: list[ast.stmt] = list(file.tree.body)
    found = []
    while blocks:
        node = blocks.pop(0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(file.text[slice(*file.range(node))])
        elif isinstance(node, ast.If | ast.Try):
            blocks[:0] = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return "\n".join(found)


# --- type hints --------------------------------------------------------------------------------------------------


def hint_ranges(function: Function) -> list[Range]:
    """Where the type hints of a function stand, those of functions inside it too, with the sign before them."""
    file = function.file
    found = []
    for node in ast.walk(function.node):
        match node:
            case ast.arg(annotation=ast.expr() as hint):
                start = file.range(node)[0]
                found.append((start + len(node.arg), file.range(hint)[1]))
            case ast.AnnAssign(value=None):  # nothing is left of it
                start, end = file.whole_lines(node)
                found.append((start, end + 1))
            case ast.AnnAssign():
                found.append((file.range(node.target)[1], file.range(node.annotation)[1]))
            case ast.FunctionDef(returns=ast.expr() as hint) | ast.AsyncFunctionDef(returns=ast.expr() as hint):
                start, end = file.range(hint)
                arrow = file.text.rfind("->", 0, start)
                found.append((arrow if node is function.node else len(file.text[:arrow].rstrip()), end))
    return found


class _Hintless(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node


def _without_hints(function: Function) -> ast.Module:
    """The function's program with no hint but the type that it returns."""
    module = parse_indented(function.text)
    assert module is not None  # it was parsed as a part of its file
    bare = _Hintless().visit(module)
    outer = bare.body[0].body[0] if function.text[:1].isspace() else bare.body[0]
    outer.returns = function.node.returns
    return bare


TASK = Task(
    name="return-type",
    about="the return types of held-out functions, from which all other type hints are taken",
    methods=(CAUSAL_MASK, LEFT_TO_RIGHT, RERANK),
    cases=cases,
    answer=answer,
    score=score,
)
