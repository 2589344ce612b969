"""What tests of the daemon ask and look at."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raw_client import INLINE, PATIENCE, RawClient, inline, said

WHO = "file:///who.py"


def until(what: str, look: Callable[[], Any]) -> Any:
    """The first true answer of `look`."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.01)
    return seen


def who(client: RawClient) -> tuple[int, int]:
    """The daemon's process, and how many models it has loaded."""
    client.open(WHO, "who")
    result = until("the model", lambda: client.ask(INLINE, inline(WHO, 0, 3)).get("result"))
    process, loads = said(result["items"][0]).split()
    return int(process), int(loads)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat")
        return not state.exists() or state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def command(runtime: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`incoder-lsp daemon ARGUMENTS`."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    line = [sys.executable, "-m", "incoder_lsp", "daemon", *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
