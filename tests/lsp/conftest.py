"""Servers to talk to: with the scripted model, and with a real, tiny, random one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from raw_client import RawClient  # noqa: E402

SCRIPTED = [sys.executable, str(HERE / "scripted_server.py")]
SERVE = [sys.executable, "-m", "incoder_lsp", "serve"]

Start = Callable[..., RawClient]


@pytest.fixture
def launch() -> Iterator[Start]:
    """Start a server of one's own: launch(command, **environment)."""
    clients: list[RawClient] = []

    def start(command: list[str], **environment: str) -> RawClient:
        clients.append(RawClient(command, **environment))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def scripted(launch: Start) -> RawClient:
    """A fresh server with the scripted model, not initialized yet."""
    return launch(SCRIPTED)


@pytest.fixture(scope="module")
def client() -> Iterator[RawClient]:
    """One server with the scripted model, initialized and ready, that a whole file of tests shares."""
    client = RawClient(SCRIPTED)
    client.start_and_load()
    yield client
    client.close()
