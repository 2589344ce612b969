"""The corpus pipeline from wheels in a cache folder to the files on disk: what it refuses, and that a kill at any
moment costs nothing but time."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.collect import check_licence, fetch
from incoder_train.corpus.manifest import Archive
from incoder_train.errors import UserError

SOURCE = """def area_{i:04}(width, height):
    \"\"\"The area of rectangle number {i:04}; questions to author{i:04}@site{i:04}.org.\"\"\"
    if width < 0 or height < 0:
        raise ValueError("sides of rectangle {i:04} must not be negative")
    return width * height
"""


def make_wheel(cache: Path, name: str, files: dict[str, str], metadata: str = "License-Expression: MIT") -> Archive:
    cache.mkdir(exist_ok=True)
    path = cache / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inner, text in files.items():
            wheel.writestr(zipfile.ZipInfo(inner), text)
        wheel.writestr(zipfile.ZipInfo(f"{name}-1.0.dist-info/METADATA"), f"Name: {name}\n{metadata}\n\nAbout it.\n")
    return Archive(name, "1.0", "MIT", path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def write_manifest(path: Path, archives: list[Archive]) -> Path:
    lines = ['name = "tiny"', 'extensions = [".py"]', "tests_share = 0.25"]
    for archive in archives:
        lines += ["[[archive]]", *(f"{key} = {json.dumps(value)}" for key, value in vars(archive).items())]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def manifest(tmp_path: Path, cache: Path) -> Path:
    one = {f"one/area_{i}.py": SOURCE.format(i=i) for i in range(150)}
    one |= {"one/copy.py": SOURCE.format(i=0).replace("\n", "\n\n"), "one/empty.py": "", "one/data.json": "{}"}
    one |= {f"one/tests/test_{i}.py": SOURCE.format(i=1000 + i) for i in range(150)}
    two = {f"two/area_{i}.py": SOURCE.format(i=2000 + i) for i in range(50)}
    return write_manifest(tmp_path / "tiny.toml", [make_wheel(cache, "one", one), make_wheel(cache, "two", two)])


def build(manifest: Path, out: Path, cache: Path):
    return build_corpus(manifest, out, cache=cache, benchmarks=None, without_decontamination=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_document_is_accounted_for(manifest: Path, cache: Path, tmp_path: Path) -> None:
    statistics = build(manifest, tmp_path / "out", cache)
    documents = list(read_documents(tmp_path / "out"))

    dropped = {reason: count for stage in statistics.stages for reason, count in stage.dropped.items()}
    assert dropped == {"empty": 1, "copy of an earlier file": 1, "share of tests": 150 - 50}
    assert statistics.stages[0].documents_in == 352 == len(documents) + sum(dropped.values())
    for stage, following in zip(statistics.stages, statistics.stages[1:], strict=False):
        assert stage.documents_out == following.documents_in
    assert statistics.documents == len(documents) == sum(row["documents"] for row in statistics.archives)
    assert statistics.bytes == sum(len(document.text.encode()) for document in documents)
    assert not any(re.search(r"@site", document.text) for document in documents)
    assert {(d.ext, d.licence) for d in documents} == {(".py", "MIT")}

    by_split = {split: list(read_documents(tmp_path / "out", split)) for split in ("train", "validation")}
    assert {split: len(found) for split, found in by_split.items()} == {
        split: sizes["documents"] for split, sizes in statistics.splits.items()
    }
    assert 0 < len(by_split["validation"]) < 20
    report = json.loads((tmp_path / "out/documents.json").read_bytes())
    assert report["sha256"] == hashlib.sha256((tmp_path / "out/documents.jsonl.zst").read_bytes()).hexdigest()


KILL = """
import os, signal, sys
from pathlib import Path
from incoder_train.corpus import build_corpus

manifest, out, cache, survived = sys.argv[1:]
left = int(survived)

def count(*_):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

