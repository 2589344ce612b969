"""The main job in real Neovim: the real server with the bundled model. A small model is free to say anything, so what is
checked is that the screen's promise is kept: what was shown, and nothing else, is in the saved file."""

import re
import sys
import time
from dataclasses import dataclass

import pytest

pytestmark = pytest.mark.editor

ABOVE = """\
class Rectangle:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height

    def perimeter(self):
        return 2 * (self.width + self.height)


"""
BELOW = """


def main():
    shape = Rectangle(3, 4)
    print(shape.area())


if __name__ == "__main__":
    main()
"""
# Beginnings that a model of Python has something to say about; the first that gets an answer is used.
BEGINNINGS = (
    "class Square(Rectangle):<CR>def __init__(self, side",
    "def area_of(shape):<CR>return shape",
    "def scaled(shape, factor):<CR>return Rectangle(shape.width * factor, sh",
    "for i in ran",
)
PATIENCE = 5.0  # seconds for each of them
IN_BRACKETS = ("print(Rectangle.per", "shape = Rectangle(wid", "print(max(wid", "for i in range(le")
CONFIG = f"""
require("incoder").setup({{
  cmd = {{ "{sys.executable}", "-m", "incoder_lsp", "serve" }},
  keymaps = {{ accept = "<Tab>", accept_word = "<C-Right>", accept_line = "<C-e>", dismiss = "<C-]>" }},
}})
"""
NOTHING_PENDING = """
for _, request in pairs(vim.lsp.get_clients({ bufnr = 0 })[1].requests) do
  if request.type == "pending" then return false end
end
return true
"""
LEFT = """
local row, col = unpack(vim.api.nvim_win_get_cursor(0))
return table.concat(vim.api.nvim_buf_get_text(0, 0, 0, row - 1, col, {}), "\\n")
"""


@dataclass(frozen=True)
class Shown:
    left: str
    """Text before the cursor."""
    ghost: str
    promised: str
    """The whole file, if the suggestion is accepted."""

    @property
    def rest(self) -> str:
        return self.promised[len(self.left) :]


class Session:
    def __init__(self, neovim) -> None:
        pytest.importorskip("torch")
        self.neovim, self.file = neovim, neovim.folder / "shapes.py"
        self.file.write_text(ABOVE + BELOW, encoding="utf-8")
        neovim.open(self.file, CONFIG)
        neovim.until("the model to be loaded", lambda: neovim.api.vars["progress"] == "end", 60)

    def reset(self) -> None:
        self.neovim.type("<Esc>")
        self.neovim.api.current.buffer[:] = (ABOVE + BELOW).splitlines()
        self.neovim.api.command("write")

    def text(self) -> str:
        return "\n".join(self.neovim.lines()) + "\n"

    def left(self) -> str:
        return self.neovim.lua(LEFT)

    def saved(self) -> str:
        return self.neovim.saved(self.file).decode("utf-8")

    def look(self) -> Shown:
        """What stands on the screen once no more answer is on its way."""
        self.neovim.until("the last answer", lambda: self.neovim.lua(NOTHING_PENDING))
        return Shown(self.left(), self.neovim.ghost(), self.neovim.as_shown() + "\n")

    def suggest(self, beginnings: tuple[str, ...] = BEGINNINGS) -> Shown:
        """Type one beginning after the other into the free line until there is ghost text."""
        for beginning in beginnings:
            self.neovim.type(f":{ABOVE.count(chr(10)) + 1}<CR>cc{beginning[:-1]}")
            time.sleep(0.3)  # all at once, they would look like the undo of what the test before has done
            self.neovim.type(beginning[-1])
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if (shown := self.look()).ghost:
                    return shown
                time.sleep(0.05)
            self.reset()
        pytest.fail(f"no suggestion for any of {beginnings}")

    def until_left(self, left: str) -> None:
        self.neovim.until(f"the cursor behind {left[-40:]!r}", lambda: self.left() == left)


@pytest.fixture(scope="module")
def opened(lasting_neovim) -> Session:
    return Session(lasting_neovim)


@pytest.fixture
def session(opened: Session) -> Session:
    opened.reset()
    return opened


def test_what_is_shown_is_what_is_saved(session):
    shown = session.suggest()
    session.neovim.type("<Tab>")
    session.neovim.until("the whole suggestion", lambda: session.text() == shown.promised)
    saved = session.saved()
    assert not session.neovim.ghost()
    assert saved == shown.promised
    assert saved.startswith(ABOVE)
    assert saved.endswith(BELOW)
    assert len(saved) > len(shown.left + BELOW)


def test_a_word_is_taken_and_the_rest_stays(session):
    shown = session.suggest()
    word = re.match(r"\s*(\w+|[^\w\s]+)", shown.rest)
    assert word
    session.neovim.type("<C-Right>")
    session.until_left(shown.left + word[0])
    then = session.look()
    if then.ghost:
        session.neovim.type("<Tab>")
        session.neovim.until("the rest", lambda: session.text() == then.promised)
    saved = session.saved()
    assert saved == then.promised
    assert saved.startswith(shown.left + word[0])
    assert saved.endswith(BELOW)


def test_a_line_is_taken(session):
    shown = session.suggest()
    line = re.match(r"\n?[^\n]*", shown.rest)
    assert line
    session.neovim.type("<C-e>")
    session.until_left(shown.left + line[0])
    assert session.saved() == shown.left + line[0] + BELOW


def test_a_dismissed_suggestion_leaves_nothing(session):
    shown = session.suggest()
    session.neovim.type("<C-]>")
    session.neovim.until("no ghost text", lambda: not session.neovim.ghost())
    assert session.saved() == shown.left + BELOW


def test_a_wrong_key_takes_the_place_of_the_suggestion(session):
    shown = session.suggest()
    wrong = "+" if shown.ghost[0] != "+" else "-"
    session.neovim.type(wrong)
    session.until_left(shown.left + wrong)
    assert session.neovim.ghost() != shown.ghost
    assert session.saved() == shown.left + wrong + BELOW


def test_no_suggestion_comes_a_second_time_in_the_popup(session):
    assert session.neovim.lua("return vim.lsp.get_clients()[1].server_capabilities.completionProvider == nil")


@pytest.fixture
def closing_brackets(session):
    """As the usual plug-ins do it."""
    session.neovim.lua("vim.keymap.set('i', '(', '()<Left>')")
    yield
    session.neovim.lua("vim.keymap.del('i', '(')")


@pytest.mark.usefixtures("closing_brackets")
def test_an_auto_closed_bracket_is_not_doubled(session):
    shown = session.suggest(IN_BRACKETS)
    promised = shown.promised
    if session.neovim.engine == "native" and ")" not in shown.rest.split("\n")[0]:
        promised = f"{shown.left}{shown.ghost}){BELOW}"  # Neovim draws over the bracket, and leaves it there
    session.neovim.type("<Tab>")
    session.neovim.until("the whole suggestion", lambda: session.text() == promised)
    saved = session.saved()
    assert saved == promised
    assert saved.count(")") <= saved.count("(")


def test_ghost_text_has_a_colour_in_every_terminal(session):
    for scheme in ("default", "habamax"):
        session.neovim.api.command(f"colorscheme {scheme}")
        assert session.neovim.api.exec_lua("return vim.api.nvim_get_hl(0, {name = 'ComplHint', link = false}).ctermfg")
