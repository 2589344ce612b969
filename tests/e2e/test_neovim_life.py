"""When the plug-in asks and when it does not, by hand too; what the server is told of a suggestion's fate; the server's own
life and death. The server's answers are given."""

import json
import sys

import pytest

pytestmark = pytest.mark.editor


ONE, THREE = [{"text": "one"}], [{"text": "two"}, {"text": "one"}, {"text": "three"}]


def test_asked_by_hand_several_come_and_can_be_gone_through(neovim, answering):
    scene = answering(invoked={"x = ": THREE})
    neovim.type("ix = ")
    neovim.until("an automatic question", lambda: any(p["context"]["triggerKind"] == 2 for p in scene.asked()))
    neovim.type("<M-t>")
    for text, key in (("two", "<M-n>"), ("one", "<M-n>"), ("three", "<M-p>"), ("one", "<Tab>")):
        neovim.until(text, lambda text=text: neovim.ghost().startswith(text))
        neovim.type(key)
    scene.until_line("x = one")
    assert [told["context"]["triggerKind"] for told in scene.asked()].count(1) == 1


def test_whoever_wants_the_next_of_one_asks_for_more(neovim, answering):
    scene = answering(automatic={"x = ": ONE}, invoked={"x = ": THREE})
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    neovim.type("<M-n>")
    neovim.until("more than one", lambda: scene.asked()[-1]["context"]["triggerKind"] == 1)
    neovim.until("another", lambda: neovim.ghost() not in ("", "one"))


def test_asked_from_normal_mode(neovim, answering):
    scene = answering(text="x = \n", invoked={"x = ": THREE})
    neovim.type("$:Incoder trigger<CR>")
    assert neovim.wait_ghost().startswith("two")
    neovim.type("<Tab>")
    scene.until_line("x = two")


def test_asked_where_there_is_nothing_one_line_says_so(neovim, answering):
    if neovim.engine == "native":
        pytest.skip("there Neovim itself gets the answer")
    scene = answering()
    neovim.lua("vim.api.nvim_echo = function(chunks) vim.g.echoed = chunks[1][1] end")
    neovim.type("ix<M-t>")
    neovim.until("the line", lambda: neovim.lua("return vim.g.echoed == 'InCoder: no suggestion here; :Incoder why'"))
    assert scene.neovim.line() == "x"


def test_the_server_is_told_what_was_shown_and_what_was_taken(neovim, answering):
    text = "😀é(a):\r\n    b\r\n    c"
    scene = answering(automatic={"x = ": [{"text": text}]})
    neovim.type("ix = ")
    neovim.wait_ghost()
    assert [told["item"]["insertText"] for told in scene.until_told("textDocument/didShowCompletion")] == [text]
    neovim.type("<C-Right>")
    scene.until_line("x = 😀é")
    neovim.type("<C-e>")
    scene.until_line("x = 😀é(a):")
    neovim.type("<C-e>")
    scene.until_line("    b")
    taken = scene.until_told("textDocument/didPartiallyAcceptCompletion", 3)
    assert [told["acceptedLength"] for told in taken] == [3, 7, 14]  # in UTF-16, with the server's own line ends
    neovim.type("<Tab>")
    scene.until_line("    c")
    assert len(scene.told("textDocument/didShowCompletion")) == 1
    assert len(scene.told("textDocument/didPartiallyAcceptCompletion")) == 3


def test_the_server_is_told_which_buffer_has_the_focus(neovim, tmp_path, answering):
    scene = answering()
    (tmp_path / "other.py").write_text("")
    scene.until_told("textDocument/didFocus")
    neovim.api.command(f"edit {tmp_path / 'other.py'}")
    neovim.until(
        "the other", lambda: scene.told("textDocument/didFocus")[-1]["textDocument"]["uri"].endswith("other.py")
    )
    neovim.api.command("buffer #")
    neovim.until(
        "the first", lambda: scene.told("textDocument/didFocus")[-1]["textDocument"]["uri"].endswith("file.py")
    )


@pytest.mark.parametrize(
    ("off", "on"), [("Incoder pause", "Incoder resume"), ("let b:incoder = v:false", "Incoder resume buffer")]
)
def test_the_switches(neovim, off, on, answering):
    scene = answering(automatic={"x = ": ONE, "x =  ": ONE})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type(f"<Cmd>{off}<CR> ")
    neovim.until("no ghost text", lambda: not neovim.ghost())
    assert scene.status() == "InCoder paused"
    assert neovim.lua("return require('incoder').trigger()") is False
    neovim.type("<Esc>:Incoder why<CR>")
    scene.until_said("goes on.")
    neovim.type(f":{on}<CR>A<BS> ")
    assert neovim.wait_ghost() == "one"


