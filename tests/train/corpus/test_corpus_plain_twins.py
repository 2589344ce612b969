"""The fast rules decide what plain ones decide: each is compared with the few lines that say it best, on made-up texts and
on the files of Python's standard library."""

import hashlib
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from incoder_train.corpus import filters
from incoder_train.corpus.characters import has_line_over
from incoder_train.corpus.dedup import dedup_key
from incoder_train.corpus.document import Document
from incoder_train.corpus.redact import ADDRESS, REPLACEMENT, redact


def lines(text: str) -> list[int]:
    return [len(line) for line in text.split("\n")]


def share(runs: str, text: str) -> float:
    return sum(map(len, re.findall(runs, text))) / len(text)


def visible(text: str) -> str:
    return re.sub(r"\s+", "", text)


def in_folder(names: frozenset[str]) -> Callable[[Document], bool]:
    return lambda d: any(part in names for part in PurePosixPath(d.path).parts[:-1])


def encodes(text: str) -> bool:
    try:
        return text.encode().decode() == text
    except UnicodeEncodeError:
        return False


PLAIN: filters.Rules = {
    "empty": lambda d: not d.text.strip(),
    "line over 3000 characters": lambda d: max(lines(d.text)) > 3000,
    "mean line over 100 characters": lambda d: sum(lines(d.text)) / len(lines(d.text)) > 100,
    "under 40 % word characters": lambda d: share(r"\w+", d.text) < 0.4,
    "not UTF-8": lambda d: "\ufffd" in d.text or "\0" in d.text or not encodes(d.text),
    "vendored": in_folder(filters.VENDORED),
    "fixture, snapshot or locale": in_folder(filters.NOT_SOURCE),
    "under 64 bytes": lambda d: len(d.text.encode(errors="surrogatepass")) < 64,
    "over 1 MB": lambda d: len(d.text.encode(errors="surrogatepass")) > 1_000_000,
    "line over 1000 characters": lambda d: max(lines(d.text)) > 1000,
    "under 30 % letters": lambda d: share(r"[^\W\d_]+", visible(d.text)) < 0.3,
    "over 25 % digits": lambda d: share(r"\d+", visible(d.text)) > 0.25,
}


def plain_key(document: Document) -> tuple[str, bytes, int]:
    words = re.findall(r"\w+", document.text)
    return document.ext, hashlib.md5(" ".join(words).encode()).digest(), len(words)


def document(text: str, path: str = "package/module.py") -> Document:
    return Document(text, path, "module.py", ".py", "package", "MIT")


def agree(found: Document) -> None:
    for reason, applies in PLAIN.items():
        if reason == "empty" or found.text.strip():
            assert filters.RULES[reason](found) == applies(found), reason
    assert redact(found.text) == ADDRESS.sub(REPLACEMENT, found.text)
    assert dedup_key(found) == plain_key(found)


characters = st.sampled_from([*"aZ_07 \n\t\r\f\0().,-é²٣字…\u2028\x85\ufffd\U0001d518", "\ud800"])
repeated = st.tuples(st.text(characters, max_size=5), st.sampled_from([1, 1, 7, 64, 999, 1001]))
texts = st.lists(repeated.map(lambda run: run[0] * run[1]), max_size=6).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(), texts))
@example("é" * 31 + "a")
def test_rules_decide_like_their_plain_twins(text: str) -> None:
    agree(document(text))


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a" * 1_000_001, "é" * 500_000, "é" * 500_001, "字" * 250_001])
def test_a_megabyte_is_counted_in_bytes(text: str) -> None:
    assert filters.RULES["over 1 MB"](document(text)) == PLAIN["over 1 MB"](document(text))


@pytest.mark.proof
def test_every_character_is_judged_like_by_the_plain_twins() -> None:
    agree(document("".join(map(chr, range(sys.maxunicode + 1)))))


@given(st.lists(st.sampled_from(["vendor", "extern", "a", "locale", ".", "", "testdata", "vendor.py"])).map("/".join))
def test_folders_are_seen_like_by_their_plain_twins(path: str) -> None:
    agree(document("x", path))


@given(st.text("x\n", max_size=40), st.integers(0, 12))
def test_a_long_line_is_found_without_looking_everywhere(text: str, limit: int) -> None:
    assert has_line_over(limit, text) == (max(lines(text)) > limit)


def test_real_files_are_judged_like_by_the_plain_twins() -> None:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("[a-d]*.py")):
        agree(document(path.read_text(encoding="utf-8", errors="replace")))


@pytest.mark.proof
def test_all_real_files_are_judged_like_by_the_plain_twins() -> None:
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            agree(document(path.read_text(encoding="utf-8", errors="replace"), path.as_posix()))


pieces = st.sampled_from(
    [
        *"@ .-+_\n\tx()",
        *[
            "ada",
            "co",
            "com",
            "COM",
            "org",
            "co.uk",
            "ac.",
            "net",
            "edu",
            "gov",
            "at",
            "a",
            "dot",
            "İ",
            "ſ",
            "é",
            "字",
            "\ud800",
        ],
        *[" at ", " a ", "(at)", "[at]", "(a)", " dot ", "\ndot\n", "(dot)", "[DOT]", "\u2028", "\x0b"],
    ]
)
ends = st.sampled_from(["com", "org", "dot\norg", ".co.uk", "(dot)ac.uk"])
nearly = st.tuples(st.sampled_from(["ada", "b"]), pieces, pieces, pieces, ends, pieces).map("".join)


@settings(max_examples=1000)
@given(st.one_of(st.lists(pieces, max_size=20), st.lists(nearly, max_size=3)).map("".join))
@example("ada at\nb dot\nc\ndot d dot\norg and on\n")
@example("ada\n(at)\nb\n[dot]\norg")
@example("x\nada at b dot com\n\ny@z.org")
def test_redaction_finds_what_the_pattern_finds(text: str) -> None:
    assert redact(text) == ADDRESS.sub(REPLACEMENT, text)


def test_no_other_character_is_a_letter_that_is_searched_for() -> None:
    """Ignoring case, a pattern may take more than two characters for a letter; for those searched for it does not."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for letter in "comacedurgvnt":
        assert re.findall(letter, everything, re.IGNORECASE) == [letter.upper(), letter]
