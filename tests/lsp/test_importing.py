"""A completion with its import: what files import, what a name is by their votes, what comes from nowhere, where the line goes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest
from action_client import Speaking, edited
from daemon_probe import until
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, inline

from incoder_lsp.actions.action import applied
from incoder_lsp.importing.accepted import edits_for
from incoder_lsp.importing.index import Index, index_of, place_of, read
from incoder_lsp.importing.placing import edit_for
from incoder_lsp.importing.statements import Import, definitions, imports
from incoder_lsp.importing.unresolved import unresolved

NAMES = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: not iskeyword(name))
IMPORTS = st.builds(
    Import,
    st.lists(NAMES, min_size=1, max_size=3).map(".".join),
    NAMES,
    NAMES | st.just(""),
) | st.builds(Import, NAMES, st.just(""), NAMES | st.just(""))


@given(st.lists(IMPORTS, max_size=5))
def test_what_is_written_is_read(lines: list[Import]):
    assert [*imports("\n".join(one.line for one in lines))] == lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os, sys as system", [Import("os"), Import("sys", "", "system")]),
        ("import os.path", []),
        ("import numpy.linalg as la  # for norms", [Import("numpy.linalg", "", "la")]),
        ("from .. import shapes", [Import("..", "shapes")]),
        ("from a import (\n    b,  # first\n    c as d,\n)\n", [Import("a", "b"), Import("a", "c", "d")]),
        ("from a import *", []),
        ("    from a import b", []),
        ("from a import b; x = 1", [Import("a", "b")]),
        ("imports = 1\nfrom_here = 2", []),
    ],
)
def test_imports(text: str, found: list[Import]):
    assert [*imports(text)] == found


def test_definitions():
    text = "class A: pass\nasync def b(): pass\nLIMIT: int = 3\nMANY = 1\nx = 2\n_C = 1\ndef _d(): pass\n  class E: pass\nA == b"
    assert definitions(text) == {"A", "b", "LIMIT", "MANY"}


FILES = {
    "shapes/__init__.py": "from .circle import Circle\n",
    "shapes/circle.py": "import math\nfrom pathlib import Path\n\nclass Circle: pass\nclass Arc: pass\n",
    "shapes/square.py": "import math\nfrom pathlib import Path\nfrom .circle import Circle\nimport numpy as np\n",
    "shapes/draw/pen.py": "from pathlib import PurePath as Path\nfrom ..circle import Circle\nfrom time import time\n",
    "tools/run.py": "from pathlib import Path\nfrom shapes.circle import Circle\nimport time\n\nclass Lonely: pass\n",
}
INDEX = index_of(read(path, text) for path, text in FILES.items())


@pytest.mark.parametrize(
    ("name", "asker", "line"),
    [
        ("math", "shapes/new.py", "import math"),
        ("np", "tools/new.py", "import numpy as np"),
        ("Path", "tools/new.py", "from pathlib import Path"),  # three of four
        ("time", "tools/new.py", None),  # they do not agree
        ("Circle", "shapes/new.py", "from .circle import Circle"),
        ("Circle", "shapes/draw/new.py", "from ..circle import Circle"),
        ("Circle", "shapes/circle.py", None),  # its own
        ("Circle", "elsewhere/new.py", "from shapes.circle import Circle"),
        ("Arc", "tools/new.py", "from shapes.circle import Arc"),  # nobody imports it, but others from there
        ("Lonely", "shapes/new.py", None),  # nobody imports from there
        ("nothing", "shapes/new.py", None),
    ],
)
def test_files_vote(name: str, asker: str, line: str | None):
    found = INDEX.import_of(name, place_of(asker))
    assert (found and found.line) == line


def test_an_empty_workspace_knows_nothing():
    assert Index().import_of("math", ("a",)) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("print(Path('x'))", {"Path"}),
        ("import numpy as np\nnp.array(json.dumps(x))", {"json", "x"}),
        ("def f(a, *b, c=1, **d): return a, b, c, d, e", {"e"}),
        ("for i in range(3): i\nwith open('x') as file: file\n[y for y in z]", {"z"}),
        ("match p:\n    case {'k': v, **rest}: v, rest\n    case [first, *others]: first, others", {"p"}),
        ("try:\n    pass\nexcept OSError as error:\n    error\nclass A(B): pass\nA", {"B"}),
        ("from a import *\nb", set()),
        ("def f():\n    if Path:\n", {"Path"}),
        ("x = os.path.join(\ny = json", {"json"}),
        ("def f():\n    if Path:  # soon\n", set()),
        ("(global x y z\n" * 20, set()),
    ],
)
def test_unresolved(text: str, names: set[str]):
    assert unresolved(text) == names


@given(st.text(max_size=60))
def test_unresolved_takes_any_text(text: str):
    assert all(name.isidentifier() for name in unresolved(text))


PATH, NP = Import("pathlib", "Path"), Import("numpy", "", "np")


@pytest.mark.parametrize(
    ("text", "one", "after"),
    [
        ("x = 1\n", PATH, "from pathlib import Path\n\nx = 1\n"),
        ("\nx = 1\n", PATH, "from pathlib import Path\n\nx = 1\n"),
        ("", PATH, "from pathlib import Path\n"),
        ("#!/bin/python\n# A tool.\nx = 1", PATH, "#!/bin/python\n# A tool.\nfrom pathlib import Path\n\nx = 1"),
        ('"""A tool."""\n\nx = 1\n', PATH, '"""A tool."""\n\nfrom pathlib import Path\n\nx = 1\n'),
        ("import os\n\nx = 1\n", PATH, "import os\nfrom pathlib import Path\n\nx = 1\n"),
        ("import os\n\nimport torch\n", NP, "import os\n\nimport torch\nimport numpy as np\n"),
        ("import os\n\nimport torch\n", PATH, "import os\nfrom pathlib import Path\n\nimport torch\n"),
        ("import os\n\nx = 1\n", NP, "import os\n\nimport numpy as np\n\nx = 1\n"),
        ("import torch\n", PATH, "from pathlib import Path\n\nimport torch\n"),
        ("from __future__ import a\n\nx = 1", PATH, "from __future__ import a\n\nfrom pathlib import Path\n\nx = 1"),
        ("from pathlib import PurePath\nimport sys\n", PATH, "from pathlib import PurePath, Path\nimport sys\n"),
        ("from pathlib import (\n    PurePath,\n)\n", PATH, "from pathlib import (\n    PurePath, Path,\n)\n"),
        ("from .a import b\n", Import(".a", "c", "d"), "from .a import b, c as d\n"),
        ("import own.a\n\nx = 1\n", NP, "import numpy as np\n\nimport own.a\n\nx = 1\n"),
        ("import numpy as np\n", NP, None),
        ("from pathlib import PurePath as Path\n", PATH, None),
    ],
)  # fmt: skip
def test_where_an_import_goes(text: str, one: Import, after: str | None):
    edit = edit_for(text, one, own=("own",))
    assert (edit and applied(text, [edit])) == after


@given(st.lists(IMPORTS, max_size=4, unique_by=lambda one: one.binds), IMPORTS, st.booleans())
def test_an_import_is_added_once_and_nothing_else_changes(before: list[Import], one: Import, headed: bool):
    lines = [*(['"""A file."""'] if headed else []), *(other.line for other in before), "", f"{one.binds}.x"]
    text = "\n".join(lines)
    edits = edits_for(text, [one], frozenset())
    bound = one.binds in {other.binds for other in before}
    if edits:
        after = applied(text, edits)
        added = set(imports(after)) - set(before)
        assert added == {one}
        assert ast.get_docstring(ast.parse(after)) == ("A file." if headed else None)
        assert not edits_for(after, [one], frozenset())
    else:
        assert bound


def test_two_names_at_once():
    text = "import os\n\nprint(Path(np.pi))\n"
    done = applied(text, edits_for(text, [PATH, NP], frozenset()))
    assert done == "import os\nfrom pathlib import Path\n\nimport numpy as np\n\nprint(Path(np.pi))\n"


# --- in a session -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shapes(tmp_path: Path) -> Iterator[tuple[Speaking, Path]]:
    """A session in a workspace folder with FILES."""
    root = tmp_path / "work"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    client = Speaking(tmp_path)
    client.start_and_load(
        capabilities={"workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}},
        workspaceFolders=[{"uri": root.as_uri(), "name": "work"}],
    )
    yield client, root
    assert client.end() == 0
    client.close()


def offered(client: Speaking, uri: str, text: str, said: str) -> dict[str, Any]:
    """The suggestion at the end of a new document, once its folder has been read: until then the name is made up."""

    def look() -> dict[str, Any] | None:
        client.say(said)
        client.open(uri, text)
        line = text.count("\n")
        result = client.ask(INLINE, inline(uri, line, len(text) - text.rfind("\n") - 1, kind=2))["result"]
        client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        return next((one for one in result["items"] if "command" in one), None) if result else None

    return until("a suggestion with an import", look)


def run(client: Speaking, command: dict[str, Any]) -> int:
    return client.request(
        "workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]}
    )


def test_an_accepted_suggestion_brings_its_import(shapes: tuple[Speaking, Path]):
    client, root = shapes
    uri, text = (root / "tools" / "new.py").as_uri(), "import os\n\nfile = "
    item = offered(client, uri, text, "Path(os.curdir)")
    assert item["command"]["arguments"] == [{"uri": uri, "names": ["Path"]}]
    client.open(uri, after := text + "Path(os.curdir)\n")
    request = run(client, item["command"])
    asked = client.wait(lambda message: message.get("method") == "workspace/applyEdit")
    (document,) = asked["params"]["edit"]["documentChanges"]
    assert edited(after, document["edits"]) == "import os\nfrom pathlib import Path\n\nfile = Path(os.curdir)\n"
    client.send(id=asked["id"], result={"applied": True})
    assert client.reply(request)["result"] is None


@pytest.mark.parametrize(
    "after",
    [
        "from pathlib import PurePath as Path\n\nfile = Path(os.curdir)\n",
        "file = os.curdir\n",
        "class Path: pass\nfile = Path(os.curdir)\n",
    ],
)
def test_what_has_come_from_somewhere_meanwhile_is_left_alone(shapes: tuple[Speaking, Path], after: str):
    client, root = shapes
    uri = (root / "tools" / "new.py").as_uri()
    item = offered(client, uri, "import os\n\nfile = ", "Path(os.curdir)")
    client.open(uri, after)
    client.reply(run(client, item["command"]))
    assert not [message for message in client.received if message.get("method") == "workspace/applyEdit"]


def test_an_edit_that_came_too_late_is_made_again(shapes: tuple[Speaking, Path]):
    client, root = shapes
    uri, text = (root / "tools" / "new.py").as_uri(), "file = "
    item = offered(client, uri, text, "Path()")
    client.open(uri, text + "Path()")
    request = run(client, item["command"])
    asked = client.wait(lambda message: message.get("method") == "workspace/applyEdit")
    client.change(uri, {"text": (after := "# A tool.\n\nfile = Path()")})
    client.send(id=asked["id"], result={"applied": False})
    again = client.wait(lambda message: message.get("method") == "workspace/applyEdit" and message is not asked)
    (document,) = again["params"]["edit"]["documentChanges"]
    assert document["textDocument"]["version"] == 2
    assert edited(after, document["edits"]) == "# A tool.\nfrom pathlib import Path\n\nfile = Path()"
    client.send(id=again["id"], result={"applied": True})
    client.reply(request)
