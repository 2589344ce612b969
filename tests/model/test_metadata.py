"""The header and the closing tag: every attribute once, as text."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.metadata import file_attributes, footer, header, wrap

words = st.text(st.characters(categories=["L", "Nd"], include_characters="._-"), min_size=1, max_size=8)
values = st.lists(words, min_size=1, max_size=3).map(" ".join)
ATTRIBUTE = re.compile(r'(\S+?)=(?:"([^"]*)"|(\S*))')


def read(line: str) -> dict[str, str]:
    """The attributes of a header or closing tag, read back."""
    return {key: quoted or plain for key, quoted, plain in ATTRIBUTE.findall(line)}


def test_the_format() -> None:
    assert header({}) == "<| file |>\n"
    assert header({"ext": ".py"}) == "<| file ext=.py |>\n"
    assert header({"tags": "regex,html"}, tag="q") == "<| q tags=regex,html |>\n"
    assert header({"ext": ".py", "filename": "my file.py"}) == '<| file ext=.py filename="my file.py" |>\n'
    assert footer({}) == "<|/ file |>"
    assert footer({"source": "github"}) == "<|/ file source=github |>"


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("setup.py", {"ext": ".py", "filename": "setup.py"}),
        ("/home/a b/x.tar.gz", {"ext": ".gz", "filename": "x.tar.gz"}),
        ("src/Makefile", {"filename": "Makefile"}),
        (".bashrc", {"filename": ".bashrc"}),
        ("a b.c", {"ext": ".c", "filename": "a b.c"}),
    ],
)
def test_what_a_path_says(path: str, attributes: dict[str, str]) -> None:
    assert file_attributes(path) == attributes


@given(st.text(st.characters(codec="utf-8")), st.dictionaries(words, values, max_size=5), st.integers(0, 2**32))
def test_every_attribute_stands_once_in_front_or_behind(text: str, attributes: dict[str, str], seed: int) -> None:
    document = wrap(text, attributes, np.random.default_rng(seed))
    first, rest = document.split("\n", 1)
    body, last = rest.rsplit("\n", 1)
    assert body == text
    assert re.fullmatch(r"<\| file( .*)? \|>", first)
    assert re.fullmatch(r"<\|/ file( .*)? \|>", last)
    in_front, behind = read(first), read(last)
    assert in_front | behind == attributes
    assert not in_front.keys() & behind.keys()


def test_each_side_has_its_share_and_no_order_is_fixed() -> None:
    rng, attributes = np.random.default_rng(0), {"ext": ".py", "filename": "a.py", "source": "pypi"}
    documents = [wrap("", attributes, rng) for _ in range(2000)]
    for key in attributes:
        assert sum(f"{key}=" in document.split("\n", 1)[0] for document in documents) == pytest.approx(1000, abs=100)
    orders = {tuple(read(document.split("\n", 1)[0])) for document in documents}
    assert len(orders) == 16  # every subset in every order: 1 + 3 + 3 * 2 + 6
