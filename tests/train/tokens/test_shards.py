"""Token shards: the documents come back, the same ones give the same bytes, and damage is one sentence."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.tokenizer import Tokenizer
from incoder_train.corpus.document import Document
from incoder_train.errors import UserError
from incoder_train.tokens.shards import (
    BATCH,
    OFFSETS,
    PACKAGES,
    REPORT,
    TOKENS,
    Attributed,
    Shard,
    attributed,
    open_shard,
    tokenizer_hash,
    write_shard,
)

DOCUMENTS = [(f"value_{i} = {i}\n" * (i % 7), {"ext": ".py", "filename": f"module {i}.py"}) for i in range(BATCH + 20)]


def texts_of(shard: Shard, tokenizer: Tokenizer) -> list[str]:
    pairs = zip(shard.offsets[:-1], shard.offsets[1:], strict=True)
    return [tokenizer.decode(shard.tokens[start:end].tolist()) for start, end in pairs]


def test_documents_come_back_wrapped_in_their_metadata(tokenizer: Tokenizer, tmp_path: Path) -> None:
    counts = write_shard(tmp_path / "shard", DOCUMENTS, tokenizer)
    shard = open_shard(tmp_path / "shard")
    texts = texts_of(shard, tokenizer)
    assert len(texts) == len(DOCUMENTS) == counts["documents"]
    assert counts["tokens"] == len(shard.tokens) == shard.offsets[-1]
    assert counts["characters"] == sum(map(len, texts))
    assert counts["bytes"] == sum(len(text.encode()) for text in texts)
    for (text, attributes), document in zip(DOCUMENTS, texts, strict=True):
        assert document.startswith("<| file ")
        first, rest = document.split("\n", 1)
        body, last = rest.rsplit("\n", 1)
        assert body == text
        assert sorted(
            key for key in ("ext=.py", f'filename="{attributes["filename"]}"') if key in first + last
        ) == sorted({"ext=.py", f'filename="{attributes["filename"]}"'})
    assert shard.tokens.dtype == np.uint16
    assert shard.tokenizer_sha256 == tokenizer_hash(tokenizer)


@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.text(st.characters(categories=["L"]), min_size=1, max_size=5)),
        min_size=1,
        max_size=4,
    )
)
def test_any_text_can_be_a_document(
    tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory, documents: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("shard") / "shard"
    write_shard(folder, [(text, {"filename": name}) for text, name in documents], tokenizer)
    for (text, name), document in zip(documents, texts_of(open_shard(folder), tokenizer), strict=True):
        stored = text.encode("utf-8", "replace").decode()
        assert document in (
            f"<| file filename={name} |>\n{stored}\n<|/ file |>",
            f"<| file |>\n{stored}\n<|/ file filename={name} |>",
        )


def test_a_document_with_metadata_of_its_own_is_not_wrapped(tokenizer: Tokenizer, tmp_path: Path) -> None:
    thread = "<| q tags=regex |>\nHow?\n\nSo.\n<|/ q dscore=2 |>"
    write_shard(tmp_path / "shard", [(thread, None)], tokenizer)
    assert texts_of(open_shard(tmp_path / "shard"), tokenizer) == [thread]


def test_the_same_documents_and_seed_give_the_same_bytes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_shard(tmp_path / name, iter(DOCUMENTS), tokenizer, seed=seed)
    for file in (TOKENS, OFFSETS, PACKAGES, REPORT):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / TOKENS).read_bytes() != (tmp_path / "c" / TOKENS).read_bytes()
    assert open_shard(tmp_path / "a").sha256 != open_shard(tmp_path / "c").sha256


def test_a_shard_replaces_the_one_before_and_leaves_no_litter(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "shard").mkdir()
    write_shard(tmp_path / "shard", DOCUMENTS[:3], tokenizer)

    def failing():
        yield from DOCUMENTS[:BATCH]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "shard", failing(), tokenizer)
    assert len(open_shard(tmp_path / "shard").offsets) == 4  # the old one is still there
    write_shard(tmp_path / "shard", DOCUMENTS[:5], tokenizer)
    assert len(open_shard(tmp_path / "shard").offsets) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


def test_documents_that_cannot_be_read_write_nothing(tokenizer: Tokenizer, tmp_path: Path) -> None:
    def failing():
        raise UserError("no corpus")
        yield

    with pytest.raises(UserError, match="no corpus"):
        write_shard(tmp_path / "missing" / "train", failing(), tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_in_it_is_not_replaced(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """`incoder data shard --out .` in a repository that has a folder called train."""
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "thesis.tex").write_text("three years of work")
    with pytest.raises(UserError, match=r"train holds other things than a token shard; .*--out"):
        write_shard(folder, DOCUMENTS[:3], tokenizer)
    assert (folder / "thesis.tex").read_text() == "three years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_where_packages_begin(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Documents of one name that stand together are a package; those without one stand alone."""
    names = ["a", "a", "b", None, None, "b", "a"]
    documents = [Attributed(f"value = {i}\n", {}, name) for i, name in enumerate(names)]
    assert write_shard(tmp_path / "shard", documents, tokenizer)["packages"] == 6
    assert packages_of(tmp_path / "shard") == [0, 2, 3, 4, 5, 6, 7]
    write_shard(tmp_path / "shard", [], tokenizer)
    assert packages_of(tmp_path / "shard") == [0]


