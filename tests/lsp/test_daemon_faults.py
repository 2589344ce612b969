"""The daemon dies, is raced for, cannot be started; clients are rude. Nobody loses a session, and each is one clear sentence."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import SERVE, Start
from daemon_probe import command, is_running, until, who
from raw_client import INLINE, RawClient, inline, said, span

from incoder_lsp.daemon.memory import CONTENT_MODIFIED
from incoder_lsp.daemon.relay import DEATHS
from incoder_lsp.frames import frame

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no daemon on Windows yet"),
]

URI = "file:///a.py"
NO_PLACE = "incoder-lsp: no daemon, so this editor has a model of its own: "


def shown(client: RawClient) -> list[str]:
    return [m["params"]["message"] for m in client.received if m.get("method") == "window/showMessage"]


def place_of(runtime: Path) -> Path:
    (place,) = (runtime / "incoder-lsp").glob("*.sock")
    return place


def test_a_daemon_killed_in_the_middle_of_a_request(relay: Start):
    client, other = relay(), relay()
    client.start_and_load(capabilities={"general": {"positionEncodings": ["utf-8"]}})
    other.start()
    process, _ = who(client)
    client.open(URI, "😀 one\r\nslow")
    client.change(URI, {"range": span((0, 5), (0, 8)), "text": "two"})
    pending = client.request(INLINE, inline(URI, 1, 4))
    with pytest.raises(AssertionError):
        client.wait(lambda message: message.get("id") == pending, seconds=0.2)
    os.kill(process, signal.SIGKILL)
    assert client.reply(pending)["error"]["code"] == CONTENT_MODIFIED
    client.change(URI, {"range": span((0, 8), (0, 8)), "text": "😀!"})
    until("the model", lambda: client.ask(INLINE, inline(URI, 0, 13)).get("result"))
    item = client.ask(INLINE, inline(URI, 0, 13))["result"]["items"][0]
    assert (said(item), item["range"]) == ("|o😀!|\r\ns|", span((0, 13), (0, 13)))
    assert who(client)[0] == who(other)[0] != process, "they meet again"
    os.kill(who(client)[0], signal.SIGKILL)
    assert who(client)
    (message,) = shown(client)
    assert message.startswith("InCoder: the background process ended and was started again")
    assert client.end() == other.end() == 0


def test_a_daemon_that_is_frozen_is_ended(relay: Start):
    client, other = relay(INCODER_DAEMON_SILENCE="1"), relay()
    client.start_and_load()
    other.start()
    process, _ = who(client)
    client.open(URI, "slow")
    os.kill(process, signal.SIGSTOP)
    assert client.ask(INLINE, inline(URI, 0, 4))["error"]["code"] == CONTENT_MODIFIED
    assert who(client)[0] == who(other)[0] != process, "they meet again"
    until("the frozen one's end", lambda: not is_running(process))
    (message,) = shown(client)
    assert message.startswith("InCoder: the background process ended and was started again")
    assert client.end() == other.end() == 0


def test_a_daemon_whose_model_thinks_for_long_is_left_in_peace(relay: Start):
    client = relay(INCODER_DAEMON_SILENCE="0.2")
    client.start_and_load()
    process, _ = who(client)
    client.open(URI, "slow")
    pending = client.request(INLINE, inline(URI, 0, 4))
    with pytest.raises(AssertionError):
        client.wait(lambda message: message.get("id") == pending, seconds=2)
    client.notify("$/cancelRequest", {"id": pending})
    client.reply(pending)
    assert who(client)[0] == process
    assert not shown(client)
    assert client.end() == 0


def test_a_daemon_that_always_dies_is_not_started_for_ever(relay: Start):
    client = relay()
    client.start(capabilities={"experimental": {"incoder": {"status": True}}})
    who(client)
    client.open(URI, "dies")
    for _ in range(DEATHS):
        until("a death", lambda: client.ask(INLINE, inline(URI, 0, 4)).get("error"))
    client.wait(lambda message: "3 times within a minute" in str(message))
    client.wait(lambda message: message.get("method") == "incoder/status" and message["params"]["state"] == "error")
    assert client.ask(INLINE, inline(URI, 0, 4))["error"]["code"] == CONTENT_MODIFIED
    assert client.ask("initialize", {"capabilities": {}})["error"]
    assert [message.startswith("InCoder: ") for message in shown(client)] == [True, True], "started again; given up"
    assert client.end() == 0


def test_a_daemon_killed_before_the_editor_said_anything(relay: Start, runtime: Path):
    client = relay()
    status = until("the daemon", lambda: command(runtime, "--status").stdout)
    until("the relay", lambda: "editors: 1," in command(runtime, "--status").stdout)
    os.kill(int(status.partition("process ")[2].partition(",")[0]), signal.SIGKILL)
    client.start()
    assert who(client)
    assert client.end() == 0


def test_clients_that_race_meet_one_daemon(relay: Start):
    with ThreadPoolExecutor() as threads:
        clients = list(threads.map(lambda _: relay(), range(4)))
        list(threads.map(lambda client: client.start(), clients))
    assert len({who(client) for client in clients}) == 1
    assert [shown(client) for client in clients] == [[]] * 4


@pytest.mark.parametrize("left", ["a socket", "a file"])
def test_what_a_dead_daemon_left_is_in_nobodys_way(relay: Start, runtime: Path, left: str):
    first = relay()
    first.start()
    process, _ = who(first)
    place = place_of(runtime)
    first.close()
    os.kill(process, signal.SIGKILL)
    until("the end", lambda: not is_running(process))
    if left == "a file":
        place.unlink()
        place.touch()
    second = relay()
    second.start()
    assert who(second)[0] != process
    assert shown(second) == []


def refused(runtime: Path, fault: str) -> tuple[dict[str, str], str]:
    """An environment in which there is no place for a daemon, and what is said about it."""
    folder = runtime / "incoder-lsp"
    if fault == "somebody else's":
        folder.mkdir(mode=0o700)
        if os.getuid():
            pytest.skip("only root can give a folder away")
        os.chown(folder, 12345, 12345)
        return {}, f"the folder {folder} belongs to somebody else"
    if fault == "open to others":
        folder.mkdir()
        folder.chmod(0o755)
        return {}, f"others may enter the folder {folder}"
    if fault == "a file":
        folder.touch()
        return {}, f"{folder} is no folder"
    if fault == "a link":
        (runtime / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(runtime / "elsewhere")
        return {}, f"{folder} is no folder"
    return {"XDG_RUNTIME_DIR": "/nowhere", "TMPDIR": str(runtime / "nowhere")}, "cannot be made"


@pytest.mark.parametrize("fault", ["somebody else's", "open to others", "a file", "a link", "nowhere"])
def test_without_a_safe_place_the_editor_is_served_alone(launch: Start, runtime: Path, fault: str):
    environment, sentence = refused(runtime, fault)
    client = launch(SERVE, **{"XDG_RUNTIME_DIR": str(runtime), **environment})
    assert client.start()["serverInfo"]["name"] == "incoder-lsp"
    assert client.end() == 0
    warning, rest = client.stderr.decode().split("\n", 1)
    assert warning.startswith(NO_PLACE)
    assert sentence in warning
    assert rest == ""
    if not environment:
        assert sentence in command(runtime, "--status").stderr


@pytest.mark.parametrize("inodes", [1, 2, 3, 4])
def test_on_a_full_disk_the_editor_is_served_all_the_same(launch: Start, runtime: Path, inodes: int):
    """The first inode is the disk's own. Then there is no room for the folder, the lock, the socket, or only the log."""
    mount = f'mount -t tmpfs -o mode=700,nr_inodes={inodes} none {runtime} && exec "$@"'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disks can be made here")
    client = launch([*alone, *SERVE, "--log-level", "debug"], XDG_RUNTIME_DIR=str(runtime))
    assert client.start()["serverInfo"]["name"] == "incoder-lsp"
    assert client.end() == 0
    assert client.stderr.decode().count(NO_PLACE) == (inodes < 4)
    assert ("no space left" in client.stderr.decode().lower()) is (inodes < 4)
    assert b"Traceback" not in client.stderr


