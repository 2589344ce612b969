"""Learning a repository: the process and its end, whose model completes afterwards, and the way back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from action_client import accept_progress, progress
from conftest import SERVE, Start
from daemon_probe import until
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, RawClient, inline

from incoder_lsp import learned
from incoder_lsp.parent import is_alive
from incoder_model.checkpoint import BUNDLED

HERE = Path(__file__).parent
COMMAND = "workspace/executeCommand"
MODULE = '''"""Shapes of kind {i}, and what they measure."""

import math

SIDES_{i} = {i} + 3


class Shape{i}:
    """A regular shape with {i} more sides than a triangle."""

    def __init__(self, side: float, name: str = "shape {i}"):
        self.side = side
        self.name = name

    def perimeter(self) -> float:
        """The sum of all sides."""
        return SIDES_{i} * self.side

    def area(self) -> float:
        """The area of a regular polygon."""
        return SIDES_{i} * self.side**2 / (4 * math.tan(math.pi / SIDES_{i}))
'''


class Editor:
    """A session in a workspace folder, with a plan for the trainer and a place for what is learned."""

    def __init__(self, launch: Start, root: Path):
        self.root, self.plan, self.data, self._launch = root / "shapes", root / "plan", root / "data", launch
        self.root.mkdir()
        self.plan.mkdir()
        shutil.copytree(BUNDLED, self.plan / "model")
        self.client = self.start()

    def start(self) -> RawClient:
        client = self._launch([sys.executable, str(HERE / "learning_server.py"), str(self.data), str(self.plan)])
        client.start_and_load(workspaceFolders=[{"uri": self.root.as_uri(), "name": "shapes"}])
        return client

    def order(self, command: str, **argument: Any) -> dict[str, Any]:
        """Without an argument as most editors do it: with no arguments at all."""
        arguments = {"arguments": [argument]} if argument else {}
        return self.client.ask(COMMAND, {"command": command, **arguments})["result"]

    def learn(self, code: int, *, wait: bool = False, **argument: Any) -> tuple[dict[str, Any], str]:
        """What the trainer was asked, and the token of the progress; it goes on if `wait`."""
        asked = self.plan / "asked.json"
        asked.unlink(missing_ok=True)
        (self.plan / "code").write_text(str(code))
        if wait:
            (self.plan / "wait").touch()
        assert self.order("incoder.learn", **argument)["started"]
        token = accept_progress(self.client)
        until("the trainer", asked.exists)
        return json.loads(asked.read_bytes()), token

    def told(self, part: str) -> str:
        shown = self.client.wait(
            lambda message: message.get("method") == "window/showMessage" and part in message["params"]["message"]
        )
        return shown["params"]["message"]

    @property
    def model(self) -> Path | None:
        return learned.learned_model(self.data, self.root)


@pytest.fixture
def editor(launch: Start, tmp_path: Path) -> Editor:
    return Editor(launch, tmp_path)


def test_a_better_model_is_kept_for_the_folder_and_loaded_now_and_later_until_it_is_unlearned(editor: Editor):
    asked, token = editor.learn(0, minutes=3)
    assert asked["--data"] == str(editor.root)
    assert asked["--init"] == "bundled"
    assert asked["--minutes"] == "3"
    assert asked["nice"] > os.nice(0)
    assert "+0.50 ± 0.10 nats per token" in editor.told("is learned")
    editor.client.wait(lambda message: progress(message, token) == "end")
    model = editor.model
    assert model
    assert (model / "model.safetensors").exists()
    assert sorted(path.name.partition("-")[0] for path in model.parent.iterdir()) == ["learned.json", "model"]
    assert model.parent.stat().st_mode & 0o077 == 0
    accept_progress(editor.client)  # of loading it

    (model / "config.json").write_text("{")  # a session that comes later is told of what it cannot load
    editor.client = editor.start()
    editor.told(str(model))
    shutil.copy(BUNDLED / "config.json", model)
    again, _ = editor.learn(0)
    assert again["--init"] == str(model)
    editor.told("is learned")
    assert editor.model != model
    assert not model.exists()

    assert editor.order("incoder.unlearn")["forgotten"]
    assert editor.model is None
    assert not editor.order("incoder.unlearn")["forgotten"]


def test_what_did_not_become_better_is_not_taken(editor: Editor):
    editor.learn(3)
    editor.told("the model stays as it was")
    assert editor.model is None


def test_the_trainers_own_sentence_is_told(editor: Editor):
    editor.learn(1)
    editor.told("shapes could not be learned: shapes has 2 files of source code")


def test_a_crash_is_told_with_its_code(editor: Editor):
    editor.learn(7)
    editor.told("ended with code 7")


def unfinished(data: Path) -> list[str]:
    """`Path.rglob` would mind that they go meanwhile."""
    return [name for _, names, _ in os.walk(data) for name in names if name.startswith("learning-")]


def test_progress_says_how_far_it_is_and_a_cancel_ends_the_process(editor: Editor):
    asked, token = editor.learn(0, wait=True)
    report = editor.client.wait(
        lambda message: progress(message, token) == "report" and message["params"]["value"]["percentage"]
    )
    assert report["params"]["value"] == {"kind": "report", "message": "3 min of training left", "percentage": 20}
    editor.order("incoder.learn")
    editor.told("is being learned already")
    editor.client.notify("window/workDoneProgress/cancel", {"token": token})
    end = editor.client.wait(lambda message: progress(message, token) == "end")
    assert end["params"]["value"]["message"] == "stopped"
    assert not is_alive(asked["pid"])
    until("nothing left", lambda: not unfinished(editor.data))
    (editor.plan / "wait").unlink()
    editor.learn(3)
    editor.told("stays as it was")


def test_the_process_ends_with_a_server_that_is_killed_and_the_next_one_clears_up(editor: Editor):
    asked, _ = editor.learn(0, wait=True)
    editor.client.process.kill()
    until("the trainer's end", lambda: not is_alive(asked["pid"]))
    assert unfinished(editor.data)
    editor.client.process.wait()
    (editor.plan / "wait").unlink()
    editor.client = editor.start()
    editor.learn(0)
    editor.told("is learned")
    until("nothing left", lambda: not unfinished(editor.data))


def test_where_a_model_is_named_or_no_folder_is_open_nothing_is_learned(launch: Start, tmp_path: Path, editor: Editor):
    assert "minutes must be" in editor.order("incoder.learn", minutes=0)["message"]
    assert "open the folder" in editor.order("incoder.learn", folder="file:///elsewhere")["message"]
    editor.client.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"model": str(BUNDLED)}}})
    assert "take it away" in editor.order("incoder.learn")["message"]


def test_a_leash_passes_on_exit_codes_and_output():
    script = "import sys; print('said'); sys.exit(5)"
    command = [sys.executable, "-m", "incoder_lsp.leash", sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read() == b"said\n"
        assert process.wait() == 5


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_record_of_nonsense_is_none(tmp_path_factory: pytest.TempPathFactory, nonsense: Any):
    data = tmp_path_factory.getbasetemp() / "nonsense"
    with learned.learning(data, data) as place:
        (place.parent / "learned.json").write_text(json.dumps(nonsense))
    assert learned.learned_model(data, data) is None


@pytest.mark.parametrize("name", ["../elsewhere", "model-1/..", "model-x", "/etc", ""])
def test_a_record_names_only_its_own_models(tmp_path: Path, name: str):
    with learned.learning(tmp_path, tmp_path) as place:
        record = {"folder": str(tmp_path.resolve()), "model": name}
        (place.parent / "learned.json").write_text(json.dumps(record))
        (place.parent / "model-1").mkdir()
    assert learned.learned_model(tmp_path, tmp_path) is None


@pytest.mark.proof
def test_the_real_trainer_makes_a_model_that_the_session_and_the_next_one_use(
    launch: Start, runtime: Path, tmp_path: Path
):
    pytest.importorskip("torch")
    root, data = tmp_path / "shapes", tmp_path / "data"
    root.mkdir()
    for i in range(12):
        (root / f"kind_{i}.py").write_text(MODULE.format(i=i))
    environment = {"XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": str(data)}
    client = launch(SERVE, **environment)
    client.start_and_load(workspaceFolders=[{"uri": root.as_uri(), "name": "shapes"}])
    order = {"command": "incoder.learn", "arguments": [{"minutes": 0.2}]}
    assert client.ask(COMMAND, order)["result"]["started"]
    accept_progress(client)
    shown = client.wait(lambda message: message.get("method") == "window/showMessage", 600)
    assert "completions come from the new model" in shown["params"]["message"]
    accept_progress(client)
    text = MODULE.format(i=20).partition("return SIDES")[0]
    client.open((root / "kind_20.py").as_uri(), text)
    line = text.count("\n")
    said = client.ask(INLINE, inline((root / "kind_20.py").as_uri(), line, 8))["result"]
    assert said is None or "items" in said
    assert client.end() == 0
    client = launch(SERVE, **environment)
    client.start_and_load(workspaceFolders=[{"uri": root.as_uri(), "name": "shapes"}])
    status = subprocess.run(
        [sys.executable, "-m", "incoder_lsp", "daemon", "--status"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert str(data / "incoder" / "models") in status.stdout.decode()
