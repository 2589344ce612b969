"""What a session has cost so far, told to whoever asks."""

from __future__ import annotations

from pathlib import Path

from conftest import SERVE, Start
from raw_client import INLINE, inline

URI = "file:///cost.py"


def test_questions_from_the_cache_and_tokens(launch: Start, model_directory: Path):
    client = launch([*SERVE, "--model", str(model_directory)])
    client.start_and_load()
    assert {"fromCache": 0, "evaluated": 0, "shown": 0}.items() <= client.ask("incoder/statistics")["result"].items()
    client.open(URI, "def f(x):\n    return ")
    client.ask(INLINE, inline(URI, 1, 11))
    first = client.ask("incoder/statistics", {})["result"]
    assert first["fromCache"] == 0
    assert first["evaluated"] > 0
    client.ask(INLINE, inline(URI, 1, 11))
    assert client.ask("incoder/statistics")["result"] == {**first, "fromCache": 1}
    assert client.end() == 0
