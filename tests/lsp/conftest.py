"""Servers to talk to: with the scripted model, and with a real, tiny, random one."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from raw_client import RawClient  # noqa: E402

SCRIPTED = [sys.executable, str(HERE / "scripted_server.py")]
RELAYED = [sys.executable, str(HERE / "scripted_relay.py")]
BOTH_WAYS = {"one process": SCRIPTED, "through the daemon": RELAYED}
SERVE = [sys.executable, "-m", "incoder_lsp", "serve"]

Start = Callable[..., RawClient]


@pytest.fixture(scope="session")
def model_directory(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With its graph, as the bundled model has one: a server that is started with it need not import torch."""
    from incoder_model.checkpoint import WEIGHTS, graph_files, read_config, write_files

    directory = shutil.copytree(model_directory, tmp_path_factory.mktemp("models") / "tiny")
    with (directory / WEIGHTS).open("rb") as weights:
        graphs = graph_files(read_config(directory), weights)
    write_files(directory, graphs)
    return directory


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
def runtime() -> Iterator[Path]:
    """A folder for daemons of one's own: XDG_RUNTIME_DIR for `launch`. Those that listen there leave with the test."""
    with tempfile.TemporaryDirectory(prefix="incoder-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def relay(launch: Start, runtime: Path) -> Start:
    """Another editor whose relay meets the daemon of this test: relay(**environment)."""
    return lambda **environment: launch(RELAYED, **{"XDG_RUNTIME_DIR": str(runtime), **environment})


@pytest.fixture(scope="session")
def shared_runtime() -> Iterator[str]:
    """The same for tests that do not mind whose daemon they meet, as long as it is a scripted one."""
    with tempfile.TemporaryDirectory(prefix="incoder-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture(params=BOTH_WAYS)
def scripted(request: pytest.FixtureRequest, launch: Start, shared_runtime: str) -> RawClient:
    """A fresh server with the scripted model, not initialized yet."""
    return launch(BOTH_WAYS[request.param], XDG_RUNTIME_DIR=shared_runtime)


@pytest.fixture(scope="module", params=BOTH_WAYS)
def client(request: pytest.FixtureRequest, shared_runtime: str) -> Iterator[RawClient]:
    """One server with the scripted model, initialized and ready, that a whole file of tests shares."""
    client = RawClient(BOTH_WAYS[request.param], XDG_RUNTIME_DIR=shared_runtime)
    client.start_and_load()
    yield client
    client.close()
