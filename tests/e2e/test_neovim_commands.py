"""The command `:Incoder`, the status line and the health report in real Neovim. The server's answers are given."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

STATUS = {"state": "ready", "message": "", "model": "tiny", "latencyMs": 41.7}


def test_the_status_line(neovim, answering):
    scene = answering()
    neovim.lua("vim.api.nvim_create_autocmd('User', {pattern = 'IncoderStatus', command = 'let g:changed = 1'})")
    assert scene.until_told("initialize")[0]["capabilities"]["experimental"]["incoder"]["status"] is True
    assert scene.status() == "InCoder on"
    scene.send("incoder/status", STATUS)
    neovim.until("ready", lambda: scene.status() == "InCoder ready")
    assert neovim.api.vars["changed"] == 1
    neovim.type(":Incoder<CR>")
    scene.until_said("InCoder: ready, tiny, 42 ms.")
    scene.send("incoder/status", {**STATUS, "state": "busy"})
    neovim.until("busy, no wider", lambda: scene.status() == "InCoder busy ")
    scene.send("incoder/status", {**STATUS, "state": "off", "message": "the file may hold secrets", "latencyMs": None})
    neovim.until("off", lambda: scene.status() == "InCoder off")
    neovim.type(":Incoder status<CR>")
    scene.until_said("InCoder: off, the file may hold secrets, tiny.")
    neovim.type(":enew<CR>")
    neovim.until("nothing where no server is", lambda: scene.status() == "")


ANSWERS = {
    "incoder/whyNot": {"code": "secrets", "message": "The file may hold secrets."},
    "incoder/statistics": {"fromCache": 3, "evaluated": 71},
    "workspace/textDocumentContent": {"text": "# The last prompt\n\n12 tokens\n"},
}


def test_what_the_server_can_tell(neovim, answering):
    scene = answering(ANSWERS, "a\nb\n")
    neovim.type("j:Incoder why<CR>")
    scene.until_said("InCoder: The file may hold secrets.")
    assert scene.told("incoder/whyNot")[0]["position"] == {"line": 1, "character": 0}
    neovim.type(":Incoder stats<CR>")
    said = scene.until_said("fromCache")
    assert "71" in said[said.index("evaluated") :]
    neovim.type(":Incoder prompt<CR>")
    neovim.until("the prompt", lambda: neovim.lines()[:1] == ["# The last prompt"])
    assert (
        neovim.lua("return vim.bo.filetype .. vim.bo.buftype .. tostring(vim.bo.modifiable)") == "markdownnofilefalse"
    )
    neovim.type("<C-w>p:Incoder prompt<CR>")  # once more: the same window
    scene.until_told("workspace/textDocumentContent", 2)
    assert neovim.line() == "b"
    assert len(neovim.api.windows) == 2
    assert scene.told("workspace/textDocumentContent")[0] == {"uri": "incoder:/last-prompt.md"}


@pytest.mark.parametrize(
    ("command", "method"), [("why", "incoder/whyNot"), ("prompt", "workspace/textDocumentContent")]
)
def test_an_older_server_gets_one_sentence(neovim, command, method, answering):
    scene = answering()
    neovim.type(f":Incoder {command}<CR>")
    scene.until_said(f"InCoder: this server is too old for {method}; update incoder-lsp.")


def test_the_mode_is_a_setting(neovim, answering):
    scene = answering()
    assert scene.until_told("initialize")[0]["initializationOptions"] == {"mode": "subtle"}
    neovim.type(":Incoder mode<CR>")
    scene.until_said("InCoder: the mode is subtle.")
    neovim.type(":Incoder mode manual<CR>")
    changed = scene.until_told("workspace/didChangeConfiguration", 2)
    assert changed[-1] == {"settings": {"incoder": {"mode": "manual"}}}
    neovim.type(":Incoder mode loud<CR>")
    scene.until_said("InCoder: :Incoder mode takes automatic, subtle, manual.")


def test_the_command_line_completes_itself(neovim, answering):
    learn = {"executeCommandProvider": {"commands": ["incoder.learn"]}}
    scene = answering({"initialize": learn})

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


def test_one_code_action_is_performed_at_once(neovim, tmp_path, answering):
    filled = {"edit": edit(tmp_path / "file.py", 1, 4, 7, "return 1"), **OFFERS[0]}
    answers = {"textDocument/codeAction": OFFERS[:1], "codeAction/resolve": filled}
    scene = answering(answers, "def f():\n    ...\n")
    neovim.type("j:Incoder fill<CR>")
    scene.until_line("    return 1")
    told = scene.told("textDocument/codeAction")[0]
    assert told["context"]["only"] == ["refactor.rewrite.incoder.fill"]
    assert told["range"]["start"] == told["range"]["end"] == {"line": 1, "character": 0}


def test_of_several_code_actions_the_user_chooses(neovim, tmp_path, answering):
    filled = {"edit": edit(tmp_path / "file.py", 1, 0, 5, "y = 1"), **OFFERS[1]}
    answers = {"textDocument/codeAction": OFFERS, "codeAction/resolve": filled}
    scene = answering(answers, "a\nx = 0\nb = '😀'\nc\n")
    neovim.lua(SELECT)
    neovim.type("jVj:Incoder fill<CR>")
    neovim.until("the edit", lambda: neovim.lines()[1] == "y = 1")
    assert neovim.api.vars["offered"] == ["Fill 1 hole", "Fill the selection"]
    assert scene.told("codeAction/resolve")[0]["data"] == 2
    asked_for = scene.told("textDocument/codeAction")[0]["range"]
    assert asked_for == {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 8}}


def test_without_a_placeholder_the_cursor_is_the_hole(neovim, tmp_path, answering):
    filled = {"edit": edit(tmp_path / "file.py", 0, 4, 4, "1"), "message": "1 hole filled."}
    answers: dict[str, Any] = {"textDocument/codeAction": None, "incoder/fillHoles": filled}
    scene = answering(answers, "x = \n")
    neovim.type("A<Cmd>Incoder fill<CR>")
    scene.until_line("x = 1")
    place = {"line": 0, "character": 4}
    assert scene.told("incoder/fillHoles")[0]["ranges"] == [{"start": place, "end": place}]


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [("docstring", "docstring", "lacks a docstring."), ("types", "annotate", "lacks types.")],
)
def test_where_no_action_is_offered_one_sentence_says_so(neovim, command, kind, sentence, answering):
    scene = answering({"textDocument/codeAction": []}, "x\n")
    neovim.type(f":Incoder {command}<CR>")
    scene.until_said(sentence)
    assert scene.told("textDocument/codeAction")[0]["context"]["only"] == [f"refactor.rewrite.incoder.{kind}"]


def test_names_are_chosen_from_a_list(neovim, answering):
    places = [
        {"start": {"line": n, "character": c}, "end": {"line": n, "character": c + 1}} for n, c in ((0, 6), (1, 11))
    ]
    votes = [{"name": "a", "share": 0.2}, {"name": "side", "share": 0.5}, {"name": "width", "share": 0.25}]
    answers = {"incoder/suggestNames": {"name": "a", "ranges": places, "suggestions": votes}}
    scene = answering(answers, "def f(a):\n    return a * 2\n")
    neovim.lua(SELECT)
    neovim.type("fa:Incoder names<CR>")
    scene.until_line("def f(width):")
    assert neovim.lines()[1] == "    return width * 2"
    assert neovim.api.vars["offered"] == ["side  50 %", "width  25 %"]


def test_the_health_report(neovim, answering):
    scene = answering()
    scene.send("incoder/status", STATUS)
    neovim.until("ready", lambda: scene.status() == "InCoder ready")
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


def test_the_health_report_names_a_missing_program(neovim, answering):
    if neovim.release == "0.10":
        pytest.skip("Neovim 0.10 knows no configuration of a server that did not start")
    answering()
    neovim.lua("vim.lsp.enable('incoder', false) vim.lsp.config('incoder', { cmd = { 'no-such-program', 'serve' } })")
    neovim.until("its end", lambda: neovim.lua("return #vim.lsp.get_clients() == 0"))
    neovim.api.command("checkhealth incoder")
    report = "\n".join(neovim.lines())
    assert "there is no program no-such-program" in report
    assert "no server is running" in report


def test_the_help_file_has_tags_for_all_that_is_public(neovim, tmp_path, answering):
    scene = answering()
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
