"""Copies found by key partitions are those that a single set of keys finds, and of equal documents the first stays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.dedup import COPY, KEYS, drop_copies, drop_found, find_copies, key_table, of_rank, part_of
from incoder_train.corpus.dedup import dedup_key as key_of
from incoder_train.corpus.document import Document

texts = st.lists(st.lists(st.integers(0, 8), max_size=6), min_size=1, max_size=5)  # of each task, its documents


def documents_of(rank: int, numbers: list[int]) -> list[Document]:
    return [Document(f"x{n}", f"{rank}/{i}.py", f"{i}.py", ".py", "a", "MIT") for i, n in enumerate(numbers)]


@given(texts, st.integers(1, 5))
def test_partitions_find_what_one_set_finds(numbers: list[list[int]], parts: int) -> None:
    tasks = [documents_of(rank, each) for rank, each in enumerate(numbers)]
    tables = [key_table(map(key_of, documents)) for documents in tasks]
    equals = [find_copies(tables, part, parts) for part in range(parts)]

    found = []
    for rank, documents in enumerate(tasks):
        rows = np.concatenate([of_rank(part, rank) for part in equals])
        dropped = {int(row["ordinal"]): COPY for row in rows if not row["copies"]}
        found += drop_found(documents, dropped)
    assert found == list(drop_copies(document for documents in tasks for document in documents))

    rows = np.concatenate(equals)
    assert rows["copies"].sum() == (rows["copies"] == 0).sum()  # each copy is a copy of a first one
    firsts = {tasks[row["rank"]][row["ordinal"]].text: row["copies"] for row in rows if row["copies"]}
    counts = {text: sum(d.text == text for documents in tasks for d in documents) - 1 for text in firsts}
    assert firsts == counts


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(1, 9))
def test_the_parts_of_a_table_are_the_table(keys: list[int], parts: int) -> None:
    table = np.zeros(len(keys), KEYS)
    table["high"] = np.sort(np.array(keys, np.uint64))
    joined = np.concatenate([part_of(table, part, parts) for part in range(parts)])
    assert np.array_equal(joined, table)


@pytest.mark.parametrize("partitions", [1, 3])
def test_near_copies_go_if_they_are_to_go(
    make_wheel, write_manifest, cache: Path, tmp_path: Path, partitions: int
) -> None:
    original = "\n".join(
        f"def area_{i}(width, height, depth):\n    return width * height * depth + {i}" for i in range(40)
    )
    near = original.replace("return width * height * depth + 17", "return depth * 17")
    other = original.replace("area", "volume").replace("width", "w").replace("height", "h").replace("depth", "d")
    archives = [
        make_wheel("one", {"one/a.py": original, "one/b.py": other}),
        make_wheel("two", {"two/a.py": near, "two/b.py": original + "\n"}),
    ]

    def paths(**options: object) -> tuple[list[str], dict[str, int]]:
        manifest = write_manifest("near", archives, partitions=partitions, **options)
        out = tmp_path / "out"
        statistics = build_corpus(manifest, out, cache=cache, benchmarks=None, without_decontamination=True)
        [dedup] = [stage for stage in statistics.stages if stage.name == "dedup"]
        return [document.path for document in read_documents(out)], dedup.dropped

    assert paths() == (["one/a.py", "one/b.py", "two/a.py"], {COPY: 1})
    assert paths(near_dedup=True) == (["one/a.py", "one/b.py"], {COPY: 1, "near copy of an earlier file": 1})
    assert paths(near_dedup=True, near_similarity=1.0)[0] == ["one/a.py", "one/b.py", "two/a.py"]
    assert paths(dedup=False) == (["one/a.py", "one/b.py", "two/a.py", "two/b.py"], {})
