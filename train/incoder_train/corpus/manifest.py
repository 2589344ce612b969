"""Which sources a corpus is made of. A TOML file goes in; a validated `Manifest` comes out. Archives are pinned to a version
and a checksum, checkouts to a commit, and every source names its licence, so the same manifest always gives the same corpus.

    name = "python-small"
    extensions = [".py"]
    tests_share = 0.25

    [[archive]]
    kind = "wheel"          # the default; each kind has its own keys, the fields of its class below
    name = "networkx"
    version = "3.7"
    licence = "BSD-3-Clause"
    filename = "networkx-3.7-py3-none-any.whl"
    sha256 = "e3fd..."
"""

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from incoder_train.corpus.options import Options, set_options
from incoder_train.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

# Kept for our own evaluation: a model must never have seen them. recipes/heldout.manifest.toml pins them.
HELD_OUT = frozenset(
    {"starlette", "httpx", "pydantic", "textual", "attrs", "attr", "rich", "click", "flask", "trio", "werkzeug"}
    | {"zod", "hono", "fastify", "koa", "commander", "immer", "mobx", "msw", "query-core"}
    | {"anyhow", "walkdir", "cobra", "cli11"}
)
# What Debian writes around the name of a library, by language.
PACKAGED = re.compile(r"(?:python3?|node)-(.+)|(?:librust-|golang-github-[a-z0-9]+-|lib)(.+)-dev")

STARS_FROM = frozenset({"python", "jupyter", "javascript"})  # the paper's crawls, see `sources.stars`


@dataclass(frozen=True)
class Archive:
    """One file of a package registry, pinned."""

    name: str
    version: str
    licence: str  # SPDX expression; the archive must say the same of itself
    filename: str  # of the archive, as the registry calls it; a wheel's tags say for which platform it is fetched
    sha256: str  # of the whole file, 64 hexadecimal digits
    kind: str = "wheel"  # "wheel", "sdist" (.tar.gz), "npm" (.tgz) or "debian" (.deb)
    repository: str = ""  # owner/name of its source


@dataclass(frozen=True)
class Folder:
    """A folder on this machine, as it is today: what git tracks or would track."""

    name: str
    licence: str  # its LICENSE file, pyproject.toml or package.json must say the same
    path: str  # relative to the current folder
    kind: str = "folder"
    version: str = ""


@dataclass(frozen=True)
class Checkout:
    """A git repository on this machine, at a commit."""

    name: str
    licence: str
    path: str
    commit: str  # 40 hexadecimal digits
    kind: str = "git"
    repository: str = ""
    source: str = ""  # "github" or "gitlab": the header's attribute of this name
    stars: int = -1  # -1: not known
    crawl: str = ""  # which thresholds the stars are judged by: "python", "jupyter" or "javascript"

    @property
    def version(self) -> str:
        return self.commit[:12]


@dataclass(frozen=True)
class Table:
    """A file of files: one row each, with what is known of its repository. The keys below stand in for missing columns."""

    name: str
    path: str
    sha256: str
    kind: str  # "jsonl" (.zst too) or "parquet"
    licence: str = ""
    source: str = ""
    crawl: str = ""

    @property
    def version(self) -> str:
        return self.sha256[:12]


@dataclass(frozen=True)
class Dump:
    """A folder with Posts.xml and Comments.xml of a StackExchange site."""

    name: str
    licence: str  # one of `licence.THREAD_LICENCES`
    path: str
    kind: str = "stackexchange"
    version: str = ""  # of the dump, such as its date


Entry = Archive | Folder | Checkout | Table | Dump


@dataclass(frozen=True)
class Manifest:
    name: str
    extensions: tuple[str, ...]  # of the files to read, with the dot, lower case
    tests_share: float  # at most this share of an archive's characters may be tests, 0 to 1
    archives: tuple[Entry, ...]
    options: Options
    held_out: bool = False  # what models are tested on: every archive must be one of HELD_OUT, instead of none


