"""One model for several sessions: loaded once, asked in turns, dropped when nobody uses it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from incoder_lsp.shared_model import Models
from incoder_lsp.worker import Worker


class Loads:
    """A loader that counts, and whose models are the directories they came from."""

    def __init__(self) -> None:
        self.of: list[Path | None] = []

    def __call__(self, directory: Path | None) -> Any:
        self.of.append(directory)
        return str(directory)


async def test_two_sessions_with_one_directory_share_a_model_and_a_third_has_another(tmp_path: Path):
    models = Models(loads := Loads())
    a, b, c = (Worker(models=models) for _ in range(3))
    await asyncio.gather(a.load(tmp_path / "x"), b.load(tmp_path / "y" / ".." / "x"), c.load(None))
    assert loads.of == [tmp_path / "x", None]
    assert models.names == [str(tmp_path / "x"), "the bundled model"]
    assert await b.ask(lambda model: model) == str(tmp_path / "x")


async def test_a_model_that_was_written_anew_is_loaded_anew(tmp_path: Path):
    models = Models(loads := Loads())
    a, b = Worker(models=models), Worker(models=models)
    (tmp_path / "model.safetensors").write_bytes(b"1")
    await a.load(tmp_path)
    (tmp_path / "new").write_bytes(b"22")
    (tmp_path / "new").rename(tmp_path / "model.safetensors")
    await b.load(tmp_path)
    assert loads.of == [tmp_path, tmp_path]
    assert a.ready


async def test_a_model_goes_a_while_after_its_last_session():
    models = Models(loads := Loads(), keep=0.05)
    a, b = Worker(models=models), Worker(models=models)
    await a.load(None)
    await b.load(None)
    a.leave()
    assert not a.ready
    await asyncio.sleep(0.1)
    assert b.ready
    b.leave()
    assert models.names == ["the bundled model"]
    await a.load(None)
    await asyncio.sleep(0.1)
    assert a.ready, "somebody came before its time was up"
    a.leave()
    await asyncio.sleep(0.1)
    assert models.names == []
    await b.load(None)
    assert loads.of == [None, None]


async def test_a_model_that_could_not_be_loaded_fails_for_all_and_is_tried_again():
    broken = [True]

    def load(_: Any) -> Any:
        if broken[0]:
            raise ValueError("no model")
        return "model"

    models = Models(load)
    a, b = Worker(models=models), Worker(models=models)
    failures = await asyncio.gather(a.load(None), b.load(None), return_exceptions=True)
    assert [str(failure) for failure in failures] == ["no model"] * 2
    assert not a.ready
    assert await a.ask(lambda model: model) is None
    broken[0] = False
    await a.load(None)
    assert a.ready


async def test_sessions_take_turns_and_the_newest_job_of_each_comes_first():
    models = Models(Loads())
    busy, quiet = Worker(models=models), Worker(models=models)
    await asyncio.gather(busy.load(None), quiet.load(None))
    begin, order = threading.Event(), []

    def ask(worker: Worker, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(worker.ask(lambda _: (begin.wait(5), order.append(name))))

    asked = [ask(busy, f"busy {i}") for i in range(4)]
    await asyncio.sleep(0)
    asked += [ask(quiet, f"quiet {i}") for i in range(2)]
    await asyncio.sleep(0)
    begin.set()
    await asyncio.gather(*asked)
    assert order == ["busy 0", "busy 3", "quiet 1", "busy 2", "quiet 0", "busy 1"]


async def test_a_job_that_is_cancelled_before_its_turn_is_never_run_and_not_kept():
    models = Models(Loads())
    worker = Worker(models=models)
    await worker.load(None)
    begin, run = threading.Event(), []
    first = asyncio.create_task(worker.ask(lambda _: begin.wait(5)))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(worker.ask(lambda _: run.append(1))) for _ in range(100)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert worker._shared and not any(worker._shared._waiting.values())
    begin.set()
    assert await first is True
    assert await worker.ask(lambda _: "next") == "next"
    assert run == []


async def test_a_job_that_fails_fails_for_its_asker_alone():
    worker = Worker(Loads())
    await worker.load(None)

    def fails(_: Any) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await worker.ask(fails)
    assert await worker.ask(lambda model: model) == "None"


async def test_a_job_that_can_wait_makes_way_for_another_session():
    models = Models(Loads())
    idle, typing = Worker(models=models), Worker(models=models)
    await asyncio.gather(idle.load(None), typing.load(None))
    stop, begun = threading.Event(), threading.Event()

    def read_ahead(_: Any) -> str:
        begun.set()
        return "stopped" if stop.wait(10) else "went on"

    reading = asyncio.create_task(idle.ask(read_ahead, can_wait=stop))
    assert await asyncio.to_thread(begun.wait, 10)
    assert await typing.ask(lambda _: "answered") == "answered"
    assert await reading == "stopped"
    assert await idle.ask(lambda _: stop.is_set(), can_wait=threading.Event()), "and the next one has a flag of its own"
