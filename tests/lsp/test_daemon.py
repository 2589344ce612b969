"""One daemon for many editors: real relays, a real daemon, the scripted model. What goes wrong is in test_daemon_faults."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import SCRIPTED, SERVE, Start
from daemon_probe import command, is_running, until, who
from raw_client import INLINE, PATIENCE, RawClient, inline, span

from incoder_lsp import cli, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no daemon on Windows yet")

URI = "file:///a.py"
TEXTS = ("fast", "slow", "closes('😀')", "fails", "nothing", "lines", "x = 1\r\ny = 2\r\n")


def conversation(client: RawClient) -> list[Any]:
    """All that an editor hears in a session of some length, but for ids that the server makes up."""
    client.start_and_load(initializationOptions={"maxToken": 3})
    heard: list[Any] = []
    for text in TEXTS:
        client.open(URI, text)
        heard.append(client.ask("textDocument/completion", {"textDocument": {"uri": URI}, "position": {}}))
        if text == "slow":
            request = client.request(INLINE, inline(URI, 0, 4))
            client.notify("$/cancelRequest", {"id": request})
            heard.append(client.reply(request))
            continue
        heard.append(client.ask(INLINE, inline(URI, 0, len(text) - 1)))
        client.change(URI, {"range": span((0, 1), (0, 2)), "text": "ab"})
        heard.append(client.ask(INLINE, inline(URI, 0, 3, kind=2)))
    client.write(b"Content-Size: 1\r\n\r\n")
    client.write_message(b"{")
    heard.append(client.ask("no/such/method"))
    heard += [client.ask("shutdown"), client.ask(INLINE, inline(URI, 0, 0))]
    client.notify("exit", None)
    heard.append(client.exit_code())
    return heard + [message for message in client.received if message.get("method") == "window/logMessage"]


@pytest.mark.proof
def test_a_session_hears_the_same_through_the_daemon_as_from_one_process(launch: Start, relay: Start):
    assert conversation(relay()) == conversation(launch(SCRIPTED))


@pytest.mark.proof
def test_five_editors_share_one_daemon_and_one_model(relay: Start, runtime: Path):
    clients = [relay() for _ in range(5)]
    for client in clients:
        client.start()
    (found,) = {who(client) for client in clients}
    process, loads = found
    assert loads == 1
    assert command(runtime, "--status").stdout.startswith("running: incoder-lsp ")
    for client in clients[:4]:
        assert client.end() == 0
    until("four editors to leave", lambda: "editors: 1," in command(runtime, "--status").stdout)
    assert who(clients[4]) == (process, 1)
    assert process not in {client.process.pid for client in clients}


@pytest.mark.proof
def test_nobody_else_may_come_in(relay: Start, runtime: Path):
    relay().start()
    (place,) = (runtime / "incoder-lsp").glob("*.sock")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


@pytest.mark.proof
def test_a_daemon_ends_when_it_was_alone_for_a_while(relay: Start, runtime: Path):
    client = relay(INCODER_DAEMON_IDLE="0.3")
    client.start()
    process, _ = who(client)
    time.sleep(0.6)
    assert who(client) == (process, 1), "it is not alone"
    assert client.end() == 0
    until("the daemon's end", lambda: not is_running(process))
    assert list((runtime / "incoder-lsp").glob("*.sock")) == []
    assert command(runtime, "--status").stderr == "incoder-lsp: no daemon is running.\n"


@pytest.mark.proof
def test_a_daemon_that_is_stopped_ends_and_an_open_editor_gets_another(relay: Start, runtime: Path):
    client = relay()
    client.start()
    process, _ = who(client)
    done = command(runtime, "--stop")
    assert (done.returncode, done.stdout.startswith("stopped: ")) == (0, True)
    until("the daemon's end", lambda: not is_running(process))
    assert who(client) != (process, 1)


@pytest.mark.proof
def test_a_daemon_whose_folder_was_cleared_goes_with_its_last_editor(relay: Start, runtime: Path):
    first, second = relay(INCODER_DAEMON_IDLE="60"), None
    first.start()
    process, _ = who(first)
    for file in (runtime / "incoder-lsp").iterdir():
        file.unlink()
    second = relay()
    second.start()
    assert who(second)[0] != process, "who comes now gets a daemon that can be found"
    assert who(first)[0] == process
    assert first.end() == 0
    until("the old daemon's end", lambda: not is_running(process))
    assert second.ask(INLINE, inline("file:///who.py", 0, 3))["result"], "the new one's socket is left alone"
    assert list((runtime / "incoder-lsp").glob("*.sock"))


NONSENSE = (b"", b"\n", b"{}\n", b"[1]\n", b"\xff\n", b'{"want": "session", "log_level": 5}\n', b"x" * 100_000)


@pytest.mark.proof
def test_a_greeting_that_makes_no_sense_is_the_end_of_that_connection_alone(relay: Start, runtime: Path):
    client = relay()
    client.start()
    found = who(client)
    (place,) = (runtime / "incoder-lsp").glob("*.sock")
    for greeting in NONSENSE:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(PATIENCE)
            stranger.connect(str(place))
            stranger.sendall(greeting)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1000):
                pass
    assert who(client) == found


def test_a_relay_imports_neither_the_server_nor_the_model(runtime: Path):
    imports = "from incoder_lsp import __main__, serve; from incoder_lsp.daemon import client, relay"
    probe = f"import json, sys; {imports}; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {"pygls", "lsprotocol", "numpy", "torch", "asyncio", "typer", "rich", "logging", "incoder_model"}
    assert heavy.isdisjoint(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("arguments", "quick"),
    [
        (["serve"], True),
        (["serve", "--stdio"], True),
        (["serve", "--model", "some dir", "--stdio"], True),
        (["serve", "--model=x"], False),
        (["serve", "--log-level", "debug"], False),
        (["serve", "--no-daemon"], False),
    ],
)
def test_the_quick_reading_of_a_command_line_is_typers(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], quick: bool
):
    from typer.testing import CliRunner

    shared: list[Any] = []
    alone: list[Any] = []
    monkeypatch.setattr(cli, "serve_shared", shared.append)
    monkeypatch.setattr(cli, "serve_alone", lambda *given: alone.append(given))
    CliRunner().invoke(cli.app, arguments)
    assert len(alone) == 1
    assert len(shared) == ("--no-daemon" not in arguments)
    assert serve.quick_options(arguments) == (shared[0] if quick else None)


@pytest.mark.parametrize("arguments", [[], ["serve", "--help"], ["serve", "--model"], ["serve", "--model", "--stdio"]])
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]):
    assert serve.quick_options(arguments) is None


@pytest.mark.proof
def test_a_relative_model_is_the_editors_and_not_the_daemons(
    launch: Start, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    told = []
    for options, settings in ((["--model", "one"], {}), ([], {"model": "two"})):
        client = launch([*SERVE, *options], XDG_RUNTIME_DIR=str(runtime))
        client.start(initializationOptions=settings)
        told.append(client.wait(lambda message: message.get("method") == "window/showMessage")["params"]["message"])
        assert client.end() == 0
    assert str(tmp_path / "one") in told[0]
    assert str(tmp_path / "two") in told[1]
