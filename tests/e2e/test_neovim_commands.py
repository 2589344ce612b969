"""What the plug-in has besides ghost text that comes by itself: the command, the status, the manual trigger, what the server
is told of a suggestion's fate, and the server's own life. The server's answers are given."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

SERVER = Path(__file__).with_name("answering_server.py")
CONFIG = """
require("incoder").setup({
  cmd = CMD,
  settings = { mode = "subtle" },
  keymaps = {
    accept = "<Tab>", accept_word = "<C-Right>", accept_line = "<C-e>",
    dismiss = "<C-]>", next = "<M-n>", prev = "<M-p>", trigger = "<M-t>",
  },
})
"""
STATUS = {"state": "ready", "message": "", "model": "tiny", "latencyMs": 41.7}


class Scene:
    """One file, one editor, one server that has `answers`."""

    def __init__(
        self, neovim, folder: Path, answers: dict[str, Any] | None = None, text: str = "", *,
        automatic: dict | None = None, invoked: dict | None = None, config: str = CONFIG, name: str = "file.py",
    ) -> None:  # fmt: skip
        self.neovim, self.file, self.log = neovim, folder / name, folder / "log.jsonl"
        self.file.write_bytes(text.encode())
        self.log.touch()
        (folder / "script.json").write_text(json.dumps({"automatic": automatic or {}, "invoked": invoked or {}}))
        (folder / "answers.json").write_text(json.dumps(answers or {}))
        files = [str(folder / "script.json"), str(self.log), str(folder / "answers.json")]
        command = json.dumps([sys.executable, str(SERVER), *files])
        neovim.open(self.file, "vim.o.more = false\n" + config.replace("CMD", "{" + command[1:-1] + "}"))

    def told(self, method: str) -> list[Any]:
        """The params of all messages of this method so far."""
        entries = (json.loads(line) for line in self.log.read_text().splitlines())
        return [entry["params"] for entry in entries if entry.get("method") == method]

    def until_told(self, method: str, count: int = 1) -> list[Any]:
        return self.neovim.until(method, lambda: (told := self.told(method))[count - 1 :] and told)

    def until_line(self, line: str) -> None:
        self.neovim.until(f"line {line!r}", lambda: self.neovim.line() == line)

    def until_said(self, sentence: str) -> str:
        def messages() -> str:
            return self.neovim.api.command_output("messages")

        return self.neovim.until(f"the message {sentence!r}", lambda: sentence in (said := messages()) and said)

    def execute(self, command: str, *arguments: Any) -> None:
        self.neovim.api.exec_lua(
            "require('incoder.server').execute(vim.lsp.get_clients()[1], {command = ..., arguments = select(2, ...)})",
            command,
            list(arguments),
        )

    def send(self, method: str, params: Any) -> None:
        self.execute("test.send", {"method": method, "params": params})


def statusline(neovim) -> str:
    return neovim.lua("return require('incoder').status()")


ONE, THREE = [{"text": "one"}], [{"text": "two"}, {"text": "one"}, {"text": "three"}]


def test_asked_by_hand_several_come_and_can_be_gone_through(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, invoked={"x = ": THREE})
    neovim.type("ix = ")
    neovim.until("an automatic question", lambda: any(p["context"]["triggerKind"] == 2 for p in asked(scene)))
    neovim.type("<M-t>")
    for text, key in (("two", "<M-n>"), ("one", "<M-n>"), ("three", "<M-p>"), ("one", "<Tab>")):
        neovim.until(text, lambda text=text: neovim.ghost().startswith(text))
        neovim.type(key)
    scene.until_line("x = one")
    assert asked(scene)[-1]["context"]["triggerKind"] in (1, 2)


def asked(scene: Scene) -> list[Any]:
    return scene.told("textDocument/inlineCompletion")


def test_whoever_wants_the_next_of_one_asks_for_more(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE}, invoked={"x = ": THREE})
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    neovim.type("<M-n>")
    neovim.until("more than one", lambda: asked(scene)[-1]["context"]["triggerKind"] == 1)
    neovim.until("another", lambda: neovim.ghost() not in ("", "one"))


def test_asked_from_normal_mode(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, text="x = \n", invoked={"x = ": THREE})
    neovim.type("$:Incoder trigger<CR>")
    assert neovim.wait_ghost().startswith("two")
    neovim.type("<Tab>")
    scene.until_line("x = two")


def test_asked_where_there_is_nothing_one_line_says_so(neovim, tmp_path):
    if neovim.engine == "native":
        pytest.skip("there Neovim itself gets the answer")
    scene = Scene(neovim, tmp_path)
    neovim.lua("vim.api.nvim_echo = function(chunks) vim.g.echoed = chunks[1][1] end")
    neovim.type("ix<M-t>")
    neovim.until("the line", lambda: neovim.lua("return vim.g.echoed == 'InCoder: no suggestion here; :Incoder why'"))
    assert scene.neovim.line() == "x"


def test_the_server_is_told_what_was_shown_and_what_was_taken(neovim, tmp_path):
    text = "😀é(a):\r\n    b\r\n    c"
    scene = Scene(neovim, tmp_path, automatic={"x = ": [{"text": text}]})
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


def test_the_server_is_told_which_buffer_has_the_focus(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    (tmp_path / "other.py").write_text("")
    scene.until_told("textDocument/didFocus")
    neovim.api.command(f"edit {tmp_path / 'other.py'}")
    neovim.until("the other", lambda: scene.told("textDocument/didFocus")[-1]["textDocument"]["uri"].endswith("other.py"))
    neovim.api.command("buffer #")
    neovim.until("the first", lambda: scene.told("textDocument/didFocus")[-1]["textDocument"]["uri"].endswith("file.py"))


@pytest.mark.parametrize(
    ("off", "on"), [("Incoder pause", "Incoder resume"), ("let b:incoder = v:false", "Incoder resume buffer")]
)
def test_the_switches(neovim, tmp_path, off, on):
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE, "x =  ": ONE})
    neovim.type("ix = ")
    neovim.wait_ghost()
    neovim.type(f"<Cmd>{off}<CR> ")
    neovim.until("no ghost text", lambda: not neovim.ghost())
    assert statusline(neovim) == "InCoder paused"
    assert neovim.lua("return require('incoder').trigger()") is False
    neovim.type("<Esc>:Incoder why<CR>")
    scene.until_said("goes on.")
    neovim.type(f":{on}<CR>A<BS> ")
    assert neovim.wait_ghost() == "one"


def test_nothing_is_asked_where_it_is_off(neovim, tmp_path):
    config = "vim.api.nvim_create_autocmd('FileType', { command = 'let b:incoder = v:false' })" + CONFIG
    scene = Scene(neovim, tmp_path, automatic={"x": ONE}, config=config)
    neovim.type("ixyz")
    scene.until_line("xyz")
    neovim.type("<Esc>:let b:incoder = v:true<CR>A<BS><BS>")
    assert neovim.wait_ghost() == "one"
    assert all(told["position"]["character"] == 1 for told in asked(scene))


def test_the_status_line(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    neovim.lua("vim.api.nvim_create_autocmd('User', {pattern = 'IncoderStatus', command = 'let g:changed = 1'})")
    assert scene.until_told("initialize")[0]["capabilities"]["experimental"]["incoder"]["status"] is True
    assert statusline(neovim) == "InCoder on"
    scene.send("incoder/status", STATUS)
    neovim.until("ready", lambda: statusline(neovim) == "InCoder ready")
    assert neovim.api.vars["changed"] == 1
    neovim.type(":Incoder<CR>")
    scene.until_said("InCoder: ready, tiny, 42 ms.")
    scene.send("incoder/status", {**STATUS, "state": "busy"})
    neovim.until("busy, no wider", lambda: statusline(neovim) == "InCoder busy ")
    scene.send("incoder/status", {**STATUS, "state": "off", "message": "the file may hold secrets", "latencyMs": None})
    neovim.until("off", lambda: statusline(neovim) == "InCoder off")
    neovim.type(":Incoder status<CR>")
    scene.until_said("InCoder: off, the file may hold secrets, tiny.")
    neovim.type(":enew<CR>")
    neovim.until("nothing where no server is", lambda: statusline(neovim) == "")


ANSWERS = {
    "incoder/whyNot": {"code": "secrets", "message": "The file may hold secrets."},
    "incoder/statistics": {"fromCache": 3, "evaluated": 71},
    "workspace/textDocumentContent": {"text": "# The last prompt\n\n12 tokens\n"},
}


def test_what_the_server_can_tell(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, ANSWERS, "a\nb\n")
    neovim.type("j:Incoder why<CR>")
    scene.until_said("InCoder: The file may hold secrets.")
    assert scene.told("incoder/whyNot")[0]["position"] == {"line": 1, "character": 0}
    neovim.type(":Incoder stats<CR>")
    said = scene.until_said("fromCache")
    assert "71" in said[said.index("evaluated") :]
    neovim.type(":Incoder prompt<CR>")
    neovim.until("the prompt", lambda: neovim.lines()[:1] == ["# The last prompt"])
    assert neovim.lua("return vim.bo.filetype .. vim.bo.buftype .. tostring(vim.bo.modifiable)") == "markdownnofilefalse"
    neovim.type("<C-w>p:Incoder prompt<CR>")  # once more: the same window
    scene.until_told("workspace/textDocumentContent", 2)
    assert neovim.line() == "b"
    assert len(neovim.api.windows) == 2
    assert scene.told("workspace/textDocumentContent")[0] == {"uri": "incoder:/last-prompt.md"}


@pytest.mark.parametrize(("command", "method"), [("why", "incoder/whyNot"), ("prompt", "workspace/textDocumentContent")])
def test_an_older_server_gets_one_sentence(neovim, tmp_path, command, method):
    scene = Scene(neovim, tmp_path)
    neovim.type(f":Incoder {command}<CR>")
    scene.until_said(f"InCoder: this server is too old for {method}; update incoder-lsp.")


def test_the_mode_is_a_setting(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    assert scene.until_told("initialize")[0]["initializationOptions"] == {"mode": "subtle"}
    neovim.type(":Incoder mode<CR>")
    scene.until_said("InCoder: the mode is subtle.")
    neovim.type(":Incoder mode manual<CR>")
    changed = scene.until_told("workspace/didChangeConfiguration", 2)
    assert changed[-1] == {"settings": {"incoder": {"mode": "manual"}}}
    neovim.type(":Incoder mode loud<CR>")
    scene.until_said("InCoder: :Incoder mode takes automatic, subtle, manual.")


def test_the_command_line_completes_itself(neovim, tmp_path):
    learn = {"executeCommandProvider": {"commands": ["incoder.learn"]}}
    scene = Scene(neovim, tmp_path, {"initialize": learn})

    def completed(line: str) -> list[str]:
        return neovim.api.funcs.getcompletion(line, "cmdline")

    assert completed("Incoder p") == ["pause", "prompt"]
    assert completed("Incoder mode m") == ["manual"]
    assert completed("'<,'>Incoder fi") == ["fill"]
    assert completed("Incoder why ") == []
    assert completed("Incoder le") == ["learn"]
    assert completed("Incoder un") == []
    neovim.type(":Incoder learn<CR>")
    assert scene.until_told("workspace/executeCommand")[0]["command"] == "incoder.learn"
    neovim.type(":Incoder unlearn<CR>")
    scene.until_said("InCoder: this server has no incoder.unlearn; update incoder-lsp.")
    neovim.type(":Incoder dance<CR>")
    scene.until_said("InCoder: there is no :Incoder dance; there are docstring, fill, learn, log, mode,")


def edit(scene_file: Path, line: int, start: int, end: int, text: str) -> dict[str, Any]:
    span = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"changes": {scene_file.as_uri(): [{"range": span, "newText": text}]}}


OFFERS = [{"title": "Fill 1 hole", "data": 1}, {"title": "Fill the selection", "data": 2}]
SELECT = "vim.ui.select = function(items, opts, done) vim.g.offered = vim.tbl_map(opts.format_item, items) done(items[2]) end"


def test_one_code_action_is_performed_at_once(neovim, tmp_path):
    filled = {"edit": edit(tmp_path / "file.py", 1, 4, 7, "return 1"), **OFFERS[0]}
    answers = {"textDocument/codeAction": OFFERS[:1], "codeAction/resolve": filled}
    scene = Scene(neovim, tmp_path, answers, "def f():\n    ...\n")
    neovim.type("j:Incoder fill<CR>")
    scene.until_line("    return 1")
    told = scene.told("textDocument/codeAction")[0]
    assert told["context"]["only"] == ["refactor.rewrite.incoder.fill"]
    assert told["range"]["start"] == told["range"]["end"] == {"line": 1, "character": 0}


def test_of_several_code_actions_the_user_chooses(neovim, tmp_path):
    filled = {"edit": edit(tmp_path / "file.py", 1, 0, 5, "y = 1"), **OFFERS[1]}
    answers = {"textDocument/codeAction": OFFERS, "codeAction/resolve": filled}
    scene = Scene(neovim, tmp_path, answers, "a\nx = 0\nb = '😀'\nc\n")
    neovim.lua(SELECT)
    neovim.type("jVj:Incoder fill<CR>")
    neovim.until("the edit", lambda: neovim.lines()[1] == "y = 1")
    assert neovim.api.vars["offered"] == ["Fill 1 hole", "Fill the selection"]
    assert scene.told("codeAction/resolve")[0]["data"] == 2
    asked_for = scene.told("textDocument/codeAction")[0]["range"]
    assert asked_for == {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 8}}


def test_without_a_placeholder_the_cursor_is_the_hole(neovim, tmp_path):
    filled = {"edit": edit(tmp_path / "file.py", 0, 4, 4, "1"), "message": "1 hole filled."}
    answers: dict[str, Any] = {"textDocument/codeAction": None, "incoder/fillHoles": filled}
    scene = Scene(neovim, tmp_path, answers, "x = \n")
    neovim.type("A<Cmd>Incoder fill<CR>")
    scene.until_line("x = 1")
    place = {"line": 0, "character": 4}
    assert scene.told("incoder/fillHoles")[0]["ranges"] == [{"start": place, "end": place}]


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [("docstring", "docstring", "lacks a docstring."), ("types", "annotate", "lacks types.")],
)
def test_where_no_action_is_offered_one_sentence_says_so(neovim, tmp_path, command, kind, sentence):
    scene = Scene(neovim, tmp_path, {"textDocument/codeAction": []}, "x\n")
    neovim.type(f":Incoder {command}<CR>")
    scene.until_said(sentence)
    assert scene.told("textDocument/codeAction")[0]["context"]["only"] == [f"refactor.rewrite.incoder.{kind}"]


def test_names_are_chosen_from_a_list(neovim, tmp_path):
    places = [{"start": {"line": n, "character": c}, "end": {"line": n, "character": c + 1}} for n, c in ((0, 6), (1, 11))]
    votes = [{"name": "a", "share": 0.2}, {"name": "side", "share": 0.5}, {"name": "width", "share": 0.25}]
    answers = {"incoder/suggestNames": {"name": "a", "ranges": places, "suggestions": votes}}
    scene = Scene(neovim, tmp_path, answers, "def f(a):\n    return a * 2\n")
    neovim.lua(SELECT)
    neovim.type("fa:Incoder names<CR>")
    scene.until_line("def f(width):")
    assert neovim.lines()[1] == "    return width * 2"
    assert neovim.api.vars["offered"] == ["side  50 %", "width  25 %"]


def test_a_server_that_dies_is_started_again_and_said_once(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE})
    neovim.type("ix = ")
    neovim.wait_ghost()
    scene.execute("test.die")
    neovim.until("no ghost text", lambda: not neovim.ghost())
    scene.until_told("initialize", 2)
    assert neovim.wait_ghost() == "one"  # without another key
    neovim.type("<Tab>")
    scene.until_line("x = one")
    assert scene.until_said("started again").count("InCoder: the server ended unexpectedly and was started again.") == 1


def test_a_server_that_keeps_dying_is_left_alone(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    for n in range(1, 5):
        neovim.until_attached()
        scene.until_told("initialized", n)
        scene.execute("test.die")
        neovim.until("its end", lambda: neovim.lua("return #vim.lsp.get_clients() == 0"))
    scene.until_said("InCoder: the server keeps ending and is left alone now;")
    assert len(scene.told("initialize")) == 4


def test_a_restart_by_hand(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE})
    neovim.type(":Incoder mode manual<CR>:Incoder restart<CR>")
    scene.until_told("initialize", 2)
    assert scene.told("initialize")[1]["initializationOptions"] == {"mode": "manual"}
    neovim.until_attached()
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert "unexpectedly" not in neovim.api.command_output("messages")


def test_every_kind_of_file_is_served_unless_named(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE}, name="file.lua")
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert scene.told("textDocument/didOpen")[0]["textDocument"]["languageId"] == "lua"


def test_without_setup_enabling_the_server_is_enough(neovim, tmp_path):
    if neovim.release == "0.10":
        pytest.skip("Neovim 0.10 has no vim.lsp.enable")
    config = "vim.lsp.config('incoder', { cmd = CMD }) vim.lsp.enable('incoder')"
    scene = Scene(neovim, tmp_path, automatic={"x = ": ONE}, config=config)
    neovim.namespace = "incoder"
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    assert neovim.lua("return require('incoder').accept()") is True
    scene.until_line("x = one")


def test_neovims_own_completion_switched_on_by_the_user_is_not_doubled(neovim, tmp_path):
    if neovim.release != "0.12":
        pytest.skip("Neovim has none before 0.12")
    config = "vim.lsp.config('incoder', { cmd = CMD }) vim.lsp.enable('incoder') vim.lsp.inline_completion.enable()"
    Scene(neovim, tmp_path, automatic={"x = ": ONE}, config=config)
    neovim.namespace = "nvim.lsp.inline_completion"
    neovim.type("ix = ")
    assert neovim.wait_ghost() == "one"
    neovim.namespace = "incoder"
    assert neovim.ghost() == ""


def test_the_completion_menu_and_the_suggestion_stand_side_by_side(neovim, tmp_path):
    scene = Scene(neovim, tmp_path, text="value\nvalid\n", automatic={"va": [{"text": "rious"}]})
    neovim.lua("vim.o.completeopt = 'menuone,noinsert,noselect'")
    neovim.type("Gova<C-n>")
    neovim.until("the menu", lambda: neovim.api.eval("pumvisible()"))
    assert neovim.wait_ghost() == "rious"
    neovim.type("<Tab>")
    scene.until_line("various")


def test_the_health_report(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    scene.send("incoder/status", STATUS)
    neovim.until("ready", lambda: statusline(neovim) == "InCoder ready")
    neovim.lua("vim.keymap.set('i', '<C-e>', 'x', { buffer = 0 })")
    neovim.api.command("checkhealth incoder")
    report = "\n".join(neovim.lines())
    assert f"Neovim {neovim.release}" in report
    assert "attached to 1 buffer" in report
    assert "model: ready, tiny, 42 ms" in report
    assert "it offers inline completion" in report
    assert "<Tab>: accept" in report
    assert "<C-E> is not accept_line" in report or "<C-e> is not accept_line" in report
    assert "TERM is" in report
    assert "ERROR" not in report


def test_the_health_report_names_a_missing_program(neovim, tmp_path):
    if neovim.release == "0.10":
        pytest.skip("Neovim 0.10 knows no configuration of a server that did not start")
    Scene(neovim, tmp_path)
    neovim.lua("vim.lsp.enable('incoder', false) vim.lsp.config('incoder', { cmd = { 'no-such-program', 'serve' } })")
    neovim.until("its end", lambda: neovim.lua("return #vim.lsp.get_clients() == 0"))
    neovim.api.command("checkhealth incoder")
    report = "\n".join(neovim.lines())
    assert "there is no program no-such-program" in report
    assert "no server is running" in report


def test_the_help_file_has_tags_for_all_that_is_public(neovim, tmp_path):
    scene = Scene(neovim, tmp_path)
    folder = tmp_path / "doc"
    folder.mkdir()
    source = Path(__file__).parents[2] / "nvim-client" / "doc" / "incoder.txt"
    (folder / "incoder.txt").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    neovim.api.command(f"helptags {folder}")
    tags = {line.split("\t")[0] for line in (folder / "tags").read_text().splitlines()}
    public = neovim.lua("return vim.tbl_keys(require('incoder'))")
    assert {f"incoder.{name}()" for name in public} <= tags
    words = neovim.api.funcs.getcompletion("Incoder ", "cmdline")
    assert {f":Incoder-{word}" for word in words} <= tags
    assert scene.told("initialize")


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
