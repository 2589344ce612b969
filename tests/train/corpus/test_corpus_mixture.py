"""A corpus of everything: a wheel, a table of files, a dump of threads and a folder go through the pipeline together."""

import hashlib
import json
from pathlib import Path

import pytest

from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.build import Statistics, read_statistics
from incoder_train.corpus.manifest import Archive, Dump, Entry, Folder, Table
from incoder_train.corpus.options import PAPER, Options

POSTS = """<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" AcceptedAnswerId="2" Title="Double?" Body="Ask ada@lovelace.org" Tags="&lt;python&gt;" />
  <row Id="2" PostTypeId="2" ParentId="1" Score="4" Body="&lt;p&gt;Add it to itself.&lt;/p&gt;" />
  <row Id="3" PostTypeId="1" Score="0" Title="Anybody?" Body="&lt;p&gt;Nobody answers.&lt;/p&gt;" Tags="&lt;python&gt;" />
  <row Id="4" PostTypeId="5" Score="0" Body="about a tag" />
</posts>
"""
COMMENTS = '<?xml version="1.0"?>\n<comments>\n  <row Id="1" PostId="2" Text="Thanks" />\n</comments>\n'
NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"kernelspec": {"language": "python", "name": "python3"}},
    "cells": [{"cell_type": "code", "source": f"x = {[()] * 40}  # by ada@lovelace.org"}],
}


@pytest.fixture
def entries(tmp_path: Path, make_wheel, source) -> list[Entry]:
    wheel: Archive = make_wheel("one", {"one/a.py": source(1), "one/notes.ipynb": json.dumps(NOTEBOOK)})
    rows = [
        {"text": source(2), "path": "b.py", "repository": "ada/Engine", "license": "mit"},
        {"text": source(1) + "\n", "path": "copy.py", "repository": "bob/engine", "license": "mit"},
        {"text": source(3), "path": "c.py", "repository": "eve/other", "license": "gpl-3.0"},
        {"path": "textless.py"},
    ]
    table = tmp_path / "files.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sha256 = hashlib.sha256(table.read_bytes()).hexdigest()
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/Posts.xml").write_text(POSTS)
    (tmp_path / "dump/Comments.xml").write_text(COMMENTS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/d.py").write_text(source(4))
    (tmp_path / "folder/pyproject.toml").write_text('[project]\nname = "folder"\nlicense = "MIT"\n')
    return [
        wheel,
        Table("files", str(table), sha256, "jsonl"),
        Dump("threads", "CC-BY-SA-4.0", str(tmp_path / "dump")),
        Folder("folder", "MIT", str(tmp_path / "folder")),
    ]


@pytest.fixture
def mixture(entries: list[Entry], write_manifest) -> Path:
    path = write_manifest("mixture", entries)
    path.write_text(path.read_text().replace('[".py"]', '[".py", ".ipynb"]'))
    return path


def build(mixture: Path, out: Path, cache: Path, options: Options | None = None, **settings) -> Statistics:
    return build_corpus(
        mixture, out, cache=cache, benchmarks=None, without_decontamination=True, options=options, **settings
    )


def test_everything_together(mixture: Path, cache: Path, tmp_path: Path) -> None:
    statistics = build(mixture, tmp_path / "out", cache)
    documents = {document.path: document for document in read_documents(tmp_path / "out")}
    assert list(documents) == ["one/a.py", "one/notes.ipynb", "b.py", "questions/1", "d.py"]
    assert documents["one/notes.ipynb"].text.startswith("<cell>\nx = [(")
    assert documents["one/notes.ipynb"].attributes == {"ext": ".ipynb:python"}
    assert documents["b.py"].repository == "ada/Engine"
    assert documents["questions/1"].header_attributes() is None
    assert "lovelace" in documents["questions/1"].text
    assert "lovelace" not in documents["one/notes.ipynb"].text

    dropped = {stage.name: stage.dropped for stage in statistics.stages if stage.dropped}
    unread = {"malformed row": 1, "neither question nor answer": 1, "question without an answer": 1}
    assert dropped == {
        "collect": unread,
        "licence": {"licence not allowed": 1},
        "dedup": {"copy of an earlier file": 1},
    }
    assert statistics.stages[0].documents_in == len(documents) + 5
    assert statistics.stages[-1].documents_out == len(documents)
    assert set(statistics.languages) == {".py", ".ipynb", "thread"}
    assert read_statistics(tmp_path / "out") == statistics
    assert not (tmp_path / "out/.work").exists()


def test_what_the_paper_says(mixture: Path, cache: Path, tmp_path: Path) -> None:
    statistics = build(mixture, tmp_path / "out", cache, PAPER)
    paths = [document.path for document in read_documents(tmp_path / "out")]
    assert paths == ["one/a.py", "b.py", "questions/1", "questions/3", "d.py"]
    [filtered] = [stage for stage in statistics.stages if stage.name == "filter"]
    assert filtered.dropped == {"under 40 % word characters": 1}  # the notebook
    assert statistics.options["line_unit"] == "tokens"


def test_projects_of_one_name_are_on_one_side(mixture: Path, cache: Path, tmp_path: Path, entries, source) -> None:
    rows = [
        {"text": source(10 * n + m), "path": f"{m}.py", "repository": f"owner{m}/Project{n}", "license": "mit"}
        for n in range(300)
        for m in range(2)
    ]
    table = tmp_path / "files.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    old, new = entries[1].sha256, hashlib.sha256(table.read_bytes()).hexdigest()
    mixture.write_text(mixture.read_text().replace(old, new))
    build(mixture, tmp_path / "out", cache, Options(split_by="project"))
    sides: dict[str, set[str]] = {}
    for document in read_documents(tmp_path / "out"):
        if document.repository:
            sides.setdefault(document.repository.rpartition("/")[2], set()).add(document.split)
    assert all(len(found) == 1 for found in sides.values())
    assert {"train"} in sides.values()
    assert {"validation"} in sides.values()


def test_a_folder_that_changed_is_read_again(mixture: Path, cache: Path, tmp_path: Path, source) -> None:
    out, told = tmp_path / "out", []
    build(mixture, out, cache, keep_work=True)
    (tmp_path / "folder/d.py").write_text(source(5))
    build(mixture, out, cache, keep_work=True, progress=lambda *progress: told.append(progress))
    assert next(progress for progress in told if progress[0] == "read") == ("read", 3, 4)
    assert source(5).splitlines()[0] in [document.text for document in read_documents(out)][-1]
