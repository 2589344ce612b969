"""Archives of package registries: PyPI's wheels and sdists, npm's tarballs, Debian's packages. An archive is taken from the
cache folder or fetched into it; its checksum and its licence are checked; its source files come out."""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from incoder_train.corpus.document import Document, source_file
from incoder_train.corpus.licence import all_of, debian_licence, require_permissive
from incoder_train.corpus.manifest import Archive
from incoder_train.corpus.sources.archives import read_files
from incoder_train.corpus.sources.registries import download
from incoder_train.corpus.sources.stated import core_metadata_licence, package_json_licence
from incoder_train.errors import UserError


@dataclass(frozen=True)
class LicenceFile:
    """Which file of a kind of archive states its licence, and how it is read."""

    pattern: str
    read: Callable[[str], str]


LICENCE_FILES = {
    "wheel": LicenceFile(r"[^/]+\.dist-info/METADATA", core_metadata_licence),
    "sdist": LicenceFile(r"[^/]+/PKG-INFO", core_metadata_licence),
    "npm": LicenceFile(r"[^/]+/package\.json", package_json_licence),
    "debian": LicenceFile(r"(?:\./)?usr/share/doc/[^/]+/copyright", debian_licence),
}


def fetch(archive: Archive, cache: Path) -> Path:
    """The path of the archive in `cache`, downloaded first if it is not there. Raises UserError if it cannot be had or is
    not what was pinned."""
    kept = cache / archive.filename
    if not kept.exists():
        arriving = cache / f".arriving-{archive.filename}"
        shutil.rmtree(arriving, ignore_errors=True)  # of a download that was killed
        arriving.mkdir(parents=True)
        try:
            download(archive, arriving)
            (arriving / archive.filename).replace(kept)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    require_sha256(kept, archive.sha256, f"{archive.name} {archive.version}")
    return kept


def require_sha256(path: Path, expected: str, what: str) -> None:
    """Raises UserError unless the file is the pinned one."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if (found := digest.hexdigest()) != expected:
        raise UserError(
            f"{path} is not the {what} that the manifest pins: its sha256 is {found}, not {expected}; "
            "delete the file to fetch it again, or correct the manifest."
        )


def check_licence(archive: Archive, path: Path) -> None:
    """Raises UserError unless the licence that the archive states in its own metadata is on the allow-list, and is the one
    that the manifest expects."""
    where = LICENCE_FILES[archive.kind]
    try:
        found = read_files(path, lambda name: bool(re.fullmatch(where.pattern, name)), Counter())
    except UserError:
        found = []
    if not found:
        article = "an sdist" if archive.kind == "sdist" else f"a {archive.kind}"
        package = "" if archive.kind in ("wheel", "sdist") else " package"
        raise UserError(
            f"{path} is not {article}{package}: it has no {where.pattern.rsplit('/')[-1].replace(chr(92), '')} "
            "to state a licence; replace it."
        )
    stated = [where.read(content.decode("utf-8", errors="replace")) for _, content in found]
    require_permissive(archive.filename, all_of(stated) if all(stated) else "", archive.licence)


def collect(archive: Archive, path: Path, extensions: tuple[str, ...], dropped: Counter[str]) -> Iterator[Document]:
    """The files of a fetched archive that have one of `extensions`, sorted by path."""
    for name, content in read_files(path, lambda name: PurePosixPath(name).suffix.lower() in extensions, dropped):
        yield source_file(name, content, archive.name, archive.licence, archive.repository)
