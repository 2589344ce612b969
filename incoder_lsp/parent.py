"""Is the editor that started us still there? A process id in, yes or no out."""

from __future__ import annotations

import os
import sys

PARENT_CHECK = 1.0  # seconds between two looks


def is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # there is no harmless signal to ask with there; the end of stdin ends the session
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
