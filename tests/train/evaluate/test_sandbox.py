"""Generated programs do no harm and cannot pass but by running to their end: real processes, each way to lock them in.

A program that would harm the machine if it were not locked in asks first whether it could (signal 0 goes to nobody), and
attacks only when it was refused.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from incoder_train.errors import UserError
from incoder_train.evaluate.jail import WAYS
from incoder_train.evaluate.sandbox import Verdict, run_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are only locked in on Linux")

REFUSED = "PermissionError"
NO_FILE = ("PermissionError", "FileNotFoundError")  # which of them depends on the way
# How a kernel says that it has no namespaces or no Landlock, or does not give them to us.
MISSING = tuple(
    map(os.strerror, [errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EOPNOTSUPP])
)

# Name: the program, and how its reason may begin. {folder} is one of the user's, with `precious.txt` in it; {victim} a process of
# the user's, {parent} the one that runs the tests, {port} where a server of this machine listens.
ATTACKS: dict[str, tuple[str, str | tuple[str, ...]]] = {
    # processes
    "endless loop": ("while True: pass", "timeout"),
    "endless sleep": ("import time\ntime.sleep(1000)", "timeout"),
    "endless loop that stops at nothing": (
        """
        import signal
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True:
            try:
                while True: pass
            except BaseException: pass
        """,
        "timeout",
    ),
    "fork bomb": ("import os\nwhile True: os.fork()", REFUSED),
    "patient fork bomb": (
        """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
        "timeout",
    ),
    "fork by the C library": ("import ctypes\nassert ctypes.CDLL(None).fork() >= 0", "AssertionError"),
    "thread bomb": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()",
        "RuntimeError",
    ),
    "another program": ("import subprocess\nsubprocess.run(['/bin/true'])", NO_FILE),
    "shell": ("import os\nassert os.system('true') == 0", ("AssertionError", *NO_FILE)),
    "replace itself": ("import os, sys\nos.execv('/bin/true', ['true'])", NO_FILE),
    "kill the parent": ("import os\nos.kill(os.getppid(), 9)", REFUSED),
    "kill the tests": ("import os\nos.kill({parent}, 9)", REFUSED),
    "kill another process": ("import os\nos.kill({victim}, 9)", REFUSED),
    "kill all": (
        """
        import os
        try: os.kill(-1, 0)
        except PermissionError: pass
        else: raise SystemExit("it could")
        os.kill(-1, 9)
        """,
        REFUSED,
    ),
    "kill the group": ("import os\nos.killpg(0, 9)", REFUSED),
    "signal by a file": (
        "import fcntl, os\nread, write = os.pipe()\nfcntl.fcntl(read, fcntl.F_SETOWN, {victim})",
        REFUSED,
    ),
    "limits of another process": (
        "import resource\nresource.prlimit({victim}, resource.RLIMIT_CPU, (0, 0))",
        REFUSED,
    ),
    "higher limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
        ("PermissionError", "ValueError"),
    ),
    "new namespaces": ("import ctypes\nassert ctypes.CDLL(None).unshare(0x10020000) == 0", "AssertionError"),
    "reboot": (
        "import ctypes\nassert ctypes.CDLL(None).reboot(0x89ABCDEF) == 0",
        "AssertionError",
    ),  # only Ctrl-Alt-Del on
    # memory
    "10 GB at once": ("bytes(10 << 30)", "MemoryError"),
    "10 GB by and by": ("grown = []\nwhile True: grown.append(bytes(1 << 20))", "MemoryError"),
    "10 GB shared": ("import mmap\nmmap.mmap(-1, 10 << 30)", "OSError"),
    "10 GB in a file of memory": ("import os\nos.write(os.memfd_create('x'), b'x')", REFUSED),
    "10 GB in a number": ("x = 1 << (10 << 33)", ("MemoryError", "OverflowError")),
    # files
    "read a file": ("open('{folder}/precious.txt').read()", NO_FILE),
    "read the passwords": ("open('/etc/shadow').read()", NO_FILE),
    "list a folder": ("import os\nos.listdir('{folder}')", NO_FILE),
    "delete a file": ("import os\nos.remove('{folder}/precious.txt')", NO_FILE),
    "delete a tree": ("import shutil\nshutil.rmtree('{folder}')", NO_FILE),
    "delete home": ("import os, shutil\nshutil.rmtree(os.path.dirname('{folder}'))", NO_FILE),
    "overwrite a file": ("open('{folder}/precious.txt', 'w')", NO_FILE),
    "append to a file": ("open('{folder}/precious.txt', 'a').write('x')", NO_FILE),
    "truncate a file": ("import os\nos.truncate('{folder}/precious.txt', 0)", NO_FILE),
    "truncate on opening": (
        "import os\nos.open('{folder}/precious.txt', os.O_RDONLY | os.O_TRUNC)",
        NO_FILE,
    ),
    "new file": ("open('{folder}/new.txt', 'x')", NO_FILE),
    "new folder": ("import os\nos.mkdir('{folder}/new')", NO_FILE),
    "rename": ("import os\nos.rename('{folder}/precious.txt', '{folder}/other.txt')", NO_FILE),
    "link": ("import os\nos.symlink('/', '{folder}/root')", NO_FILE),
    "mode": ("import os\nos.chmod('{folder}/precious.txt', 0)", NO_FILE),
    "owner": ("import os\nos.chown('{folder}/precious.txt', 1, 1)", NO_FILE),
    "times": ("import os\nos.utime('{folder}/precious.txt', (0, 0))", NO_FILE),
    "file in its own folder": ("open('here.txt', 'w')", REFUSED),
    "file in /tmp": ("open('/tmp/incoder-sandbox-was-here', 'w')", NO_FILE),
    "file among Python's": ("import os\nopen(os.__file__, 'r+')", REFUSED),
    "fill the disk": (
        """
        import itertools
        for number in itertools.count():
            with open(f"{{number}}", "wb") as file: file.write(bytes(1 << 20))
        """,
        REFUSED,
    ),
    "mount": ("import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, None) == 0", "AssertionError"),
    # network and secrets
    "connect": ("import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)", REFUSED),
    "listen": ("import socket\nsocket.socket(socket.AF_UNIX).bind('{folder}/socket')", REFUSED),
    "connect by the C library": ("import ctypes\nassert ctypes.CDLL(None).socket(2, 1, 0) >= 0", "AssertionError"),
    "environment": ("import os\nassert os.environ, 'it is empty'", "AssertionError: it is empty"),
    "environment of another": ("open('/proc/{parent}/environ').read()", NO_FILE),
    "environment of the first": ("import os\nopen(f'/proc/{{os.getppid()}}/environ').read()", NO_FILE),
    "memory of another": ("open('/proc/{parent}/mem', 'rb')", NO_FILE),
    "open files": (
        """
        import os
        for descriptor in range(4, 4096):
            try: os.fstat(descriptor)
            except OSError: continue
            break
        else: raise LookupError("none")
        """,
        "LookupError: none",
    ),
}

