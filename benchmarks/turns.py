"""Processes that take turns, so that a ratio compares two neighbours in time and not two moods of the machine.

Each contender lives in a process of its own, which answers a line of JSON with a line of JSON. In every round each question
goes to all of them, one after another. `beside` keeps cores busy meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# With glibc's defaults transformers loses half of its time to page faults (spec of CPU inference, section 3).
FOR_TRANSFORMERS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "500000000",
}
BUSY = "while True: pass"


class Failed(Exception):  # noqa: N818 - a worker did, and its user may go on without it
    """Why a worker gave no answer."""


class Worker:
    """A process that runs `answer`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process is
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.pid = self._process.pid

    def ask(self, question: Any) -> Any:
        """Raises Failed, with the last line that the process wrote to stderr."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty answer below says it
        answer = self._process.stdout.readline()
        if not answer:
            raise Failed(self._last_words())
        return json.loads(answer)

    def close(self) -> None:
        """May be called again."""
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), f"exit code {self._process.returncode}")


def answer(handle: Callable[[Any], Any]) -> None:
    """The worker's side, until its stdin ends. Whatever a library prints goes to stderr, not between the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        answers.write(json.dumps(handle(json.loads(line))) + "\n")
        answers.flush()


def take_turns(
    workers: Mapping[str, Worker], questions: Mapping[str, Any], rounds: int, warm_ups: int = 1
) -> dict[str, dict[str, list[Any]]]:
    """For each worker and question the answers of `rounds` rounds; those of the `warm_ups` before are thrown away."""
    answers: dict[str, dict[str, list[Any]]] = {name: {about: [] for about in questions} for name in workers}
    for turn in range(warm_ups + rounds):
        for about, question in questions.items():
            for name, worker in workers.items():
                try:
                    said = worker.ask(question)
                except Failed as failure:
                    raise SystemExit(f"{name} failed at {about}: {failure}") from None
                if turn >= warm_ups:
                    answers[name][about].append(said)
    return answers


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios to `base` within the same round."""
    return statistics.median(value / other for value, other in zip(values, base, strict=True))


@contextmanager
def beside(loops: int) -> Iterator[None]:
    """So many busy loops run as long as the block does."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