def test_half_a_message_and_a_death_are_that_clients_own_affair(relay: Start, runtime: Path):
    client, rude = relay(), relay()
    client.start()
    rude.start()
    found = who(client)
    until("two editors", lambda: "editors: 2," in command(runtime, "--status").stdout)
    with socket.socket(socket.AF_UNIX) as ruder:
        ruder.connect(str(place_of(runtime)))
        ruder.sendall(b'{"want": "session"}\nContent-Length: 1000\r\n\r\n{"jsonrpc"')
        rude.write(b"Content-Length: 1000\r\n\r\n{")
        rude.process.kill()
    until("one to leave", lambda: "editors: 1," in command(runtime, "--status").stdout)
    assert who(client) == found


def test_a_flood_does_not_starve_others_and_does_not_pile_up(relay: Start, runtime: Path):
    client = relay()
    client.start()
    found = who(client)
    with socket.socket(socket.AF_UNIX) as flood:
        flood.connect(str(place_of(runtime)))
        flood.sendall(b'{"want": "session"}\n')
        assert flood.recv(10_000).endswith(b"\n")

        def message(**fields: Any) -> bytes:
            return frame(json.dumps({"jsonrpc": "2.0", **fields}).encode())

        flood.sendall(message(id=0, method="initialize", params={"capabilities": {}}))
        while b"serverInfo" not in flood.recv(10_000):
            pass
        flood.setblocking(False)
        sent, quiet = 0, time.monotonic()
        while time.monotonic() < quiet + 1.5:  # it reads nothing from now on; at some point it is not read, either
            request = message(id=1, method=INLINE, params={**inline(URI, 0, 0), "filler": "x" * 1000})
            try:
                flood.sendall(request * 20)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            sent, quiet = sent + 20, time.monotonic()
            assert sent < 100_000, "a hundred megabytes were taken in"
        assert who(client) == found, "somebody else is served meanwhile"
    until("the flood to leave", lambda: "editors: 1," in command(runtime, "--status").stdout)