# Programs whose tests do not get to their end, whatever they do about it.
CHEATS: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "failed test": ("assert 1 == 2", "AssertionError"),
    "exit": ("import sys\nsys.exit(0)", "SystemExit: 0"),
    "exit at once": ("import os\nos._exit(0)", "ended with exit code 0 before its tests did"),
    "exit by exception": ("raise SystemExit", "SystemExit"),
    "exit by the C library": (
        "import ctypes\nctypes.CDLL(None).exit(0)",
        "ended with exit code 0 before its tests did",
    ),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "print": ("print('passed', 'null', 'true', flush=True)\n1 / 0", "ZeroDivisionError"),
    "close standard output": ("import os\nos.close(1), os.close(2)\n1 / 0", "ZeroDivisionError"),
    "close all files": ("import os\nos.closerange(0, 64)", "ended with exit code 0 before its tests did"),
    "write on all files": (
        "import os\nfor d in range(64):\n try: os.write(d, b'passed')\n except OSError: pass",
        "passed",
    ),
    "write much on all files": (
        "import os\nfor d in range(64):\n try:\n  for _ in range(64): os.write(d, b'x' * 4096)\n except OSError: pass",
        "x" * 30,
    ),
    "no more writing": ("import os, builtins\nos.write = os._exit = builtins.print = None\n1 / 0", "ZeroDivisionError"),
    "an exception that loops": ("class E(Exception):\n def __str__(self):\n  while True: pass\nraise E", "timeout"),
    "an exception that fails": (
        "class E(Exception):\n def __str__(self): raise self\nraise E",
        "ended with exit code 0 before its tests did",
    ),
    "an exception called passed": ("class passed(Exception): pass\nraise passed", "passed"),
    "abort": ("import os\nos.abort()", "killed by SIG"),
    "wild pointer": ("import ctypes\nctypes.string_at(0)", "killed by SIGSEGV"),
    "deep recursion": ("def f(): f()\nf()", "RecursionError"),
    "bottomless recursion": (
        "import sys\nsys.setrecursionlimit(10**9)\nclass C:\n def __repr__(self): return repr(self)\nrepr(C())",
        ("killed by SIGSEGV", "MemoryError", "RecursionError"),
    ),
    "syntax error": ("def", "SyntaxError"),
    "tests inside a string": ("'''\nassert True", "SyntaxError"),
    "null byte": ("x = '\0'", ("SyntaxError", "ValueError")),
    "half a character": ("x = '\ud800'", "UnicodeEncodeError"),
    "brackets": ("(" * 100_000, ("SyntaxError", "MemoryError", "RecursionError")),
    "input": ("input()", "EOFError"),
}

