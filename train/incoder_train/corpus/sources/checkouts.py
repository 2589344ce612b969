"""Folders and git checkouts on this machine. git says which files belong (tracked ones, for a folder also those that it
would track: .gitignore holds) and hands out the bytes of a commit; none of its hooks, filters or helpers runs."""

import os
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from incoder_train.corpus.document import Document, source_file
from incoder_train.corpus.licence import require_permissive
from incoder_train.corpus.manifest import Checkout, Folder
from incoder_train.corpus.sources.archives import MAX_FILE
from incoder_train.corpus.sources.stars import repository_attributes
from incoder_train.corpus.sources.stated import is_licence_source, project_licence
from incoder_train.errors import UserError

# A repository's own configuration can name programs to run; these settings outweigh it.
SAFELY = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"]
ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def check_folder_licence(entry: Folder, root: Path) -> None:
    """Raises UserError unless the files at the top of the folder state the manifest's licence, and it is allowed."""
    if not root.is_dir():
        raise UserError(f"{root} is no folder; correct the path of {entry.name} in the manifest.")
    names = [path.name for path in root.iterdir() if is_licence_source(path.name) and _is_plain_file(path, root)]
    texts = {name: (root / name).read_bytes().decode("utf-8", "replace") for name in names}
    require_permissive(f"{entry.name} ({entry.path})", project_licence(texts), entry.licence)


def check_checkout_licence(entry: Checkout, root: Path) -> None:
    """The same for the files of the commit."""
    top = [blob for blob in _tree(entry, root, Counter()) if is_licence_source(blob[0])]
    texts = {name: content.decode("utf-8", "replace") for name, content in _contents(entry, root, top)}
    require_permissive(f"{entry.name} at {entry.version}", project_licence(texts), entry.licence)


def collect_folder(entry: Folder, root: Path, extensions: tuple[str, ...], dropped: Counter[str]) -> Iterator[Document]:
    """The folder's files that have one of `extensions`, sorted by path."""
    for name in listed_files(root):
        path = root / name
        if PurePosixPath(name).suffix.lower() not in extensions:
            continue
        if not _is_plain_file(path, root):
            dropped["link or device"] += 1
        elif path.stat().st_size > MAX_FILE:
            dropped["file over 32 MiB"] += 1
        else:
            yield source_file(name, path.read_bytes(), entry.name, entry.licence)


def collect_checkout(
    entry: Checkout, root: Path, extensions: tuple[str, ...], dropped: Counter[str]
) -> Iterator[Document]:
    """The commit's files that have one of `extensions`, sorted by path."""
    wanted = [blob for blob in _tree(entry, root, dropped) if PurePosixPath(blob[0]).suffix.lower() in extensions]
    attributes = repository_attributes(entry.source, entry.stars, entry.crawl)
    for name, content in _contents(entry, root, wanted):
        yield source_file(name, content, entry.name, entry.licence, entry.repository, attributes)


def listed_files(root: Path) -> list[str]:
    """The files under `root` that git tracks or would track, relative to it, sorted. A folder that belongs to no repository
    is listed through an empty one made for the moment."""
    with tempfile.TemporaryDirectory() as scratch:
        place: list[str] = []
        # 0: a repository around the folder ignores it whole; 1: it is part of one; 128: of none.
        if _run([*_git(root), "check-ignore", "-q", "."], root).returncode != 1:
            _output([*_git(root), "init", "--quiet", "--bare", scratch], root)
            place = ["--git-dir", scratch, "--work-tree", "."]
        names = _output([*_git(root), *place, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], root)
    found = {os.fsdecode(name) for name in names.split(b"\0") if name and not name.endswith(b"/")}
    return sorted(name for name in found if _is_utf8(name) and os.path.lexists(root / name))


def _tree(entry: Checkout, root: Path, dropped: Counter[str]) -> list[tuple[str, str]]:
    """(path, object) of the regular files of the commit, sorted by path."""
    found = []
    for line in _output([*_git(root), "ls-tree", "-r", "-l", "-z", "--full-tree", entry.commit], root).split(b"\0")[
        :-1
    ]:
        fields, _, raw = line.partition(b"\t")
        mode, _, blob, size = fields.decode().split()
        name = os.fsdecode(raw)
        if mode not in ("100644", "100755") or not _is_utf8(name):
            dropped["link or device"] += 1
        elif int(size) > MAX_FILE:
            dropped["file over 32 MiB"] += 1
        else:
            found.append((name, blob))
    return sorted(found)


def _contents(entry: Checkout, root: Path, blobs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    with _cat_file(root) as git:
        assert git.stdin and git.stdout
        for name, blob in blobs:
            git.stdin.write(f"{blob}\n".encode())
            git.stdin.flush()
            header = git.stdout.readline().split()
            if len(header) != 3:
                raise UserError(f"{root} lacks the content of {name} at {entry.version}; fetch the commit in full.")
            content = git.stdout.read(int(header[2]))
            git.stdout.read(1)
            yield name, content


@contextmanager
def _cat_file(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [*_git(root), "cat-file", "--batch"]
    with subprocess.Popen(command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
        try:
            yield git
        finally:
            assert git.stdin and git.stdout
            git.stdin.close()
            git.stdout.close()


def _git(root: Path) -> list[str]:
    return ["git", *SAFELY, "-C", str(root)]


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | ENVIRONMENT


def _run(command: list[str], root: Path) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, env=_environment(), capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError(f"git is needed to read {root} (it knows which files belong); install it.") from None


def _output(command: list[str], root: Path) -> bytes:
    git = _run(command, root)
    if git.returncode:
        said = (git.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"git cannot read {root} ({said.removeprefix('fatal: ')}); correct the path or the commit.")
    return git.stdout


def _is_plain_file(path: Path, root: Path) -> bool:
    """Not a link, nor reached through a folder that is one and leads out."""
    return stat.S_ISREG(path.lstat().st_mode) and path.resolve().is_relative_to(root.resolve())


def _is_utf8(name: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in name)
