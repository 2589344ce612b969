"""The real server over real stdio or as a session of the daemon, whose trainer is `scripted_trainer`. Not a test.

learning_server.py DATA PLAN
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from incoder_lsp import logs, transport
from incoder_lsp.learning import Learning
from incoder_lsp.server import Server

if __name__ == "__main__":
    logs.configure(logs.LogLevel.debug)
    trainer = [sys.executable, str(Path(__file__).parent / "scripted_trainer.py"), sys.argv[2]]
    os._exit(transport.serve_stdio(Server(learned=Learning(Path(sys.argv[1]), trainer)).protocol))
