"""Tables of files: JSON lines and Parquet give the same documents, with what is known of their repositories."""

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.corpus.collect import collect, fetch
from incoder_train.corpus.document import Document
from incoder_train.corpus.manifest import Table
from incoder_train.corpus.sources import lines
from incoder_train.corpus.sources.stars import STAR_BOUNDS, repository_attributes
from incoder_train.errors import UserError

ROW = {
    "content": "x = 1\n",
    "path": "src/a.py",
    "repository": "ada/half",
    "licence": "MIT",
    "stars": 30,
    "source": "github",
    "crawl": "python",
}
ROWS: list[dict[str, Any]] = [
    ROW,
    ROW | {"path": "b.js"},
    ROW | {"path": "c.py", "stars": None, "licence": None, "crawl": None},
    ROW | {"path": "d.py", "source": "gitlab", "licence": "bsd-3-clause"},
    ROW | {"path": "x.py", "licence": "gpl-3.0"},
    ROW | {"path": "n.ipynb", "content": "{}"},
    ROW | {"path": "e.py", "repository": "someone/Starlette"},
    ROW | {"path": "../f.py"},
    ROW | {"path": None},
    ROW | {"path": "g.py", "content": "na\u00efve = '\U0001f600'\n"},
]


def write_json(path: Path, rows: list[dict[str, Any]]) -> bytes:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return zstandard.compress(content) if path.suffix == ".zst" else content


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path.read_bytes()


WRITERS = {"a.jsonl": write_json, "a.jsonl.zst": write_json, "a.parquet": write_parquet}


def table(folder: Path, content: bytes, filename: str = "a.jsonl", **keys: str) -> Table:
    (folder / filename).write_bytes(content)
    kind = "parquet" if filename.endswith("parquet") else "jsonl"
    return Table("t", str(folder / filename), hashlib.sha256(content).hexdigest(), kind, **keys)


def read(entry: Table, folder: Path, dropped: Counter[str] | None = None) -> list[Document]:
    return list(collect(entry, fetch(entry, folder), (".py", ".ipynb"), dropped))


@pytest.mark.parametrize("filename", WRITERS)
def test_tables_of_each_kind(filename: str, tmp_path: Path) -> None:
    entry = table(tmp_path, WRITERS[filename](tmp_path / filename, ROWS), filename, licence="ISC", crawl="javascript")
    dropped: Counter[str] = Counter()
    found = read(entry, tmp_path, dropped)
    assert [(d.path, d.licence, d.attributes) for d in found] == [
        ("src/a.py", "MIT", {"source": "github", "dstars": "3"}),
        ("c.py", "ISC", {"source": "github"}),
        ("d.py", "BSD-3-Clause", {"source": "gitlab"}),
        ("x.py", "gpl-3.0", {"source": "github", "dstars": "3"}),
        ("n.ipynb", "MIT", {"source": "github", "dstars": "3"}),
        ("g.py", "MIT", {"source": "github", "dstars": "3"}),
    ]
    assert {(d.repository, d.archive) for d in found} == {("ada/half", "t")}
    assert [d.text for d in found[::5]] == ["x = 1\n", "na\u00efve = '\U0001f600'\n"]
    assert dropped == {"held out for evaluation": 1, "path leads out of the archive": 1, "malformed row": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "malformed row"),
        (b"[]", "malformed row"),
        (b"\xff", "malformed row"),
        (b"[" * 100_000, "malformed row"),
        (b'{"text": 1, "path": "a.py"}', "malformed row"),
        (b'{"text": "x"}', "malformed row"),
        (b'{"text": "x", "path": ""}', "path leads out of the archive"),
        (b'{"text": "' + b"x" * (1 << 20) + b'", "path": "a.py"}', "malformed row"),
        (b'{"text": "' + b"x" * 2000 + b'", "path": "a.py"}', "file over 32 MiB"),
    ],
)
def test_rows_that_are_no_files(line: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 200_000)
    monkeypatch.setattr("incoder_train.corpus.sources.tables.MAX_FILE", 1000)
    good = b'{"text": "x", "path": "a.py", "licence": "MIT"}\n'
    dropped: Counter[str] = Counter()
    found = read(table(tmp_path, good + line + b"\n\n" + good.strip()), tmp_path, dropped)
    assert [d.text for d in found] == ["x", "x"]
    assert dropped == {reason: 1}


@given(st.dictionaries(
    st.sampled_from(["text", "path", "repository", "licence", "stars", "source", "crawl"]),
    st.none() | st.integers() | st.floats() | st.text() | st.just("a.py") | st.lists(st.text(), max_size=2),
))  # fmt: skip
def test_any_row_is_a_document_or_counted(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("table")
    dropped: Counter[str] = Counter()
    row = {"path": "a.py", "text": "x", "licence": "MIT", **row}
    found = read(table(folder, json.dumps(row).encode()), folder, dropped)
    for document in found:
        document.text.encode()
        assert all(value.isidentifier() or value.isdigit() for value in document.attributes.values())
    assert len(found) + sum(dropped.values()) <= 1


def test_tables_that_cannot_be_taken(tmp_path: Path) -> None:
    entry = table(tmp_path, b"{}\n", licence="GPL-3.0-only")
    with pytest.raises(UserError, match="not among the permissive ones"):
        fetch(entry, tmp_path)
    entry = table(tmp_path, b"{}\n")
    (tmp_path / "a.jsonl").write_bytes(b"{ }\n")
    with pytest.raises(UserError, match="not the t that the manifest pins"):
        fetch(entry, tmp_path)
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(UserError, match="is no file"):
        fetch(entry, tmp_path)
    for filename in ("a.parquet", "a.jsonl.zst"):
        with pytest.raises(UserError, match=r"is damaged \(.*\); replace it") as error:
            read(table(tmp_path, b"something else entirely", filename), tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("crawl", STAR_BOUNDS)
def test_stars_fall_into_buckets(crawl: str) -> None:
    bounds = STAR_BOUNDS[crawl]
    for level, bound in enumerate(bounds):
        assert repository_attributes("github", bound, crawl)["dstars"] == str(level)
        if level:
            assert repository_attributes("", bound - 1, crawl)["dstars"] == str(level - 1)
    assert repository_attributes("", 10**9, crawl) == {"dstars": "5"}
    for unknown in (-1, bounds[0] - 1):
        assert repository_attributes("github", unknown, crawl) == {"source": "github"}
    assert repository_attributes("gitlab", 500, crawl) == {"source": "gitlab"}
    assert repository_attributes("github", 500, "elsewhere") == {"source": "github"}


def test_no_stars_are_no_number(tmp_path: Path) -> None:
    row = ROW | {"stars": math.nan}
    [document] = read(table(tmp_path, json.dumps(row).encode()), tmp_path)
    assert document.attributes == {"source": "github"}
