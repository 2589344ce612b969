"""`incoder-lsp demo` starts the real server and shows every scene, whatever the model says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from incoder_lsp.demo import SCENES

pytestmark = pytest.mark.proof


def demo(model: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "incoder_lsp", "demo", "--model", str(model)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_all_scenes_are_played(model_directory: Path) -> None:
    done = demo(model_directory)
    assert done.returncode == 0, done.stderr
    for scene in SCENES:
        assert scene.filename in done.stdout
        for line in [*scene.left.splitlines(), *scene.right.splitlines(), "".join(scene.typed)]:
            assert line.rstrip() in done.stdout


def test_without_a_model_it_says_why_and_fails(tmp_path: Path) -> None:
    done = demo(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "nowhere" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
