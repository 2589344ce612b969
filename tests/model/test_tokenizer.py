"""Text to ids and back: InCoder's own vocabulary rebuilt, and no text of a user ever becomes a special id."""

import argparse
import gzip
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import Sentinels
from incoder_model.checkpoint import BUNDLED, TOKENIZER
from incoder_model.tokenizer import (
    BOS,
    PAD,
    Tokenizer,
    TokenizerError,
    assemble,
    assemble_released,
    byte_symbols,
    line_mode,
    load_tokenizer,
    read_merges,
)

RELEASED = Path(__file__).parents[3] / "shared" / "data" / "incoder-tokenizer"
SPECIAL = ["<|mask:0|>", "<|mask:255|>", "<|endofmask|>", "<|endoftext|>", "<pad>", "<s>", "<unk>", "<|", "<|/", "|>"]
ODD = [
    "\r\n",
    "\r",
    "\f",
    "\v",
    "\x00",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "😀",
    "👩‍👩‍👧",
    "é",
    "e\u0301",
    "\U0010ffff",
]

texts = st.lists(st.sampled_from(SPECIAL + ODD) | st.text(st.characters(codec="utf-8"), max_size=12), max_size=8).map(
    "".join
)
texts_with_surrogates = st.lists(texts | st.characters(categories=["Cs"]), max_size=6).map("".join)


# --- the released vocabulary -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released() -> Tokenizer:
    if not RELEASED.is_dir():
        pytest.skip(f"InCoder's vocabulary is not at {RELEASED}")
    vocabulary, merges = (
        gzip.decompress((RELEASED / name).read_bytes()).decode() for name in ("vocab.json.gz", "merges.txt.gz")
    )
    return assemble_released(json.loads(vocabulary), read_merges(merges))


def test_released_ids(released: Tokenizer) -> None:
    assert released.vocab_size == 50518
    assert released.sentinels == Sentinels(first=50261, count=256, end=50517)
    assert (released.sentinels[0], released.sentinels[1], released.sentinels[255]) == (50261, 50262, 50516)
    assert (PAD, BOS) == (1, 2)
    assert released.encode("import numpy as np") == [4053]
    assert released.encode("<| file ext=.py |>\n") == [4, 7003, 914, 35, 9444, 6, 205]
    assert released.encode("<|/ file |>") == [5, 7003, 6]
    assert [released.encode(text) for text in ("!", " ", "\n", "\r")] == [[7], [227], [205], [208]]


def test_released_line_ends(released: Tokenizer) -> None:
    """Twelve tokens hold a line feed; those of carriage returns alone end a line too."""
    with_line_feed = {i for i in released.newlines if b"\n" in released.token_bytes[i]}
    assert with_line_feed == {205, 284, 353, 536, 994, 3276, 4746, 15471, 16027, 28602, 40289, 43275}
    assert 208 in released.newlines
    assert all(set(released.token_bytes[i]) <= set(b"\r\n") for i in released.newlines)


def test_released_shape(released: Tokenizer) -> None:
    """Spaces stand at the end of tokens, and inside them, more often than in front."""
    texts = released.token_bytes[7:50261]
    assert sum(text.endswith(b" ") for text in texts) == 10_862
    assert sum(text.startswith(b" ") for text in texts) == 5_601
    assert sum(b" " in text.strip(b" ") for text in texts) == 10_156
    assert max(map(len, texts)) == 175


def test_released_file_means_the_same_to_transformers(released: Tokenizer, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    file = tmp_path / "tokenizer.json"
    file.write_text(released.to_json(), encoding="utf-8")
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(file), clean_up_tokenization_spaces=False)
    assert len(theirs) == released.vocab_size
    for text in (inspect.getsource(argparse), "import numpy as np\n\n\nclass A:\r\n\tdef b(self): ...  # naïve 😀\n"):
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ids == released.encode(text)
        assert theirs.decode(ids) == released.decode(ids) == text
    assert theirs.convert_tokens_to_ids(["<|endoftext|>", "<|mask:0|>", "<|mask:255|>", "<|endofmask|>"]) == [
        2,
        50261,
        50516,
        50517,
    ]


def test_a_foreign_vocabulary_is_refused() -> None:
    with pytest.raises(TokenizerError, match="does not start with InCoder's delimiters"):
        assemble_released({symbol: i for i, symbol in enumerate(byte_symbols())}, [])


# --- what users write --------------------------------------------------------------------------------------------


