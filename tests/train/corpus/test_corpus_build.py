"""The corpus pipeline from wheels in a cache folder to the files on disk: what comes out, and what it refuses. That
kills and workers change nothing is proven in test_corpus_runner.py."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import zstandard

from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.build import read_statistics
from incoder_train.corpus.collect import check_licence, fetch
from incoder_train.errors import UserError


def build(manifest: Path, out: Path, cache: Path, **settings):
    return build_corpus(manifest, out, cache=cache, benchmarks=None, without_decontamination=True, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_document_is_accounted_for(manifest: Path, cache: Path, tmp_path: Path) -> None:
    statistics = build(manifest, tmp_path / "out", cache)
    documents = list(read_documents(tmp_path / "out"))

    dropped = {reason: count for stage in statistics.stages for reason, count in stage.dropped.items()}
    assert dropped == {"empty": 1, "copy of an earlier file": 2, "share of tests": 150 - 50}
    names = ["collect", "licence", "notebooks", "filter", "redact", "dedup", "tests"]
    assert [stage.name for stage in statistics.stages] == names
    assert statistics.stages[0].documents_in == 353 == len(documents) + sum(dropped.values())
    for stage, following in zip(statistics.stages, statistics.stages[1:], strict=False):
        assert (stage.documents_out, stage.bytes_out) == (following.documents_in, following.bytes_in) or (
            following.name == "redact" and stage.documents_out == following.documents_in
        )
        assert stage.bytes_in == stage.bytes_out + sum(stage.dropped_bytes.values())
    assert statistics.documents == len(documents) == sum(row["documents"] for row in statistics.archives)
    assert statistics.bytes == sum(len(document.text.encode()) for document in documents)
    assert not any(re.search(r"@site", document.text) for document in documents)
    assert {(d.ext, d.licence) for d in documents} == {(".py", "MIT")}
    assert [d.archive for d in documents] == ["one"] * 200 + ["two"] * 50

    assert statistics.languages[".py"]["collected"]["documents"] == 353
    assert statistics.languages[".py"]["kept"] == {"documents": len(documents), "bytes": statistics.bytes}
    assert statistics.duplicates["originals"] == [{"archive": "one", "path": "one/area_0.py", "copies": 2}]
    lay = {name: (row["documents"], row["own"]) for name, row in statistics.duplicates["archives"].items()}
    assert lay == {"one": (1, 1), "two": (1, 0)}

    by_split = {split: list(read_documents(tmp_path / "out", split)) for split in ("train", "validation")}
    assert {split: len(found) for split, found in by_split.items()} == {
        split: sizes["documents"] for split, sizes in statistics.splits.items()
    }
    assert 0 < len(by_split["validation"]) < 20
    assert read_statistics(tmp_path / "out") == statistics
    written = (tmp_path / "out/documents.jsonl.zst").read_bytes()
    assert statistics.sha256 == hashlib.sha256(written).hexdigest()
    lines = zstandard.ZstdDecompressor().stream_reader(written, read_across_frames=True).read()
    assert statistics.content_sha256 == hashlib.sha256(lines).hexdigest()
    keys = ["text", "path", "filename", "ext", "archive", "licence", "split"]
    assert list(json.loads(lines.splitlines()[0])) == keys  # what a document does not have is not in its line
    assert sorted(contents(tmp_path / "out")) == ["documents.json", "documents.jsonl.zst"]


def test_bad_input_leaves_an_earlier_corpus_alone(manifest: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(manifest, out, cache)
    before = contents(out)
    with (cache / "two-1.0-py3-none-any.whl").open("ab") as wheel:
        wheel.write(b"one byte too many")
    with pytest.raises(UserError, match=r"is not the two 1.0 that the manifest pins: its sha256 is [0-9a-f]{64}, not"):
        build(manifest, out, cache)
    assert contents(out) == before


def test_a_benchmark_that_cannot_be_read_is_said_first(manifest: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text("{")
    with pytest.raises(UserError, match=r"items\.jsonl cannot be read"):
        build_corpus(manifest, tmp_path / "out", cache=cache, benchmarks=tmp_path)
    assert not (tmp_path / "out").exists()


def test_benchmark_items_go(manifest: Path, cache: Path, tmp_path: Path, source) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/items.jsonl").write_text(json.dumps({"prompt": source(2007), "canonical_solution": ""}))
    statistics = build_corpus(manifest, tmp_path / "out", cache=cache, benchmarks=tmp_path / "bench")
    assert "two: two/area_7.py shares a passage with ." in statistics.contaminated
    assert "two/area_7.py" not in {document.path for document in read_documents(tmp_path / "out")}


@pytest.mark.parametrize("cut", [10, 2000])
def test_a_corpus_cut_short_on_disk(manifest: Path, cache: Path, tmp_path: Path, cut: int) -> None:
    build(manifest, tmp_path / "out", cache)
    documents = tmp_path / "out/documents.jsonl.zst"
    documents.write_bytes(documents.read_bytes()[:-cut])
    with pytest.raises(UserError, match=r"documents.jsonl.zst is cut short or damaged .*build again"):
        list(read_documents(tmp_path / "out"))


def test_an_archive_that_cannot_be_fetched(cache: Path, make_wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_wheel("absent", {})
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
def test_the_archive_itself_must_be_permissive(cache: Path, make_wheel, metadata: str, complaint: str | None) -> None:
    archive = make_wheel("thing", {}, metadata)
    if complaint is None:
        check_licence(archive, cache / archive.filename)
    else:
        with pytest.raises(UserError, match=complaint):
            check_licence(archive, cache / archive.filename)


def test_something_else_under_a_wheels_name(cache: Path, make_wheel) -> None:
    archive = make_wheel("thing", {})
    (cache / archive.filename).write_bytes(b"not a zip file")
    with pytest.raises(UserError, match="is not a wheel"):
        check_licence(archive, cache / archive.filename)
