"""The plug-in in real Neovim with given suggestions: what is drawn, what each key takes, what is asked and when."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.editor

SERVER = Path(__file__).with_name("scripted_server.py")
PLUGIN = Path(__file__).parents[2] / "nvim-client"
CONFIG = """
require("incoder").setup({
  cmd = CMD,
  keymaps = {
    accept = "<Tab>",
    accept_word = "<C-Right>",
    accept_line = "<C-e>",
    dismiss = "<C-]>",
    next = "<M-n>",
    prev = "<M-p>",
  },
})
"""


class Scene:
    """One file, one script, one editor. `config` is Lua with the server's command in place of `CMD`."""

    def __init__(self, neovim, tmp_path: Path, script: dict, text: str = "", config: str = CONFIG) -> None:
        self.neovim, self.file, self.log = neovim, tmp_path / "file.py", tmp_path / "log.jsonl"
        self.file.write_bytes(text.encode())
        self.log.touch()
        (tmp_path / "script.json").write_text(json.dumps(script))
        command = json.dumps([sys.executable, str(SERVER), str(tmp_path / "script.json"), str(self.log)])
        neovim.open(self.file, config.replace("CMD", "{" + command[1:-1] + "}"))

    def asked(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def until_asked(self, left: str) -> dict:
        return self.neovim.until(
            f"a request at {left!r}", lambda: next((e for e in self.asked() if e["left"] == left), None)
        )

    def until_line(self, line: str) -> None:
        self.neovim.until(f"line {line!r}", lambda: self.neovim.line() == line)

    def until_gone(self) -> None:
        self.neovim.until("no ghost text", lambda: not self.neovim.ghost())


def test_whole_suggestion_of_several_lines_is_saved_as_shown(neovim, tmp_path):
    script = {"def add(a": [{"text": ", b):\n    total = a + b\n    return total"}]}
    scene = Scene(neovim, tmp_path, script, "# top\n\n\n# bottom\n")
    neovim.type("jidef add(a")
    assert neovim.wait_ghost() == ", b):\n    total = a + b\n    return total"
    promised = neovim.as_shown()
    neovim.type("<Tab>")
    scene.until_line("    return total")
    scene.until_gone()
    neovim.type("!")
    assert neovim.saved(scene.file).decode() == promised.replace("return total", "return total!") + "\n"


def test_no_key_is_mapped_unless_asked(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "1"}]}, config="require('incoder').setup({ cmd = CMD })")
    mapped = "return #vim.tbl_filter(function(m) return m.desc and m.desc:match('^incoder') end, {})"
    assert neovim.lua(mapped.replace("{}", "vim.api.nvim_buf_get_keymap(0, 'i')")) == 0
    assert neovim.lua(mapped.replace("{}", "vim.api.nvim_get_keymap('i')")) == 0
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "1"
    assert neovim.lua("return require('incoder').accept()") is True
    scene.until_line("x = 1")


def test_a_key_without_a_suggestion_keeps_its_meaning(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {})
    neovim.lua("vim.bo.expandtab = false")
    neovim.type("i<Tab>x")
    scene.until_line("\tx")
    assert neovim.lua("return require('incoder').accept()") is False
    if neovim.release == "0.10":
        return  # has no mapping of its own that must be kept
    neovim.lua("vim.snippet.expand('f($1, $2)')")
    neovim.type("a<Tab>b")  # Neovim's own <Tab> mapping jumps to the next field
    scene.until_line("\txf(a, b)")


def test_words_and_lines_are_taken_one_at_a_time(neovim, tmp_path):
    script = {"def f": [{"text": "oo(self, café_1):\n    return café_1\n    # end"}]}
    scene = Scene(neovim, tmp_path, script)
    neovim.type("idef f")
    neovim.wait_ghost()
    for typed in ("oo", "(", "self", ",", " café_1"):
        before = neovim.line()
        neovim.type("<C-Right>")
        scene.until_line(before + typed)
    assert neovim.ghost() == "):\n    return café_1\n    # end"
    neovim.type("<C-e>")
    scene.until_line("def foo(self, café_1):")
    neovim.type("<C-e>")
    scene.until_line("    return café_1")
    assert neovim.ghost() == "\n    # end"
    neovim.type("<Tab>")
    scene.until_line("    # end")
    scene.until_gone()
    assert neovim.saved(scene.file).decode() == "def foo(self, café_1):\n    return café_1\n    # end\n"


