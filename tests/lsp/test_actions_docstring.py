"""Docstrings: in the style of the file's nearest one, or none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from action_client import Speaking, accept_progress, changes, edited, menu, session
from speaking import speaking

from incoder_lsp.actions import docstring
from incoder_lsp.actions.action import View, applied
from incoder_lsp.actions.docstring import Style, style_near
from incoder_lsp.actions.source import Source
from incoder_lsp.settings import Settings

URI = "file:///project/table.py"
BARE = "def total(rows):  # of all\n    # the rows\n    return sum(row.price for row in rows)\n"
STYLES = {
    "none": ("", Style()),
    "one line": ("def a():\n    '''Say it.'''\n", Style("'''")),
    "without a full stop": ('def a():\n    r"""Say it"""\n', Style(full_stop=False)),
    "several lines": ('def a():\n    """Say it.\n\n    Args:\n        x: A.\n    """\n', Style(several=True)),
    "below": ('def a():\n    """\n    Say it.\n    """\n', Style(below=True)),
    "the nearest": ('"""A module"""\ndef a():\n    """Say it"""\ndef b():\n    \'\'\'Say it.\'\'\'\n', Style("'''")),
    "of one quote": ('def a():\n    "Say it"\n', Style()),
}


def view(text: str) -> View:
    start = text.index("def total")
    return View(URI, 1, Source(text, "/project/table.py"), ((start, start),), Settings())


def never() -> bool:
    return False


def write(text: str, answer: str) -> str:
    """What becomes of a file."""
    return applied(text, docstring.perform(speaking(answer)[0], view(text), "function", never).edits)


@pytest.mark.parametrize("name", STYLES)
def test_the_style_of_a_file(name: str):
    before, style = STYLES[name]
    source = Source(before + BARE, "a.py")
    assert style_near(source, source.functions[-1]) == style


def under_the_signature(text: str) -> str:
    return BARE.replace("# of all\n", f"# of all\n{text}")


@pytest.mark.parametrize(
    ("style", "answer", "expected"),
    [
        ("none", 'The price of all rows"""\n', '    """The price of all rows."""\n'),
        ("one line", "The price of all rows.'''\n", "    '''The price of all rows.'''\n"),
        ("without a full stop", 'The price of all rows"""', '    """The price of all rows"""\n'),
        ("below", 'The price of all rows.\n    """', '    """\n    The price of all rows.\n    """\n'),
        (
            "several lines",
            'The price of all rows.\n\n    Args:\n        rows: What is bought.\n    """\n',
            '    """The price of all rows.\n\n    Args:\n        rows: What is bought.\n    """\n',
        ),
        (
            "several lines",
            'The price of all rows.\n\n    Args:\n        columns: What is bought.\n    """\n',
            '    """The price of all rows."""\n',
        ),
    ],
)
def test_a_docstring_in_the_style_of_the_file(style: str, answer: str, expected: str):
    before, _ = STYLES[style]
    assert write(before + BARE, answer) == before + under_the_signature(expected)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        '"""',
        "Total",
        "rows = [row.price for row in rows]",
        'The price \\ of rows"""',
        "the price of " * 20,
        'It is a "row"',
        "a b c " * 5,
    ],
)
def test_what_is_no_sentence_is_not_written(answer: str):
    assert write(BARE, answer) == BARE


def test_what_the_model_is_asked():
    model, script = speaking('The price of all rows"""')
    docstring.perform(model, view(BARE), "function", never)
    (prompt,) = script.prompts
    assert prompt.startswith(
        "<| file ext=.py filename=table.py |>\ndef total(rows):  # of all\n<0>\n    # the rows\n    return"
    )


@pytest.mark.parametrize(
    "text",
    [
        'def total(rows):\n    """There is one."""\n    return rows\n',
        "def total(rows): return rows\n",
        "def total(rows):\n    raise NotImplementedError\n",
        "def total(rows:\n    return rows\n",
    ],
)
def test_where_none_is_offered(text: str):
    assert docstring.offers(view(text)) == []
    assert docstring.perform(speaking("The price of rows")[0], view(text), "function", never).edits == ()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaking]:
    yield from session(tmp_path_factory.mktemp("docstring"))


def test_through_the_server(client: Speaking):
    text = BARE.replace("\n", "\r\n")
    client.open(URI, text)
    client.say('The price of all rows"""', "no")
    action = menu(client, URI, text)["Write a docstring"]
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    done = edited(text, changes(client.reply(request)["result"]))
    assert done == under_the_signature('    """The price of all rows."""\n').replace("\n", "\r\n")
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    assert "edit" not in client.reply(request)["result"]
    assert client.told() == ["InCoder: the model has found no sentence for this function."]
