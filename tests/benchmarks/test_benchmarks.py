"""The benchmarks of what a keystroke costs: each runs, small, and says something about everybody whom it was asked about."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from context_sources import two_sided  # noqa: E402
from turns import Failed, Worker, ratio, take_turns  # noqa: E402
from typist import keys  # noqa: E402

ECHO = "import turns; turns.answer(lambda question: question['say'] if question else 1 / 0)"
SOURCE = "".join(f"def function_{i}(value):\n    return value + {i}\n\n\n" for i in range(30))


def run(name: str, out: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    result = subprocess.run([*command, f"--json={out / 'result.json'}"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads((out / "result.json").read_text())


def worker() -> Worker:
    return Worker([sys.executable, "-c", ECHO], {"PYTHONPATH": str(BENCHMARKS)})


def test_the_keys_of_a_seed_spell_what_stood_there():
    pressed = list(islice(keys(SOURCE, np.random.default_rng(3)), 400))
    assert pressed == list(islice(keys(SOURCE, np.random.default_rng(3)), 400))
    document = SOURCE
    for key in pressed:
        if key.kind == "jump":
            assert document == SOURCE, "what was cut is there again when the cursor jumps"
        assert key.before == document
        assert key.pause > 0
        document = document[: key.start] + key.text + document[key.end :]
        assert (document, document[: key.cursor].endswith(key.text)) == (key.after, True)
    assert {key.kind for key in pressed} == {"letter", "word", "line", "back", "jump"}


def test_workers_take_turns_and_a_ratio_is_of_one_round():
    workers = {name: worker() for name in ("first", "second")}
    try:
        answers = take_turns(workers, {"a": {"say": [1]}, "b": {"say": 2}}, rounds=2, warm_ups=1)
        assert answers == {name: {"a": [[1], [1]], "b": [2, 2]} for name in workers}
        with pytest.raises(Failed, match="ZeroDivisionError"):
            workers["first"].ask(None)
    finally:
        for one in workers.values():
            one.close()
    assert ratio([2, 20, 300], [1, 10, 100]) == 2


@pytest.mark.proof
def test_engines(tmp_path: Path):
    asked = ["ours, torch", "transformers fp32"]
    only = [f"--only={name}" for name in asked]
    bundled = f"--model={BENCHMARKS.parent / 'model/incoder_model/bundled'}"
    rows = run("engines", tmp_path, bundled, *only, "--rounds=1", "--threads=1", f"--picture={tmp_path / 'p.png'}")[
        "rows"
    ]
    assert [row["contender"] for row in rows] == asked
    for row in rows:
        assert set(row["ms"]) == {"decode", "prefill 512", "+8", "key"}, "1,500 tokens do not fit in this context"
        assert all(value > 0 for value in [*row["ms"].values(), row["load_ms"], row["memory_mb"]])
    assert rows[1]["agreement"]["cosine"] > 0.9999
    assert (tmp_path / "p.png").stat().st_size


@pytest.mark.proof
def test_keystrokes(tmp_path: Path):
    asked = ["ours", "transformers fp32"]
    only = [f"--only={name}" for name in asked]
    rows = run("keystrokes", tmp_path, *only, "--keys=6", "--rounds=1", "--threads=1", "--speed=0.5")["contenders"]
    assert list(rows) == asked
    assert all(row["cpu_seconds_per_1000"] > 0 for row in rows.values())
    assert rows["ours"]["evaluated"] > 0
    assert rows["ours"]["prompt_tokens"] > 0
    assert 0 <= rows["ours"]["cached"] <= 1


def test_a_coin_is_one_sided_by_chance():
    assert two_sided(0, 0) == two_sided(5, 5) == 1.0
    assert two_sided(0, 5) == two_sided(5, 0) == 2 / 32
    assert two_sided(1, 3) == 2 * (1 + 4) / 16


@pytest.mark.proof
def test_context_sources(tmp_path: Path):
    result = run("context_sources", tmp_path, "--cases=6", "--arm=open files", "--keys=4")
    assert (result["half"], result["holes"], list(result["arms"])) == ("report", 6, ["defaults", "open files"])
    base = result["arms"]["defaults"]
    assert base["exact"]["better"] == base["exact"]["worse"] == 0, "the defaults are compared with themselves"
    assert all(row["tokens"] >= 1 for row in result["arms"].values())


@pytest.mark.proof
def test_start(tmp_path: Path):
    result = run("start", tmp_path, "--rounds=1", "--windows=2")
    for rounds in result["start_ms"].values():
        assert 0 < rounds[0]["initialize"] <= rounds[0]["ready"] <= rounds[0]["suggestion"]
    assert all(0 < row["1 window, MB"] < row["2 windows, MB"] for row in result["memory_mb"].values())
