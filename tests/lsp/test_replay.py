"""Recorded sessions, put through the server once more.

Each recording in golden-traces has the output beside it that it must have with the scripted model. To add a case: record one with
`serve --record`, and add what the failing test shows.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import scripted_server
from conftest import SERVE, Start
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, inline, said, span

from incoder_lsp.recording import BadRecording, Heard, Recorder, read_recording
from incoder_lsp.replay import Replay

GOLDEN = sorted((Path(__file__).parent / "golden-traces").glob("*.jsonl"))
URI = "file:///trace/keys.py"


def replay(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "incoder_lsp", "replay", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.stem)
async def test_golden(case: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scripted_server, "questions", iter(range(1, 1000)))
    again = Replay(read_recording(case), load=scripted_server.load, fill=scripted_server.fill)  # type: ignore[arg-type]
    sums = await again.run()
    shown = [*map(str, again.replayed), ", ".join(f"{name}: {number}" for name, number in sums.items())]
    assert "\n".join(shown) + "\n" == case.with_suffix(".txt").read_text(encoding="utf-8")


def test_a_session_is_recorded_and_replayed_the_same_each_time(launch: Start, model_directory: Path, tmp_path: Path):
    file = tmp_path / "session.jsonl"
    client = launch([*SERVE, "--model", str(model_directory), "--record", str(file)])
    client.start_and_load()
    client.open(URI, "def add(a, b):\n    \n")
    answers = []
    for column, key in enumerate("return ", 4):
        client.change(URI, {"range": span((1, column), (1, column)), "text": key})
        answers.append(client.ask(INLINE, inline(URI, 1, column + 1, 1))["result"])
    assert client.end() == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    outputs = []
    for out in (tmp_path / "first.json", tmp_path / "second.json"):
        done = replay(
            str(file), "--model", str(model_directory), "--json", str(out), XDG_STATE_HOME=str(tmp_path / "state")
        )
        assert done.returncode == 0, done.stderr
        outputs.append((done.stdout, out.read_text(encoding="utf-8")))
    assert outputs[0] == outputs[1]
    found: dict[str, Any] = json.loads(outputs[0][1])
    assert [one["suggestions"][:1] for one in found["requests"]] == [
        [said(answer["items"][0])] if answer else [] for answer in answers
    ], "the likeliest is what the user saw"
    assert found["sums"]["requests"] == len(answers)
    assert found["sums"]["evaluated"] > 0
    assert not (tmp_path / "state").exists(), "what was counted then is not counted again"


def test_a_file_that_is_there_is_not_recorded_over(launch: Start, tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    client = launch([*SERVE, "--record", str(tmp_path / "mine")])
    assert client.exit_code() == 1
    assert b"file exists; choose another file" in client.stderr
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no recording"),
        ("{}\n", "is no recording"),
        ("[]", "is no recording"),
        ('{"incoder": "recording", "format": 2}\n', "in another format"),
        ('{"incoder": "recording", "format": 1}\n{"ms": 1, "message": {}}\nhalf', "line 3 is damaged"),
        ('{"incoder": "recording", "format": 1}\n{"ms": "soon", "message": {}}', "line 2 is damaged"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, text: str, sentence: str):
    (tmp_path / "trace").write_text(text)
    with pytest.raises(BadRecording, match=sentence):
        read_recording(tmp_path / "trace")


def test_a_recording_that_is_not_there(tmp_path: Path):
    done = replay(str(tmp_path / "nothing"))
    assert (done.returncode, "cannot read" in done.stderr) == (1, True)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "method", "params"]), st.text() | st.integers())))
def test_what_is_recorded_is_read_again(tmp_path_factory: pytest.TempPathFactory, messages: list[dict[str, Any]]):
    file = tmp_path_factory.mktemp("recording") / "trace"
    times = iter(range(1000))
    recorder = Recorder(file, clock=lambda: next(times) / 1000)
    for message in messages:
        recorder.heard(json.dumps(message).encode())
    recorder.heard(b"no json")
    recorder.heard(None)
    assert read_recording(file) == [Heard(number, message) for number, message in enumerate(messages, 1)]


def test_a_response_tells_what_it_answers(tmp_path: Path):
    recorder = Recorder(tmp_path / "trace")
    recorder.asked("7", "workspace/configuration")
    recorder.heard(b'{"id": "7", "result": [null]}')
    recorder.heard(b'{"id": "8", "result": null}')
    assert [heard.answers for heard in read_recording(tmp_path / "trace")] == ["workspace/configuration", ""]
