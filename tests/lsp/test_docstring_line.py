"""A docstring behind the opening quotes: where it is one, and what is suggested in whose style."""

from __future__ import annotations

import ast

import pytest
from speaking import speaking

from incoder_lsp.actions.docstring_line import opened_at
from incoder_lsp.filling import fill
from incoder_lsp.infiller import LocalModel
from incoder_lsp.question import Answer, Question
from incoder_lsp.settings import Settings

ABOVE = "def total(rows):  # of all\n"
BODY = "    # the rows\n    return sum(row.price for row in rows)\n"
BELOW_STYLE = 'def a():\n    """\n    Say it.\n    """\n    return 1\n\n\n'


def question(left: str, right: str, eol: str = "\n", **settings: str) -> Question:
    text = (left + right).replace("\n", eol)
    offset = len(left.replace("\n", eol))
    return Question("file:///a.py", "/a.py", text, offset, eol, False, Settings(**settings))  # pyright: ignore[reportArgumentType]


def suggested(asked: Question, *answers: str) -> Answer:
    return fill(LocalModel(speaking(*answers)[0], "speaking"), asked, lambda: False)


def text_after(asked: Question, answer: Answer) -> str:
    assert answer.best
    return asked.text[: asked.offset] + answer.best.text + asked.text[asked.offset + answer.best.covers :]


@pytest.mark.parametrize("behind", ["", '"""'])
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_sentence_and_the_closing_quotes(behind: str, eol: str):
    asked = question(ABOVE + '    """', f"{behind}\n{BODY}", eol)
    answer = suggested(asked, 'The price of all rows"""\n')
    assert answer.best
    assert answer.best.text == 'The price of all rows."""'
    assert answer.best.covers == len(behind)
    assert text_after(asked, answer) == f'{ABOVE}    """The price of all rows."""\n{BODY}'.replace("\n", eol)


def test_the_users_quotes_count_and_the_nearest_docstrings_lines():
    asked = question(f"{BELOW_STYLE}{ABOVE}    '''", f"'''\n{BODY}")
    after = text_after(asked, suggested(asked, "The price of all rows.\n    '''"))
    assert after.endswith(f"{ABOVE}    '''\n    The price of all rows.\n    '''\n{BODY}")
    node = ast.parse(after).body[1]
    assert isinstance(node, ast.FunctionDef)
    assert ast.get_docstring(node) == "The price of all rows."


def test_one_line_where_the_user_wants_no_more():
    asked = question(f'{BELOW_STYLE}{ABOVE}    """', f"\n{BODY}", multi_line="never")
    answer = suggested(asked, 'The price of all rows"""')
    assert answer.best
    assert answer.best.text == 'The price of all rows."""'


def test_what_is_no_sentence_is_not_suggested():
    answer = suggested(question(ABOVE + '    """', f"\n{BODY}"), 'x = 1"""')
    assert answer == Answer(why="no sentence for this docstring")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (ABOVE + '    x = """', f"\n{BODY}"),  # a string
        (f'{ABOVE}{BODY}    """', "\n    return 1\n"),  # below the body's first line
        (ABOVE + '    """', "\n"),  # nothing to tell of
        (ABOVE + '  """', f"\n{BODY}"),  # elsewhere indented
        (ABOVE + '    """', f"words\n{BODY}"),  # there already
        ('"""', f"\n{ABOVE}{BODY}"),  # the module's
        ('x = """', f"\n{ABOVE}{BODY}"),
    ],
)
def test_other_quotes_are_none(left: str, right: str):
    assert opened_at(question(left, right)) is None
