"""A thin process between one editor and the daemon: the editor's bytes go there, the daemon's come back.

Two threads, one for each direction, and the blocking of a pipe or socket is all the flow control there is. Messages are
relayed whole, so that a daemon that dies in the middle of one leaves no half behind. When it does die, what was open is
answered, another daemon is started and brought to the same state (see `memory`), and the editor goes on. One that owes an answer
and says nothing is asked whether it is there, and ended if it does not say so.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

from incoder_lsp.daemon.memory import Memory
from incoder_lsp.daemon.place import Unreachable
from incoder_lsp.frames import Frames, frame
from incoder_lsp.parent import PARENT_CHECK, is_alive

CHUNK = 1 << 16  # bytes read at once
DEATHS, WITHIN = 3, 60.0  # so many in so many seconds are enough
SILENCE, LOOKS = (
    20.0,
    4,
)  # seconds without a word before it is asked, and again before it is ended; how often it is looked at in them
SILENCE_VARIABLE = "INCODER_DAEMON_SILENCE"
LAST_WORDS = 2.0  # seconds that a daemon has to end a session that the editor ended
WARNING, ERROR = 2, 1

RESTARTED = "InCoder: the background process ended and was started again. Your session goes on."
GIVEN_UP = "InCoder: the background process {reason}. There will be no suggestions until the server is restarted."


class Relay:
    """`attach` connects to the daemon, and raises Unreachable; `daemon`, connection and process, is what it returned first."""

    def __init__(
        self, daemon: tuple[socket.socket, int], attach: Callable[[], tuple[socket.socket, int]], source: int, sink: int
    ):
        self._connection: socket.socket | None  # None once we gave up
        self._connection, self._process = daemon
        self._heard = 0  # how often it said something
        self._attach = attach
        self._source, self._sink = source, sink
        self._memory = Memory()
        self._remembering = Lock()  # around `_memory`; held for a moment only
        self._sending = Lock()  # around `_connection` and what is sent on it
        self._writing = Lock()  # around `_sink`
        self._ending = False
        self._deaths: list[float] = []
        self._told = False

    def run(self) -> int:
        """Relay until the editor says exit, hangs up or dies; returns the exit code."""
        threading.excepthook = _fail
        replies = Thread(target=self._relay_replies, name="replies", daemon=True)
        replies.start()
        Thread(target=self._watch_editor, name="parent", daemon=True).start()
        Thread(target=self._watch_daemon, name="daemon", daemon=True).start()
        self._relay_requests()
        self._hang_up()
        replies.join(LAST_WORDS)
        return self.exit_code

    @property
    def exit_code(self) -> int:
        """As the protocol has it: an end without `shutdown` is a failure."""
        return 0 if self._memory.shut_down else 1

    def _relay_requests(self) -> None:
        frames = Frames()
        while data := _read(self._source):
            for body in frames.feed(data):
                with self._sending:
                    if body is not None:
                        with self._remembering:
                            self._memory.sent(body)
                    if self._memory.exited:
                        self._ending = True
                    self._send(frame(body))
                    if self._connection is None:
                        self._bury(for_good=True)
                if self._memory.exited:
                    return

    def _relay_replies(self) -> None:
        while connection := self._connection:
            frames = Frames()
            while data := _receive(connection):
                self._heard += 1
                for body in frames.feed(data):
                    with self._remembering:
                        wanted = body is not None and self._memory.received(body)
                    if wanted:
                        self._write(frame(body))
            if self._ending:
                return
            with self._sending:
                self._recover()

    def _recover(self) -> None:
        """The daemon is dead. A message that could not be sent to it is remembered, so it is replayed or answered."""
        while True:
            self._drop_connection()
            self._bury(for_good=False)
            now = time.monotonic()
            self._deaths = [*(death for death in self._deaths if death > now - WITHIN), now]
            if self._memory.shut_down:
                return None
            if len(self._deaths) >= DEATHS:
                return self._give_up(f"ended {DEATHS} times within a minute")
            try:
                self._connection, self._process = self._attach()
            except Unreachable as error:
                return self._give_up(f"ended and cannot be started again: {error}")
            with self._remembering:
                replay = b"".join(map(frame, self._memory.replay()))
            if self._send(replay):
                break
        if not self._told:
            self._told = True
            self._show(WARNING, RESTARTED)
        return None

    def _give_up(self, reason: str) -> None:
        self._bury(for_good=True)
        sentence = GIVEN_UP.format(reason=reason)
        self._show(ERROR, sentence)
        with self._remembering:
            words = list(self._memory.last_status(sentence.replace("InCoder: the", "The")))
        for body in words:
            self._write(frame(body))

    def _bury(self, for_good: bool) -> None:
        with self._remembering:
            words = list(self._memory.bury(for_good))
        for body in words:
            self._write(frame(body))

    def _show(self, kind: int, sentence: str) -> None:
        say(sentence.removeprefix("InCoder: "))
        params = {"type": kind, "message": sentence}
        self._write(frame(json.dumps({"jsonrpc": "2.0", "method": "window/showMessage", "params": params}).encode()))

    def _send(self, data: bytes) -> bool:
        try:
            if self._connection is not None:
                self._connection.sendall(data)
        except OSError:
            return False  # whoever reads from it learns the same, and acts
        return True

    def _write(self, data: bytes) -> None:
        with self._writing:
            view = memoryview(data)
            with suppress(OSError):  # the editor no longer reads; when it leaves, stdin ends
                while view:
                    view = view[os.write(self._sink, view) :]

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hang_up(self) -> None:
        self._ending = True
        with self._sending:
            if self._connection is not None:
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_WR)

    def _watch_daemon(self) -> None:
        """Its model thinks on a thread of its own, so nothing that it does keeps it from answering. Looks are counted, and not
        seconds: a machine that slept has lost none."""
        silence, quiet = float(os.environ.get(SILENCE_VARIABLE) or SILENCE), 0
        while True:
            heard = self._heard
            time.sleep(silence / LOOKS)
            with self._remembering:
                owed = self._memory.owed
            quiet = quiet + 1 if owed and heard == self._heard else 0
            if quiet == LOOKS:
                self._ask_whether_it_is_there()
            elif quiet == 2 * LOOKS:
                say(f"the background process {self._process} does not answer, and is ended")
                with suppress(OSError):
                    os.kill(self._process, signal.SIGKILL)  # whoever reads from it learns that, and acts

    def _ask_whether_it_is_there(self) -> None:
        """Not where what was sent before still waits: that is answer enough."""
        if self._sending.acquire(blocking=False):
            try:
                if self._connection is not None and select.select([], [self._connection], [], 0)[1]:
                    self._send(frame(self._memory.are_you_there()))
            finally:
                self._sending.release()

    def _watch_editor(self) -> None:
        """End with the editor, even where something else keeps our stdin open."""
        while self._memory.process is None:
            time.sleep(PARENT_CHECK)
        process = self._memory.process
        if not is_alive(process):
            return  # it lives in another process namespace (a container): its number says nothing here
        while is_alive(process):
            time.sleep(PARENT_CHECK)
        say(f"the editor (process {process}) is gone")
        os._exit(self.exit_code)


def say(sentence: str) -> None:
    """One line to stderr, if anybody keeps it open."""
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"incoder-lsp: {sentence}\n")
        sys.stderr.flush()


def _fail(failure: threading.ExceptHookArgs) -> None:
    """Half a relay is worse than none, which the editor notices."""
    say(f"unexpected failure: {failure.exc_type.__name__}")
    os._exit(1)


def _read(source: int) -> bytes:
    try:
        return os.read(source, CHUNK)
    except OSError:
        return b""  # a pipe that breaks is one that ends


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(CHUNK)
    except OSError:
        return b""
