"""Plays a scenario in an editor: its steps are done one after the other, and what is saved is compared byte for byte."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from conversation import Conversation
from scenarios import ANSWER, EDITS, Scenario

HERE = Path(__file__).parent
PATIENCE = 20.0  # seconds
TELLING = ("shows", "rests", "says", "nothing", "choose", "confirm")  # the last of these makes the best picture
LOADING = 60.0  # seconds until a model has said its first word


class Editor(Protocol):
    """What a person can do in an editor, and see."""

    def open(self, file: Path, line: int, character: int, window: bool = False) -> None:
        """The cursor stands there, ready to type; line and character (code points) from 0."""
        ...

    def type(self, text: str, every: int) -> None: ...
    def press(self, key: str) -> None: ...
    def paste(self, text: str) -> None: ...
    def save(self) -> None: ...
    def configure(self, settings: dict[str, Any]) -> None: ...
    def choose(self, title: str) -> None: ...
    def confirm(self) -> None: ...
    def ready(self) -> None:
        """Waits until a server that was started again is asked for suggestions."""
        ...

    def shown(self) -> str:
        """The cursor's line with ghost text in it and the lines of ghost text below; "" if there is no ghost text."""
        ...

    def watch(self) -> None: ...
    def watched(self) -> list[str]:
        """The ghost text alone as it was drawn since `watch`, each change once; "" where there was none."""
        ...

    def picture(self, name: str) -> None:
        """Keep what is on the screen under this name."""
        ...

    def messages(self) -> list[str]:
        """What the scenario has made the editor say so far."""
        ...


def command(server: str, folder: Path) -> list[str]:
    """How an editor starts a scenario's server; `folder` holds the recorder's log and the script."""
    serve = [sys.executable, "-m", "incoder_lsp", "serve"]
    behind = {
        "scripted": [sys.executable, str(HERE / "scripted_server.py"), str(folder / "script.json"), os.devnull],
        "model": serve,
        "no model": [*serve, "--model", str(folder / "no-such-model")],
    }[server]
    return [sys.executable, str(HERE / "recorder.py"), str(folder / "recorded.jsonl"), *behind]


