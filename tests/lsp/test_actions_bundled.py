"""The actions with the bundled model, whatever it says: what parsed still parses, what is not asked for stays byte for byte."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from action_client import CANCELLED, accept_progress, edited, menu, ready
from conftest import SERVE
from raw_client import RawClient

URI = "file:///project/report.py"
TEXT = '''import json


def read(path):
    """Read a report from a file."""
    with open(path) as file:
        return json.load(file)


def mean(numbers):
    x = 0
    for number in numbers:
        # TODO: add the number
        pass
    total = ...
    return total / len(numbers)
'''


@pytest.fixture(scope="module")
def client() -> Iterator[RawClient]:
    client = ready(RawClient(SERVE))
    client.open(URI, TEXT)
    yield client
    assert client.end() == 0
    client.close()


def resolved(client: RawClient, title: str, chosen: str) -> str:
    """The text after an action, which may have done nothing. A first try is cancelled."""
    action: dict[str, Any] = menu(client, URI, TEXT, chosen)[title]
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    client.notify("$/cancelRequest", {"id": request})
    reply = client.reply(request)
    assert "result" in reply or reply["error"]["code"] == CANCELLED
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    edit = client.reply(request)["result"].get("edit")
    return edited(TEXT, edit["documentChanges"][0]["edits"]) if edit else TEXT


class Bare(ast.NodeTransformer):
    """A program without hints."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node


def test_fill(client: RawClient):
    done = resolved(client, "Fill all 2 holes in this file", "import")
    ast.parse(done)
    before, _, rest = TEXT.partition("        pass\n    total = ...")
    assert done.startswith(before)
    assert done.endswith(rest)


def test_annotate(client: RawClient):
    done = resolved(client, "Annotate the functions of this file (2)", "import")
    assert ast.dump(Bare().visit(ast.parse(done))) == ast.dump(ast.parse(TEXT))
    assert [line for line in done.splitlines() if "def " not in line] == [
        line for line in TEXT.splitlines() if "def " not in line
    ]


def test_docstring(client: RawClient):
    done = resolved(client, "Write a docstring", "mean")
    added = done.count("\n") - TEXT.count("\n")
    lines = done.splitlines(keepends=True)
    assert "".join(lines[:10] + lines[10 + added :]) == TEXT
    tree = ast.parse(done)
    assert isinstance(tree.body[2], ast.FunctionDef)
    assert bool(ast.get_docstring(tree.body[2])) == bool(added)


def test_name(client: RawClient):
    done = resolved(client, "Suggest a name for x", "x = 0")
    assert done.partition("\n    ")[0] == TEXT.partition("\n    ")[0]
    name = done.partition("def mean(numbers):\n    ")[2].partition(" ")[0]
    assert done.replace(f"    {name} = 0", "    x = 0") == TEXT
