"""The fast way to a text's words against the plain one."""

import re
import sysconfig
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from incoder_train.corpus.words import joined_words


def plain(text: str) -> bytes:
    return " ".join(re.findall(r"\w+", text)).encode()


pieces = st.sampled_from(
    ["a", "_", "7", " ", "  ", "\n", "\t", "\0", "\x1c", "(", "é", "ß", "²", "…", "–", "\u2028", "字", "𝔘", "\ud800"]
)


@given(st.one_of(st.text(), st.lists(pieces).map("".join)))
@example("")
@example(" ")
@example("".join(map(chr, range(0x800))))
@example("\ud800")
def test_words_are_those_of_the_plain_pattern(text: str) -> None:
    assert joined_words(text) == plain(text)


def test_words_of_real_files() -> None:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        assert joined_words(text) == plain(text), path