def watch(event, args):
    writes = event in ("os.rename", "os.remove", "os.mkdir") or event == "open" and "w" in str(args[1])
    if writes and str(args[0]).startswith(out):
        count()

sys.addaudithook(watch)
build_corpus(
    Path(manifest), Path(out), cache=Path(cache), benchmarks=None, without_decontamination=True, progress=count
)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_before_any_change_on_disk_costs_nothing(manifest: Path, cache: Path, tmp_path: Path) -> None:
    build(manifest, tmp_path / "reference", cache)
    old_files = {"old/area.py": SOURCE.format(i=9)}
    old_manifest = write_manifest(tmp_path / "old.toml", [make_wheel(cache, "old", old_files)])
    complete = {tuple(contents(tmp_path / "reference").values())}
    build(old_manifest, tmp_path / "before", cache)
    complete.add(tuple(contents(tmp_path / "before").values()))

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for survived in range(30):
        out = tmp_path / f"out-{survived}"
        build(old_manifest, out, cache)
        arguments = [str(manifest), str(out), str(cache), str(survived)]
        code = subprocess.run([sys.executable, "-c", KILL, *arguments], env=environment, check=False).returncode
        if (out / "documents.json").exists():
            assert tuple(contents(out)[name] for name in contents(tmp_path / "reference")) in complete
        else:
            with pytest.raises(UserError, match="no finished corpus"):
                next(read_documents(out))
        build(manifest, out, cache)
        assert contents(out) == contents(tmp_path / "reference")
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert survived >= 7  # two archives read, two files opened, one removed, two renamed
    assert code == 0


def test_bad_input_leaves_an_earlier_corpus_alone(manifest: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(manifest, out, cache)
    before = contents(out)
    with (cache / "two-1.0-py3-none-any.whl").open("ab") as wheel:
        wheel.write(b"one byte too many")
    with pytest.raises(UserError, match=r"is not the two 1.0 that the manifest pins: its sha256 is [0-9a-f]{64}, not"):
        build(manifest, out, cache)
    assert contents(out) == before


def test_an_archive_that_cannot_be_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_wheel(cache, "absent", {})
    (cache / archive.filename).unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match=r"not in the cache and could not be fetched.*connect to a package index"):
        fetch(archive, cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("benchmarks", [None, Path("no/such/folder")])
def test_no_benchmarks_no_corpus(manifest: Path, cache: Path, tmp_path: Path, benchmarks: Path | None) -> None:
    with pytest.raises(UserError, match="benchmarks that must be kept out"):
        build_corpus(manifest, tmp_path / "out", cache=cache, benchmarks=benchmarks)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ("License-Expression: MIT", None),
        ("License: MIT License", None),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "UNKNOWN"),
        ("Classifier: License :: OSI Approved :: MIT License", None),
        ("License: Permission is hereby granted\n  to all\nClassifier: License :: OSI Approved :: MIT License", None),
        ("License-Expression: Apache-2.0", "states Apache-2.0, the manifest MIT"),
        ("License-Expression: MIT AND GPL-3.0-only", "GPL-3.0-only.*take it off the manifest"),
        ("License-Expression: MIT AND (LGPL-2.1-or-later OR GPL-2.0-only)", "LGPL.*take it off the manifest"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "take it off the manifest"),
        ("License: MPL-2.0", "take it off the manifest"),
        ("Summary: says nothing", "'none'"),
    ],
)
def test_the_archive_itself_must_be_permissive(cache: Path, metadata: str, complaint: str | None) -> None:
    archive = make_wheel(cache, "thing", {}, metadata)
    if complaint is None:
        check_licence(archive, cache / archive.filename)
    else:
        with pytest.raises(UserError, match=complaint):
            check_licence(archive, cache / archive.filename)


def test_something_else_under_a_wheels_name(cache: Path) -> None:
    archive = make_wheel(cache, "thing", {})
    (cache / archive.filename).write_bytes(b"not a zip file")
    with pytest.raises(UserError, match="is not a wheel"):
        check_licence(archive, cache / archive.filename)