def packages_of(folder: Path) -> list[int] | None:
    packages = open_shard(folder).packages
    return None if packages is None else packages.tolist()


def test_the_package_of_a_document() -> None:
    file = Document("x = 1\n", "a/b.py", "b.py", ".py", "numpy", "MIT")
    assert attributed(file) == attributed(replace(file, path="c.py"))
    assert attributed(file) == Attributed("x = 1\n", {"ext": ".py", "filename": "b.py"}, attributed(file).package)
    others = [replace(file, archive="pandas"), replace(file, repository="numpy/numpy")]
    assert len({attributed(document).package for document in [file, *others]}) == 3
    assert attributed(replace(file, own_metadata=True)) == Attributed("x = 1\n", None)


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def edit_report(**changes: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        (folder / REPORT).write_text(json.dumps({**json.loads((folder / REPORT).read_text()), **changes}))

    return edit


def drop_from_report(key: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / REPORT).read_text())
        (folder / REPORT).write_text(json.dumps({name: value for name, value in values.items() if name != key}))

    return edit


DAMAGES = {
    "no folder": shutil.rmtree,
    "no report": lambda folder: (folder / REPORT).unlink(),
    "no tokens": lambda folder: (folder / TOKENS).unlink(),
    "no offsets": lambda folder: (folder / OFFSETS).unlink(),
    "report cut": lambda folder: os.truncate(folder / REPORT, 20),
    "report a list": write(REPORT, b"[]"),
    "report of something else": write(REPORT, b"{}"),
    "report without hash": drop_from_report("tokenizer_sha256"),
    "report with an odd type": edit_report(dtype="triangles"),
    "tokens empty": lambda folder: os.truncate(folder / TOKENS, 0),
    "tokens cut": lambda folder: os.truncate(folder / TOKENS, 20),
    "tokens cut in a token": lambda folder: os.truncate(folder / TOKENS, 21),
    "offsets empty": lambda folder: os.truncate(folder / OFFSETS, 0),
    "offsets cut": lambda folder: os.truncate(folder / OFFSETS, 140),
    "offsets that are text": write(OFFSETS, b"0, 5, 10\n"),
    "no packages": lambda folder: (folder / PACKAGES).unlink(),
    "packages of other documents": lambda folder: np.save(folder / PACKAGES, np.array([0, 6])),
    "packages that are text": write(PACKAGES, b"0, 5, 10\n"),
    "offsets of nothing": lambda folder: np.save(folder / OFFSETS, np.empty(0, np.int64)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard(tokenizer: Tokenizer, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "shard"
    write_shard(folder, DOCUMENTS[:5], tokenizer)
    DAMAGES[damage](folder)
    with pytest.raises(UserError, match=r"make one with `incoder data shard`|make the shard again") as error:
        open_shard(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


# --- several shards ----------------------------------------------------------------------------------------------


@pytest.fixture
def several(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    for i in range(3):
        write_shard(tmp_path / "train" / f"shard-{i:05d}", DOCUMENTS[i * 10 : i * 10 + 5 + i], tokenizer)
    return tmp_path / "train"


def test_a_folder_of_shards_is_one_shard(several: Path, tokenizer: Tokenizer) -> None:
    (several / ".shard-00003.unfinished").mkdir()
    (several / "notes.txt").write_text("not a shard")
    parts = [open_shard(several / f"shard-{i:05d}") for i in range(3)]
    whole = open_shard(several)
    assert texts_of(whole, tokenizer) == [text for part in parts for text in texts_of(part, tokenizer)]
    assert len(whole.tokens) == whole.offsets[-1] == sum(len(part.tokens) for part in parts)
    assert whole.tokenizer_sha256 == tokenizer_hash(tokenizer)
    assert len({whole.sha256, *(part.sha256 for part in parts)}) == 4
    assert packages_of(several) == [*range(19)]
    write_shard(several / "shard-00001", [Attributed("x\n", {}, "a")] * 6, tokenizer)
    assert packages_of(several) == [0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16, 17, 18]
    drop_from_report("packages")(several / "shard-00002")
    assert packages_of(several) is None  # one of an earlier version
    shutil.rmtree(several / "shard-00002")
    assert open_shard(several).sha256 != whole.sha256


def test_a_shard_without_documents_among_others(several: Path, tokenizer: Tokenizer) -> None:
    before = texts_of(open_shard(several), tokenizer)
    write_shard(several / "shard-00000a", [], tokenizer)
    write_shard(several / "shard-00009", [], tokenizer)
    assert texts_of(open_shard(several), tokenizer) == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: os.truncate(folder / TOKENS, 10), r"shard-00001/tokens\.bin has 5 tokens, .* speaks of \d+"),
        (lambda folder: os.truncate(folder / TOKENS, 11), r"shard-00001/tokens\.bin has 5\.5 tokens"),
        (lambda folder: (folder / REPORT).unlink(), "shard-00001 holds no token shard"),
        (edit_report(tokenizer_sha256="other"), "shard-00001 was made with another tokenizer than .*shard-00000"),
    ],
)
def test_a_damaged_shard_among_others(several: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(several / "shard-00001")
    with pytest.raises(UserError, match=said) as error:
        open_shard(several)
    assert "\n" not in str(error.value)
