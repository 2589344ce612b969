"""What is a hole, in which language, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.actions.holes import placeholders
from incoder_lsp.actions.judge import closed
from incoder_lsp.actions.source import Source


def found(text: str, path: str = "a.py") -> list[str]:
    """What stands in each hole, and what goes before it."""
    holes = placeholders(Source(text, path), (0, len(text)))
    return [text[hole.start : hole.end] + "|" + hole.before for hole in holes]


HOLES = {
    "a statement": ("def f():\n    ...\n", ["...|"]),
    "a value": ("x = ...\n\ndef f():\n    return ...\n", ["...|", "...|"]),
    "marks": ("f(<mask>, <mask>)\n", ["<mask>|", "<mask>|"]),
    "a comment over pass": ("def f():\n    # TODO: all\n    pass\n", ["pass|"]),
    "a comment behind pass": ("def f():\n    pass  # TODO: all\n", ["pass  # TODO: all|# TODO: all\n    "]),
    "a comment over an error": (
        "def f():\n    # TODO\n    raise NotImplementedError('f')\n",
        ["raise NotImplementedError('f')|"],
    ),
    "a comment that ends a block": ("def f(x):\n    x += 1\n    # TODO: more\n    # of this\n\ny = 1\n", ["|\n    "]),
    "a comment that ends the file": ("x = 1\n# TODO: more", ["|\n"]),
    "a comment in a body that is empty": ("def f(x):\n    # TODO: all\n\n\ny = 1\n", ["|\n    "]),
    "a comment over code": ("# TODO: rename\nx = 1\n", []),
    "two comments over one place": ("def f():\n    # TODO: a\n    # TODO: b\n    pass\n", ["pass|"]),
    "types and slices": ("x: tuple[int, ...] = y[..., 0]\nf(...)\ndef g(a=...): return a\n", []),
    "stubs": (
        "class A(Protocol):\n    def f(self):\n        ...\n@overload\ndef g():\n    ...\nclass E(Exception):\n    ...\n",
        [],
    ),
    "in a string": ('"""\n>>> for x in y:\n...\n# TODO\n"""\n', []),
    "in a string of a file that does not parse": ('"""\n...\n# TODO\n"""\nx = (\ny = ...\n', ["...|"]),
}


@pytest.mark.parametrize("name", HOLES)
def test_what_is_a_hole(name: str):
    text, holes = HOLES[name]
    assert found(text) == holes


def test_holes_in_other_languages():
    assert found("function f(a) {\n  // TODO: sum\n}\nlet x = ...;\n", "a.ts") == ["|\n  ", "...|"]
    assert found("let y = [...x];\nf(...args);\nfunction g(...rest) {}\n", "a.ts") == []
    assert found("def f(x: int = ...): ...\ny: int = ...\n", "a.pyi") == []
    assert found("<mask>\n<rect/></mask>", "a.svg") == []


@given(st.text(alphabet=st.sampled_from("ab(){}.=:#<mask>TODOdefpass \n\t\"'"), max_size=80))
def test_holes_are_disjoint_whatever_the_text(text: str):
    holes = placeholders(Source(text, "a.py"), (0, len(text)))
    places = [place for hole in holes for place in (hole.start, hole.end)]
    assert places == sorted(places)


def test_brackets():
    assert closed("f(a[1], {2: ')'})")
    assert not closed("f(a[1]")
    assert not closed("f(a])")
