"""What an editor and a server say to each other, written down. It stands between them and changes nothing.

In: `recorder.py LOG COMMAND...`, and the editor's bytes on stdin. Out: the server's bytes on stdout, and LOG: one JSON line
for each message, `{"from": "editor" or "server", "message": ...}`, before them `{"from": "recorder", "pid": the server's}`.
Ends with the server. It needs the standard library alone, so that it starts at once.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


def relay(name: str, source: IO[bytes], target: IO[bytes], log: int) -> None:
    """Each message is written down before it is passed on, so that whoever sees its effect finds it in the log."""
    while head := source.readline():
        length = 0
        while line := head.strip():
            key, _, value = line.partition(b":")
            length = int(value) if key.lower() == b"content-length" else length
            head = source.readline()
        body = source.read(length)
        write(log, {"from": name, "message": json.loads(body)})
        try:
            target.write(b"Content-Length: %d\r\n\r\n%s" % (length, body))
            target.flush()
        except OSError:
            break
    target.close()


def write(log: int, entry: object) -> None:
    os.write(log, json.dumps(entry).encode() + b"\n")  # in one piece: another window's recorder may have the same log


def main() -> None:
    log = os.open(Path(sys.argv[1]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin
    assert server.stdout
    write(log, {"from": "recorder", "pid": server.pid})
    threading.Thread(target=relay, args=("editor", sys.stdin.buffer, server.stdin, log), daemon=True).start()
    relay("server", server.stdout, sys.stdout.buffer, log)
    os._exit(server.wait())  # the other thread may still be reading


if __name__ == "__main__":
    main()
