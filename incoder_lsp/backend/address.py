"""The address of a server that completes instead of the model: text from the user in, an Address or one sentence out."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from incoder_lsp.backend.key import KEY_VARIABLE, own_key

ACCEPTS = "an address like http://127.0.0.1:8012 or https://team.example:8000"


@dataclass(frozen=True)
class Address:
    """`scheme://host[:port][/path]`, without a slash at its end."""

    url: str
    key: str = field(default="", repr=False)  # for who asks there


def parse_backend(text: str, key: str | None = None) -> Address:
    """key: None is that of this process. Raises ValueError with one sentence for the user.

    A path is kept, except for the endings that people copy along with an address: `/infill`, `/v1` and `/v1/completions`.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in text.strip()):
        raise ValueError(f"the backend must be {ACCEPTS}")
    if parts.username or parts.password:
        raise ValueError(f"a backend's key does not belong in its address; put it into {KEY_VARIABLE}")
    if parts.query or parts.fragment:
        raise ValueError("a backend's address has no ? and no #; give the address of the server itself")
    path = parts.path.rstrip("/")
    for ending in ("/infill", "/completions", "/v1"):
        path = path.removesuffix(ending)
    return Address(f"{parts.scheme}://{parts.netloc}{path}", own_key() if key is None else key)


def is_backend(text: str) -> bool:
    try:
        parse_backend(text)
    except ValueError:
        return False
    return True
