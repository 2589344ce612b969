"""All checks, each file one idea. Their numbers are those of the draft list from which they were made."""

from __future__ import annotations

from incoder_lsp.conformance.checks import (
    flow,
    handshake,
    items,
    life,
    malformed,
    mirror,
    notebooks,
    privacy,
    quality,
    resources,
    type_along,
)
from incoder_lsp.conformance.outcome import Check

MODULES = (
    handshake, mirror, flow, malformed, items, type_along, quality, privacy, notebooks, life, resources,
)  # fmt: skip

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (value for module in MODULES for value in vars(module).values() if isinstance(value, Check)),
        key=lambda check: check.number,
    )
)