@dataclass
class Play:
    """One scenario on one stage. `place` is where its files are, `folder` is where `command` has log and script."""

    scenario: Scenario
    editor: Editor
    place: Path
    folder: Path

    def __post_init__(self) -> None:
        log = self.folder / "recorded.jsonl"
        log.touch()
        self.conversation = Conversation(log, log.stat().st_size)
        written = self.folder / "script.part"
        written.write_text(json.dumps(self.scenario.script), encoding="utf-8")
        written.replace(self.folder / "script.json")
        for name in self.scenario.files:
            (self.place / name).write_bytes(self.scenario.text(name)[0])

    def run(self) -> None:
        self.open(next(iter(self.scenario.files)))
        telling = max((k for k, step in enumerate(self.scenario.steps) if {*step} & {*TELLING}), default=-1)
        for k, step in enumerate(self.scenario.steps):
            verb, *options = step
            getattr(self, verb)(step[verb], **{option: step[option] for option in options})
            if k == telling:
                self.editor.picture(self.scenario.name)
        for name in self.scenario.saved:
            self.until(f"the right {name}", lambda name=name: self.saved(name) == self.wanted(name), PATIENCE)

    def saved(self, name: str) -> bytes:
        self.editor.save()
        return (self.place / name).read_bytes()

    def wanted(self, name: str) -> bytes | None:
        """None as long as nobody can know."""
        text = self.scenario.saved[name]
        if not text.startswith(EDITS):
            return self.spelled_out(text).encode()
        edits = self.conversation.edits()
        if not edits and text == f"{EDITS}⟩":
            return None
        lines = self.scenario.text(name)[0].decode().splitlines(keepends=True)
        for edit in edits or []:
            (a, i), (b, j) = ((edit["range"][end]["line"], edit["range"][end]["character"]) for end in ("start", "end"))
            ahead, behind = lines[a][:i] if a < len(lines) else "", lines[b][j:] if b < len(lines) else ""
            lines[a : b + 1] = (ahead + edit["newText"] + behind).splitlines(keepends=True)
        return "".join(lines).encode() if edits is not None else None

    def spelled_out(self, text: str) -> str:
        """With what the server itself has suggested, less what was typed of it since."""
        before, mark, after = text.partition(ANSWER)
        start, suggested = self.conversation.suggested() if mark else (0, "")
        return before + suggested.removeprefix(before.rpartition("\n")[2][start:]) + after

    def until(self, what: str, look: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; {self.evidence()}"
            time.sleep(0.02)

    def until_told(self, method: str, do: Callable[[], None]) -> None:
        """The server has heard of what is done."""
        before = self.conversation.told(method)
        do()
        self.until(f"{method} to be sent", lambda: self.conversation.told(method) > before, LOADING)

    def evidence(self) -> str:
        files = {name: (self.place / name).read_bytes() for name in self.scenario.saved}
        return f"shown: {self.editor.shown()!r}, messages: {self.editor.messages()}, files: {files}"

    # One method for each verb of STEPS.

    def type(self, text: str, every: int = 30, steady: bool = False) -> None:
        if steady:
            self.editor.watch()
        self.editor.type(text, every)
        if steady:
            self.until("the last answer", lambda: not self.conversation.unanswered())
            seen = self.editor.watched()
            assert all(seen), f"ghost text vanished between keys: {seen}"
            assert len(seen) >= len(text) // 2, f"hardly anything was drawn between keys: {seen}"

    def press(self, key: str) -> None:
        self.editor.press(key)

    def paste(self, text: str) -> None:
        self.until_told("textDocument/didChange", lambda: self.editor.paste(text))

    def shows(self, text: str) -> None:
        seconds = LOADING if self.scenario.server == "model" else PATIENCE
        # On a screen a tab is as wide as spaces are.
        self.until(
            f"{text!r} on the screen",
            lambda: self.editor.shown().expandtabs(4) == self.spelled_out(text).replace("\r", "").expandtabs(4),
            seconds,
        )

    def rests(self, _: bool) -> None:
        self.until("ghost text", lambda: not self.conversation.unanswered() and bool(self.editor.shown()))

    def holds(self, text: str) -> None:
        self.until(
            f"a file of {text!r}", lambda: self.saved(self.current).decode().rstrip("\r\n") == self.spelled_out(text)
        )

    def nothing(self, seconds: float) -> None:
        self.until("no ghost text", lambda: not self.conversation.unanswered() and not self.editor.shown())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert not self.editor.shown(), f"there is ghost text: {self.editor.shown()!r}"
            time.sleep(0.02)

    def waits(self, count: int) -> None:
        self.until(f"{count} unanswered requests", lambda: self.conversation.unanswered() >= count)

    def kill(self, _: bool) -> None:
        server = self.conversation.server()
        os.kill(server, signal.SIGKILL)
        self.until("another server", lambda: self.conversation.server() != server)
        self.until(
            "the file to be opened there",
            lambda: self.conversation_now().has_opened(f"{self.place.name}/{self.current}"),
        )
        self.editor.ready()

    def conversation_now(self) -> Conversation:
        """Since the server that runs now was started."""
        start = self.conversation.log.read_bytes().rindex(b'{"from": "recorder"')
        return replace(self.conversation, skip=start)

    def says(self, text: str) -> None:
        self.until(f"a message with {text!r}", lambda: any(text in one for one in self.editor.messages()))

    def messages(self, count: int) -> None:
        assert len(self.editor.messages()) == count, f"messages: {self.editor.messages()}"

    def set(self, settings: dict[str, Any]) -> None:
        self.until_told("workspace/didChangeConfiguration", lambda: self.editor.configure(settings))

    def open(self, name: str, window: bool = False) -> None:
        _, line, character = self.scenario.text(name)
        self.current = name
        self.editor.open(self.place / name, line, character, window)
        self.until(
            f"the server to open {name}", lambda: self.conversation.has_opened(f"{self.place.name}/{name}"), LOADING
        )
        if self.scenario.server == "model":
            self.until("the model to be loaded", lambda: self.conversation_now().has_loaded(), LOADING)

    def window(self, name: str) -> None:
        self.open(name, window=True)

    def models(self, count: int) -> None:
        """Of a daemon that is just leaving, and the next one, there may be two for a moment."""

        def found() -> bool:
            return sum(map(_holds_model, Path("/proc").glob("[0-9]*"))) == count

        self.until(f"{count} process(es) with a model", found)

    def choose(self, title: str) -> None:
        self.editor.choose(title)
        self.until("the server's edits", lambda: self.conversation.edits() is not None, LOADING)

    def confirm(self, _: bool) -> None:
        self.editor.confirm()


def _holds_model(process: Path) -> bool:
    """Of those that these tests have started."""
    try:
        mine = f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}".encode() in (process / "environ").read_bytes()
        return mine and b"onnxruntime_pybind11_state" in (process / "maps").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return False
