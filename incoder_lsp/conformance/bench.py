"""The bench on which a server is put: how it is started, the session that most checks share, and what is known of it.

A command comes in; sessions come out, each in a folder, with a home and with an environment of its own, so that nothing
of the user's is read or left behind. `Bench.close` ends every process that was started, daemons included.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from incoder_lsp.conformance import processes
from incoder_lsp.conformance.client import Client, Message
from incoder_lsp.conformance.outcome import Failed, NotApplicable
from incoder_lsp.conformance.session import INVOKED, Document, Item, Session

MARK = "LSP_CONFORMANCE_RUN"
NO_METHOD = "error -32601"  # in the reason of a silence
POLL = 0.2  # seconds between two questions to a server that is not ready
CAPABILITIES: Message = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "inlineCompletion": {},
        "completion": {"completionItem": {"snippetSupport": True}},
        "synchronization": {"didSave": True},
    },
    "notebookDocument": {"synchronization": {}},
    "workspace": {"configuration": True, "workspaceFolders": True, "didChangeConfiguration": {}},
    "window": {"workDoneProgress": True, "showMessage": {}},
    "experimental": {"incoder": {"status": True}},
}

# Places where a tool for Python has something to say: (left of the cursor, right of it).
PLACES = (
    ("def add(a, b):\n    return ", "\n"),
    ("import json\n\n\ndef load(path):\n    with open(path) as file:\n        items = json.", "\n    return items\n"),
    ("class Box:\n    def __init__(self, width, height):\n        self.width = width\n        self.", "\n"),
    ("numbers = [3, 1, 2]\nfor number in numbers:\n    ", "\n\nprint(numbers)\n"),
    ("import os\nimport sys\n\n\ndef main():\n    for name in os.", "\n\n\nmain()\n"),
    ("def largest(numbers):\n    best = None\n    for number in numbers:\n        ", "\n    return best\n"),
)


@dataclass(frozen=True)
class Knobs:
    """What a server cannot be asked for: settings that switch it off and on, options that leave it without a model."""

    off: Any = None
    on: Any = None
    broken: Any = None  # as initializationOptions
    init: Any = None  # initializationOptions that it cannot do without

    @classmethod
    def read(cls, data: str) -> Knobs:
        """Of a JSON object. Raises ValueError with one sentence."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            raise ValueError('--knobs must be a JSON object of "off", "on", "broken" and "init"') from None


KNOWN = {
    "incoder-lsp": Knobs(
        off={"incoder": {"enabled": False}},
        on={"incoder": {"enabled": True}},
        broken={"model": "/nonexistent/model"},
    )
}