@given(text=texts)
def test_any_text_survives_and_none_of_it_is_special(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert all(tokenizer.token_bytes[i] for i in ids)
    assert not any(i <= 3 or i in tokenizer.sentinels or i == tokenizer.sentinels.end for i in ids)


def test_delimiters_are_tokens_whatever_was_learned(tokenizer: Tokenizer) -> None:
    assert [tokenizer.encode(text) for text in ("<|", "<|/", "|>", "<||>")] == [[4], [5], [6], [4, 6]]


@given(text=texts_with_surrogates)
def test_a_lone_surrogate_becomes_a_question_mark(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == re.sub("[\ud800-\udfff]", "?", text)


@pytest.mark.parametrize("text", SPECIAL)
def test_special_tokens_as_text_of_the_released_vocabulary(released: Tokenizer, text: str) -> None:
    assert max(released.encode(text)) < 50261
    assert min(released.encode(text)) >= 4
    assert released.decode(released.encode(text)) == text


@given(batch=st.lists(texts_with_surrogates, max_size=4))
def test_a_batch_is_encoded_as_its_texts_are(tokenizer: Tokenizer, batch: list[str]) -> None:
    assert tokenizer.encode_batch(batch) == [tokenizer.encode(text) for text in batch]


@given(text=texts)
def test_no_token_crosses_a_line_end(tokenizer: Tokenizer, text: str) -> None:
    pieces = [tokenizer.token_bytes[i] for i in tokenizer.encode(text)]
    assert all(set(piece) <= set(b"\r\n") or not set(piece) & set(b"\r\n") for piece in pieces)
    lines = re.findall(r"[\r\n]+|[^\r\n]+", text)
    assert tokenizer.encode(text) == [i for line in lines for i in tokenizer.encode(line)]


def test_every_id_has_its_bytes(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.token_bytes) == tokenizer.vocab_size
    assert sorted(tokenizer.token_bytes[7:263]) == [bytes([byte]) for byte in range(256)]
    special = {0, 1, 2, 3, *range(tokenizer.sentinels.first, tokenizer.vocab_size)}
    assert {i for i, text in enumerate(tokenizer.token_bytes) if not text} == special
    assert tokenizer.decode([BOS, *tokenizer.encode("a"), tokenizer.sentinels[3], PAD]) == "a"


def test_half_a_character_at_the_end_is_left_out(tokenizer: Tokenizer) -> None:
    first, *rest = (7 + byte_symbols().index(symbol) for symbol in ("ð", "Ł", "ĺ", "Ģ"))  # the bytes of 😀
    assert tokenizer.decode([first, *rest]) == "😀"
    assert tokenizer.decode([*tokenizer.encode("a"), first, *rest[:2]]) == "a"
    assert tokenizer.decode([first, *tokenizer.encode("a")]) == "\ufffda"


# --- files -------------------------------------------------------------------------------------------------------


def test_a_tokenizer_survives_its_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(tokenizer.to_json(), encoding="utf-8")
    loaded = load_tokenizer(file)
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.sentinels == tokenizer.sentinels
    assert loaded.encode("<|mask:0|> def") == tokenizer.encode("<|mask:0|> def")


def test_fewer_sentinels() -> None:
    small = assemble(["ab"], [("a", "b")], sentinels=2)
    assert small.sentinels == Sentinels(first=264, count=2, end=266)
    assert small.encode("ab<|mask:5|>")[0] == 263


def foreign_tokenizer() -> str:
    return line_mode(tokenizers.models.BPE({symbol: i for i, symbol in enumerate(byte_symbols())}, [])).to_str()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[]", b"null", b'{"version": "1.0"}', b"\xff\xfe", b'"text"', foreign_tokenizer().encode()],
    ids=[
        "empty",
        "cut",
        "no tokenizer",
        "list",
        "null",
        "version only",
        "not UTF-8",
        "string",
        "without special tokens",
    ],
)
def test_a_file_that_is_no_incoder_tokenizer(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(TokenizerError) as error:
        load_tokenizer(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


GROWTH = """
import random, sys
from pathlib import Path
from incoder_model.tokenizer import load_tokenizer

def memory():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])

tokenizer, rng = load_tokenizer(Path(sys.argv[1])), random.Random(0)
def lines(count):
    for _ in range(count):
        tokenizer.encode(" ".join(rng.choice(["self", "value", "=", "for", "index", "(x)"]) for _ in range(12)))
lines(2000)
before = memory()
lines(8000)
print(memory() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is looked at by /proc")
def test_what_is_typed_in_a_long_day_is_not_all_remembered() -> None:
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, str(BUNDLED / TOKENIZER)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 4000  # kilobytes; it was 16,000


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is missing"):
        load_tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(TokenizerError, match="cannot be read"):
        load_tokenizer(tmp_path)
