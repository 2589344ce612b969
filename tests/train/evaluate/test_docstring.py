import ast
from pathlib import Path

import pytest

import incoder_train
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Settings
from incoder_train.evaluate.cutting import functions
from incoder_train.evaluate.sources import Source
from incoder_train.evaluate.tasks.docstring import TASK, cut


def cut_all(text: str) -> list[Case]:
    found = functions(Source("package", "1.0", "MIT", "module.py", text))
    return [case for function in found if (case := cut(function)) is not None]


def test_the_prompt_is_that_of_the_paper():
    (case,) = cut_all("""
class A:
    def area(self):
        r\'\'\'
        The area of this shape.

        In square metres.
        \'\'\'  # so
        return self.width * self.height
""")
    assert case.left == '    def area(self):\n        """'
    assert case.answer == "The area of this shape."
    assert case.right == "  # so\n        return self.width * self.height\n<|/ file |>"
    assert case.limits.stops == ('"""',)
    assert case.extra["rerank"] == "mean"


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return x",
        'def f(x):\n    "Short."\n    return x',
        'def f(x):\n    """Nothing follows this one."""',
        'def f(x):\n    \'Not with """ in it.\'\n    return x',
        'def f(x):\n    x = "Not a docstring at all."\n    return x',
    ],
)
def test_what_is_no_case(text: str):
    assert cut_all(text) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")  # of docstrings that were raw
def test_put_back_it_is_the_function_with_a_docstring_of_one_line():
    found = 0
    for path in sorted(Path(incoder_train.__file__).parent.rglob("*.py"))[::4]:
        text = path.read_text(encoding="utf-8")
        by_id = {function.id: function for function in functions(Source("package", "1.0", "MIT", "module.py", text))}
        for case in cut_all(text):
            function = by_id[case.id]
            rest = case.right.removesuffix("\n<|/ file |>")
            indent = "if True:\n" if case.left.startswith(" ") else ""
            rebuilt = ast.parse(f'{indent}{case.left}{case.answer}"""{rest}')
            new = rebuilt.body[0].body[0] if indent else rebuilt.body[0]  # type: ignore[attr-defined]
            assert ast.get_docstring(new).split("\n") == [case.answer]  # type: ignore[arg-type]
            assert ast.dump(ast.Module(new.body[1:], [])) == ast.dump(ast.Module(function.node.body[1:], []))
            found += 1
    assert found > 30


def test_who_says_the_line_is_right_and_nobody_else():
    (case,) = cut_all('def f(x):\n    """The square of a number.\n\n    More."""\n    return x * x\n')
    for said in (
        "The square of a number.",
        '\n    The square of a number.\n\n    Or else"""  # no',
        " the square of a number.",
    ):
        assert TASK.score(case, Answer([said])) == {"bleu": pytest.approx(1)}
    assert TASK.score(case, Answer(["completely different words"]))["bleu"] < 1e-9
    assert 0.3 < TASK.score(case, Answer(["The square of x."]))["bleu"] < 0.9
    assert TASK.score(case, Answer([""]))["bleu"] < 0.01


@pytest.mark.parametrize(("method", "samples"), [(CAUSAL_MASK, 1), (LEFT_TO_RIGHT, 1), (RERANK, 10)])
def test_a_model_is_asked(method: str, samples: int, model_directory: Path):
    from incoder_model.batch import load_generator

    cases = cut_all('def f(x):\n    """The square of a number."""\n    return x * x\n')
    answers = TASK.answer(cases, Settings("docstring", method=method), load_generator(model_directory))
    assert [len(answer.samples) for answer in answers] == [samples]
    assert 0 <= TASK.score(cases[0], answers[0])["bleu"] <= 1
