"""InCoder's language server: the protocol comes in, suggestions go out.

Each module is one room on the way of a keystroke: transport, protocol, server, documents, completer, context, filters.
"""

from __future__ import annotations


def version() -> str:
    """The installed distribution's version; "0+source" where the package is imported from a bare checkout."""
    import importlib.metadata  # slow, and the only thing here that would be

    try:
        return importlib.metadata.version("incoder-lsp")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"
