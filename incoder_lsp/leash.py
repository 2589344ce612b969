"""A command that lives no longer than whoever holds our stdin: at its end, by a word or by a death, the command is ended.

    python -m incoder_lsp.leash COMMAND...

The command gets what processor time others leave. Its output and its exit code are ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

NICENESS = 10
PATIENCE = 10.0  # seconds that the command has to end of its own accord


def main(command: list[str]) -> int:
    if sys.platform != "win32":
        os.nice(NICENESS)
    low = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # there is one only on Windows
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=low)
    threading.Thread(target=_end_with_stdin, args=[child], daemon=True).start()
    return child.wait()


def _end_with_stdin(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):  # not through a buffer, whose lock would be in the way of our end
        pass
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
