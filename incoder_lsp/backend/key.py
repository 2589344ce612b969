"""The API key for a server that completes: it comes from the editor's environment, and from nowhere else.

A room of its own, because the relay hands the key on and must not pay for more.
"""

from __future__ import annotations

import os

KEY_VARIABLE = "INCODER_BACKEND_KEY"  # the environment variable that holds it, if the server wants one


def own_key() -> str:
    """This process' key; empty where it has none."""
    return os.environ.get(KEY_VARIABLE, "")
