"""From pinned archives to documents. An archive is taken from the cache folder or fetched into it by pip; its checksum
and its licence are checked; its source files come out in a fixed order, one `Document` each."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from incoder_train.corpus.document import Document
from incoder_train.corpus.manifest import Archive
from incoder_train.errors import UserError

ALLOWED_LICENCES = frozenset(
    {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "Python-2.0", "ISC", "BSL-1.0", "Unlicense"}
)

# What archives wrote before SPDX expressions, in their `License` line or a classifier, lower case, and what it means.
# The classifier for BSD does not tell two clauses from three; both are allowed.
LICENCE_SPELLINGS = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "osi approved :: mit license": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "osi approved :: bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "osi approved :: apache software license": "Apache-2.0",
    "psf": "PSF-2.0",
    "osi approved :: python software foundation license": "PSF-2.0",
    "osi approved :: isc license (iscl)": "ISC",
    "osi approved :: boost software license 1.0 (bsl-1.0)": "BSL-1.0",
    "osi approved :: the unlicense (unlicense)": "Unlicense",
}


def fetch(archive: Archive, cache: Path) -> Path:
    """The path of the archive in `cache`, downloaded first if it is not there. Raises UserError if it cannot be had, is
    not what was pinned, or is not permissively licensed."""
    kept = cache / archive.filename
    if not kept.exists():
        arriving = cache / ".arriving"
        shutil.rmtree(arriving, ignore_errors=True)  # of a download that was killed
        arriving.mkdir(parents=True)
        try:
            _download(archive, arriving)
            (arriving / archive.filename).replace(kept)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    found = hashlib.sha256(kept.read_bytes()).hexdigest()
    if found != archive.sha256:
        raise UserError(
            f"{kept} is not the {archive.name} {archive.version} that the manifest pins: its sha256 is {found}, "
            f"not {archive.sha256}; delete the file to fetch it again, or correct the manifest."
        )
    check_licence(archive, kept)
    return kept


def collect(archive: Archive, wheel: Path, extensions: tuple[str, ...]) -> Iterator[Document]:
    """The files of a fetched archive that have one of `extensions`, sorted by path. Bytes that are not UTF-8 become
    U+FFFD, which the filters drop."""
    with zipfile.ZipFile(wheel) as contents:
        for path in sorted(set(contents.namelist())):
            name, ext = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
            if ext in extensions:
                text = contents.read(path).decode("utf-8-sig", errors="replace")
                yield Document(text, path, name, ext, archive.name, archive.licence)


def _download(archive: Archive, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder)]
    command += [*_tag_options(archive.filename), f"{archive.name}=={archive.version}"]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (folder / archive.filename).exists():
        last_words = (pip.stderr.strip().splitlines() or ["pip brought another file"])[-1].removeprefix("ERROR: ")
        raise UserError(
            f"{archive.filename} is not in the cache and could not be fetched ({last_words}); "
            f"connect to a package index, or put the file into {folder.parent} yourself."
        )


def _tag_options(filename: str) -> list[str]:
    """The pip options that select this wheel on every machine; its name ends in -python-abi-platform.whl."""
    python, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
    version = re.sub(r"^\D+(\d)(\d*)$", r"\1.\2", python.split(".")[-1]).rstrip(".")  # cp314 -> 3.14, py3 -> 3
    options = ["--python-version", version, "--abi", abi]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


def check_licence(archive: Archive, wheel: Path) -> None:
    """Raises UserError unless every licence that the archive states in its own METADATA is on the allow-list, and is
    the one that the manifest expects."""
    try:
        with zipfile.ZipFile(wheel) as contents:
            name = next(name for name in contents.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            metadata = HeaderParser().parsestr(contents.read(name).decode("utf-8", errors="replace"))
    except (zipfile.BadZipFile, StopIteration):
        raise UserError(f"{wheel} is not a wheel: it has no METADATA to state a licence; replace it.") from None
    stated = stated_licence(metadata)
    if not stated or not ALLOWED_LICENCES.issuperset(licence_names(stated)):
        raise UserError(
            f"{archive.filename} states the licence {stated or 'none'!r}, which is not among the permissive ones "
            f"({', '.join(sorted(ALLOWED_LICENCES))}); take it off the manifest."
        )
    if stated != archive.licence:
        raise UserError(f"{archive.filename} states {stated}, the manifest {archive.licence}; correct the manifest.")


def stated_licence(metadata: Message) -> str:
    """The `License-Expression`, else the `License` line, else the classifiers, as an SPDX expression where known."""
    if expression := metadata.get("License-Expression"):
        return expression.strip()
    line = (metadata.get("License") or "").strip()
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License :: ")]
    # A licence pasted in full cannot be compared with anything; the classifiers then speak.
    stated = [line] if line and "\n" not in line else [value.removeprefix("License :: ") for value in classifiers]
    return " AND ".join(sorted({LICENCE_SPELLINGS.get(name.lower(), name) for name in stated}))


def licence_names(expression: str) -> list[str]:
    """The licences in an SPDX expression: all of them for `OR` too, and one with an exception (`WITH`) as a whole."""
    return [name for part in re.split(r"\s+(?:AND|OR)\s+", expression) if (name := part.strip(" ()"))]
