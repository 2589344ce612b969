"""Which pieces of other files are chosen, where they come from, and how long a choice lasts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.documents import Document
from incoder_lsp.imports import LARGEST, MOST, Imports
from incoder_lsp.neighbours import MOST as MOST_PIECES
from incoder_lsp.neighbours import WINDOW, File, choose
from incoder_lsp.question import Question
from incoder_lsp.recent import AROUND, RecentEdits
from incoder_lsp.settings import Settings
from incoder_lsp.surroundings import Surroundings
from incoder_lsp.type_along import anchored

SHAPES = "class Rectangle:\n    def perimeter(self):\n        return 2 * (self.width + self.height)\n"
ALL_ON = Settings(neighbour_files=True, neighbour_edits=True, neighbour_imports=True)


def filler(word: str, lines: int) -> str:
    return "".join(f"{word}_{i} = {i}\n" for i in range(lines))


# --- ranking -----------------------------------------------------------------------------------------------------


def test_the_piece_that_shares_rare_names_comes_first() -> None:
    far = filler("alpha", 40) + SHAPES + filler("omega", 40)
    files = [File("/a/noise.py", "import os\n" + filler("beta", 50)), File("/a/shapes.py", far)]
    best, *_ = choose(files, "box = Rectangle()\nlength = box.", "\n")
    assert best.path == "/a/shapes.py"
    assert "def perimeter" in best.text
    assert best.text.count("\n") < WINDOW


def test_what_shares_no_name_is_no_neighbour() -> None:
    assert choose([File("/a/b.py", filler("beta", 50))], "gamma = delta(", ")") == ()
    assert choose([], "a", "b") == ()


def test_a_file_that_comes_whole_and_in_pieces_is_shown_once() -> None:
    files = [File("/a/shapes.py", SHAPES), File("/a/shapes.py", SHAPES)]
    assert len(choose(files, "Rectangle", "")) == 1


texts = st.text(st.sampled_from("abc_ \n"), max_size=200)


@given(st.lists(texts, max_size=4), texts, texts)
def test_pieces_are_lines_of_their_files(contents: list[str], left: str, right: str) -> None:
    files = [File(f"/f{number}.py", text) for number, text in enumerate(contents)]
    chosen = choose(files, left, right)
    assert len(chosen) <= MOST_PIECES
    for piece in chosen:
        whole = next(file.text for file in files if file.path == piece.path)
        assert f"\n{piece.text}\n" in f"\n{whole}\n"


# --- imports -----------------------------------------------------------------------------------------------------


def made(folder: Path, **files: str) -> None:
    """`a__b` is a/b.py, and `a__b___ts` a/b.ts."""
    for name, text in files.items():
        path, _, ending = name.partition("___")
        place = folder / f"{path.replace('__', '/')}.{ending or 'py'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def found(folder: Path, name: str, text: str) -> list[str]:
    files = Imports().of(str(folder / name), text, [str(folder)])
    return [Path(file.path).resolve().relative_to(folder.resolve()).as_posix() for file in files]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("import shapes.flat\n", ["shapes/flat.py"]),
        ("import os, shapes.flat as f\n", ["shapes/flat.py"]),
        ("from shapes import flat, deep\n", ["shapes/flat.py", "shapes/deep.py", "shapes/init.py"]),
        ("from shapes import (\n    deep,  # the other\n    flat as f,\n)\n", ["shapes/deep.py", "shapes/flat.py"]),
        ("from . import main\n", ["app/main.py"]),
        ("from .main import start\n", ["app/main.py"]),
        ("def f():\n    from ..shapes.deep import x\n", ["shapes/deep.py"]),
        ("import library\n", ["src/library.py"]),
        ("import os\nfrom typing import Any\nimport nowhere.at_all\n", []),
        ("# import shapes.flat\nimport_shapes = 'from shapes import flat'\n", []),
    ],
)
def test_python_imports_of_the_workspace(tmp_path: Path, text: str, paths: list[str]) -> None:
    made(tmp_path, shapes__flat="f", shapes__deep="d", app__main="m", src__library="l", app__code="")
    assert [path for path in found(tmp_path, "app/code.py", text) if path in paths] == [
        path for path in paths if path != "shapes/init.py"
    ]
    assert set(found(tmp_path, "app/code.py", text)) <= set(paths)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("import { a } from './one'\n", ["web/one.ts"]),
        ("const two = require('../two')\n", ["two.js"]),
        ("export * from './deep'\n", ["web/deep/index.ts"]),
        ("import './one.js'\n", ["web/one.ts"]),
        ("const later = await import('./one')\n", ["web/one.ts"]),
        ("import react from 'react'\nimport x from '../../outside'\n", []),
    ],
)
def test_relative_imports_of_scripts(tmp_path: Path, text: str, paths: list[str]) -> None:
    inside = tmp_path / "inside"
    made(inside, web__one___ts="1", two___js="2", web__deep__index___ts="3")
    made(tmp_path, outside___js="no")
    assert found(inside, "web/code.ts", text) == paths


def test_secrets_links_to_the_outside_and_large_files_are_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    made(tmp_path, outside="password = 1")
    made(inside, code="", large="x" * (LARGEST + 1), **{".ssh__keys": "secret"})
    (inside / "linked.py").symlink_to(tmp_path / "outside.py")
    (inside / "binary.py").write_bytes(b"\xff\xfe\0")
    (inside / "aliased.py").symlink_to(inside / ".ssh" / "keys.py")
    text = "import linked, large, binary, aliased\n"
    assert found(inside, "code.py", text) == []
    assert Imports().of(str(tmp_path / "code.py"), "import outside\n", [str(inside)]) == []
    assert Imports().of(str(tmp_path / "code.py"), "import outside\n", []) == []


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    made(tmp_path, one="first")
    imports, ask = Imports(), (str(tmp_path / "code.py"), "import one\n", [str(tmp_path)])
    (tmp_path / "one.py").write_text("second version")
    assert [file.text for file in imports.of(*ask)] == ["second version"]
    (tmp_path / "one.py").write_text("third")
    assert [file.text for file in imports.of(*ask)] == ["third"]
    (tmp_path / "one.py").unlink()
    assert imports.of(*ask) == []


def test_only_so_many_files_are_read(tmp_path: Path) -> None:
    made(tmp_path, **{f"m{number}": "x" for number in range(MOST + 5)})
    assert len(found(tmp_path, "code.py", "".join(f"import m{number}\n" for number in range(MOST + 5)))) == MOST


# --- recent edits ------------------------------------------------------------------------------------------------


def edited(document: Document, edits: RecentEdits, first: int, last: int, text: str) -> None:
    document.edit((first, 0), (last, 0), text)
    edits.edited("file:///a.py", first, last, text)


def test_the_lines_around_an_edit_move_with_what_is_put_above_them() -> None:
    document, edits = Document(filler("line", 100)), RecentEdits()
    edited(document, edits, 60, 60, "here = 1\n")
    edited(document, edits, 5, 5, "above = 1\n" * 20)
    (_, latest), (_, earlier) = edits.pieces({"file:///a.py": document})
    assert latest.count("above") == 20
    lines = earlier.split("\n")
    assert lines[AROUND] == "here = 1"
    edited(document, edits, 0, 30, "")
    assert any("here = 1" in piece for _, piece in edits.pieces({"file:///a.py": document}))


def test_edits_that_are_near_are_one_place() -> None:
    document, edits = Document(filler("line", 100)), RecentEdits()
    for line in (50, 52, 49):
        edited(document, edits, line, line, "new = 1\n")
    (piece,) = edits.pieces({"file:///a.py": document})
    assert piece[1].count("new") == 3
    edits.forget("file:///a.py")
    assert not list(edits.pieces({"file:///a.py": document}))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_whatever_is_edited_the_pieces_are_lines_of_the_document(changes: list[tuple[int, int, int]]) -> None:
    document, edits = Document(filler("line", 30)), RecentEdits()
    for first, removed, added in changes:
        edited(document, edits, first, first + removed, "new\n" * added)
    for _, piece in edits.pieces({"file:///a.py": document}):
        assert piece in document.text


# --- the choice --------------------------------------------------------------------------------------------------


def question(text: str, settings: Settings = ALL_ON, **fields: Any) -> Question:
    """A bar at the cursor."""
    return Question("file:///w/a.py", "/w/a.py", text.replace("|", ""), text.index("|"), "\n", True, settings, **fields)


def paths(surroundings: Surroundings, asked: Question, documents: dict[str, Document]) -> list[str]:
    choice = surroundings.choice(asked, documents, [])
    return [one.path for one in choice.neighbours(asked.text, "")] if choice else []


def test_open_files_are_neighbours_and_secrets_never_are() -> None:
    documents = {
        "file:///w/a.py": Document(SHAPES),
        "file:///w/b.py": Document(SHAPES),
        "file:///w/.env": Document(SHAPES + "1"),
        "file:///w/.aws/c.py": Document(SHAPES + "2"),
    }
    surroundings, asked = Surroundings(), question("Rectangle|")
    assert paths(surroundings, asked, documents) == ["/w/b.py"]
    off = Settings(neighbour_files=False, neighbour_edits=False, neighbour_imports=False)
    assert paths(surroundings, replace(asked, settings=off), documents) == []
    assert paths(surroundings, replace(asked, settings=replace(ALL_ON, neighbour_share=0)), documents) == []


def test_a_choice_lasts_while_the_user_types_at_one_place() -> None:
    surroundings, documents = Surroundings(), {"file:///w/b.py": Document(SHAPES)}

    def asked(text: str) -> Question:
        plain = question(text)
        return replace(plain, choice=surroundings.choice(plain, documents, []))

    first = anchored(asked("a = 1\nb = |\nc = 3\n"), None)
    typed = anchored(asked("a = 1\nb = Rec|\nc = 3\n"), first)
    assert typed.choice is first.choice
    back = anchored(asked("a = 1|\nc = 3\n"), typed)
    assert back.choice is first.choice, "what stands behind is the same, so the model need not read it again"
    elsewhere = anchored(asked("a = |\nb = Rec\nc = 3\n"), typed)
    assert elsewhere.choice is not first.choice
    further = anchored(asked("a = 1\nb = " + "x = 1\n" * 200 + "|\nc = 3\n"), typed)
    assert further.choice is not first.choice
    assert anchored(replace(asked("a = 1\nb = Rec|\nc = 3\n"), choice=None), typed).choice is None
