"""Which session gets how many tokens: one stands in for the other until that is open, and where it cannot be opened."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_graphs import make_directory

from incoder_model import onnx_sessions
from incoder_model.checkpoint import GRAPH, WEIGHTS, read_config
from incoder_model.onnx_sessions import Sessions
from incoder_model.tokenizer import Tokenizer
from incoder_model.weight_layout import fingerprint, read_layout

MANY = 100  # tokens that are worth two threads


@pytest.fixture
def open_sessions(tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sessions]:
    """Of a network of which `worth` tokens are worth two threads."""
    directory = make_directory(tmp_path / "m", "one head", "fp32", tokenizer)
    config = read_config(directory)
    with (directory / WEIGHTS).open("rb") as file:
        built_for = fingerprint(config, read_layout(file))

    def opened(*, busy: bool = False, worth: int = MANY) -> Sessions:
        monkeypatch.setattr(onnx_sessions, "WORK_PER_THREAD", config.parameters * worth // 2)
        monkeypatch.setattr(onnx_sessions, "busy", lambda threads: busy)
        return Sessions(directory / GRAPH, config, built_for, threads=2)

    return opened


def settle(sessions: Sessions) -> None:
    for thread in sessions.opening.values():
        thread.join()


def test_many_tokens_get_a_session_that_is_opened_for_them(open_sessions: Callable[..., Sessions]) -> None:
    sessions = open_sessions()
    assert sessions.suited(1) is sessions.usual
    assert not sessions.opening
    sessions.suited(MANY)
    settle(sessions)
    assert sessions.suited(MANY) is not sessions.usual
    assert sessions.suited(MANY) is sessions.suited(MANY + 1)
    assert sessions.suited(MANY - 1) is sessions.usual


def test_on_a_busy_machine_all_get_one_thread(open_sessions: Callable[..., Sessions]) -> None:
    sessions = open_sessions(busy=True)
    assert sessions.suited(MANY) is sessions.usual
    assert not sessions.opening


def test_a_large_network_is_opened_for_one_thread_when_others_want_the_rest(
    open_sessions: Callable[..., Sessions], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = open_sessions(worth=1)
    assert sessions.suited(1) is sessions.usual
    assert not sessions.opening
    monkeypatch.setattr(onnx_sessions, "busy", lambda threads: True)
    sessions.suited(1)
    settle(sessions)
    assert sessions.suited(1) is not sessions.usual


def test_what_cannot_be_opened_is_tried_once(
    open_sessions: Callable[..., Sessions], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, tries = open_sessions(), []

    def refuse(graph: Path, threads: int) -> None:
        tries.append(threads)
        raise ValueError("no memory")

    monkeypatch.setattr(onnx_sessions, "_open", refuse)
    for _ in range(3):
        assert sessions.suited(MANY) is sessions.usual
        settle(sessions)
    assert tries == [2]


HASTY = """
from incoder_model import onnx_sessions
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
onnx_sessions.busy = lambda threads: False
model = load_model(engine="onnx")
said = infill(model, InfillRequest("x = 1\\n" * 200, "", max_tokens=1))
print(said.tokens, len(model.engine._sequences[0].evaluator._sessions.opening))
"""


def test_who_ends_while_a_session_is_opened_ends_in_order() -> None:
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", HASTY], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout, run.stderr) == (0, "1 1\n", "")
