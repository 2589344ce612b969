"""How a server starts, how it ends, and what it says when it has no model."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import Failed, NotApplicable, check, require
from incoder_lsp.conformance.session import AUTOMATIC, INLINE, items_of

ENDS_WITHIN = 10.0  # seconds, for an end that was asked for, and for an orphan's
KEYS = 20
FINE = ("ready", "normal", "ok", "running")  # what a status may not say of a server without a model


@check(26, "Exit code")
async def exit_code(bench: Bench) -> None:
    """After shutdown and exit the process ends with code 0, after exit alone with code 1."""
    for shutdown, expected in ((True, 0), (False, 1)):
        session = await bench.start()
        if shutdown:
            reply = await session.client.ask("shutdown")
            require("error" not in reply, f"shutdown is answered with {reply.get('error')}")
        session.client.notify("exit", None)
        try:
            code = await session.client.exit_code(ENDS_WITHIN)
        except Failed:
            raise Failed(
                f"{ENDS_WITHIN:g} s after exit {'' if shutdown else 'without shutdown '}it still runs"
            ) from None
        require(
            code == expected,
            f"After exit {'with' if shutdown else 'without'} shutdown its code is {code}, not {expected}",
        )


@check(27, "Orphan")
async def orphan(bench: Bench) -> str:
    """When the process that initialize named as its parent is gone, the server ends, even where its stdin stays open."""
    if sys.platform == "win32":
        raise NotApplicable("A process that is gone cannot be told from one that is not ours on Windows")
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        session = await bench.start(processId=editor.pid)
        await asyncio.sleep(1)  # so that the server has seen it alive
        require(not session.client.ended, "It ends while its parent lives")
    finally:
        editor.kill()
        editor.wait()
    gone = asyncio.get_running_loop().time()
    try:
        await session.client.exit_code(ENDS_WITHIN)
    except Failed:
        raise Failed(f"{ENDS_WITHIN:g} s after its parent was gone it still runs") from None
    return f"ended after {asyncio.get_running_loop().time() - gone:.1f} s"


@check(32, "No model")
async def no_model(bench: Bench) -> None:
    """Without a model the user gets one message, not one for each key; the keys' requests are answered; and a status
    notification says that it is not ready."""
    if bench.knobs.broken is None:
        raise NotApplicable(
            "What leaves it without a model is not known; give options with --knobs '{\"broken\": ...}'"
        )
    session = await bench.start(initializationOptions=bench.knobs.broken)
    client, document = session.client, session.open("")

    def messages() -> int:
        return len(client.said("window/showMessage")) + len(client.said("window/showMessageRequest"))

    await client.until(lambda: messages() > 0, "it tells the user that it has no model", bench.ready_after + 30)
    for key in "def add(a, b):\n    return "[:KEYS]:
        document.edit(len(document.text), len(document.text), key)
        reply = await client.ask(INLINE, document.question(len(document.text), AUTOMATIC))
        if "error" not in reply:
            require(not items_of(reply), "It suggests something, although it has no model")
    await asyncio.sleep(0.3)
    require(messages() == 1, f"After {KEYS} keys there are {messages()} messages")
    told = [json.dumps(heard.get("params")).lower() for heard in client.heard if "status" in heard["method"].lower()]
    require(told, "No status notification tells that it is not ready")
    require(not any(f'"{word}"' in told[-1] for word in FINE), f"Its last status is {told[-1][:120]}")


@check(34, "Progress of loading", starts=1)
async def progress(bench: Bench) -> None:
    """While it loads there is one progress, which begins once and ends once, and typing shows none."""
    session = await bench.ready()
    client = session.client
    kinds = [params["value"].get("kind") for params in client.said("$/progress")]
    if "begin" not in kinds:
        raise NotApplicable("It shows no progress while it starts")
    begun = sum(1 for params in client.said("$/progress") if params["value"].get("kind") == "begin")
    await client.until(
        lambda: "end" in [p["value"].get("kind") for p in client.said("$/progress")], "its progress ends"
    )
    require(begun == 1, f"It shows {begun} progresses while it starts")
    created = len(client.said("window/workDoneProgress/create"))
    require(created == 1, f"It creates {created} progresses while it starts")
    document = session.open("")
    for key in "def add(a, b):\n"[:KEYS]:
        document.edit(len(document.text), len(document.text), key)
        await document.suggest(len(document.text), AUTOMATIC)
    later = [params["value"].get("kind") for params in client.said("$/progress")]
    require(later.count("begin") == 1, "It shows a progress while the user types")
    require(later.count("end") == 1, f"Its progress ends {later.count('end')} times")