KINDS: dict[str, type[Entry]] = {
    "wheel": Archive,
    "sdist": Archive,
    "npm": Archive,
    "debian": Archive,
    "folder": Folder,
    "git": Checkout,
    "jsonl": Table,
    "parquet": Table,
    "stackexchange": Dump,
}
# What a registry calls its files; none of these patterns lets a path in.
FILENAMES = {
    "wheel": (re.compile(r"[\w.+!]+(-[\w.+!]+){4,5}\.whl"), "a wheel (name-version-tags.whl)"),
    "sdist": (re.compile(r"[\w.+!-]+\.tar\.gz"), "an sdist (name-version.tar.gz)"),
    "npm": (re.compile(r"[\w.+-]+\.tgz"), "an npm archive (name-version.tgz)"),
    "debian": (
        re.compile(r"[a-z0-9][a-z0-9.+-]+_[\w.+~%-]+_[a-z0-9-]+\.deb"),
        "a Debian package (name_version_arch.deb)",
    ),
}
REQUIRED_KEYS = {"name": str, "extensions": list, "tests_share": float, "archive": list}
MANIFEST_KEYS = REQUIRED_KEYS | {"held_out": bool}
TYPES = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    list: "a list",
    float: "a number with a decimal point",
}


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
    _check_keys(table, MANIFEST_KEYS, REQUIRED_KEYS, f"{path}")
    archives = tuple(
        _entry(entry, f"{path}, archive {number}") for number, entry in enumerate(table["archive"], start=1)
    )
    manifest = Manifest(
        table["name"],
        tuple(table["extensions"]),
        table["tests_share"],
        archives,
        options,
        table.get("held_out", False),
    )
    _check_values(manifest, path)
    return manifest


def _entry(table: object, where: str) -> Entry:
    kind = table.get("kind", "wheel") if isinstance(table, dict) else "wheel"
    if kind not in KINDS:
        raise UserError(f"{where}: the kind {kind!r} is unknown; write one of {', '.join(KINDS)}.")
    keys = {field.name: int if field.type is int else str for field in fields(KINDS[kind])}
    required = [field.name for field in fields(KINDS[kind]) if field.default is MISSING]
    _check_keys(table, keys, required, where)
    return KINDS[kind](**table)  # pyright: ignore[reportCallIssue]


def _check_keys(table: object, types: Mapping[str, type], required: Iterable[str], where: str) -> None:
    if not isinstance(table, dict):
        raise UserError(f"{where}: this must be a table; write [[archive]] above its keys.")
    for key, value in table.items():
        if key not in types:
            near = difflib.get_close_matches(key, types, n=1, cutoff=0.0)[0]
            raise UserError(f"{where}: the key '{key}' is unknown; the nearest known key is '{near}'.")
        if not isinstance(value, types[key]) or (isinstance(value, bool) and types[key] is not bool):
            raise UserError(f"{where}: '{key}' is {value!r}, but it must be {TYPES[types[key]]}.")
    if missing := [key for key in required if key not in table]:
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
        name = plain_name(archive.name)
        if manifest.held_out:
            if not held_out(archive.name):
                raise UserError(
                    f"{path} says held_out = true, but {archive.name} is not in HELD_OUT, so others may train on it; "
                    "add it there (corpus/manifest.py), or remove it here."
                )
        elif held_out(archive.name) or held_out(getattr(archive, "repository", "")):
            raise UserError(f"{path}: {archive.name} is held out for evaluation and must not be trained on; remove it.")
        if name in seen:
            raise UserError(f"{path}: {archive.name} is listed twice; keep one of the two.")
        _check_pins(archive, path)
        seen.add(name)


def _check_pins(archive: Entry, path: Path) -> None:
    if isinstance(archive, Archive):
        pattern, what = FILENAMES[archive.kind]
        if not pattern.fullmatch(archive.filename):
            raise UserError(f"{path}: {archive.filename!r} is no file name of {what}.")
        for value in (archive.name, archive.version):  # they become arguments of a registry's client
            if not re.fullmatch(r"@?[\w.+!~:/-]+", value) or value.startswith("-"):
                raise UserError(f"{path}: {value!r} is no name or version of a package; correct it.")
    if isinstance(archive, Archive | Table) and not re.fullmatch(r"[0-9a-f]{64}", archive.sha256):
        raise UserError(f"{path}: the sha256 of {archive.name} must be 64 lower-case hexadecimal digits.")
    if isinstance(archive, Checkout) and not re.fullmatch(r"[0-9a-f]{40}", archive.commit):
        raise UserError(f"{path}: the commit of {archive.name} must be 40 lower-case hexadecimal digits.")
    if isinstance(archive, Checkout | Table) and archive.crawl and archive.crawl not in STARS_FROM:
        raise UserError(f"{path}: the crawl of {archive.name} must be one of {', '.join(sorted(STARS_FROM))}.")


def plain_name(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def held_out(name: str) -> bool:
    """Is it one of our evaluation's projects? A repository counts by its bare name, whoever owns it, as in the paper's
    pipeline; a Debian package without what marks its language."""
    bare = plain_name(name.rpartition("/")[2].removesuffix(".git"))
    packaged = PACKAGED.fullmatch(bare)
    return bare in HELD_OUT or (packaged is not None and (packaged[1] or packaged[2]) in HELD_OUT)
