"""The real server over real stdio, with the model of `speaking`. Not a test.

    speaking_server.py FILE

FILE is a JSON list of answers that are still to be given: whoever talks to the server may write it at any time.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from speaking import speaking  # noqa: E402

from incoder_lsp import logs, transport  # noqa: E402
from incoder_lsp.infiller import LocalModel  # noqa: E402
from incoder_lsp.server import Server  # noqa: E402
from incoder_lsp.worker import Worker  # noqa: E402


class Answers(list[str]):
    """What the file holds."""

    def __init__(self, file: Path):
        self._file = file

    def __bool__(self) -> bool:
        return bool(json.loads(self._file.read_text(encoding="utf-8")))

    def pop(self, *_: int) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        first, *others = json.loads(self._file.read_text(encoding="utf-8"))
        self._file.write_text(json.dumps(others), encoding="utf-8")
        return first


if __name__ == "__main__":
    logs.configure(logs.LogLevel.debug)
    model, script = speaking()
    script.answers = Answers(Path(sys.argv[1]))
    os._exit(transport.serve_stdio(Server(worker=Worker(lambda _: LocalModel(model, "speaking"))).protocol))
