"""Manifests: the one that ships is sound, and each mistake gets a sentence that names it."""

from pathlib import Path

import pytest

import incoder_train
from incoder_train.corpus.collect import ALLOWED_LICENCES
from incoder_train.corpus.manifest import read_manifest
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
        assert archive.licence in ALLOWED_LICENCES
        distribution, version = archive.filename.split("-")[:2]
        assert (distribution.replace("_", "-"), version) == (archive.name, archive.version)


def test_there_is_a_shipped_manifest() -> None:
    assert list(RECIPES.glob("*.manifest.toml"))


def test_a_sound_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(SOUND)
    manifest = read_manifest(tmp_path / "m.toml")
    assert (manifest.extensions, manifest.archives[0].version) == ((".py",), "3.7")


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
