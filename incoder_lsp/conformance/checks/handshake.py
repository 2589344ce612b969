"""What client and server say of themselves, and settings that change."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from incoder_lsp.conformance.bench import CAPABILITIES, Bench
from incoder_lsp.conformance.outcome import Failed, NotApplicable, check, require
from incoder_lsp.conformance.session import INLINE, INVOKED, Document, Session, items_of

SETTLED = 1.0  # seconds in which a server says what it has to say unasked
EFFECT = 5.0  # seconds in which a setting must have an effect


@check(1, "Capability")
async def capability(bench: Bench) -> str:
    """A client that announces inline completion finds inlineCompletionProvider in the reply to initialize; one that
    announces nothing is served, too, and nothing is registered with it."""
    with_support = await bench.shared()
    provider = with_support.capabilities.get("inlineCompletionProvider")
    require(
        provider is True or isinstance(provider, dict),
        f"inlineCompletionProvider is {provider!r} for a client that announces inline completion",
    )
    without = await bench.start({})
    await asyncio.sleep(SETTLED)
    require("id" in await without.client.ask("shutdown"), "shutdown is not answered for a client without capabilities")
    require(
        not _registrations(without, "registrations"), "It registers a method with a client that cannot register any"
    )
    return f"inlineCompletionProvider: {provider}"


@check(2, "Dynamic registration", starts=1)
async def registration(bench: Bench) -> None:
    """A server that registers inline completion dynamically unregisters it when it is switched off, and registers it again
    when it is switched on."""
    bench.require_method()
    capabilities = copy.deepcopy(CAPABILITIES)
    capabilities["textDocument"]["inlineCompletion"] = {"dynamicRegistration": True}
    capabilities["workspace"]["didChangeConfiguration"] = {"dynamicRegistration": True}
    session = await bench.start(capabilities)
    if session.capabilities.get("inlineCompletionProvider", False) not in (False, None):
        raise NotApplicable(
            "It announces inline completion in the reply to initialize, so there is nothing to unregister"
        )
    await session.client.until(
        lambda: INLINE in _registrations(session, "registrations"), f"{INLINE} is registered", bench.ready_within
    )
    off, on = _switch(bench)
    session.configure(off)
    await session.client.until(
        lambda: INLINE in _registrations(session, "unregisterations"), f"{INLINE} is unregistered", EFFECT
    )
    session.configure(on)
    await session.client.until(
        lambda: _registrations(session, "registrations").count(INLINE) == 2, f"{INLINE} is registered again", EFFECT
    )


@check(9, "Unknown enum values")
async def unknown_values(bench: Bench) -> None:
    """A client newer than the server, which announces values that the server does not know, gets a result from
    initialize."""
    capabilities = copy.deepcopy(CAPABILITIES)
    capabilities["general"]["positionEncodings"] = ["utf-64", "utf-16"]
    capabilities["workspace"]["workspaceEdit"] = {"failureHandling": "hope"}
    capabilities["workspace"]["symbol"] = {"symbolKind": {"valueSet": [1, 99]}, "tagSupport": {"valueSet": [1, 99]}}
    capabilities["textDocument"] |= {
        "documentSymbol": {"symbolKind": {"valueSet": [1, 99]}},
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["new.kind"]}}},
        "completion": {
            "completionItem": {"insertTextModeSupport": {"valueSet": [1, 3]}, "tagSupport": {"valueSet": [7]}}
        },
        "somethingNew": {"really": True},
    }
    session = await bench.start(capabilities, somethingElse=1)
    encoding = session.capabilities.get("positionEncoding", "utf-16")
    require(encoding == "utf-16", f"Of utf-64 and utf-16 it chooses {encoding}")


@check(33, "Settings at run time")
async def settings_change(bench: Bench) -> None:
    """A setting that switches suggestions off has its effect in the running session, and so has the one that switches them
    on again."""
    off, on = _switch(bench)
    session = await bench.shared()
    document, offset, _ = await bench.suggestion(session)
    for settings, expected in ((off, False), (on, True)):
        session.configure(settings)
        await _wait_for(document, offset, expected)


def _registrations(session: Session, name: str) -> list[str]:
    method = "client/registerCapability" if name == "registrations" else "client/unregisterCapability"
    return [entry.get("method") for params in session.client.said(method) for entry in params.get(name, [])]


def _switch(bench: Bench) -> tuple[Any, Any]:
    knobs = bench.knobs
    if knobs.off is None or knobs.on is None:
        raise NotApplicable(
            'Which settings switch it off and on is not known; give them with --knobs \'{"off": ..., "on": ...}\''
        )
    return knobs.off, knobs.on


async def _wait_for(document: Document, offset: int, expected: bool) -> None:
    end = asyncio.get_running_loop().time() + EFFECT
    client = document.session.client
    while asyncio.get_running_loop().time() < end:
        reply = await client.ask(INLINE, document.question(offset, INVOKED))
        refused = not expected and "error" in reply  # a server may say that it is off
        if refused or bool(items_of(reply)) is expected:
            return
        await asyncio.sleep(0.1)
    raise Failed(f"{EFFECT:g} s after it was switched {'on, it suggests nothing' if expected else 'off, it suggests'}")
