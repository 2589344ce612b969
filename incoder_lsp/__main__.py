"""`python -m incoder_lsp` is the command `incoder-lsp`. What editors start is there first; the rest is typer's."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    from incoder_lsp.serve import quick_options, serve_alone, serve_shared

    arguments = sys.argv[1:]
    if arguments[:2] == ["daemon", "--socket"] and len(arguments) == 3:
        from incoder_lsp.daemon.process import start_daemon

        return start_daemon(Path(arguments[2]))
    if options := quick_options(arguments):
        serve_shared(options)
        serve_alone(options["model"] and Path(options["model"]))
    from incoder_lsp.cli import app

    return app(prog_name="incoder-lsp")


if __name__ == "__main__":
    main()
