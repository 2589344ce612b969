"""Files out of archives: zip, tar (plain, gzip, bzip2, xz, zstd) and Debian's ar around a tar. A path goes in; (name, bytes)
pairs come out, sorted by name. Nothing is written to disk or run; links, devices, names that leave the archive and files
of unreasonable size are passed over and counted."""

import io
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import zstandard

from incoder_train.errors import UserError

MAX_FILE = 32 << 20  # bytes; no source file that a filter would keep comes near
MAX_ARCHIVE = 16 << 30  # bytes unpacked; beyond it an archive is a bomb, or not an archive of source

Wanted = Callable[[str], bool]  # by its name, is the file to be read?


def read_files(archive: Path, wanted: Wanted, dropped: Counter[str]) -> list[tuple[str, bytes]]:
    """The wanted files, sorted by name; of two with the same name the later one, as when unpacking. Raises UserError if
    the archive is damaged."""
    try:
        files = dict(_members(archive, wanted, dropped))
    except DAMAGES as error:
        raise UserError(f"{archive} is damaged ({error}); delete it to fetch it again, or replace it.") from None
    return sorted(files.items())


DAMAGES = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, zstandard.ZstdError,
    EOFError, OSError, RuntimeError, NotImplementedError, ValueError,
)  # fmt: skip


def plain_path(name: str) -> str | None:
    """A member's name without `./` in front; None if it would lead out of the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return None
    return str(path)


def _members(archive: Path, wanted: Wanted, dropped: Counter[str]) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".deb":
        with archive.open("rb") as file:
            yield from _tar_members(*_debian_data(file), wanted, dropped)
    elif archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as contents:
            yield from _zip_members(contents, wanted, dropped)
    else:
        with archive.open("rb") as file:
            yield from _tar_members(file, "gz", wanted, dropped)


def _zip_members(contents: zipfile.ZipFile, wanted: Wanted, dropped: Counter[str]) -> Iterator[tuple[str, bytes]]:
    for info in contents.infolist():
        name = plain_path(info.filename)
        kind = info.external_attr >> 28  # the type of file in Unix mode bits; 0 where another system wrote the archive
        if info.is_dir() or not wanted(info.filename):
            continue
        if name is None:
            dropped["path leads out of the archive"] += 1
        elif kind not in (0, 0o10):
            dropped["link or device"] += 1
        else:
            with contents.open(info) as member:
                content = member.read(MAX_FILE + 1)  # whatever size the directory claims
            if len(content) > MAX_FILE:
                dropped["file over 32 MiB"] += 1
            else:
                yield name, content


def _tar_members(
    file: IO[bytes], compression: str, wanted: Wanted, dropped: Counter[str]
) -> Iterator[tuple[str, bytes]]:
    if compression == "zst":  # tarfile learns it in Python 3.14
        file, compression = zstandard.ZstdDecompressor().stream_reader(file), ""
    unpacked = 0
    with tarfile.open(fileobj=file, mode=f"r|{compression}") as contents:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for info in contents:
            unpacked += info.size
            if unpacked > MAX_ARCHIVE:
                raise ValueError("it unpacks to over 16 GiB")
            name = plain_path(info.name)
            if info.isdir() or not wanted(info.name):
                continue
            if name is None:
                dropped["path leads out of the archive"] += 1
            elif not info.isreg():
                dropped["link or device"] += 1
            elif info.size > MAX_FILE:
                dropped["file over 32 MiB"] += 1
            elif member := contents.extractfile(info):
                yield name, member.read()


AR_HEADER, AR_MEMBER = b"!<arch>\n", 60


def _debian_data(file: IO[bytes]) -> tuple[IO[bytes], str]:
    """The tar with a Debian package's files, and its compression. An ar file is a row of members, each with a header of
    60 bytes: the name in the first 16, the size in decimal in the 10 before the last 2; members start at even places."""
    if file.read(len(AR_HEADER)) != AR_HEADER:
        raise ValueError("it is no ar archive")
    while len(header := file.read(AR_MEMBER)) == AR_MEMBER:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return io.BufferedReader(_Slice(file, size)), name.removeprefix("data.tar").removeprefix(".")
        file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it has no data.tar")


class _Slice(io.RawIOBase):
    """The next `size` bytes of a file, as a file."""

    def __init__(self, file: IO[bytes], size: int):
        self.file, self.left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        content = self.file.read(min(len(buffer), self.left))
        buffer[: len(content)] = content
        self.left -= len(content)
        return len(content)