def test_what_still_fits_stays_when_the_server_has_nothing_to_add(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "one + two"}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type("<C-Right>")
    scene.until_line("x = one")
    assert neovim.ghost() == " + two"
    neovim.type(" ")
    if neovim.engine == "native":  # 0.12 asks at every key
        scene.until_asked("x = one ")
    scene.until_line("x = one ")
    assert neovim.ghost() == "+ two"
    neovim.type("<Tab>")
    scene.until_line("x = one + two")


def test_typing_along_consumes_the_suggestion(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}], "x = va": [{"text": "lue"}]})
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "value"
    neovim.type("v")
    scene.until_line("x = v")
    assert neovim.ghost() == "alue"
    neovim.type("a")
    scene.until_line("x = va")
    assert neovim.ghost() == "lue"
    if neovim.engine == "ghost":  # 0.12 asks at every key
        with pytest.raises(AssertionError):
            neovim.until("another request", lambda: len([e for e in scene.asked() if e["left"]]) > 1, 0.3)
    neovim.type("<Tab>")
    scene.until_line("x = value")
    assert neovim.saved(scene.file) == b"x = value\n"


def test_a_suggestion_accepted_right_after_typing_along_leaves_no_extra_characters(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"f(": [{"text": "one, two)", "over": 1}]}, "f()\n")
    neovim.type("f)i")
    assert neovim.wait_ghost()
    neovim.type("one<Tab>")
    scene.until_line("f(one, two)")
    assert neovim.saved(scene.file) == b"f(one, two)\n"


def test_a_wrong_key_hides_the_suggestion_and_asks_again(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}], "x = w": [{"text": "idth", "delay": 0.2}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type("w")
    scene.until_line("x = w")
    assert neovim.ghost() == ""
    assert neovim.lua("return require('incoder').accept()") is False
    assert neovim.wait_ghost() == "idth"


def test_a_wrong_key_without_another_answer_leaves_nothing(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type("?")
    scene.until_asked("x = ?")
    assert neovim.ghost() == ""
    neovim.type("!")
    scene.until_line("x = ?!")
    assert neovim.ghost() == ""
    assert neovim.saved(scene.file) == b"x = ?!\n"


def test_backspace_and_moving_away_hide_the_suggestion(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}], "x =": [{"text": " 1"}]}, "first\n")
    neovim.type("ox = ")
    neovim.wait_ghost()
    neovim.type("<Up>")
    neovim.until("the cursor to move", lambda: neovim.line() == "first")
    assert neovim.ghost() == ""
    neovim.type("<Down><End>")
    scene.until_line("x = ")
    neovim.type("<BS>")
    scene.until_line("x =")
    assert neovim.wait_ghost() == " 1"


def test_leaving_insert_mode_hides_the_suggestion(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type("<Esc>")
    scene.until_gone()
    assert neovim.lua("return require('incoder').accept()") is False


def test_dismissed_until_something_is_typed(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}], "x = va": [{"text": "rious"}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type("<C-]>")
    scene.until_gone()
    assert neovim.lua("return require('incoder').accept()") is False
    neovim.type("va")
    assert neovim.wait_ghost() == "rious"
    assert neovim.saved(scene.file) == b"x = va\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a, b)", "print(a, b)"),
        ("a, b): # (c)", "print(a, b): # (c)"),
        ("\n    a,\n)", "print(\n    a,\n)"),
    ],
)
def test_an_auto_closed_bracket_is_not_doubled(neovim, tmp_path, text, result):
    scene = Scene(
        neovim,
        tmp_path,
        {"print(": [{"text": text, "over": 1}]},
        config=CONFIG + "vim.keymap.set('i', '(', '()<Left>')",
    )
    neovim.type("iprint(")
    neovim.wait_ghost()
    assert neovim.line() == "print()"
    if neovim.engine == "ghost" or "\n" not in text:  # Neovim 0.12 leaves the bracket on the screen too
        assert neovim.as_shown().split() == result.split()
    neovim.type("<Tab>")
    scene.until_line(result.rsplit("\n", maxsplit=1)[-1])
    assert neovim.saved(scene.file).decode() == result + "\n"


