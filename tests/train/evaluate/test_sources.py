"""The held-out sources that come along: what they are, that no training may have them, and how they were chosen."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import incoder_train
from incoder_train.cli import app
from incoder_train.corpus.document import Document
from incoder_train.corpus.filters import is_test
from incoder_train.corpus.licence import permissive
from incoder_train.corpus.manifest import Archive, held_out, read_manifest
from incoder_train.errors import UserError
from incoder_train.evaluate.selection import BYTES, LARGEST, SMALLEST, candidates, choose, in_training
from incoder_train.evaluate.sources import SHIPPED, Source, load_sources, write_sources

MANIFEST = Path(incoder_train.__file__).parent / "recipes" / "heldout.manifest.toml"


def document(path: str, text: str = "x" * SMALLEST, archive: str = "one") -> Document:
    name = path.rpartition("/")[2]
    return Document(text, path, name, f".{name.rpartition('.')[2]}", archive, "MIT")


# --- what comes along ---------------------------------------------------------------------------------------------


def test_shipped_sources_are_those_of_the_manifest() -> None:
    pinned = {archive.name: archive for archive in read_manifest(MANIFEST).archives}
    for source in load_sources():
        archive = pinned[source.package]
        assert isinstance(archive, Archive)
        assert (source.version, source.licence) == (archive.version, archive.licence)
        assert permissive(source.licence)
        assert held_out(source.package)


def test_shipped_sources_are_code_of_the_right_size() -> None:
    sources = load_sources()
    assert len({source.id for source in sources}) == len(sources)
    size = dict.fromkeys(BYTES, 0)
    for source in sources:
        assert SMALLEST <= len(source.text) <= LARGEST
        assert not is_test(document(source.path))
        size[source.lang] += len(source.text.encode())
    for lang, most in BYTES.items():
        assert 0.9 * most < size[lang] <= most
    assert SHIPPED.stat().st_size < 400_000


def test_notice_has_every_package() -> None:
    notice = (SHIPPED.parent / "NOTICE").read_text(encoding="utf-8")
    for source in load_sources():
        assert f"\n{source.package} {source.version}: {source.licence}\n" in notice
    assert notice.count("WARRANT") >= len({source.package for source in load_sources()})


def test_sources_survive_the_file(tmp_path: Path) -> None:
    sources = (Source("p", "1", "MIT", "a.py", "é😀\r\n\u2028\x00"), Source("p", "1", "MIT", "b.go", ""))
    write_sources(tmp_path / "s.xz", sources)
    write_sources(tmp_path / "t.xz", sources)
    assert load_sources(tmp_path / "s.xz") == sources
    assert (tmp_path / "s.xz").read_bytes() == (tmp_path / "t.xz").read_bytes()
    assert (sources[0].id, sources[1].lang) == ("p/a.py", "go")


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "cut.xz").write_bytes(SHIPPED.read_bytes()[:5000])
    for name in ("missing.xz", "cut.xz"):
        with pytest.raises(UserError, match=rf"{name} holds no held-out sources .*; install the package again"):
            load_sources(tmp_path / name)


def test_a_corpus_that_is_held_out_is_not_learned_from(tmp_path: Path) -> None:
    (tmp_path / "documents.json").write_text(
        '{"documents": 0, "archives": [{"name": "numpy"}, {"name": "python3-rich"}]}'
    )
    from incoder_model.checkpoint import BUNDLED

    for command in (
        ("data", "shard", tmp_path, "--tokenizer", BUNDLED / "tokenizer.json"),
        ("tokenizer", "train", tmp_path),
    ):
        result = CliRunner().invoke(app, [*map(str, command)])
        assert (result.exit_code, result.stdout) == (1, "")
        assert "has python3-rich, which models are tested on and must not be trained on" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["documents.json"]


# --- how they were chosen -----------------------------------------------------------------------------------------


def test_candidates_are_what_people_wrote() -> None:
    kept = ["lib/a.js", "lib/deep/b.ts", "c.py"]
    gone = [
        "dist/a.js",
        "x/build/a.js",
        "a.d.ts",
        "a.test.ts",
        "b.spec.js",
        "tests/a.py",
        "test_a.py",
        "examples/a.py",
        "a.css",
    ]
    sized = [document("small.py", "x" * (SMALLEST - 1)), document("large.py", "x" * (LARGEST + 1))]
    found = candidates([*map(document, kept + gone), *sized])
    assert [d.path for d in found["one"]] == kept


def test_a_package_with_src_is_taken_from_there() -> None:
    found = candidates([document("p/src/a.ts"), document("p/lib/a.js"), document("p/lib/b.js", archive="two")])
    assert {name: [d.path for d in files] for name, files in found.items()} == {
        "one": ["p/src/a.ts"],
        "two": ["p/lib/b.js"],
    }


def test_what_a_training_corpus_has_is_left_out() -> None:
    lines = [f"    the_{i}th_line_of_a_function(with_an_argument, {i})\n" for i in range(40)]
    copy, like, new = (
        document(name, "".join(text)) for name, text in zip("abc", (lines, lines[:30], lines[:3]), strict=True)
    )
    new = replace(new, text=new.text + "".join(line.replace("function", "module") for line in lines))
    training = [document("t", "".join(lines).replace(" ", "\t"), "other"), document("u", "".join(lines), "other")]
    assert in_training([copy, new], []) == ["", ""]
    same = [replace(d, ext=".py") for d in (copy, like, new)]
    assert in_training(same, [replace(d, ext=".py") for d in training]) == ["a copy", "100% of its lines known", ""]


def test_packages_take_turns_within_the_budget() -> None:
    packages = {name: [document(f"{i}.py", "é" * 500, name) for i in range(9)] for name in ("one", "two", "three")}
    chosen = choose(packages, {"python": 6_500, "go": 100})
    assert sorted(d.archive for d in chosen) == ["one", "one", "three", "three", "two", "two"]
    assert choose(dict(reversed(packages.items())), {"python": 6_500, "go": 100}) == chosen