def test_nothing_is_asked_where_it_is_off(neovim, answering):
    config = "vim.api.nvim_create_autocmd('FileType', { command = 'let b:incoder = v:false' })"
    config += "require('incoder').setup({ cmd = CMD })"
    scene = answering(automatic={"x": ONE}, config=config)
    neovim.type("ixyz")
    scene.until_line("xyz")
    neovim.type("<Esc>:let b:incoder = v:true<CR>A<BS><BS>")
    assert neovim.wait_ghost() == "one"
    assert all(told["position"]["character"] == 1 for told in scene.asked())


def test_a_server_that_dies_is_started_again_and_said_once(neovim, answering):
    scene = answering(automatic={"x = ": ONE})
    neovim.type("ix = ")
    neovim.wait_ghost()
    scene.execute("test.die")
    neovim.until("no ghost text", lambda: not neovim.ghost())
    scene.until_told("initialize", 2)
    assert neovim.wait_ghost() == "one"  # without another key
    neovim.type("<Tab>")
    scene.until_line("x = one")
    assert scene.until_said("started again").count("InCoder: the server ended unexpectedly and was started again.") == 1


def test_a_server_that_keeps_dying_is_left_alone(neovim, answering):
    scene = answering()
    for n in range(1, 5):
        neovim.until_attached()
        scene.until_told("initialized", n)
        scene.execute("test.die")
        neovim.until("its end", lambda: neovim.lua("return #vim.lsp.get_clients() == 0"))
    scene.until_said("InCoder: the server keeps ending and is left alone now;")
    assert len(scene.told("initialize")) == 4


def test_a_restart_by_hand(neovim, answering):
    scene = answering(automatic={"x = ": ONE})
    neovim.type(":Incoder mode manual<CR>:Incoder restart<CR>")
    scene.until_told("initialize", 2)
    assert scene.told("initialize")[1]["initializationOptions"] == {"mode": "manual"}
    neovim.until_attached()
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert "unexpectedly" not in neovim.api.command_output("messages")


def test_every_kind_of_file_is_served_unless_named(neovim, answering):
    scene = answering(automatic={"x = ": ONE}, name="file.lua")
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert scene.told("textDocument/didOpen")[0]["textDocument"]["languageId"] == "lua"


def test_without_setup_enabling_the_server_is_enough(neovim, answering):
    if neovim.release == "0.10":
        pytest.skip("Neovim 0.10 has no vim.lsp.enable")
    config = "vim.lsp.config('incoder', { cmd = CMD }) vim.lsp.enable('incoder')"
    scene = answering(automatic={"x = ": ONE}, config=config)
    neovim.namespace = "incoder"
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert neovim.lua("return require('incoder').accept()") is True
    scene.until_line("x = one")


def test_neovims_own_completion_switched_on_by_the_user_is_not_doubled(neovim, answering):
    if neovim.release != "0.12":
        pytest.skip("Neovim has none before 0.12")
    config = "vim.lsp.config('incoder', { cmd = CMD }) vim.lsp.enable('incoder') vim.lsp.inline_completion.enable()"
    answering(automatic={"x = ": ONE}, config=config)
    neovim.namespace = "nvim.lsp.inline_completion"
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    neovim.namespace = "incoder"
    assert neovim.ghost() == ""


def test_the_completion_menu_and_the_suggestion_stand_side_by_side(neovim, answering):
    scene = answering(text="value\nvalid\n", automatic={"va": [{"text": "rious"}]})
    neovim.lua("vim.o.completeopt = 'menuone,noinsert,noselect'")
    neovim.type("Gova<C-n>")
    neovim.until("the menu", lambda: neovim.api.eval("pumvisible()"))
    assert neovim.wait_ghost() == "rious"
    neovim.type("<Tab>")
    scene.until_line("various")


def test_a_model_that_is_missing_is_said_once(neovim, tmp_path):
    """The real server."""
    pytest.importorskip("onnxruntime")
    file = tmp_path / "file.py"
    file.write_text("")
    command = json.dumps([sys.executable, "-m", "incoder_lsp", "serve", "--model", str(tmp_path / "none")])
    neovim.open(file, f"require('incoder').setup({{ cmd = {{{command[1:-1]}}} }})")

    def said() -> int:
        return neovim.api.command_output("messages").count(str(tmp_path / "none"))

    neovim.until("the message", said, 30)
    neovim.type("ix = foo(a, b")
    neovim.until("all typed", lambda: neovim.line() == "x = foo(a, b")
    done = "for _, r in pairs(vim.lsp.get_clients()[1].requests) do if r.type == 'pending' then return false end end return true"
    neovim.until("all answered", lambda: neovim.lua(done))
    assert said() == 1
