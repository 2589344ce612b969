"""Neovim as the scenarios see it: an Editor of play.py, made of the Neovim of conftest.py."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEYS = {
    "accept": "<Tab>",
    "accept_word": "<C-Right>",
    "accept_line": "<C-e>",
    "next": "<M-n>",
    "prev": "<M-p>",
    "dismiss": "<C-]>",
    "undo": "<C-o>u",
    **{key: f"<{key}>" for key in ("up", "down", "left", "right", "home", "end")},
    "backspace": "<BS>",
}
CONFIG = """
require("incoder").setup({
  cmd = %s,
  filetypes = { "python", "sh", "env" },
  keymaps = {
    accept = "<Tab>", accept_word = "<C-Right>", accept_line = "<C-e>",
    dismiss = "<C-]>", next = "<M-n>", prev = "<M-p>",
  },
})
vim.o.virtualedit = "onemore" -- the cursor may stand behind a line's end before insert mode begins
vim.g.said = {}
local function keep(message)
  vim.g.said = vim.list_extend(vim.g.said, { tostring(message) })
end
vim.notify = keep
vim.lsp.handlers["window/showMessage"] = function(_, params) keep(params.message) end
"""
AUTO_CLOSE = "for _, pair in ipairs({ '()', '[]' }) do vim.keymap.set('i', pair:sub(1, 1), pair .. '<Left>') end"
# Neovim calls this whenever it draws.
WATCH = """
local name, drawn = ..., vim.api.nvim_create_namespace("drawn")
watched = {}
vim.api.nvim_set_decoration_provider(drawn, { on_end = function()
  local ns = vim.api.nvim_get_namespaces()[name]
  local text = {}
  for _, mark in ipairs(ns and vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true }) or {}) do
    for _, line in ipairs({ mark[4].virt_text or {}, unpack(mark[4].virt_lines or {}) }) do
      for _, chunk in ipairs(line) do table.insert(text, chunk[1]) end
    end
  end
  text = table.concat(text)
  if watched[#watched] ~= text then table.insert(watched, text) end
end })
"""
CHOOSE = """
local title = ...
vim.lsp.buf.code_action({ apply = true, filter = function(action) return action.title == title end })
"""


class Player:
    """`another`: makes a Neovim that is not open yet; each window is one."""

    def __init__(self, another: Callable[[], Any], command: list[str], auto_close: bool) -> None:
        self.another = another
        self.config = CONFIG % ("{" + json.dumps(command)[1:-1] + "}") + (AUTO_CLOSE if auto_close else "")
        self.neovim: Any = None

    def open(self, file: Path, line: int, character: int, window: bool = False) -> None:
        if self.neovim and not window:
            self.neovim.type("<Esc>")
            self.neovim.api.command(f"edit {file}")
        else:
            self.neovim = self.another()
            self.neovim.open(file, self.config)
        column = len(self.neovim.lines()[line][:character].encode())
        self.neovim.api.current.window.cursor = (line + 1, column)
        self.neovim.type("i")

    def type(self, text: str, every: int) -> None:
        for key in text:
            self.neovim.type({"<": "<lt>", "\n": "<CR>"}.get(key, key))
            time.sleep(every / 1000)

    def press(self, key: str) -> None:
        self.neovim.type(KEYS[key])
        if self.neovim.engine == "native":
            time.sleep(0.1)  # Neovim's own acts on its next turn, and not at all if another key comes before that

    def paste(self, text: str) -> None:
        self.neovim.api.request("nvim_paste", text, True, -1)

    def save(self) -> None:
        self.neovim.api.command("silent write")

    def configure(self, settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            self.neovim.api.exec_lua("require('incoder.server').set(vim.lsp.get_clients()[1], ...)", name, value)

    def choose(self, title: str) -> None:
        self.neovim.api.exec_lua(CHOOSE, title)

    def confirm(self) -> None:
        """It does not ask."""

    def ready(self) -> None:
        self.neovim.until_attached()

    def shown(self) -> str:
        ghosts = self.neovim.ghosts()
        if not ghosts:
            return ""
        row = self.neovim.api.current.window.cursor[0] - 1
        below = sum(len(ghost.below) for ghost in ghosts)
        lines = self.neovim.as_shown().split("\n")[row : row + 1 + below]
        return re.sub(r" \([0-9]+/[0-9]+\)$", "", "\n".join(lines))  # 0.12 tells which of several it is

    def watch(self) -> None:
        self.neovim.api.ui_attach(100, 30)  # or nothing would be drawn
        self.neovim.api.exec_lua(WATCH, self.neovim.namespace)

    def watched(self) -> list[str]:
        return self.neovim.lua("return watched")

    def picture(self, name: str) -> None:
        """It has no screen."""

    def messages(self) -> list[str]:
        return self.neovim.api.vars["said"]