@dataclass
class Bench:
    command: Sequence[str]
    ready_within: float = 120.0  # seconds until a suggestion must have come, or the server counts as silent
    budget_ms: float = 300.0  # for the 95th percentile from a key to its answer
    given_knobs: Knobs | None = None
    home: Path | None = None  # None is an empty one
    ready_after: float = 1.0  # seconds, measured by `prepare`
    silence: str | None = None  # why no suggestion can be seen at all
    name: str = "?"
    version: str = ""
    _mark: str = field(default_factory=lambda: f"{MARK}={uuid.uuid4()}")
    _clients: list[Client] = field(default_factory=list)
    _shared: Session | None = None

    def __post_init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="lsp-conformance-", ignore_cleanup_errors=True)
        self.scratch = Path(self._scratch.name).resolve()
        self._marks = 0

    # --- sessions ------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Start the shared session and wait until it suggests something. Raises Failed where it cannot be started."""
        started = time.monotonic()
        session = await self.shared()
        server = session.result.get("serverInfo") or {}
        self.name, self.version = str(server.get("name", "a server without a name")), str(server.get("version", ""))
        self.silence = await self.wait_until_ready(session)
        self.ready_after = time.monotonic() - started

    async def shared(self) -> Session:
        """The session of all checks that need none of their own. If the last check killed it, a new one."""
        if self._shared is None or self._shared.client.ended:
            if self._shared is not None:
                await self._shared.client.close()
            self._shared = await self.start()
            if self.silence is None and self.name != "?":
                await self.wait_until_ready(self._shared)
        return self._shared

    async def ready(self, **options: Any) -> Session:
        """A session of one's own that suggests something. Raises NotApplicable for a silent server."""
        self.require_suggestions()
        session = await self.start(**options)
        if why := await self.wait_until_ready(session):
            raise Failed(f"A further session is silent: {why}")
        return session

    async def start(
        self,
        capabilities: Message | None = None,
        command: Sequence[str] | None = None,
        home: Path | None = None,
        **params: Any,
    ) -> Session:
        """A session of one's own, initialized; with a home of its own nothing that others have started can serve it. Raises
        Failed where initialize is not answered with a result."""
        client = await self.launch(command, home)
        folder = self.folder()
        reply = await client.ask("initialize", self.initialize_params(folder, capabilities, **params), 60)
        if "error" in reply:
            raise Failed(f"initialize is answered with an error: {str(reply['error'])[:160]}")
        client.notify("initialized", {})
        return Session(client, folder, reply.get("result") or {})

    async def launch(self, command: Sequence[str] | None = None, home: Path | None = None) -> Client:
        """A process that has heard nothing yet."""
        client = await Client.start(
            command or self.command, folder=Path.cwd(), environment=self._environment(home), configuration=self.knobs.on
        )
        self._clients.append(client)
        return client

    def initialize_params(self, folder: Path, capabilities: Message | None = None, **params: Any) -> Message:
        return {
            "processId": os.getpid(),
            "clientInfo": {"name": "incoder-lsp conformance", "version": "1"},
            "rootUri": folder.as_uri(),
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
            "capabilities": CAPABILITIES if capabilities is None else capabilities,
            "initializationOptions": self.knobs.init,
            **params,
        }

    def folder(self) -> Path:
        """A new workspace folder, which is a git repository that ignores `ignored/`."""
        self._marks += 1
        folder = self.scratch / f"workspace-{self._marks}"
        for part in ("objects", "refs"):
            (folder / ".git" / part).mkdir(parents=True)
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (folder / ".gitignore").write_text("ignored/\n")
        return folder

    # --- suggestions ---------------------------------------------------------------------------------------------------

    async def wait_until_ready(self, session: Session) -> str | None:
        """Ask until something is suggested; None, or in what way the server is silent."""
        end, last = time.monotonic() + self.ready_within, "it answers, but with nothing"
        documents = [session.open(left + right) for left, right in PLACES]
        while time.monotonic() < end:
            try:
                for document, (left, _) in zip(documents, PLACES, strict=True):
                    if await document.suggest(len(left)):
                        return None
            except Failed as reason:
                last = str(reason)
                if session.client.ended or NO_METHOD in last:  # there is no such method
                    return last
            await asyncio.sleep(POLL)
        return f"within {self.ready_within:g} s; {last}"

    def require_method(self) -> None:
        if self.silence and NO_METHOD in self.silence:
            raise NotApplicable("It has no inline completion")

    def require_suggestions(self) -> None:
        if self.silence:
            raise NotApplicable(f"It suggests nothing ({self.silence})")

    async def suggestion(
        self, session: Session, kind: int = INVOKED, number: int = 0
    ) -> tuple[Document, int, list[Item]]:
        """A new document, a cursor in it and what is suggested there. Raises NotApplicable where nothing ever is."""
        self.require_suggestions()
        for left, right in (*PLACES[number % len(PLACES) :], *PLACES[: number % len(PLACES)]):
            comment = f"# {uuid.uuid4().hex[:8]}\n"  # no answer that is known already
            document = session.open(comment + left + right)
            if items := await document.suggest(len(comment + left), kind):
                return document, len(comment + left), items
        asked = "asked for" if kind == INVOKED else "triggered by a key"
        raise NotApplicable(f"It suggested nothing at {len(PLACES)} places when {asked}")

    # --- what is known of the server -----------------------------------------------------------------------------------

    @property
    def knobs(self) -> Knobs:
        return self.given_knobs or KNOWN.get(self.name) or Knobs()

    def processes(self) -> list[int]:
        """All living processes of the server, of all sessions."""
        return processes.marked(self._mark)

    async def release(self) -> None:
        """End every session but the shared one."""
        shared = self._shared.client if self._shared else None
        for client in self._clients:
            if client is not shared:
                await client.close()
        self._clients = [client for client in self._clients if client is shared]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        if processes.supported:
            processes.end(self.processes())
        self._scratch.cleanup()

    def _environment(self, home: Path | None = None) -> dict[str, str]:
        home = self.home or home or self.scratch / "home"
        home.mkdir(exist_ok=True)
        own = {
            "HOME": str(home),
            **{f"XDG_{kind}_HOME": str(home / f".{kind.lower()}") for kind in ("CONFIG", "CACHE", "DATA", "STATE")},
            "XDG_RUNTIME_DIR": str(home),
        }
        name, _, value = self._mark.partition("=")
        return {**os.environ, **({} if self.home else own), name: value}
