"""A relay to a daemon whose model is that of `scripted_server`. Not a test. With a path: that daemon."""

from __future__ import annotations

import sys
from pathlib import Path

from incoder_lsp.daemon.process import Post, become_daemon
from incoder_lsp.serve import serve_shared


def serve(post: Post) -> None:
    from scripted_server import fill, load

    from incoder_lsp.daemon import sessions

    sessions.serve(post, load, fill)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        become_daemon(Path(sys.argv[1]), serve)
    else:
        serve_shared({"model": None, "log_level": "debug"}, [sys.executable, __file__])
        sys.exit("no way to a daemon")
