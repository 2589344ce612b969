"""The real server over real stdio, with a model that does what the first word of the cursor's line says. Not a test.

    slow      thinks for ten seconds, or until it is told to stop
    fails     raises an error that quotes the file
    prints    writes to stdout, as a library might
    closes    answers "x)" that covers one character
    counts    answers "N abc", N being the number of questions so far
    lines     answers two lines
    nothing   answers nothing
    dies      kills its own process
    who       answers "PROCESS LOADED", LOADED being how often a model was loaded there
    else      answers what stands around the cursor: |three characters|three characters|

In: optionally `--load SECONDS`, the time the model takes to load.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from incoder_lsp import logs, transport
from incoder_lsp.filters import Suggestion
from incoder_lsp.question import Answer, Question
from incoder_lsp.server import Server
from incoder_lsp.worker import Worker

questions = itertools.count(1)
loads: list[Path | None] = []


def load(directory: Path | None) -> Any:
    if "--load" in sys.argv:
        time.sleep(float(sys.argv[-1]))
    loads.append(directory)
    return object()


def fill(_: Any, question: Question, stop: Any) -> Answer:
    left, right = question.text[: question.offset], question.text[question.offset :]
    word = re.split(r"\W", re.split(r"[\r\n]", left[-100:])[-1].strip())[0]
    number = next(questions)
    if word == "slow":
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not stop():
            time.sleep(0.005)
    if word == "fails":
        raise ValueError(f"cannot cope with {question.text}")
    if word == "prints":
        print("a library's greeting", flush=True)
    if word == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    scripted = {
        "who": Suggestion(f"{os.getpid()} {len(loads)}"),
        "closes": Suggestion("x)", 1),
        "counts": Suggestion(f"{number} abc"),
        "lines": Suggestion(f"one{question.eol}two"),
    }
    if word == "nothing":
        return Answer(why="empty")
    return Answer((scripted.get(word, Suggestion(f"|{left[-3:]}|{right[:3]}|")),))


if __name__ == "__main__":
    logs.configure(logs.LogLevel.debug)
    os._exit(transport.serve_stdio(Server(worker=Worker(load), fill=fill).protocol))  # as the command line ends
