"""Fetching: an sdist from an index on this machine, and what is said when a registry's client is missing."""

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from incoder_train.corpus.collect import collect, fetch
from incoder_train.corpus.manifest import Archive
from incoder_train.errors import UserError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served as a package index (PEP 503)."""
    folder = tmp_path / "index"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder
    server.shutdown()
    server.server_close()


# An sdist whose build would leave a mark: fetching must not run it.
SETUP = "from pathlib import Path\nPath({mark!r}).touch()\n"


def make_sdist(mark: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in {"PKG-INFO": "License: MIT\n", "setup.py": SETUP.format(mark=str(mark))}.items():
            info = tarfile.TarInfo(f"some_thing-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def test_an_sdist_is_fetched_and_not_run(index: Path, tmp_path: Path) -> None:
    content = make_sdist(tmp_path / "mark")
    (index / "files").mkdir()
    (index / "files/some_thing-1.0.tar.gz").write_bytes(content)
    (index / "simple/some-thing").mkdir(parents=True)
    (index / "simple/some-thing/index.html").write_text(
        '<a href="../../files/some_thing-0.9.tar.gz">old</a><a href="../../files/some_thing-1.0.tar.gz#sha256=0">new</a>'
    )
    sha256 = hashlib.sha256(content).hexdigest()
    archive = Archive("Some_Thing", "1.0", "MIT", "some_thing-1.0.tar.gz", sha256, "sdist")
    cache = tmp_path / "cache"
    [document] = collect(archive, fetch(archive, cache), (".py",))
    assert document.path == "some_thing-1.0/setup.py"
    assert [path.name for path in cache.iterdir()] == ["some_thing-1.0.tar.gz"]
    assert not (tmp_path / "mark").exists()

    missing = Archive("Some_Thing", "2.0", "MIT", "some_thing-2.0.tar.gz", sha256, "sdist")
    with pytest.raises(UserError, match=r"could not be fetched \(.*/simple/some-thing/ does not list it\)"):
        fetch(missing, cache)
    unknown = Archive("other", "2.0", "MIT", "other-2.0.tar.gz", sha256, "sdist")
    with pytest.raises(UserError, match=r"could not be fetched .*404"):
        fetch(unknown, cache)


@pytest.mark.parametrize(
    ("kind", "client", "filename"), [("npm", "npm", "x-1.tgz"), ("debian", "apt-get", "x_1_all.deb")]
)
def test_without_a_client(
    kind: str, client: str, filename: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=rf"{filename} is not in the cache and could not be fetched \({client} is not installed"
    ):
        fetch(Archive("x", "1", "MIT", filename, "0" * 64, kind), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