def test_a_bracket_that_closes_itself_while_typing_along_is_not_doubled(neovim, tmp_path):
    script = {"f": [{"text": "(a, b)"}], "f(": [{"text": "a, b)", "over": 1}]}
    scene = Scene(neovim, tmp_path, script, config=CONFIG + "vim.keymap.set('i', '(', '()<Left>')")
    neovim.type("if")
    neovim.wait_ghost()
    neovim.type("(")
    scene.until_line("f()")
    neovim.wait_ghost()
    assert neovim.as_shown() == "f(a, b)"
    neovim.type("<Tab>")
    scene.until_line("f(a, b)")


def test_words_of_a_suggestion_that_covers_a_bracket(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"print(": [{"text": "f(x), y):\n    pass", "over": 1}]}, "print()\n")
    neovim.type("f)i")
    neovim.wait_ghost()
    for line in ("print(f)", "print(f()", "print(f(x)", "print(f(x),)", "print(f(x), y)", "print(f(x), y):"):
        neovim.type("<C-Right>")
        scene.until_line(line)
    neovim.type("<Tab>")
    scene.until_line("    pass")
    assert neovim.saved(scene.file) == b"print(f(x), y):\n    pass\n"


def test_a_range_that_covers_the_typed_word(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = val": [{"text": "value + 1", "back": 3}]})
    neovim.type("ix = val")
    assert neovim.wait_ghost() == "ue + 1"
    neovim.type("<Tab>")
    scene.until_line("x = value + 1")
    assert neovim.saved(scene.file) == b"x = value + 1\n"


ENCODING = """
local all = vim.lsp.protocol.make_client_capabilities
vim.lsp.protocol.make_client_capabilities = function()
  return vim.tbl_deep_extend("force", all(), { general = { positionEncodings = { "ENCODING" } } })
end
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_columns_after_an_emoji(neovim, tmp_path, encoding):
    left = "s = '😀é' + f("
    scene = Scene(
        neovim,
        tmp_path,
        {left: [{"text": "'🎉')", "over": 1}], left + "'🎉')": [{"text": "  # é"}]},
        config=ENCODING.replace("ENCODING", encoding) + CONFIG,
    )
    assert neovim.lua("return vim.lsp.get_clients()[1].offset_encoding") == encoding
    neovim.type(f"i{left})<Left>")
    neovim.wait_ghost()
    assert neovim.as_shown() == left + "'🎉')"
    neovim.type("<Tab>")
    scene.until_line(left + "'🎉')")
    assert neovim.wait_ghost() == "  # é"
    neovim.type("<Tab>")
    scene.until_line(left + "'🎉')  # é")
    expected = {"utf-8": len(left.encode()), "utf-16": len(left.encode("utf-16-le")) // 2, "utf-32": len(left)}
    assert scene.until_asked(left)["character"] == expected[encoding]


def test_next_and_previous(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "one"}, {"text": "two"}]})
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    for key, text in (("<M-n>", "two"), ("<M-n>", "one"), ("<M-p>", "two")):
        neovim.type(key)
        neovim.until(text, lambda text=text: neovim.ghost().startswith(text))
    neovim.type("<Tab>")
    scene.until_line("x = two")


def test_a_superseded_request_is_cancelled(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x": [{"text": "slow", "delay": 30}], "xy": [{"text": "z"}]})
    neovim.type("ix")
    neovim.until("the first request", lambda: neovim.lua("return next(vim.lsp.get_clients()[1].requests) ~= nil"))
    neovim.type("y")
    assert neovim.wait_ghost() == "z"
    assert scene.until_asked("x")["cancelled"]


def test_a_late_answer_does_not_disturb_the_newer_one(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x": [{"text": "slow", "delay": 0.5, "deaf": True}], "xy": [{"text": "z"}]})
    neovim.type("ix")
    neovim.until("the first request", lambda: neovim.lua("return next(vim.lsp.get_clients()[1].requests) ~= nil"))
    neovim.type("y")
    assert neovim.wait_ghost() == "z"
    assert not scene.until_asked("x")["cancelled"]
    neovim.until("no request", lambda: neovim.lua("return next(vim.lsp.get_clients()[1].requests) == nil"))
    assert neovim.ghost() == "z"


def test_a_line_end_of_the_server_becomes_the_files_own(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"if a:": [{"text": "\r\n    b"}]}, "top\r\nif a\r\n")
    neovim.type("jA:")
    assert neovim.wait_ghost() == "\n    b"
    neovim.type("<Tab>")
    scene.until_line("    b")
    assert neovim.saved(scene.file) == b"top\r\nif a:\r\n    b\r\n"


def test_a_server_that_ends_takes_its_suggestion_along(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "value"}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.lua("vim.lsp.get_clients()[1].stop()")
    scene.until_gone()
    assert neovim.lua("return require('incoder').accept()") is False
    neovim.lua("vim.cmd.doautoall((vim.lsp.config and 'nvim.lsp.enable' or 'incoder.start') .. ' FileType')")
    neovim.until_attached()
    neovim.type("<BS> ")
    assert neovim.wait_ghost() == "value"


def test_unknown_options_are_named(neovim, tmp_path):
    Scene(neovim, tmp_path, {})
    for options, name in (("{ key = 1 }", "key"), ("{ keymaps = { acept = '<Tab>' } }", "acept")):
        ok, message = neovim.lua(f"return {{ pcall(require('incoder').setup, {options}) }}")
        assert not ok
        assert f'"{name}"' in message


DOCS = (Path(__file__).parents[2] / "docs" / "editors" / "neovim.md").read_text(encoding="utf-8")
EXAMPLES = [block for block in re.findall(r"```lua\n(.*?)```", DOCS, re.DOTALL) if "cmd = {" in block]


# A user says yes; and --clean has taken his own packages away.
PACK = """
vim.fn.confirm = function() return 1 end
vim.opt.packpath:prepend(vim.fn.stdpath("data") .. "/site")
"""
# What an example is about -> the editors that have it.
NEEDS = {"vim.lsp.inline_completion": ["0.12"], "vim.pack": ["0.12"], "vim.lsp.config": ["0.11", "0.12"]}


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_configurations_in_the_docs_work(neovim, tmp_path, example):
    for word, releases in NEEDS.items():
        if word in example and neovim.release not in releases:
            pytest.skip(f"this example is for Neovim {' and '.join(releases)}")
    if "setup(" not in example:  # so that the test has no say in who draws
        neovim.namespace = "nvim.lsp.inline_completion" if "inline_completion" in example else "incoder"
    config = example.replace('{ "incoder-lsp", "serve" }', "CMD")
    assert "CMD" in config
    if "vim.pack" in config:
        config = PACK + config.replace("/path/to/the/clone", clone(tmp_path))
    scene = Scene(neovim, tmp_path, {"x = ": [{"text": "1"}]}, config=config)
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "1"
    neovim.type("<Tab>")
    scene.until_line("x = 1")
    if "vim.pack" in config:
        assert neovim.lua("return #vim.api.nvim_get_runtime_file('lua/incoder/init.lua', true)") == 2


def clone(folder: Path) -> str:
    """A repository that has the plug-in where ours has it."""
    repository = folder / "clone"
    shutil.copytree(PLUGIN, repository / PLUGIN.name)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *command], check=True)
    return str(repository)
