"""Where generated programs run: texts of Python programs go in, verdicts come out.

A program that a model wrote may do anything by accident. It runs in a process of its own that has no network, no files but
Python's own library, which it may only read, an empty working directory, no environment, a limit on its memory and on its
time, and that can start or signal no other process. It may compute and print, and nothing that it prints is kept. That it
cannot write a file at all makes a verdict the same on every machine, and leaves no disk to fill.

There are two ways to lock it in, with the same guarantees (jail/zygote.py says what each part is for); the first that works
on this machine is taken. Where none does, nothing is run.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import incoder_train
from incoder_train.errors import UserError
from incoder_train.evaluate.jail import WAYS

SECONDS = 3.0  # the paper's limit for HumanEval
MEMORY = 1 << 30  # bytes of address space

_PATIENCE = 20.0  # seconds beyond a program's own after which its keeper is taken for dead
_START = "import sys; sys.path.append(sys.argv[1]); from incoder_train.evaluate.jail.zygote import main; main()"
_PYTHON = (sys.executable, "-S", "-s", "-B", "-c", _START)  # with the standard library and nothing else


@dataclass(frozen=True)
class Verdict:
    """Whether a program ran to its end, and in a few words why it did not: "AssertionError", "timeout", "killed by SIGSEGV"."""

    passed: bool
    why: str = ""


def run_programs(
    programs: Sequence[str],
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
    workers: int | None = None,
    way: str | None = None,
) -> list[Verdict]:
    """A verdict for each program, in order. Equal programs are run once.

    `seconds` (on the wall clock) and `memory` (bytes of address space) are for each program; `workers` run at a time, as many as
    there are processors if None. Raises UserError where programs cannot be locked in."""
    way = way or available_way()
    unique = list(dict.fromkeys(programs))
    count = max(1, min(workers or len(os.sched_getaffinity(0)), len(unique)))
    keepers: SimpleQueue[_Keeper] = SimpleQueue()

    def run(program: str) -> Verdict:
        keeper = keepers.get()
        try:
            return keeper.run(program)
        finally:
            keepers.put(keeper)

    with ExitStack() as stack:
        for _ in range(count):
            keepers.put(stack.enter_context(closing(_Keeper(way, seconds, memory))))
        pool = stack.enter_context(ThreadPoolExecutor(count))
        verdicts = dict(zip(unique, pool.map(run, unique), strict=True))
    return [verdicts[program] for program in programs]


@cache
def available_way() -> str:
    """The first way to lock programs in that works here. Raises UserError, with what is missing, where there is none."""
    if sys.platform != "linux":
        raise UserError("generated programs are only run on Linux, where they can be locked in; use a container or WSL")
    missing = []
    for way in WAYS:
        with closing(_Keeper(way, SECONDS, MEMORY)) as keeper:
            why = keeper.start()
        if why is None:
            return way
        missing.append(f"{way}: {why}")
    raise UserError(
        f"generated programs are not run, because this machine cannot lock them in ({'; '.join(missing)}); use one that "
        "allows user namespaces, or a Linux of 5.13 or later with Landlock"
    )


class _Keeper:
    """One zygote (jail/zygote.py), started when it is first asked, and again when it is gone. For one thread at a time."""

    def __init__(self, way: str, seconds: float, memory: int):
        self._way, self._seconds, self._memory = way, seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = TemporaryDirectory(prefix="incoder-sandbox-")

    def run(self, program: str) -> Verdict:
        """Raises UserError when programs cannot be locked in this way."""
        # What a machine short of memory kills is not always the program: so once more.
        return self._ask(program) or self._ask(program) or Verdict(False, "ended its sandbox")

    def start(self) -> str | None:
        """Returns why programs cannot be locked in this way, None when they can."""
        arguments = [Path(incoder_train.__file__).absolute().parents[1], self._way, self._seconds, self._memory]
        self._process = subprocess.Popen(
            [*_PYTHON, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            start_new_session=True,
            # Sets have the same order each time. The path is for Pythons whose own library needs it; programs do not see it.
            env={"PYTHONHASHSEED": "0", "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")},
        )
        ready = self._reply(self._process) or Verdict(False, "its process ended at once")
        if not ready.passed:
            self._stop()
        return None if ready.passed else ready.why

    def close(self) -> None:
        self._stop()
        self._folder.cleanup()

    def _ask(self, program: str) -> Verdict | None:
        """None when the zygote is gone."""
        if self._process is None and (why := self.start()) is not None:
            raise UserError(f"generated programs are not run: {self._way}: {why}")
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(json.dumps(program).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            verdict = None
        else:
            verdict = self._reply(self._process)
        if verdict is None:
            self._stop()
        return verdict

    def _reply(self, process: subprocess.Popen[bytes]) -> Verdict | None:
        assert process.stdout
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], self._seconds + _PATIENCE)
            if not ready or not (more := os.read(process.stdout.fileno(), 65536)):
                return None
            line += more
        why = json.loads(line)
        return Verdict(why is None, why or "")

    def _stop(self) -> None:
        if self._process:
            self._process.kill()  # and with it, by the kernel, what it started
            self._process.communicate()
            self._process = None