def test_many_requests_are_all_answered(relay: Start):
    client = relay()
    client.start_and_load()
    client.open(URI, "a-b-c-d-")
    requests = [client.request(INLINE, inline(URI, 0, i % 8, kind=2)) for i in range(500)]
    results = [client.reply(request)["result"] for request in requests]
    assert results[-1]["items"]
    assert client.end() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_session_held_goes_with_it(relay: Start, runtime: Path):
    client = relay()
    client.start()
    process, _ = who(client)

    def megabytes() -> float:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def message(**fields: Any) -> bytes:
        return frame(json.dumps({"jsonrpc": "2.0", **fields}).encode())

    before, text = megabytes(), "x" * 10_000_000
    opened = {"uri": URI, "languageId": "python", "version": 1, "text": text}
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as session, session.makefile("rb") as replies:
            session.connect(str(place_of(runtime)))
            session.sendall(b'{"want": "session"}\n' + message(id=0, method="initialize", params={"capabilities": {}}))
            session.sendall(message(method="textDocument/didOpen", params={"textDocument": opened}))
            session.sendall(message(id=1, method="shutdown") + message(method="exit"))
            assert b'"id": 1' in replies.read()
    until("the sessions to leave", lambda: "editors: 1," in command(runtime, "--status").stdout)
    assert megabytes() < before + 50, "ten sessions had 100 MB of text"


def test_logs_of_a_daemon_hold_no_text_of_the_user(relay: Start, runtime: Path):
    client = relay()
    client.start_and_load()
    client.open(URI, "fails # SECRET")
    assert client.ask(INLINE, inline(URI, 0, 5))["result"] is None
    client.wait_logged(b"ValueError at scripted_server.py")
    assert b"SECRET" not in client.logged
    assert client.stderr == b"", "it is the daemon who writes"


def test_traces_hold_text_so_they_are_never_the_daemons(launch: Start, runtime: Path):
    client = launch([*SERVE, "--log-level", "trace"], XDG_RUNTIME_DIR=str(runtime))
    client.start()
    client.open(URI, "# SECRET")
    assert client.end() == 0
    assert b"initialize" in client.stderr
    assert list(runtime.iterdir()) == []


def test_no_process_is_left_when_an_editor_is_killed(relay: Start, launch: Start, runtime: Path):
    """The editor is a process that starts a relay and is killed; the pipe to the relay stays open in another process."""
    client = relay(INCODER_DAEMON_IDLE="1")
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    client.start(processId=editor.pid)
    process, _ = who(client)
    time.sleep(1.5)  # longer than the relay takes to look for the first time
    editor.kill()
    editor.wait()
    assert client.exit_code() == 1
    assert b"the editor" in client.stderr
    until("the daemon's end", lambda: not is_running(process))
    assert client.process.stdin and not client.process.stdin.closed
