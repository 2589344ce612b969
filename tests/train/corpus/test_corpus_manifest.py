"""Manifests: the one that ships is sound, and each mistake gets a sentence that names it."""

from pathlib import Path

import pytest

import incoder_train
from incoder_train.corpus.licence import permissive
from incoder_train.corpus.manifest import (
    HELD_OUT,
    KINDS,
    Archive,
    Checkout,
    Dump,
    Folder,
    Table,
    held_out,
    plain_name,
    read_manifest,
)
from incoder_train.errors import UserError

RECIPES = Path(incoder_train.__file__).parent / "recipes"

SOUND = f"""
name = "tiny"
extensions = [".py"]
tests_share = 0.25

[[archive]]
name = "networkx"
version = "3.7"
licence = "BSD-3-Clause"
filename = "networkx-3.7-py3-none-any.whl"
sha256 = "{"0" * 64}"
"""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.manifest.toml")), ids=lambda path: path.name)
def test_shipped_manifests(path: Path) -> None:
    manifest = read_manifest(path)
    assert f"{manifest.name}.manifest.toml" == path.name
    for archive in manifest.archives:
        assert isinstance(archive, Archive)
        assert permissive(archive.licence)
        if archive.kind == "wheel":
            distribution, version = archive.filename.split("-")[:2]
            assert (plain_name(distribution), version) == (archive.name, archive.version)
        else:
            assert archive.version.removeprefix("1:") in archive.filename.replace("%3a", ":")


def test_there_is_a_shipped_manifest() -> None:
    assert list(RECIPES.glob("*.manifest.toml"))


def test_a_sound_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(SOUND)
    manifest = read_manifest(tmp_path / "m.toml")
    assert (manifest.extensions, manifest.archives[0].version) == ((".py",), "3.7")
    assert manifest.archives[0].kind == "wheel"


HEAD = 'name = "all"\nextensions = [".py"]\ntests_share = 0.25\n'
ZERO = "0" * 64
EVERY_KIND = f"""
[[archive]]
kind = "sdist"
name = "docutils"
version = "0.21"
licence = "MIT"
filename = "docutils-0.21.tar.gz"
sha256 = "{ZERO}"

[[archive]]
kind = "npm"
name = "@types/node"
version = "20.0.0"
licence = "MIT"
filename = "types-node-20.0.0.tgz"
sha256 = "{ZERO}"
repository = "DefinitelyTyped/DefinitelyTyped"

[[archive]]
kind = "debian"
name = "python3-idna"
version = "1:3.10-1"
licence = "BSD-3-Clause"
filename = "python3-idna_1%3a3.10-1_all.deb"
sha256 = "{ZERO}"

[[archive]]
kind = "folder"
name = "mine"
licence = "MIT"
path = "../mine"

[[archive]]
kind = "git"
name = "checkout"
licence = "MIT"
path = "checkouts/it"
commit = "{"1" * 40}"
repository = "ada/it"
source = "github"
stars = 70
crawl = "python"

[[archive]]
kind = "jsonl"
name = "rows"
path = "rows.jsonl.zst"
sha256 = "{ZERO}"

[[archive]]
kind = "parquet"
name = "columns"
path = "rows.parquet"
sha256 = "{ZERO}"
licence = "MIT"

[[archive]]
kind = "stackexchange"
name = "codereview"
licence = "CC-BY-SA-4.0"
path = "codereview"
"""