HONEST = {
    "nothing": "",
    "common modules": "import json, datetime, hashlib, dataclasses, collections, re, decimal\nassert hashlib.md5(b'').hexdigest()",
    "much output": "for _ in range(100_000): print('x' * 100)",
    "annotated data class": """
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
        assert Point(1) == Point(1)
        """,
    "not the main program": "if __name__ == '__main__': raise Exception('the harness of HumanEval does not run this')",
    "memory below the limit": "x = bytes(500 << 20)",
    "modules in C": "import zlib, ctypes, _socket, unicodedata",
    "an alarm": """
        import signal
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        signal.pause()
        """,
}


@dataclass
class Scene:
    """What might be harmed, and what the programs said."""

    folder: Path
    victim: subprocess.Popen[bytes]
    server: socket.socket
    verdicts: dict[str, Verdict]


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    try:
        assert run_programs(["pass"], way=request.param) == [Verdict(True)]
    except UserError as error:
        if not str(error).endswith(MISSING):
            raise
        pytest.skip(f"this machine has it not: {error}")
    return request.param


@pytest.fixture(scope="module")
def scene(way: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Every program once, a few at a time, each after whatever others have done."""
    folder = tmp_path_factory.mktemp("home") / "folder"
    folder.mkdir()
    (folder / "precious.txt").write_text("precious")
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        server.setblocking(False)
        patch.setenv("SECRET", "secret")
        names = {"folder": folder, "victim": victim.pid, "parent": os.getpid(), "port": server.getsockname()[1]}
        texts = {name: text.format(**names) for name, (text, _) in ATTACKS.items()}
        texts |= {name: text for name, (text, _) in CHEATS.items()} | HONEST
        late = [name for name in texts if (ATTACKS | CHEATS).get(name, ("", ""))[1] == "timeout"]
        verdicts = {}
        for names, seconds in (late, 0.5), ([name for name in texts if name not in late], 10):
            programs = [textwrap.dedent(texts[name]) for name in names]
            verdicts |= dict(zip(names, run_programs(programs, way=way, seconds=seconds), strict=True))
        yield Scene(folder, victim, server, verdicts)
    victim.kill()
    victim.wait()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(scene: Scene, name: str) -> None:
    assert not scene.verdicts[name].passed
    assert scene.verdicts[name].why.startswith(ATTACKS[name][1])


def test_all_attacks_have_harmed_nothing(scene: Scene) -> None:
    assert scene.victim.poll() is None
    assert [path.name for path in scene.folder.iterdir()] == ["precious.txt"]
    precious = scene.folder / "precious.txt"
    assert precious.read_text() == "precious"
    assert precious.stat().st_mode & 0o600 and precious.stat().st_mtime > 0 and precious.stat().st_uid == os.getuid()
    assert not Path("/tmp/incoder-sandbox-was-here").exists()
    with pytest.raises(BlockingIOError):  # nobody has knocked
        scene.server.accept()


@pytest.mark.parametrize("name", CHEATS)
def test_a_program_that_ends_before_its_tests_fails(scene: Scene, name: str) -> None:
    assert not scene.verdicts[name].passed
    assert scene.verdicts[name].why.startswith(CHEATS[name][1])


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_passes(scene: Scene, name: str) -> None:
    assert scene.verdicts[name] == Verdict(True)


def test_nothing_goes_from_one_program_to_the_next(way: str) -> None:
    leave = "import builtins, sys, math\nbuiltins.left = math.left = 1\nsys.modules['left'] = sys.modules['math']"
    look = "import builtins, sys, math\nassert not {'left'} & {*dir(builtins), *dir(math), *sys.modules}"
    ours = "import sys\nassert not any('incoder' in name for name in [*sys.modules, *sys.path])"
    assert all(verdict.passed for verdict in run_programs([leave, look, ours], way=way, workers=1))


def test_a_program_gets_the_same_verdict_each_time(way: str) -> None:
    luck = "import random\nraise Exception(list({str(i) for i in range(9)}), random.random(), hash('x'))"
    first, second = (run_programs([luck], way=way)[0].why for _ in range(2))
    assert first == second != ""


def test_verdicts_are_in_the_order_of_the_programs(way: str) -> None:
    programs = [f"raise Exception({number % 7})" for number in range(30)]
    verdicts = run_programs(programs, way=way, workers=3)
    assert [verdict.why for verdict in verdicts] == [f"Exception: {number % 7}" for number in range(30)]


def test_no_programs_have_no_verdicts() -> None:
    assert run_programs([]) == []


# --- where a way is missing ---------------------------------------------------------------------------------------

UNSHARE, MOUNT, LANDLOCK = 272, 165, 444  # the numbers of the calls on x86_64
FORBID = """
import ctypes, struct, sys
forbidden = {forbidden}
steps = [struct.pack("<HBBI", 0x20, 0, 0, 0)]
for number in forbidden:
    steps += [struct.pack("<HBBI", 0x15, 0, 1, number), struct.pack("<HBBI", 6, 0, 0, 0x00050001)]
code = ctypes.create_string_buffer(b"".join([*steps, struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)]))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("<HxxxxxxQ", len(steps) + 1, ctypes.addressof(code)), 0, 0) == 0

