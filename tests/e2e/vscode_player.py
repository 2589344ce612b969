"""VS Code as the scenarios see it: an Editor of play.py. code-server runs the extension, a headless Chromium shows it."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
CODE_SERVER = CACHE / "incoder-lsp" / "code-server"
NODE = CODE_SERVER / "bin" / "node"
NPM = CODE_SERVER / "node" / "bin" / "npm"
KEYS = {
    "accept": "Tab",
    "accept_word": "Control+ArrowRight",
    "accept_line": "Alt+L",  # VS Code has no key for it, see KEY_BINDINGS
    "next": "Alt+]",
    "prev": "Alt+[",
    "dismiss": "Escape",
    "undo": "Control+Z",
    **{key: f"Arrow{key.capitalize()}" for key in ("up", "down", "left", "right")},
    **{key: key.capitalize() for key in ("home", "end", "backspace")},
}
KEY_BINDINGS = [
    {"key": "alt+l", "command": "editor.action.inlineSuggest.acceptNextLine"},
]
SETTINGS = {
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Dark Modern",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "chat.disableAIFeatures": True,
    "editor.minimap.enabled": False,
    "editor.wordBasedSuggestions": "off",
    "files.autoSave": "off",  # a browser saves by itself otherwise
    "files.hotExit": "off",
}


def missing() -> str | None:
    """Why VS Code cannot run here."""
    if not (CODE_SERVER / "installed").exists() or not shutil.which("chromium"):
        return "no code-server or no chromium: run tests/e2e/get_code_server.sh"
    if not (ROOT / "vscode-client" / "node_modules").exists():
        return "the extension's packages are missing: npm --prefix vscode-client ci"
    return None


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{NODE.parent}:{NPM.parent}:{os.environ['PATH']}",
        "NODE_PATH": str(CODE_SERVER / "node_modules"),
    }


class Player:
    """One VS Code for many scenarios. `folder` is where it keeps everything; `workspace` is its only folder."""

    def __init__(self, folder: Path, pictures: Path, stack: ExitStack) -> None:
        self.pictures = pictures
        self.folder, self.workspace, self.stack = folder, folder / "workspace", stack
        self.stage: tuple[list[str], bool] | None = None
        self.data, extensions = folder / "data", folder / "extensions"
        write(self.data / "User" / "keybindings.json", KEY_BINDINGS)
        (folder / "config.yaml").touch()
        program = [NODE, CODE_SERVER / "node_modules" / "code-server" / "out" / "node" / "entry.js"]
        places = ["--config", folder / "config.yaml", "--user-data-dir", self.data, "--extensions-dir", extensions]
        package = folder / "incoder.vsix"
        run([NPM, "--prefix", ROOT / "vscode-client", "run", "package", "--", "--out", package])
        run([*program, *places, "--install-extension", package, "--force"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        options = ["telemetry", "update-check", "workspace-trust", "getting-started-override"]
        self.start(
            [*program, *places, "--auth", "none", "--bind-addr", self.address, *(f"--disable-{o}" for o in options)]
        )
        self.browser = self.start([NODE, Path(__file__).parent / "vscode" / "browser.mjs", shutil.which("chromium")])
        stack.callback(self.browser.communicate, timeout=20)  # it ends with its input, after it has closed its windows
        until_healthy(f"http://{self.address}/healthz")

    def start(self, command: list[Any]) -> subprocess.Popen[str]:
        log = self.stack.enter_context((self.folder / f"{command[1].stem}.log").open("w"))
        process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.stack.callback(end, process)
        return process

    def do(self, name: str, /, **options: Any) -> Any:
        assert self.browser.stdin
        assert self.browser.stdout
        print(json.dumps({"do": name, **options}), file=self.browser.stdin, flush=True)
        answer = json.loads(self.browser.stdout.readline() or '{"error": "the browser is gone"}')
        assert "error" not in answer, f"{name} {options}: {answer['error']}"
        return answer["is"]

    def prepare(self, server: list[str], auto_close: bool) -> None:
        """For the next scenario: in the same window if that is the same as before."""
        if (server, auto_close) != self.stage:
            self.leave()
            closing = "languageDefined" if auto_close else "never"
            write(self.data / "User" / "settings.json", {**SETTINGS, "editor.autoClosingBrackets": closing})
            # A program is the machine's, so that no project names it; code-server is a remote machine to VS Code.
            write(self.data / "Machine" / "settings.json", {"incoder.command": server})
        self.stage = server, auto_close

    def leave(self) -> None:
        """The next file is opened in a new window."""
        self.do("close")
        self.stage = None
        write(self.workspace / ".vscode" / "settings.json", {})

    def configure(self, settings: dict[str, Any]) -> None:
        write(
            self.workspace / ".vscode" / "settings.json", {f"incoder.{name}": value for name, value in settings.items()}
        )

    def open(self, file: Path, line: int, character: int, window: bool = False) -> None:
        before = file.read_bytes().decode().split("\n")[line][:character]
        place = f"{file}:{line + 1}:{len(before.encode('utf-16-le')) // 2 + 1}"
        if self.do("windows") and not window:
            self.do("open", place=place, name=file.name)
        else:
            payload = [["openFile", f"vscode-remote://{self.address}{place}"], ["gotoLineMode", "true"]]
            query = urlencode({"folder": str(self.workspace), "payload": json.dumps(payload)})
            self.do("window", url=f"http://{self.address}/?{query}", name=file.name)

    def type(self, text: str, every: int) -> None:
        self.do("type", text=text, every=every)

    def press(self, key: str) -> None:
        self.do("press", key=KEYS[key])

    def paste(self, text: str) -> None:
        self.do("paste", text=text)

    def save(self) -> None:
        self.do("press", key="Control+S")
        time.sleep(0.1)  # it is written behind our back

    def choose(self, title: str) -> None:
        self.do("choose", title=title)

    def confirm(self) -> None:
        self.do("confirm")

    def ready(self) -> None:
        self.do("ready")

    def shown(self) -> str:
        return self.do("call", function="shown")

    def picture(self, name: str) -> None:
        self.do("screenshot", path=str(self.pictures / (re.sub(r"\W+", "-", name) + ".png")))

    def watch(self) -> None:
        self.do("call", function="watch")

    def watched(self) -> list[str]:
        return self.do("call", function="watched")

    def messages(self) -> list[str]:
        return self.do("call", function="messages")


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".part").write_text(json.dumps(content), encoding="utf-8")
    file.with_suffix(".part").replace(file)


def run(command: list[Any]) -> None:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def until_healthy(address: str) -> None:
    deadline = time.monotonic() + 30
    while not answers(address):
        assert time.monotonic() < deadline, "code-server did not start"
        time.sleep(0.1)


def answers(address: str) -> bool:
    try:
        urlopen(address).close()
        return True
    except OSError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
