"""Learn this repository: a workspace folder goes in, and a model that fills its held-out lines better completes there from then on.

incoder.learn     {folder?, minutes?}   -> {started, message}     fine-tune in a process of its own, with a progress to cancel it by
incoder.unlearn   {folder?}             -> {forgotten, message}   back to the model from before

`folder` is a URI; without one it is the workspace's first. The recipe judges itself (docs/finetuning.md); only a model that it
offers is taken. The process ends with the session, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from incoder_lsp import learned
from incoder_lsp.configuration import Configuration
from incoder_lsp.infiller import Source
from incoder_lsp.logs import describe, log
from incoder_lsp.progress import Progress, showing

LEARN, UNLEARN = "incoder.learn", "incoder.unlearn"
TRAINER = (sys.executable, "-m", "incoder_train", "train", "finetune-repo")
NEEDS = ("incoder_train", "torch", "onnx", "zstandard", "matplotlib")
IMPROVED, NOT_IMPROVED = 0, 3  # exit codes of the trainer
LOOK = 1.0  # seconds between two looks at how far it is
TRAINING = 80  # per cent of the way; the rest is the judgement


@dataclass
class Learning:
    """A session's own. `data`: the folder of the user's data; without one nothing is learned. `trainer`: the command that
    the options of `incoder train finetune-repo` follow."""

    data: Path | None = None
    trainer: Sequence[str] = TRAINER
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)  # asyncio itself does not hold on to them

    def model_of(self, folders: Sequence[Path]) -> Path | None:
        """What was learned of the first of the folders of which anything was."""
        found = (learned.learned_model(self.data, folder) for folder in folders) if self.data else iter(())
        return next(filter(None, found), None)

    def begin(self, ls: Session, data: Path, folder: Path, minutes: float | None) -> None:
        task = asyncio.create_task(_learn(ls, data, folder, minutes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self) -> None:
        for task in self._tasks:
            task.cancel()


class Session(LanguageServer):
    """What learning needs of the server; only its types."""

    configuration: Configuration
    learning: Learning
    source: Source
    is_free_to_learn: bool  # nobody has named a model

    def settle(self, before: Source) -> None: ...


async def learn(ls: Session, *arguments: Any) -> dict[str, Any]:
    asked = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
    minutes, folder, data = asked.get("minutes"), _folder(ls, asked), ls.learning.data
    why = _obstacle(ls, minutes)
    if why or folder is None or data is None:
        message = why or "open the folder of a repository first; there is nothing to learn from."
        _say(ls, message)
        return {"started": False, "message": message}
    ls.learning.begin(ls, data, folder, minutes)
    return {"started": True, "message": f"{folder.name} is being learned."}


async def unlearn(ls: Session, *arguments: Any) -> dict[str, Any]:
    folder, data = _folder(ls, arguments[0] if arguments and isinstance(arguments[0], dict) else {}), ls.learning.data
    before = ls.source
    forgotten = bool(folder and data and learned.forget(data, folder))
    name = folder.name if folder else "no folder"
    message = f"what was learned of {name} is forgotten." if forgotten else f"nothing was learned of {name}."
    ls.settle(before)
    _say(ls, message)
    return {"forgotten": forgotten, "message": message}


def _folder(ls: Session, asked: dict[str, Any]) -> Path | None:
    """That of the argument where it is one of the workspace's, or the first one."""
    folders = ls.configuration.paths
    uri = asked.get("folder")
    return next(iter(folders.values()), None) if uri is None else folders.get(uri)


def _obstacle(ls: Session, minutes: Any) -> str:
    if minutes is not None and not (isinstance(minutes, (int, float)) and 0 < minutes < math.inf):
        return "minutes must be a number above 0."
    if not ls.is_free_to_learn:
        return (
            "a model or a server is named in the settings or on the command line; take it away to learn a repository."
        )
    if ls.learning.trainer == TRAINER and not all(map(find_spec, NEEDS)):
        return 'to learn a repository, run: pip install "incoder-lsp[train]"'
    return ""


