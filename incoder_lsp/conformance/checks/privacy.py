"""Where a server is silent, what it writes down, and whom it talks to."""

from __future__ import annotations

import asyncio
import json
import shutil

from incoder_lsp.conformance import processes
from incoder_lsp.conformance.bench import PLACES, Bench
from incoder_lsp.conformance.outcome import NotApplicable, check, require
from incoder_lsp.conformance.session import AUTOMATIC, INLINE, Session

CANARY = "Canary7Nightingale"  # a word that is in nobody's text but ours
CLEAR = "import os\n\n\ndef main(name):\n    for item in os."
HUGE = 3_000_000  # characters
QUIET = (  # what a file is called, what stands before the cursor's text in it
    (".env", "SECRET=1\n"),
    (".env.local", "SECRET=1\n"),
    ("server.pem", "-----BEGIN PRIVATE KEY-----\n"),
    ("id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
    ("secrets.yml", "password: x\n"),
    ("ignored/module.py", ""),  # the workspace's .gitignore has ignored/
    ("bundle.min.js", "var a=1;" * 3000 + "\n"),
    ("huge.py", "x = 1\n" * (HUGE // 6)),
    ("binary.py", "\x00\x01\x02" * 500 + "\n"),
)


@check(23, "Silence by file", seconds=120)
async def silent_files(bench: Bench) -> str:
    """Unasked, nothing is suggested in secrets (.env, keys), in ignored, minified, huge and binary files, while the same text
    gets a suggestion in an ordinary one; asked why (incoder/whyNot), a server that knows the request gives the reason."""
    bench.require_suggestions()
    session, spoke, mute = await bench.shared(), [], []
    left, right = await _telling(session)
    for name, before in QUIET:
        document = session.open(before + left + right, name)
        offset = len(before + left)
        if await document.suggest(offset, AUTOMATIC):
            spoke.append(name)
            continue
        where = {"textDocument": {"uri": document.uri}, "position": document.at(offset)}
        reply = await session.client.ask("incoder/whyNot", where)
        if not reply.get("result"):
            mute.append(name)
        document.close()
    require(not spoke, f"It suggests in {', '.join(spoke)}")
    if bench.name == "incoder-lsp":
        require(not mute, f"incoder/whyNot gives no reason for {', '.join(mute)}")
    return f"{len(QUIET)} kinds of files; " + ("its reasons cannot be asked for" if mute else "a reason for each")


@check(29, "Nothing written down", starts=1)
async def written(bench: Bench) -> str:
    """Neither its log messages nor its stderr nor a file it writes hold the text of a document, of a suggestion or of a
    message that it could not read."""
    session = await bench.start()
    client, mute = session.client, await _mute(bench, session)
    for number, (left, right) in enumerate(PLACES):
        document = session.open(f"{CANARY} = 1\n# {CANARY}\n{left}{right}", f"{CANARY}{number}.py"[-12:])
        offset = len(document.text) - len(right)
        document.edit(offset, offset, f"  # {CANARY}")
        await client.ask(INLINE, document.question(offset))
        document.request(offset)
        document.edit(0, 0, CANARY)
        client.notify("textDocument/didChange", {"textDocument": {"uri": document.uri}, "contentChanges": CANARY})
    client.request(INLINE, {"textDocument": {"uri": CANARY}, "position": CANARY})
    client.notify("workspace/didChangeConfiguration", {"settings": {"incoder": CANARY}})
    await session.alive()
    await asyncio.sleep(0.5)
    told = json.dumps([client.said(method) for method in ("window/logMessage", "window/showMessage", "$/logTrace")])
    require(CANARY not in told, "A log message to the client quotes the document")
    require(CANARY.encode() not in client.stderr, "Its stderr quotes the document")
    if bench.home is None:
        files = [path for path in (bench.scratch / "home").rglob("*") if path.is_file()]
        quoting = [path for path in files if CANARY.encode() in path.read_bytes()]
        require(not quoting, f"It writes the document to {', '.join(str(path.name) for path in quoting[:3])}")
        return f"log messages, {len(client.stderr)} bytes of stderr, {len(files)} files in its home read{mute}"
    return f"log messages and {len(client.stderr)} bytes of stderr read; its home is not its own, so no files{mute}"


@check(30, "No network", starts=1)
async def network(bench: Bench) -> str:
    """From its start to a suggestion it opens no network socket."""
    strace = shutil.which("strace")
    if strace and await _can_trace(strace):
        log = bench.scratch / "strace.txt"
        traced = (strace, "-f", "--seccomp-bpf", "-e", "trace=socket", "-o", str(log), *bench.command)
        session = await bench.start(command=traced, home=bench.scratch / "traced")
        mute = await _mute(bench, session)
        calls = [line for line in log.read_text(errors="replace").splitlines() if "socket(" in line]
        opened = sorted({call.partition("socket(")[2].partition(",")[0] for call in calls} - {"AF_UNIX", "AF_NETLINK"})
        how = f"strace saw {len(calls)} calls of socket()"
    elif processes.supported:
        session, mute = await bench.shared(), ""
        await session.alive()
        opened = processes.network_sockets(bench.processes())
        how = "those open after a suggestion, by /proc; strace cannot be used here, which would see all"
    else:
        raise NotApplicable("Sockets can be seen on Linux only")
    require(not opened, f"It opens network sockets: {', '.join(opened[:4])}")
    return how + mute


async def _mute(bench: Bench, session: Session) -> str:
    """Wait until it suggests something; what to add to the verdict of a server that never does."""
    if bench.silence:
        return "; it suggested nothing all the while"
    await bench.wait_until_ready(session)
    return ""


async def _telling(session: Session) -> tuple[str, str]:
    """A place where an ordinary file gets a suggestion unasked. Raises NotApplicable where none does."""
    for left, right in ((CLEAR, "\n"), *PLACES):
        if await session.open(left + right).suggest(len(left), AUTOMATIC):
            return left, right
    raise NotApplicable("It suggests nothing unasked in ordinary files either")


async def _can_trace(strace: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        strace,
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=socket",
        "-o",
        "/dev/null",
        "true",
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0
