"""What the server writes to stderr, and the daemon to its log file: our own lines, and never a word of the user's text.

pygls logs whole messages, and an exception's message can quote what it failed on. So pygls, asyncio and
the HTTP libraries are silent unless `trace` is asked for, which says so, and of an exception only its type and its place are
written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from enum import Enum
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_SIZE = 200_000  # bytes; one older file is kept

log = logging.getLogger("incoder_lsp")


class LogLevel(str, Enum):
    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"
    trace = "trace"


def configure(level: LogLevel, file: Path | None = None) -> None:
    """Send log lines to stderr, or to a file that stays small. `trace` adds every message in full, the user's code included."""
    trace = level is LogLevel.trace
    handler = (
        RotatingFileHandler(file, maxBytes=LOG_SIZE, backupCount=1, encoding="utf-8", delay=True)
        if file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)  # the first call decides where to
    log.setLevel(logging.DEBUG if trace else level.value.upper())
    for chatty in ("pygls", "asyncio", "uvicorn", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.DEBUG if trace else logging.CRITICAL + 1)


def describe(error: BaseException) -> str:
    """`ValueError at infill.py:120`: enough to find the fault, nothing of what it was about."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
