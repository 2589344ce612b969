"""Framing, addresses, the watch on the editor's process, and a session over TCP."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SERVE, Start
from hypothesis import given
from hypothesis import strategies as st
from raw_client import PATIENCE

from incoder_lsp import transport
from incoder_lsp.frames import MAX_BODY, MAX_HEADER, Frames, frame
from incoder_lsp.transport import parse_address

HEADERS = st.sampled_from(
    [
        "Content-Length: {}\r\n\r\n",
        "content-length:{}\n\n",
        "Content-Type: x\r\nCONTENT-LENGTH : {}\r\n\r\n",
        "\r\n\r\nContent-Length: {}\r\n\r\n",
    ]
)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=20))), st.lists(st.integers(0, 200)))
def test_bodies_come_out_whole_however_the_bytes_are_cut(messages: list[tuple[str, bytes]], cuts: list[int]):
    stream = b"".join(header.format(len(body)).encode() + body for header, body in messages)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    frames = Frames()
    bodies = [body for a, b in itertools.pairwise(edges) for body in frames.feed(stream[a:b])]
    assert bodies == [body for _, body in messages]


@given(st.lists(st.binary(max_size=20) | st.none()))
def test_what_is_framed_is_read_again(bodies: list[bytes | None]):
    assert list(Frames().feed(b"".join(map(frame, bodies)))) == bodies


@given(st.binary(max_size=50).filter(lambda junk: b"\n" not in junk and b"\r" not in junk))
def test_junk_between_messages_is_read_over(junk: bytes):
    assert list(Frames().feed(b"Content-Length: 2\r\n\r\n{}" + junk + b"Content-Length: 2\r\n\r\n[]")) == [b"{}", b"[]"]


@pytest.mark.parametrize(
    "header", [b"X: 1\r\n\r\n", b"Content-Length: two\r\n\r\n", b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1)]
)
def test_a_header_without_a_usable_length_is_told_and_passed(header: bytes):
    assert list(Frames().feed(header + b"Content-Length: 2\r\n\r\n{}")) == [None, b"{}"]


def test_an_endless_header_is_not_kept():
    frames = Frames()
    assert list(frames.feed(b"x" * (MAX_HEADER + 1))) == [None]
    assert list(frames.feed(b"Content-Length: 2\r\n\r\n{}")) == [b"{}"]


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("127.0.0.1:2087", ("127.0.0.1", 2087)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:5", ("::1", 5)),
        ("::1:5", ("::1", 5)),
    ],
)
def test_loopback_addresses_are_taken(address: str, parsed: tuple[str, int]):
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address", ["", "2087", ":2087", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:²"]
)
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(ValueError, match="is no address: write HOST:PORT"):
        parse_address(address)


def test_only_a_parent_that_was_seen_alive_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "PARENT_CHECK", 0.01)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)

    async def ended(process: int) -> bool:
        reader = asyncio.StreamReader()
        protocol: Any = SimpleNamespace(parent_process=process)
        watch = asyncio.create_task(transport._stop_with_parent(protocol, reader))
        await asyncio.wait({watch}, timeout=0.1)
        watch.cancel()
        return reader.at_eof()

    assert asyncio.run(ended(int(gone.stdout))) is False, "it is out of sight, as an editor outside of a container is"
    assert asyncio.run(ended(os.getpid())) is False


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SERVE, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--tcp", "0.0.0.0:2087"],
            "0.0.0.0 is not this machine: the server listens on 127.0.0.1, localhost, ::1 only.",
        ),
        (["--tcp", "2087"], "'2087' is no address: write HOST:PORT, for example 127.0.0.1:2087."),
        (["--tcp", "127.0.0.1:0", "--stdio"], "--stdio and --tcp exclude each other; give one of them."),
    ],
)
def test_a_refused_address_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str):
    done = serve(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"incoder-lsp: {sentence}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes stdin here")
def test_a_closed_stdin_is_one_sentence_and_exit_code_1():
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", *SERVE]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("incoder-lsp: stdin or stdout is closed; ")


def test_a_taken_port_is_one_sentence_and_exit_code_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve("--tcp", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert (
        done.stderr == f"incoder-lsp: cannot listen on 127.0.0.1:{port}: address already in use; choose another port.\n"
    )


@pytest.mark.parametrize(("last", "code"), [("exit", 0), ("hang up", 1)])
def test_a_session_over_tcp(launch: Start, last: str, code: int):
    server = launch([*SERVE, "--tcp", "localhost:0"])
    server.wait_logged(b"\n")
    address = server.stderr.decode().split()[-1]
    assert address.startswith("127.0.0.1:")
    place = ("127.0.0.1", int(address.partition(":")[2]))
    with socket.create_connection(place, timeout=PATIENCE) as connection, connection.makefile("rb") as replies:

        def send(**message: Any) -> None:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

        def reply() -> Any:
            length = 0
            while line := replies.readline().strip():
                length = int(line.split()[1]) if line.startswith(b"Content-Length") else length
            return json.loads(replies.read(length))

        send(id=1, method="initialize", params={"capabilities": {}})
        assert reply()["result"]["serverInfo"]["name"] == "incoder-lsp"
        if last == "exit":
            send(id=2, method="shutdown")
            assert reply()["id"] == 2
            send(method="exit")
            assert replies.read() == b""
    assert server.exit_code() == code