from incoder_train.errors import UserError
from incoder_train.evaluate.sandbox import available_way, run_programs
try:
    print(available_way(), run_programs(["pass"])[0].passed)
except UserError as error:
    print("refused:", error)
"""


def where_forbidden(*calls: int) -> str:
    program = FORBID.format(forbidden=calls)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.proof
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the calls are forbidden by their numbers on x86_64")
def test_what_is_forbidden_here_is_done_another_way_or_not_at_all() -> None:
    """As in containers that forbid namespaces; and where nothing is left, nothing is run."""
    if where_forbidden(LANDLOCK) != "namespaces True" or where_forbidden(UNSHARE) != "landlock True":
        pytest.skip("this machine has not both ways")
    assert where_forbidden(MOUNT) == "landlock True"  # some allow namespaces, and then nothing in them
    said = where_forbidden(UNSHARE, LANDLOCK)
    assert said.startswith("refused: generated programs are not run")
    assert "namespaces: unshare: Operation not permitted" in said
    assert "landlock: syscall: Operation not permitted" in said


# --- when the one who asked is gone -------------------------------------------------------------------------------


@pytest.mark.proof
def test_no_process_outlives_the_run(way: str) -> None:
    seconds = 4 + os.getpid() / 1e6  # stands in the command line of all processes of this run
    program = f"""
from incoder_train.evaluate.sandbox import run_programs
run_programs(["while True: pass", "import time\\nwhile True: time.sleep(1)"], seconds={seconds}, way="{way}", workers=2)
"""

    def running() -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if str(seconds).encode() in arguments and b"zygote" in arguments:
                found.append(int(process.name))
        return found

    run = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 30
    while not all(time.sleep(0.05) or len(running()) >= 4 for _ in range(10)) and time.monotonic() < deadline:
        pass  # one that is only tried at the start is gone by the next look
    assert len(running()) >= 4
    run.send_signal(signal.SIGKILL)
    run.wait()
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running() == []
