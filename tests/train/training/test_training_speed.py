"""The speed benchmark runs, and its figures fit together. No speed is asserted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.proof
def test_contenders_take_turns() -> None:
    arguments = ["--preset=tiny", "--batch=1", "--time=32", "--rounds=2", "--threads=1", "--json"]
    contenders = ["ours", "transformers XGLM, autocast"]
    command = [sys.executable, "benchmarks/training_speed.py", *arguments, *(f"--only={name}" for name in contenders)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert list(result["contenders"]) == contenders
    ours, theirs = result["contenders"].values()
    assert ours["speed_of_first"] == 1
    assert theirs["speed_of_first"] == pytest.approx(ours["tokens_per_second"] / theirs["tokens_per_second"])
