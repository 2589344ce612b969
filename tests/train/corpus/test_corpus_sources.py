"""Every way in that a manifest knows: real archives of each kind, made here, become documents; what is hostile or damaged is
passed over and counted, or refused in one sentence."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from incoder_model.tokenizer import Tokenizer
from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.collect import collect, fetch
from incoder_train.corpus.document import Document
from incoder_train.corpus.manifest import Archive, Checkout, Dump, Entry, Folder, Table, read_manifest
from incoder_train.corpus.sources import archives
from incoder_train.errors import UserError
from incoder_train.tokens.shards import open_shard, write_shard

CODE = "def half(number):\n    return number / 2\n"
MIT = """Copyright 2024 Ada

Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in it.
The above copyright notice and this permission notice shall be included in all copies.
"""
DEP5 = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: {licence}

Files: debian/*
License: GPL-2+
"""
Files = dict[str, str | bytes]


def tar_of(files: Files, extra: list[tarfile.TarInfo] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra or []:
            archive.addfile(info)
    return buffer.getvalue()


def zip_of(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def deb_of(files: Files, compression: str = "xz") -> bytes:
    compress = {"xz": lzma.compress, "gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.compress, "": bytes}
    data = compress[compression](tar_of(files))
    members = {"debian-binary": b"2.0\n", "control.tar.gz": b"odd", f"data.tar.{compression}".rstrip("."): data}
    content = b"!<arch>\n"
    for name, body in members.items():
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
        )
    return content


def wheel(files: Files) -> tuple[str, bytes]:
    metadata = {"thing-1.0.dist-info/METADATA": "Name: thing\nLicense-Expression: MIT\n"}
    return "thing-1.0-py3-none-any.whl", zip_of(files | metadata)


def sdist(files: Files) -> tuple[str, bytes]:
    inside = {"thing-1.0/PKG-INFO": "Name: thing\nClassifier: License :: OSI Approved :: MIT License\n"}
    return "thing-1.0.tar.gz", gzip.compress(tar_of(inside | {f"thing-1.0/{k}": v for k, v in files.items()}))


def npm(files: Files) -> tuple[str, bytes]:
    inside = {"package/package.json": json.dumps({"name": "thing", "license": "MIT"})}
    return "thing-1.0.tgz", gzip.compress(tar_of(inside | {f"package/{k}": v for k, v in files.items()}))


def debian(files: Files, compression: str = "xz") -> tuple[str, bytes]:
    inside = {"./usr/share/doc/thing/copyright": DEP5.format(licence="Expat")}
    return "thing_1.0_all.deb", deb_of(inside | {f"./usr/lib/{k}": v for k, v in files.items()}, compression)


MAKERS = {"wheel": wheel, "sdist": sdist, "npm": npm, "debian": debian}
PREFIX = {"wheel": "", "sdist": "thing-1.0/", "npm": "package/", "debian": "usr/lib/"}


def keep(cache: Path, kind: str, made: tuple[str, bytes]) -> Archive:
    cache.mkdir(exist_ok=True)
    filename, content = made
    (cache / filename).write_bytes(content)
    return Archive("thing", "1.0", "MIT", filename, hashlib.sha256(content).hexdigest(), kind)


def read(entry: Entry, cache: Path, dropped: Counter[str] | None = None) -> list[Document]:
    return list(collect(entry, fetch(entry, cache), (".py", ".ts"), dropped))


@pytest.mark.parametrize("kind", MAKERS)
def test_an_archive_of_each_kind_through_a_manifest(kind: str, tmp_path: Path) -> None:
    files: Files = {"b/two.ts": "let a = 1\n", "b/one.py": "\ufeff" + CODE, "a.PY": b"caf\xe9 = 1\n", "c.txt": "no"}
    archive = keep(tmp_path / "cache", kind, MAKERS[kind](files))
    keys = {"kind": kind, "name": "thing", "version": "1.0", "licence": "MIT"}
    keys |= {"filename": archive.filename, "sha256": archive.sha256}
    entry = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    manifest = tmp_path / "m.toml"
    manifest.write_text(f'name = "m"\nextensions = [".py", ".ts"]\ntests_share = 0.25\n[[archive]]\n{entry}\n')
    [pinned] = read_manifest(manifest).archives
    assert pinned == archive
    found = read(pinned, tmp_path / "cache")
    assert [(d.path, d.text) for d in found] == [
        (PREFIX[kind] + "a.PY", "caf\ufffd = 1\n"),
        (PREFIX[kind] + "b/one.py", CODE),
        (PREFIX[kind] + "b/two.ts", "let a = 1\n"),
    ]
    assert {(d.archive, d.licence) for d in found} == {("thing", "MIT")}
    assert [(d.filename, d.ext) for d in found] == [("a.PY", ".py"), ("one.py", ".py"), ("two.ts", ".ts")]


@pytest.mark.parametrize("compression", ["xz", "zst", "gz", "bz2", ""])
def test_debian_data_in_each_compression(compression: str, tmp_path: Path) -> None:
    archive = keep(tmp_path, "debian", debian({"a.py": CODE}, compression))
    assert [d.text for d in read(archive, tmp_path)] == [CODE]


def test_hostile_members_of_a_tar_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE", 10_000)
    links = [tarfile.TarInfo("thing-1.0/link.py"), tarfile.TarInfo("thing-1.0/hard.py"), tarfile.TarInfo("pipe.py")]
    links[0].type, links[0].linkname = tarfile.SYMTYPE, "/etc/passwd"
    links[1].type, links[1].linkname = tarfile.LNKTYPE, "/etc/passwd"
    links[2].type = tarfile.FIFOTYPE
    files: Files = {
        "thing-1.0/PKG-INFO": "License: MIT\n",
        "../up.py": CODE,
        "/root.py": CODE,
        "thing-1.0/../../up.py": CODE,
        "thing-1.0/large.py": b"x" * (10_001),
        "./thing-1.0/good.py": CODE,
    }
    archive = keep(tmp_path, "sdist", ("thing-1.0.tar.gz", gzip.compress(tar_of(files, links), 1)))
    dropped: Counter[str] = Counter()
    assert [d.path for d in read(archive, tmp_path, dropped)] == ["thing-1.0/good.py"]
    assert dropped == {"path leads out of the archive": 3, "link or device": 3, "file over 32 MiB": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.0.tar.gz"]


def test_hostile_members_of_a_zip_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE", 10_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as contents:
        link = zipfile.ZipInfo("link.py")
        link.external_attr = 0o120777 << 16
        contents.writestr(link, "/etc/passwd")
        contents.writestr("../up.py", CODE)
        contents.writestr("bomb.py", b"\n" * (10_001))
        contents.writestr("thing-1.0.dist-info/METADATA", "License: MIT\n")
        contents.writestr("good.py", CODE)
    dropped: Counter[str] = Counter()
    archive = keep(tmp_path, "wheel", ("thing-1.0-py3-none-any.whl", buffer.getvalue()))
    assert [d.path for d in read(archive, tmp_path, dropped)] == ["good.py"]
    assert dropped == {"path leads out of the archive": 1, "link or device": 1, "file over 32 MiB": 1}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_archives(kind: str, damage: str, tmp_path: Path) -> None:
    filename, content = MAKERS[kind]({f"{i}.py": os.urandom(500) for i in range(20)})
    content = content[: len(content) // 2] if damage == "cut" else b"something else"
    archive = keep(tmp_path, kind, (filename, content))
    with pytest.raises(UserError, match=rf"{filename} is (damaged|not an? {kind})") as error:
        read(archive, tmp_path)
    assert "\n" not in str(error.value)


def test_another_archive_than_the_pinned_one(tmp_path: Path) -> None:
    archive = keep(tmp_path, "npm", npm({"a.ts": "1"}))
    (tmp_path / archive.filename).write_bytes(npm({"a.ts": "2"})[1])
    with pytest.raises(UserError, match=r"is not the thing 1\.0 that the manifest pins"):
        fetch(archive, tmp_path)


def git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def fill(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


PROJECT: Files = {
    "LICENSE": MIT,
    ".gitignore": "build/\n*.log.py\n",
    "src/größe.py": CODE,
    "src/b.py": CODE + "\n",
    "build/made.py": CODE,
    "x.log.py": CODE,
    "README": "no",
}


def test_a_folder_gives_what_git_would_track(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p", PROJECT)
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "out").symlink_to(tmp_path)
    dropped: Counter[str] = Counter()
    found = read(Folder("p", "MIT", str(folder)), tmp_path, dropped)
    assert [d.path for d in found] == ["src/b.py", "src/größe.py"]
    assert dropped == {"link or device": 1}
    assert not (folder / ".git").exists()


def test_a_folder_that_is_a_checkout_gives_tracked_and_new_files(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p", PROJECT)
    git(folder, "init", "-q")
    git(folder, "add", "-f", "build/made.py", "src")
    (folder / "src/b.py").unlink()
    found = read(Folder("p", "MIT", str(folder)), tmp_path)
    assert [d.path for d in found] == ["build/made.py", "src/größe.py"]
    assert [d.path for d in collect(Folder("p", "MIT", ""), folder / "src", (".py",))] == ["größe.py"]


def test_a_tracked_folder_that_became_a_link_leads_nowhere(repository: Path, tmp_path: Path) -> None:
    (repository / "src").rename(tmp_path / "elsewhere")
    (repository / "src").symlink_to(tmp_path / "elsewhere")
    dropped: Counter[str] = Counter()
    assert read(Folder("p", "MIT", str(repository)), tmp_path, dropped) == []
    assert dropped == {"link or device": 3}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = fill(tmp_path / "p", PROJECT)
    with pytest.raises(UserError, match=r"git is needed to read .*install it"):
        read(Folder("p", "MIT", str(folder)), tmp_path)


def test_a_folder_that_a_repository_around_it_ignores(tmp_path: Path) -> None:
    git(fill(tmp_path, {".gitignore": "data/\n"}), "init", "-q")
    folder = fill(tmp_path / "data/p", PROJECT)
    assert [d.path for d in read(Folder("p", "MIT", str(folder)), tmp_path)] == ["src/b.py", "src/größe.py"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = fill(tmp_path / "repository", PROJECT)
    (folder / "link.py").symlink_to("src/b.py")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def test_a_checkout_gives_the_files_of_its_commit(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    fill(repository, {"src/b.py": "changed = 1\n", "src/new.py": CODE, "LICENSE": "All rights reserved."})
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    entry = Checkout("p", "MIT", str(repository), commit, "git", "ada/p", "github", stars=25, crawl="python")
    dropped: Counter[str] = Counter()
    found = read(entry, tmp_path, dropped)
    assert [(d.path, d.text) for d in found] == [("src/b.py", CODE + "\n"), ("src/größe.py", CODE)]
    assert dropped == {"link or device": 1}
    assert {d.repository for d in found} == {"ada/p"}
    assert found[0].header_attributes() == {"ext": ".py", "filename": "b.py", "source": "github", "dstars": "3"}


def test_a_checkout_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """A repository's configuration names programs: none of them is started."""
    alarm = tmp_path / "alarm"
    script = fill(tmp_path, {"ring.sh": f"#!/bin/sh\ntouch {alarm}\n"}) / "ring.sh"
    script.chmod(0o755)
    commit = git(repository, "rev-parse", "HEAD")
    for key in ("core.fsmonitor", "filter.x.smudge", "filter.x.clean", "diff.x.textconv", "core.pager"):
        git(repository, "config", key, str(script))
    fill(repository, {".gitattributes": "*.py filter=x diff=x\n"})
    read(Folder("p", "MIT", str(repository)), tmp_path)
    read(Checkout("p", "MIT", str(repository), commit), tmp_path)
    assert not alarm.exists()


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (Folder("p", "MIT", "{}/none"), "none is no folder"),
        (Folder("p", "Apache-2.0", "{}/repository"), "states MIT, the manifest Apache-2.0"),
        (Folder("p", "MIT", "{}/empty"), "states the licence 'none'"),
        (Checkout("p", "MIT", "{}/repository", "0" * 40), "git cannot read .*repository"),
        (Checkout("p", "MIT", "{}/none", "0" * 40), "git cannot read .*none"),
    ],
)
def test_folders_that_cannot_be_taken(repository: Path, tmp_path: Path, entry: Folder, complaint: str) -> None:
    (tmp_path / "empty").mkdir()
    entry = type(entry)(**(vars(entry) | {"path": entry.path.format(tmp_path)}))
    with pytest.raises(UserError, match=complaint) as error:
        read(entry, tmp_path)
    assert "\n" not in str(error.value)


LONG = "def half_of_{0}(number_{0}):\n    return number_{0} / 2  # of {0}\n" * 3
POSTS = """<posts>
<row Id="1" PostTypeId="1" Score="3" Title="How?" Tags="|maths|" Body="&lt;p&gt;I ask ada@example.org.&lt;/p&gt;" />
<row Id="2" PostTypeId="2" ParentId="1" Score="1" Body="&lt;p&gt;So.&lt;/p&gt;" />
<row Id="cut
</posts>
"""


def test_sources_of_all_sorts_make_a_corpus(repository: Path, tmp_path: Path, tokenizer: Tokenizer) -> None:
    """From the manifest through every stage to tokens: rows under other licences go, notebooks and threads are text."""
    fill(repository, {"src/new.py": LONG.format("git")})
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "new")
    notebook = json.dumps({"metadata": {}, "cells": [{"cell_type": "code", "source": LONG.format("notebook")}]})
    row = {"repository": "ada/rows", "licence": "MIT", "stars": 9, "source": "github", "crawl": "jupyter"}
    rows = [
        row | {"path": "a.ipynb", "text": notebook},
        row | {"path": "b.ipynb", "text": "{}"},
        row | {"path": "c.py", "text": LONG.format("gpl"), "licence": "GPL-3.0-only"},
    ]
    fill(tmp_path, {"rows.jsonl": "\n".join(map(json.dumps, rows))})
    dump = fill(tmp_path / "site", {"Posts.xml": POSTS, "Comments.xml": "<comments>\n</comments>\n"})
    entries: list[Entry] = [
        keep(tmp_path / "cache", "npm", npm({"a.py": LONG.format("npm")})),
        Checkout("checkout", "MIT", str(repository), git(repository, "rev-parse", "HEAD"), source="gitlab"),
        Table(
            "rows",
            str(tmp_path / "rows.jsonl"),
            hashlib.sha256((tmp_path / "rows.jsonl").read_bytes()).hexdigest(),
            "jsonl",
        ),
        Dump("site", "CC-BY-SA-4.0", str(dump)),
    ]
    lines = ['name = "m"', 'extensions = [".py", ".ipynb"]', "tests_share = 0.25"]
    for entry in entries:
        lines += ["[[archive]]", *(f"{key} = {json.dumps(value)}" for key, value in vars(entry).items())]
    fill(tmp_path, {"m.toml": "\n".join(lines)})
    out = tmp_path / "out"
    statistics = build_corpus(
        tmp_path / "m.toml", out, cache=tmp_path / "cache", benchmarks=None, without_decontamination=True
    )
    reasons = {reason: count for stage in statistics.stages for reason, count in stage.dropped.items()}
    wanted = {"licence not allowed": 1, "not a notebook": 1, "malformed row": 1}
    assert wanted.items() <= reasons.items()

    documents = {document.path: document for document in read_documents(out)}
    assert {"package/a.py", "src/new.py", "a.ipynb", "questions/1"} <= documents.keys()
    assert not {"b.ipynb", "c.py"} & documents.keys()
    write_shard(tmp_path / "shard", ((d.text, d.header_attributes()) for d in documents.values()), tokenizer)
    shard = open_shard(tmp_path / "shard")
    bounds = zip(shard.offsets[:-1].tolist(), shard.offsets[1:].tolist(), strict=True)
    texts = dict(zip(documents, (tokenizer.decode(shard.tokens[a:b].tolist()) for a, b in bounds), strict=True))
    assert texts["questions/1"] == documents["questions/1"].text
    assert "I ask ada@example.org." in texts["questions/1"]
    for path, attributes in {
        "package/a.py": {"ext=.py", "filename=a.py"},
        "src/new.py": {"ext=.py", "filename=new.py", "source=gitlab"},
        "a.ipynb": {"ext=.ipynb", "filename=a.ipynb", "source=github", "dstars=2"},
    }.items():
        first, last = texts[path].split("\n")[0], texts[path].split("\n")[-1]
        assert set(first.split()[2:-1] + last.split()[2:-1]) == attributes
    assert "<cell>\ndef half_of_notebook" in texts["a.ipynb"]
