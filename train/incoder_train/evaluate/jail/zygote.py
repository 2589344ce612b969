"""The process that starts one generated program after another, each in a process of its own. It comes up once, which takes
as long as Python takes to start; from then on a program costs a fork.

    request   a line of JSON: the program's text
    reply     a line of JSON: null when it passed, else the reason why not

What stands around a program, and what each of these is for:

    the wall               hides files, other processes and the network (namespaces.py), or all files (landlock.py)
    the filter of calls    no processes, no signals, no sockets, no writing of files, whatever the wall is (seccomp.py)
    limits                 memory, time on the processor; the zygote kills what takes too long
    nothing inherited      no environment, no open files but /dev/null and the way back, no capabilities

It passes when all of its text has run, and only then: what says so is a random token, different for each program, that goes
back on a pipe after the last line. A program that ends early, by whatever way, or prints what it likes, sends no token. One
that searches this interpreter's memory for it could; but such a one could also return an object that equals everything. So
the tests can be cheated, as in every harness that runs them in the same process; the machine cannot.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, NoReturn

from incoder_train.evaluate.jail import kernel, landlock, namespaces, seccomp

TIMEOUT = "timeout"
LONGEST_REASON = 200  # characters

# Imported once, here, so that programs need not read them again.
COMMON = """
bisect cmath collections copy datetime decimal fractions functools hashlib heapq itertools math operator random re statistics
string typing
"""

# What shared libraries and time zones are read from, besides Python's own folders.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
_WAY_BACK = 3  # the descriptor of the pipe for the token

# Must be refused, each of them, before anything else is run: the walls are tried and not only believed in.
_ESCAPES = """
import os, _socket
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
assert refused(os.fork), "starts processes"
assert refused(_socket.socket), "opens sockets"
assert refused(lambda: os.kill(os.getppid(), 0)), "sends signals"
assert refused(lambda: open("file", "w")), "writes files"
assert refused(lambda: os.listdir("/proc/self")), "reads files"
"""


def main() -> NoReturn:
    """Arguments: where this package was found, the way, seconds, bytes of memory. The working directory is an empty folder."""
    found, way, seconds, memory = sys.argv[1:]
    os.environ.clear()
    sys.path = [one for one in sys.path if one not in ("", found)]  # Python's own folders
    requests, replies = _keep_to_itself()
    try:
        jail = _build(way, float(seconds), int(memory))
        why_not = jail(_ESCAPES)
    except OSError as error:
        jail, why_not = None, f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
    _say(replies, why_not)
    if jail is None or why_not is not None:
        os._exit(0)
    for line in requests:
        _say(replies, jail(json.loads(line)))
    os._exit(0)


def _say(replies: IO[str], reason: str | None) -> None:
    replies.write(json.dumps(reason) + "\n")
    replies.flush()


def _keep_to_itself() -> tuple[IO[str], IO[str]]:
    """Standard input and output move out of the way of the programs, which get /dev/null instead."""
    requests, replies = os.fdopen(os.dup(0), encoding="ascii"), os.fdopen(os.dup(1), "w", encoding="ascii")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return requests, replies


def _build(way: str, seconds: float, memory: int) -> Callable[[str], str | None]:
    """Put up what stands around all programs; returns what runs one. Raises OSError where this machine has it not."""
    machine = platform.machine()
    if machine not in seccomp.ARCHITECTURES:
        raise OSError(0, f"the calls of {machine or 'this machine'} are not known")
    for name in COMMON.split():
        importlib.import_module(name)
    readable = _outermost([Path(one) for one in (*sys.path, *_SYSTEM)])
    for name in [name for name in sys.modules if name.startswith("incoder_train")]:
        del sys.modules[name]  # a program finds nothing of ours
    if way == "namespaces":
        namespaces.enter(readable, Path.cwd(), machine)
    else:
        landlock.restrict([*readable, Path.cwd()])
    kernel.drop_capabilities()
    calls = seccomp.program(machine)
    gc.freeze()  # what is here already is not looked at again, and so not copied, in each fork

    def lock() -> None:
        """In the program's process, for good."""
        kernel.prctl(kernel.PARENT_DEATH_SIGNAL, signal.SIGKILL)
        kernel.prctl(kernel.DUMPABLE, 0)  # no core dump
        _limit(seconds, memory)
        seccomp.restrict(calls)

    return lambda text: _run(text, seconds, lock)


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Those that exist and do not stand below another of them."""
    there = sorted({path for path in paths if path.exists()})
    return [path for path in there if not any(other in path.parents for other in there)]


def _limit(seconds: float, memory: int) -> None:
    processor = int(seconds) + 1
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, processor),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (most, most))


def _run(text: str, seconds: float, lock: Callable[[], None]) -> str | None:
    """One program in a process of its own: None when it passed, else the reason why not. Raises OSError when it cannot be
    locked in; it is not run then."""
    token = os.urandom(16).hex().encode()
    back, way_back = os.pipe()
    end = time.monotonic() + seconds
    child = os.fork()
    if not child:
        _program(text, token, way_back, lock)
    os.close(way_back)
    said, in_time = _listen(back, end)
    os.close(back)
    status = _ended(child, time.monotonic() if said else end)  # whoever has said something has no more to do
    if said == token:
        return None
    if said.startswith(token):
        raise OSError(0, said.removeprefix(token).decode(errors="replace"))
    if said and in_time:
        return said.decode(errors="replace")[:LONGEST_REASON]
    if os.WIFSIGNALED(status):
        killer = signal.Signals(os.WTERMSIG(status))
        late = time.monotonic() >= end and killer is signal.SIGKILL
        return TIMEOUT if late or killer is signal.SIGXCPU else f"killed by {killer.name}"
    return f"ended with exit code {os.WEXITSTATUS(status)} before its tests did"


def _listen(pipe: int, end: float) -> tuple[bytes, bool]:
    """What comes until the other end is closed, or is too much; and whether that was before the time was up."""
    said = b""
    while len(said) <= 4 * LONGEST_REASON + 64:
        if not select.select([pipe], [], [], max(end - time.monotonic(), 0))[0]:
            return said, False
        if not (more := os.read(pipe, 4096)):
            break
        said += more
    return said, True


def _ended(child: int, end: float) -> int:
    """How the process ended; it is killed when the time is up."""
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _program(text: str, token: bytes, way_back: int, lock: Callable[[], None]) -> NoReturn:
    """The program's own process. What it needs afterwards it has in its own variables, out of reach of what a program may do
    to the modules."""
    write, leave = os.write, os._exit
    try:
        try:
            os.dup2(way_back, _WAY_BACK)
            os.closerange(_WAY_BACK + 1, 64)
            lock()
        except BaseException as error:
            write(_WAY_BACK, token + str(error).encode())
            leave(1)
        try:
            sys.modules["random"].seed(0)  # the same program gets the same verdict
            module = sys.modules["program"] = ModuleType("program")
            exec(compile(text, "program.py", "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            write(_WAY_BACK, _reason(error).encode(errors="replace"))
        else:
            write(_WAY_BACK, token)
    finally:  # a program's own exception may do anything when it is looked at
        leave(0)


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".rstrip(": ").split())[:LONGEST_REASON]
