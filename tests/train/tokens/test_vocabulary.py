"""The trained tokenizer: InCoder's id layout to the last id, exact round trips, the same file every time."""

import argparse
import ast
import dataclasses
import inspect
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import END_OF_MASK, sentinel_name
from incoder_model.tokenizer import Tokenizer, assemble, load_tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.sampling import measure, plan_sample
from incoder_train.tokens.vocabulary import MAX_TOKEN, train_tokenizer
from incoder_train.tokens.vocabulary_report import VocabularyReport, report_vocabulary

VOCAB, SENTINELS = 900, 16
HTML = "<|/ file |> <a href='x'/> |> <| <|/ ||> " * 60
TEXTS = [inspect.getsource(module) for module in (argparse, ast, dataclasses, inspect, textwrap)] + [HTML]
TEXTS += [f"import numpy as np\n\n\n# text number {i}\n\n" for i in range(150)]


DOCUMENTS = [("html" if text is HTML else "py", text) for text in TEXTS]


def train(
    out: Path, *, documents: list[tuple[str, str]] = DOCUMENTS, vocab_size: int = VOCAB, **limits: Any
) -> VocabularyReport:
    plan = plan_sample(measure(documents), **({"sample_bytes": 10**6} | limits))
    return train_tokenizer(documents, plan, vocab_size=vocab_size, sentinels=SENTINELS, out=out)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VocabularyReport]:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    return path, train(path)


@pytest.fixture(scope="module")
def tokenizer(trained: tuple[Path, VocabularyReport]) -> Tokenizer:
    return load_tokenizer(trained[0])


def test_id_layout(trained: tuple[Path, VocabularyReport]) -> None:
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


def test_line_ends_keep_to_themselves(tokenizer: Tokenizer, trained: tuple[Path, VocabularyReport]) -> None:
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


@pytest.mark.parametrize("limits", [{}, {"sample_bytes": 40_000, "balance": 0.5, "split_rare": True}])
def test_the_same_texts_give_the_same_file(limits: dict[str, Any], tmp_path: Path) -> None:
    """In any order."""
    reports = [
        train(tmp_path / f"{i}.json", documents=documents, vocab_size=600, **limits)
        for i, documents in enumerate((DOCUMENTS, DOCUMENTS[::-1]))
    ]
    assert reports[0] == reports[1]
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()


def test_rare_lines_teach_no_long_tokens(tmp_path: Path) -> None:
    """But the tokenizer still reads lines as lines: tokens that run across spaces come from lines that repeat."""
    train(tmp_path / "tokenizer.json", split_rare=True)
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    assert len(tokenizer.encode("import numpy as np")) == 1
    once = {line for line, times in Counter(line for text in TEXTS for line in text.splitlines()).items() if times == 1}
    assert not once & {name.decode(errors="replace") for name in tokenizer.token_bytes if b" " in name.strip()}


# --- the report --------------------------------------------------------------------------------------------------


def test_report(tokenizer: Tokenizer) -> None:
    """Against its definitions, spelled out."""
    held_out = [("py", TEXTS[1]), ("py", TEXTS[2]), ("html", HTML), ("none", "")]
    report = report_vocabulary(tokenizer, held_out)
    names = tokenizer.token_bytes
    text_tokens = [token for token, name in enumerate(names) if name]
    assert (report.vocab_size, report.text_tokens) == (VOCAB, VOCAB - SENTINELS - 1 - 4) == (VOCAB, len(text_tokens))
    used = [token for _, text in held_out for token in tokenizer.encode(text)]
    assert report.compression["py"].documents == 2
    assert report.compression["py"].bytes == len((TEXTS[1] + TEXTS[2]).encode())
    assert report.compression["none"].bytes_per_token == 0
    assert report.overall.tokens == len(used)
    assert set(report.unused_tokens) == set(text_tokens) - set(used)
    assert report.spaces["trailing"] == round(sum(names[i][-1:] == b" " for i in text_tokens) / len(text_tokens), 4)
    assert report.spaces["inner"] > 0
    assert len(report.longest_tokens[0]) == max(map(len, report.longest_tokens)) <= MAX_TOKEN
    assert report.newline_tokens == tuple(i for i in text_tokens if set(names[i]) & set(b"\r\n"))
    assert report.mixed_newline_tokens == ()


def test_a_token_of_line_end_and_text_is_found() -> None:
    mixed = assemble(["aĊ", "ab"], [("a", "Ċ"), ("a", "b")], SENTINELS)
    report = report_vocabulary(mixed, [])
    assert report.mixed_newline_tokens == (263,)
    assert report.overall.bytes_per_token == 0


@pytest.mark.parametrize(
    ("options", "complaint"), [({"vocab_size": 280}, "no room for merges"), ({"sample_bytes": 30}, "give more text")]
)
def test_what_cannot_be_trained(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        train(tmp_path / "tokenizer.json", **options)
    assert list(tmp_path.iterdir()) == []
