"""Which archives a corpus is made of. A TOML file goes in; a validated `Manifest` comes out. Every archive is pinned to
a version and a checksum and names its licence, so the same manifest always gives the same corpus.

    name = "python-small"
    extensions = [".py"]
    tests_share = 0.25

    [[archive]]
    name = "networkx"
    version = "3.7"
    licence = "BSD-3-Clause"
    filename = "networkx-3.7-py3-none-any.whl"
    sha256 = "e3fd..."
"""

import difflib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from incoder_train.corpus.options import Options, set_options
from incoder_train.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

# Kept for our own evaluation: a model must never have seen them.
HELD_OUT = frozenset({"starlette", "httpx", "pydantic", "textual", "attrs", "rich", "zod", "hono", "fastify"})


@dataclass(frozen=True)
class Archive:
    """One wheel of a package registry, pinned."""

    name: str
    version: str
    licence: str  # SPDX expression; the archive must say the same of itself
    filename: str  # of the wheel; its tags say for which platform it is fetched
    sha256: str  # of the whole file, 64 hexadecimal digits


@dataclass(frozen=True)
class Manifest:
    name: str
    extensions: tuple[str, ...]  # of the files to read, with the dot, lower case
    tests_share: float  # at most this share of an archive's characters may be tests, 0 to 1
    archives: tuple[Archive, ...]
    options: Options


MANIFEST_KEYS = {"name": str, "extensions": list, "tests_share": float, "archive": list}
ARCHIVE_KEYS = dict.fromkeys((field.name for field in fields(Archive)), str)
KINDS = {str: "a string", list: "a list", dict: "a table", float: "a number with a decimal point"}


def read_manifest(path: Path) -> Manifest:
    """Reads and checks a manifest; raises UserError that names the file and the first thing wrong with it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"The manifest {path} cannot be read ({error.strerror}); give the path of a TOML file that lists archives."
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML ({error}); correct it.") from None

    choices = table.pop("options", {})
    if not isinstance(choices, dict):
        raise UserError(f"{path}: 'options' must be a table; write [options] above its keys.")
    options = set_options(Options(), choices, f"{path}, [options]")
    _check_keys(table, MANIFEST_KEYS, f"{path}")
    for number, entry in enumerate(table["archive"], start=1):
        _check_keys(entry, ARCHIVE_KEYS, f"{path}, archive {number}")
    archives = tuple(Archive(**entry) for entry in table["archive"])
    manifest = Manifest(table["name"], tuple(table["extensions"]), table["tests_share"], archives, options)
    _check_values(manifest, path)
    return manifest


def _check_keys(table: object, kinds: Mapping[str, type], where: str) -> None:
    if not isinstance(table, dict):
        raise UserError(f"{where}: this must be a table; write [[archive]] above its keys.")
    for key, value in table.items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=1, cutoff=0.0)[0]
            raise UserError(f"{where}: the key '{key}' is unknown; the nearest known key is '{near}'.")
        if not isinstance(value, kinds[key]):
            raise UserError(f"{where}: '{key}' is {value!r}, but it must be {KINDS[kinds[key]]}.")
    if missing := [key for key in kinds if key not in table]:
        raise UserError(f"{where}: the key '{missing[0]}' is missing; add it.")


def _check_values(manifest: Manifest, path: Path) -> None:
    if not manifest.archives:
        raise UserError(f"{path} lists no archive; add at least one [[archive]].")
    for extension in manifest.extensions:
        if not (isinstance(extension, str) and re.fullmatch(r"\.[a-z0-9]+", extension)):
            raise UserError(f"{path}: the extension {extension!r} must be a dot and lower-case letters, such as '.py'.")
    if not 0 <= manifest.tests_share < 1:
        raise UserError(f"{path}: tests_share is {manifest.tests_share}; it must be at least 0.0 and below 1.0.")
    seen = set()
    for archive in manifest.archives:
        name = re.sub(r"[-_.]+", "-", archive.name).lower()  # as package indexes compare names
        if name in HELD_OUT:
            raise UserError(f"{path}: {archive.name} is held out for evaluation and must not be trained on; remove it.")
        if name in seen:
            raise UserError(f"{path}: {archive.name} is listed twice; keep one of the two.")
        if not re.fullmatch(r"[\w.+!]+(-[\w.+!]+){4,5}\.whl", archive.filename):
            raise UserError(f"{path}: {archive.filename!r} is no file name of a wheel (name-version-tags.whl).")
        if not re.fullmatch(r"[0-9a-f]{64}", archive.sha256):
            raise UserError(f"{path}: the sha256 of {archive.name} must be 64 lower-case hexadecimal digits.")
        seen.add(name)
