"""A session as its client told it, in a file: `serve --record FILE` writes it, `replay` reads it.

The first line says what the file is, every other holds one message and when it came:

    {"incoder": "recording", "format": 1, "version": "0.1.0"}
    {"ms": 12, "message": {"jsonrpc": "2.0", "method": "textDocument/didOpen", ...}}
    {"ms": 14, "message": {"jsonrpc": "2.0", "id": "7", "result": null}, "answers": "window/workDoneProgress/create"}

Of the server's own words there are none; what a response answers is noted, as the server's ids differ each time. A recording
holds the source text that was sent, so only its owner may read the file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incoder_lsp import version

FORMAT = 1
KIND = "recording"


class BadRecording(ValueError):  # noqa: N818 - the message is a sentence for the user
    """A file that is no recording, or not one of ours."""


@dataclass(frozen=True)
class Heard:
    """A message of the client."""

    milliseconds: int  # since the recording began
    message: dict[str, Any]
    answers: str = ""  # the method of the server's request, where it is a response


class Recorder:
    """Writes to a new file. Raises OSError."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic):
        self._file = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        self._clock = clock
        self._began = clock()
        self._asked: dict[str | int, str] = {}  # methods of the server's requests by id
        self._write({"incoder": KIND, "format": FORMAT, "version": version()})

    def heard(self, body: bytes | None) -> None:
        """A message's body came in; what is no JSON object is not recorded, as nothing comes of it but a refusal."""
        try:
            message = json.loads(body or b"")
        except (ValueError, RecursionError):
            return
        if isinstance(message, dict):
            milliseconds = round((self._clock() - self._began) * 1000)
            answers = "" if "method" in message else self._asked.pop(_id(message), "")
            self._write({"ms": milliseconds, "message": message, **({"answers": answers} if answers else {})})

    def asked(self, request: str | int, method: str) -> None:
        """The server makes a request of its own."""
        self._asked[request] = method

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_recording(file: Path) -> list[Heard]:
    """Raises OSError and BadRecording."""
    try:
        first, *lines = file.read_text(encoding="utf-8").splitlines()
        head = json.loads(first)
        if not isinstance(head, dict) or head.get("incoder") != KIND:
            raise ValueError
    except ValueError:
        raise BadRecording(f"{file} is no recording; `incoder-lsp serve --record FILE` makes one") from None
    if head.get("format") != FORMAT:
        raise BadRecording(f"{file} was recorded in another format; record it again with this version")
    return [_heard(file, number, line) for number, line in enumerate(lines, 2)]


def _heard(file: Path, number: int, line: str) -> Heard:
    try:
        found = json.loads(line)
        heard = Heard(int(found["ms"]), dict(found["message"]), str(found.get("answers", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadRecording(f"{file}: line {number} is damaged; take it out, or record the session again") from None
    return heard


def _id(message: dict[str, Any]) -> str | int:
    value = message.get("id")
    return value if isinstance(value, (str, int)) else ""
