"""The framing of the language server protocol: bytes in, message bodies out, and back.

Pure, and imported by the relay, which must start at once: nothing heavier than `re` is needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_HEADER = 1 << 16  # bytes
MAX_BODY = 1 << 28  # bytes; four times the largest file that any editor opens without asking

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})", re.IGNORECASE)


class Frames:
    """An incremental reader of `Content-Length: N`, blank line, N bytes.

    It forgives what can be forgiven: the case of header names, bare line feeds, junk between messages.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing: int | None = None  # bytes of the body, once its header was read

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The bodies that are complete now. None stands for a header that tells no usable length.

        The last length in a header counts: where a message is followed by junk, the next message is found again.
        """
        self._buffer += data
        while True:
            if self._missing is None:
                end = _HEADER_END.search(self._buffer)
                if end is None:
                    if len(self._buffer) > MAX_HEADER:
                        self._buffer.clear()
                        yield None
                    return
                header = bytes(self._buffer[: end.start()])
                del self._buffer[: end.end()]
                if not header.strip():
                    continue
                lengths = _LENGTH.findall(header)
                if not lengths or int(lengths[-1]) > MAX_BODY:
                    yield None
                    continue
                self._missing = int(lengths[-1])
            if len(self._buffer) < self._missing:
                return
            body = bytes(self._buffer[: self._missing])
            del self._buffer[: self._missing]
            self._missing = None
            yield body


def frame(body: bytes | None) -> bytes:
    """The inverse of `Frames`: None becomes a header without a length."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body) if body is not None else b"Content-Length:\r\n\r\n"