def test_every_kind_has_its_keys(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(HEAD + EVERY_KIND)
    archives = read_manifest(tmp_path / "m.toml").archives
    assert [archive.kind for archive in archives] == [kind for kind in KINDS if kind != "wheel"]
    assert [type(archive) for archive in archives] == [*[Archive] * 3, Folder, Checkout, Table, Table, Dump]
    assert archives[4] == Checkout(
        "checkout", "MIT", "checkouts/it", "1" * 40, "git", "ada/it", "github", stars=70, crawl="python"
    )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"sdist"', '"egg"', "archive 1: the kind 'egg' is unknown; write one of wheel, sdist, npm"),
        ('"sdist"', "1", "the kind 1 is unknown"),
        ('"docutils-0.21.tar.gz"', '"docutils-0.21.zip"', "no file name of an sdist"),
        ('"types-node-20.0.0.tgz"', '"../node-20.0.0.tgz"', "no file name of an npm archive"),
        ('"@types/node"', '"--registry=x"', "'--registry=x' is no name or version of a package"),
        ('"20.0.0"', '"20.0.0 && x"', "is no name or version of a package"),
        ("_all.deb", ".deb", "no file name of a Debian package"),
        ('path = "../mine"', 'path = "../mine"\nsha256 = ""', "archive 4: the key 'sha256' is unknown"),
        ('path = "../mine"\n', "", "archive 4: the key 'path' is missing"),
        ("1" * 40, "main", "the commit of checkout must be 40"),
        ("stars = 70", 'stars = "70"', "'stars' is '70', but it must be a whole number"),
        ("stars = 70", "stars = true", "'stars' is True, but it must be a whole number"),
        ('crawl = "python"', 'crawl = "perl"', "the crawl of checkout must be one of javascript, jupyter, python"),
        ('"ada/it"', '"pydantic/pydantic"', "checkout is held out for evaluation"),
        ('"python3-idna"', '"python3-attr"', "python3-attr is held out for evaluation"),
        ('"rows"', '"mine"', "mine is listed twice"),
    ],
)
def test_mistakes_in_entries_of_each_kind(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in EVERY_KIND
    (tmp_path / "m.toml").write_text(HEAD + EVERY_KIND.replace(old, new, 1))
    with pytest.raises(UserError, match=complaint):
        read_manifest(tmp_path / "m.toml")


def test_what_is_held_out() -> None:
    assert all(map(held_out, ["Rich", "ada/rich", "ada/rich.git", "python3-rich", "node-zod", "python-attrs"]))
    assert all(
        map(held_out, ["librust-anyhow-dev", "golang-github-spf13-cobra-dev", "libcli11-dev", "@tanstack/query-core"])
    )
    assert not any(map(held_out, ["", "enrich", "rich/console", "types-attrs", "@hono/node-server"]))
    assert not any(map(held_out, ["librich", "rich-dev", "librust-anyhow-macros-dev", "golang-cobra"]))


def test_the_guard_turns_around_for_what_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("held_out = true\n" + SOUND.replace("networkx", "httpx"))
    assert read_manifest(tmp_path / "m.toml").held_out
    for text, complaint in (
        ("held_out = true\n" + SOUND, "says held_out = true, but networkx is not in HELD_OUT"),
        ("held_out = false\n" + SOUND.replace("networkx", "httpx"), "httpx is held out for evaluation"),
        ("held_out = 1\n" + SOUND, "'held_out' is 1, but it must be true or false"),
    ):
        (tmp_path / "m.toml").write_text(text)
        with pytest.raises(UserError, match=complaint):
            read_manifest(tmp_path / "m.toml")


def test_what_is_held_out_has_a_manifest() -> None:
    """Every name of the guard is pinned there (the module `attr` is the package attrs)."""
    listed = {plain_name(archive.name) for archive in read_manifest(RECIPES / "heldout.manifest.toml").archives}
    packaged = {name for name in HELD_OUT if any(held_out(full) and name in full for full in listed)}
    assert packaged == HELD_OUT


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("sha256", "sha265", "archive 1: the key 'sha265' is unknown; the nearest known key is 'sha256'"),
        ("extensions", "extension", "the key 'extension' is unknown; the nearest known key is 'extensions'"),
        ('version = "3.7"\n', "", "the key 'version' is missing"),
        ('version = "3.7"', "version = 3.7", "'version' is 3.7, but it must be a string"),
        ("0.25", "1.0", "tests_share is 1.0"),
        ("0.25", '"a quarter"', "must be a number"),
        ('".py"', '"py"', "extension 'py'"),
        ("networkx", "Starlette", "held out for evaluation"),
        ("-py3-none-any.whl", ".tar.gz", "no file name of a wheel"),
        ("networkx-3.7", "../networkx-3.7", "no file name of a wheel"),
        ("0" * 64, "0" * 63, "sha256 of networkx"),
        ("[[archive]]", "[archive]", "'archive' is .* but it must be a list"),
        (SOUND[SOUND.index("[[") :], "archive = []", "lists no archive"),
        (SOUND[SOUND.index("[[") :], "archive = [1]", r"write \[\[archive\]\]"),
        (SOUND[SOUND.index("[[") :], SOUND[SOUND.index("[[") :] * 2, "listed twice"),
        ("[[archive]]", "[[archive", "not valid TOML"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in SOUND
    (tmp_path / "m.toml").write_text(SOUND.replace(old, new))
    with pytest.raises(UserError, match=complaint):
        read_manifest(tmp_path / "m.toml")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "m.toml")
