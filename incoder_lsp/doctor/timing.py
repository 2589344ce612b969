"""A completion, timed: the model is loaded and asked as in a session of one process, for a place and for the key after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from incoder_lsp.completer import Completer
from incoder_lsp.doctor.finding import Finding, Level
from incoder_lsp.doctor.model import source_of
from incoder_lsp.doctor.user import configured
from incoder_lsp.documents import Document
from incoder_lsp.infiller import Source
from incoder_lsp.question import Answer, Question
from incoder_lsp.reasons import reason_of
from incoder_lsp.silence import reason_for_silence
from incoder_lsp.worker import Worker

SLOW_LOAD, SLOW_KEY = 20.0, 0.3  # seconds; a person who types waits no longer than that for a key
LEFT, RIGHT = (
    "import json\n\n\ndef load(path):\n    with open(path) as file:\n        items = json",
    "\n    return items\n",
)
KEY = "."


def completion(directory: Path | None, file: Path | None) -> Iterator[Finding]:
    yield from asyncio.run(_timed(source_of(directory, file), _question(file)))


async def _timed(source: Source, question: Question) -> list[Finding]:
    told: list[str] = []
    worker, began = Worker(), time.perf_counter()
    try:
        await worker.load(source)
    except Exception as error:
        return [Finding("Completion", Level.fail, f"the model was not loaded: {error}", "Mend the model, see above.")]
    loaded = time.perf_counter() - began
    _, first = await _ask(worker, question, told)
    key = replace(question, text=_typed(question), offset=question.offset + len(KEY))
    answer, second = await _ask(worker, key, told)
    worker.leave()
    if told or answer.why == "failed":
        return [
            Finding("Completion", Level.fail, " ".join(told) or "the model failed", "Mend what completes, see above.")
        ]
    said = f"suggested {answer.best.text!r}" if answer.best else f"suggested nothing: {reason_of(answer.why).message}"
    found = f"loaded in {loaded * 1000:.0f} ms, first answer in {first * 1000:.0f} ms, after a key {second * 1000:.0f} ms; {said}"
    if second > SLOW_KEY:
        advice = "That is too slow to type with: see what else is running, or take a smaller model."
        return [Finding("Completion", Level.warn, found, advice)]
    if loaded > SLOW_LOAD:
        return [
            Finding("Completion", Level.warn, found, "Loading takes long; the daemon keeps a model between sessions.")
        ]
    return [Finding("Completion", Level.ok, found)]


async def _ask(worker: Worker, question: Question, told: list[str]) -> tuple[Answer, float]:
    """The answer, and how long it took. A completer of its own knows no earlier answer."""
    completer, began = Completer(worker, tell=told.append), time.perf_counter()
    answer = await completer.ask(question)
    seconds = time.perf_counter() - began
    completer.forget()
    return answer, seconds


def _question(file: Path | None) -> Question:
    """About the end of the file's longest line, or about a place of ours where the file is none to ask about."""
    settings = replace(
        configured(file).settings, enabled=True, mode="automatic", debounce_ms=0, statistics=False, stop_at_doubt="off"
    )
    ours = Question("check:example.py", "example.py", LEFT + RIGHT, len(LEFT), "\n", False, settings)
    if file is None:
        return ours
    try:
        text = file.read_bytes().decode(errors="replace")
    except OSError:
        return ours
    path = str(file.resolve())
    lines = text.splitlines(keepends=True)
    which = max(range(len(lines)), key=lambda index: len(lines[index]), default=0)
    offset = len("".join(lines[:which])) + len("".join(lines[which : which + 1]).rstrip())
    question = Question(file.resolve().as_uri(), path, text, offset, Document(text).eol, False, settings)
    return ours if reason_for_silence(question) else question


def _typed(question: Question) -> str:
    return question.text[: question.offset] + KEY + question.text[question.offset :]
