import ast
from pathlib import Path
from typing import Any

import pytest

import incoder_train
from incoder_train.evaluate.case import Answer, Case, Settings
from incoder_train.evaluate.cutting import functions
from incoder_train.evaluate.sources import Source
from incoder_train.evaluate.tasks.return_type import TASK, cut

TEXT = '''\
"""What it is about."""

from __future__ import annotations

import os
from typing import (
    TYPE_CHECKING,
    Any,
)

try:
    import fast
except ImportError:
    fast = None
if TYPE_CHECKING:
    import slow


class Table:
    @property
    def names(self) -> dict[str, int]:  # all of them
        return self._names

    async def read(
        self, path: os.PathLike[str], *parts: str, mode: str = "r", **options: Any
    ) -> "Table | None":
        """Reads it."""
        import late
        count: int = 0
        rest: list[str]
        def inner(x: int) -> int:
            return x
        self.size: int = inner(count)
        return None


def nothing(x: int) -> None:
    print(x)
'''


def source(text: str) -> Source:
    return Source("package", "1.0", "MIT", "module.py", text)


def cut_all(text: str) -> list[Case]:
    return [case for function in functions(source(text)) if (case := cut(function)) is not None]


def test_the_prompt_is_that_of_the_paper():
    names, read, nothing = cut_all(TEXT)
    imports = """\
from __future__ import annotations
import os
from typing import (
    TYPE_CHECKING,
    Any,
)
import fast
import slow
"""
    assert names.left == f"{imports}\n    @property\n    def names(self) -> "
    assert names.answer == "dict[str, int]"
    assert names.right == "  # all of them\n        return self._names\n\n    def "
    assert read.left == (
        f'{imports}\n    async def read(\n        self, path, *parts, mode = "r", **options\n    ) -> '
    )
    assert read.answer == '"Table | None"'
    assert (
        read.right
        == '''
        """Reads it."""
        import late
        count = 0
        def inner(x):
            return x
        self.size = inner(count)
        return None

    def '''
    )
    assert nothing.left == f"{imports}\ndef nothing(x) -> "
    assert nothing.right == "\n    print(x)\n\ndef "
    assert {case.limits.max_tokens for case in (names, read, nothing)} == {20}
    assert {case.limits.stops for case in (names, read, nothing)} == {(":",)}


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return x",
        "def f(x) -> Literal['a:b']: return x",
        "def f(x) -> dict[\n    str, int\n]: return x",
        "def f(x) -> (int): return x",
        "def f(x):\n    # type: (int) -> int\n    return x",
        "def f(x) -> int: # type: ignore\n    return x",
        "def f(x: (int)) -> int: return x",
        "def f(x) -> int:\n    if x:\n        y: int\n    return x",
        "def f(x) -> int:\n    y: int; z = 1\n    return x",
    ],
)
def test_what_cannot_be_cut_neatly_is_left_out(text: str):
    assert cut_all(text) == []


class Bare(ast.NodeVisitor):
    """The hints of a program, counted."""

    def __init__(self, tree: ast.AST):
        self.hints: list[str] = []
        self.visit(tree)

    def generic_visit(self, node: ast.AST) -> None:
        for name in ("annotation", "returns"):
            if (hint := getattr(node, name, None)) is not None:
                self.hints.append(ast.unparse(hint))
        super().generic_visit(node)


def test_put_back_it_is_the_function_without_its_other_hints():
    found = 0
    for path in sorted(Path(incoder_train.__file__).parent.rglob("*.py"))[::5]:
        text = path.read_text(encoding="utf-8")
        by_id = {function.id: function for function in functions(source(text))}
        for case in cut_all(text):
            left = case.left[case.left.rindex("\n\n") + 2 :] if "\n\n" in case.left else case.left
            body = case.right.rpartition("\n\n")[0]
            indent = "if True:\n" if left.startswith(" ") else ""
            program = ast.parse(f"{indent}{left}{case.answer}:{body}")
            original = ast.parse(indent + by_id[case.id].text)
            assert Bare(program).hints == [ast.unparse(by_id[case.id].node.returns)]  # type: ignore[arg-type]
            names = [
                [getattr(n, "id", getattr(n, "arg", None)) for n in ast.walk(ast.parse(ast.unparse(strip(tree))))]
                for tree in (program, original)
            ]
            assert names[0] == names[1]
            found += 1
    assert found > 30


def strip(tree: ast.AST) -> ast.AST:
    """Without any hints, written anew and not with the task's own means."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                setattr(node, name, [bare for child in value for bare in assignment(child)])
    return tree


def assignment(node: Any) -> list[Any]:
    if not isinstance(node, ast.AnnAssign):
        return [node]
    return [ast.copy_location(ast.Assign([node.target], node.value), node)] if node.value else []


def score_of(case: Case, said: str) -> dict[str, float]:
    return TASK.score(case, Answer([said]))


def test_who_says_the_types_is_right_and_nobody_else():
    names, read, nothing = cut_all(TEXT)
    for case in (names, read, nothing):
        assert score_of(case, case.answer)["exact"] == 1
        assert score_of(case, "complex")["exact"] == 0
        assert score_of(case, "no type")["exact"] == 0
        assert score_of(case, "")["exact"] == 0
    right = TASK.summary([score_of(case, case.answer) for case in (names, nothing)])
    assert right == {"exact": 1, "with_none_rule": 1, "exact_not_none": 1}


def test_types_are_compared_as_ast_spells_them():
    names, read, _ = cut_all(TEXT)
    assert score_of(names, " dict[str,int] ")["exact"] == 1
    assert score_of(names, "dict[str, str]")["exact"] == 0
    assert score_of(read, "'Table | None'")["exact"] == 1
    assert score_of(read, "Table | None")["exact"] == 0  # a string is another type to ast


def test_none_counts_apart_and_where_nothing_is_returned_none_is_the_answer():
    names, read, nothing = cut_all(TEXT)
    assert score_of(names, "int") == {"exact": 0, "with_none_rule": 0, "exact_not_none": 0}
    assert score_of(nothing, "int") == {"exact": 0, "with_none_rule": 1}
    assert score_of(read, "'Table | None'") == {"exact": 1, "with_none_rule": 0, "exact_not_none": 1}


@pytest.mark.parametrize(
    ("body", "gives"),
    [
        ("return", False),
        ("return None", False),
        ("print(x)", False),
        ("def g(): return 1\n    x = g", False),
        ("x = lambda: (yield)", False),
        ("if x: return 1", True),
        ("yield x", True),
        ("yield from x", True),
        ("x = yield", True),
        ("for y in x:\n        try: print(y)\n        finally: return x", True),
    ],
)
def test_what_a_function_gives(body: str, gives: bool):
    (case,) = cut_all(f"def f(x) -> T:\n    {body}\n")
    assert case.extra["returns"] == gives


@pytest.mark.parametrize("method", TASK.methods)
def test_a_model_is_asked(method: str, model_directory: Path):
    from incoder_model.batch import load_generator

    cases = cut_all(TEXT)
    answers = TASK.answer(cases, Settings("return-type", method=method), load_generator(model_directory))
    assert len(answers) == len(cases)
    for case, answer in zip(cases, answers, strict=True):
        assert all(":" not in text and "\n" not in text for text in answer.samples)
        assert set(TASK.score(case, answer).values()) <= {0, 1}
