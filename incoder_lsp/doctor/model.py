"""The model that would complete: which one it is, and whether its files are as they were made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from incoder_lsp.backend.address import Address, parse_backend
from incoder_lsp.doctor.finding import Finding, Level
from incoder_lsp.doctor.user import configured
from incoder_lsp.infiller import Source

SUMS = "SHA256SUMS"
AGAIN = "Install incoder-lsp again, or copy the whole model directory again."


def source_of(directory: Path | None, file: Path | None) -> Source:
    """As a session chooses it: the command line, then the settings, then the bundled model."""
    settings = configured(file).settings
    if directory:
        return directory
    if settings.backend:
        return parse_backend(settings.backend)
    return Path(settings.model).expanduser() if settings.model else None


def model(directory: Path | None, file: Path | None) -> Iterator[Finding]:
    from incoder_model.checkpoint import BUNDLED, ModelDirectoryError, read_config, settled

    source = source_of(directory, file)
    if isinstance(source, Address):
        yield Finding("Model", Level.ok, f"the server at {source.url}, where your code is sent")
        return
    try:
        place = settled(source or BUNDLED)
        config = read_config(place)
    except ModelDirectoryError as error:
        yield Finding(
            "Model", Level.fail, str(error), "Set incoder.model to a model directory, or to null for the bundled one."
        )
        return
    yield Finding(
        "Model", Level.ok, f"{place}: {config.parameters:,} parameters, reads {config.context:,} tokens at a time"
    )
    if not (place / SUMS).exists():
        yield Finding("Files", Level.ok, f"{place} has no {SUMS} to compare them with")
        return
    changed = [name for name, expected in _sums(place / SUMS) if _sum(place / name) != expected]
    if changed:
        yield Finding("Files", Level.fail, f"not as they were made: {', '.join(changed)}", AGAIN)
    else:
        yield Finding("Files", Level.ok, f"as {SUMS} says")


def _sums(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition(" ")
        yield name.lstrip(" *"), expected


def _sum(file: Path) -> str | None:
    try:
        with file.open("rb") as data:
            digest = hashlib.sha256()
            while block := data.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