async def _learn(ls: Session, data: Path, folder: Path, minutes: float | None) -> None:
    """From the first file that is read to the new model's first answer. Whatever happens, the user hears of it once."""
    stop = asyncio.Event()
    try:
        with learned.learning(data, folder) as place:
            async with showing(ls, f"InCoder learns {folder.name}", stop.set, percentage=0) as progress:
                code = await _train(ls, folder, place, minutes, progress, stop)
                if code is None:
                    return
                before = ls.source
                progress.last = _conclusion(code, data, folder, place)
        ls.settle(before)
        _say(ls, progress.last)
    except learned.Busy as busy:
        _say(ls, str(busy))
    except (OSError, ValueError) as error:
        log.error("not learned because of %s", describe(error))
        _say(ls, f"{folder.name} could not be learned: {describe(error)}.")


async def _train(
    ls: Session, folder: Path, place: Path, minutes: float | None, progress: Progress, stop: asyncio.Event
) -> int | None:
    """The trainer's exit code; None where the user stopped it. It has ended when this ends."""
    base = ls.learning.model_of([folder])
    options = ["--data", str(folder), "--out", str(place / "run"), "--init", str(base or "bundled")]
    options += ["--minutes", str(minutes)] if minutes else []
    command = (sys.executable, "-m", "incoder_lsp.leash", *ls.learning.trainer, *options)
    with (place / "output.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=output, stderr=STDOUT)
    try:
        ending = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        while not ending.done() and not stop.is_set():
            await asyncio.wait({ending, stopping}, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            progress.report(*_how_far(place / "run"))
        stopping.cancel()
    finally:
        await _end(process)
    return None if stop.is_set() else process.returncode


async def _end(process: Process) -> None:
    """Let go of the leash, and wait."""
    assert process.stdin
    process.stdin.close()
    await process.wait()


def _how_far(run: Path) -> tuple[str, int]:
    """Of a run's folder, in words and per cent."""
    try:
        budget = json.loads((run / "recipe.json").read_bytes())["run"]
        whole, _, _ = (
            (run / "metrics.jsonl").read_text(encoding="utf-8").rpartition("\n")
        )  # the last may be half written
        spent = next(line for text in reversed(whole.splitlines()) if "seconds" in (line := json.loads(text)))
        budgets = ((spent["step"], budget["steps"]), (spent["seconds"] / 60, budget["minutes"]))
        share = max(min(1.0, done / total) for done, total in budgets if total)
    except (OSError, ValueError, KeyError, TypeError, StopIteration):  # not there yet
        return "reading the files", 0
    if share >= 1:
        return "judging what it has learned", TRAINING
    left = spent["seconds"] / 60 * (1 - share) / share if share else budget["minutes"] or 0
    return f"{math.ceil(left)} min of training left", round(TRAINING * share)


def _conclusion(code: int, data: Path, folder: Path, place: Path) -> str:
    """What became of it, in a sentence; a better model has been put in its place then."""
    if code == IMPROVED:
        judgement = learned.keep(data, folder, place / "run")
        gain = f"{judgement['gain']:+.2f} ± {judgement['error']:.2f} nats per token on held-out lines"
        return f"{folder.name} is learned ({gain}); completions come from the new model."
    if code == NOT_IMPROVED:
        return f"held-out lines of {folder.name} were not filled better after learning, so the model stays as it was."
    said = (place / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    reason = next((line.removeprefix("incoder: ") for line in reversed(said) if line.startswith("incoder: ")), "")
    return f"{folder.name} could not be learned: {reason or f'the training ended with code {code}'}."


def _say(ls: Session, sentence: str) -> None:
    ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, f"InCoder: {sentence}"))


COMMANDS = {LEARN: learn, UNLEARN: unlearn}
