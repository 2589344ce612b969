"""The trained tokenizer: InCoder's id layout to the last id, exact round trips, the same file every time."""

import argparse
import ast
import dataclasses
import inspect
import textwrap
from collections import Counter
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import END_OF_MASK, sentinel_name
from incoder_model.tokenizer import Tokenizer, load_tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.vocabulary import (
    LINE_CAP,
    MAX_TOKEN,
    TokenizerReport,
    cap_lines,
    sample_texts,
    train_tokenizer,
)

VOCAB, SENTINELS = 900, 16
HTML = "<|/ file |> <a href='x'/> |> <| <|/ ||> " * 60
TEXTS = [inspect.getsource(module) for module in (argparse, ast, dataclasses, inspect, textwrap)] + [HTML]
TEXTS += [f"import numpy as np\n\n\n# text number {i}\n\n" for i in range(150)]


def train(out: Path, **options: int) -> TokenizerReport:
    settings = {"vocab_size": VOCAB, "sentinels": SENTINELS, "sample_bytes": 10**6} | options
    return train_tokenizer(TEXTS, out=out, **settings)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TokenizerReport]:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    return path, train(path)


@pytest.fixture(scope="module")
def tokenizer(trained: tuple[Path, TokenizerReport]) -> Tokenizer:
    return load_tokenizer(trained[0])


def test_id_layout(trained: tuple[Path, TokenizerReport]) -> None:
    """Read with the plain library, so that it holds for any other program too."""
    plain = tokenizers.Tokenizer.from_file(str(trained[0]))
    names = [plain.id_to_token(i) for i in range(plain.get_vocab_size())]
    assert len(names) == VOCAB == len(set(names))
    assert names[:7] == ["<s>", "<pad>", "<|endoftext|>", "<unk>", "<|", "<|/", "|>"]
    byte_names = names[7:263]
    assert sorted(byte_names) == byte_names == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert (names[7], names[205], names[208], names[227]) == ("!", "Ċ", "č", "Ġ")
    assert names[-SENTINELS - 1 :] == [*map(sentinel_name, range(SENTINELS)), END_OF_MASK]
    special = {i for i, token in plain.get_added_tokens_decoder().items() if token.special}
    assert special == {0, 1, 2, 3, *range(VOCAB - SENTINELS - 1, VOCAB)}
    assert plain.encode("x").ids == plain.encode("x", add_special_tokens=False).ids  # nothing is added in front


def test_delimiters_are_ordinary_tokens_with_their_own_merges(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("<|") == [4]
    assert tokenizer.encode("<|/") == [5]
    assert tokenizer.encode("|>") == [6]
    ids = tokenizer.encode(HTML)
    assert Counter(ids)[4] == 60
    assert Counter(ids)[5] == 120
    assert Counter(ids)[6] == 180


def test_line_ends_keep_to_themselves(tokenizer: Tokenizer, trained: tuple[Path, TokenizerReport]) -> None:
    with_end = {i for i, name in enumerate(tokenizer.token_bytes) if set(name) & set(b"\r\n")}
    assert {205, 208} < with_end
    assert all(set(tokenizer.token_bytes[i]) <= set(b"\r\n") for i in with_end)
    assert with_end == set(trained[1].newline_tokens)


def test_tokens_run_across_spaces_but_not_on_and_on(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("import numpy as np")) == 1
    assert max(map(len, tokenizer.token_bytes)) <= MAX_TOKEN


@given(
    st.one_of(
        st.text(), st.binary().map(lambda raw: raw.decode("latin-1")), st.sampled_from([*TEXTS, "<|mask:0|>", "<s>"])
    )
)
def test_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert all(4 <= i < VOCAB - SENTINELS - 1 for i in ids)


def test_the_same_texts_give_the_same_file(trained: tuple[Path, TokenizerReport], tmp_path: Path) -> None:
    report = train(tmp_path / "again.json")
    assert report == trained[1]
    assert (tmp_path / "again.json").read_bytes() == trained[0].read_bytes()


def test_report(trained: tuple[Path, TokenizerReport]) -> None:
    report = trained[1]
    assert (report.vocab_size, report.learned_tokens) == (VOCAB, VOCAB - 263 - SENTINELS - 1)
    assert report.held_out_bytes > 0
    assert report.bytes_per_token > 1.5
    assert len(report.longest_tokens[0]) == max(map(len, report.longest_tokens)) <= MAX_TOKEN


@pytest.mark.parametrize(
    ("options", "complaint"), [({"vocab_size": 280}, "no room for merges"), ({"sample_bytes": 30}, "give more text")]
)
def test_what_cannot_be_trained(tmp_path: Path, options: dict[str, int], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        train(tmp_path / "tokenizer.json", **options)
    assert list(tmp_path.iterdir()) == []


texts = st.lists(st.text(max_size=60), max_size=40)


@given(texts, st.integers(0, 400), st.integers(0, 3))
def test_sample(found: list[str], sample_bytes: int, seed: int) -> None:
    sample, held_out = sample_texts(found, sample_bytes, seed)
    assert sum(len(text.encode()) for text in sample) <= sample_bytes
    assert not Counter(sample) + Counter(held_out) - Counter(found)
    assert not set(sample) & set(held_out)
    everything, all_held_out = sample_texts(found, 10**6, seed)
    assert sorted(everything + all_held_out) == sorted(found)
    assert sample_texts(reversed(found), 10**6, seed)[0] == everything  # whatever the order


def test_another_seed_takes_other_texts() -> None:
    assert sample_texts(TEXTS, 3000, 0)[0] != sample_texts(TEXTS, 3000, 1)[0]


@given(st.lists(st.text(max_size=20), max_size=LINE_CAP // 20))
def test_few_lines_pass_the_cap_unchanged(found: list[str]) -> None:
    assert list(cap_lines(found)) == found


@given(st.integers(0, 3 * LINE_CAP), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_repeated_lines_are_capped(times: int, end: str) -> None:
    [text] = cap_lines([f"same{end}" * times + "\n" * times + "other"])
    assert text.count("same") == min(times, LINE_CAP)
    assert text.endswith("other")
