"""Hugging Face's layout and ours: what the released files say is understood, what transformers reads says the same as ours, and
what is no InCoder is refused by name."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers

from incoder_model.config import PRESETS, ModelConfig
from incoder_model.tokenizer import TokenizerError, assemble, assemble_released, byte_symbols, read_merges
from incoder_model.xglm import (
    config_from_xglm,
    our_names,
    tokenizer_from_xglm,
    xglm_config,
    xglm_name,
    xglm_tokenizer,
    xglm_tokenizer_config,
)

VOCABULARY = Path(__file__).parents[3] / "shared" / "data" / "incoder-tokenizer"
TEXTS = ["import numpy as np\n", "<| file ext=.py |>\n\r\n\tx = 'naïve 😀'\n\n<|/ file |>", "a  b\rc"]

# --- the configuration -------------------------------------------------------------------------------------------

# What is known of the released files.
BOTH: dict[str, Any] = {
    "activation_dropout": 0.0,
    "activation_function": "gelu",
    "architectures": ["XGLMForCausalLM"],
    "attention_dropout": 0.1,
    "attention_heads": 32,
    "bos_token_id": 0,
    "decoder_start_token_id": 2,
    "eos_token_id": 2,
    "init_std": 0.02,
    "layerdrop": 0.0,
    "model_type": "xglm",
    "pad_token_id": 1,
    "scale_embedding": True,
    "torch_dtype": "float32",
    "transformers_version": "4.18.0.dev0",
    "use_cache": True,
    "vocab_size": 50518,
}
SMALLER = BOTH | {"d_model": 2048, "ffn_dim": 8192, "num_layers": 24, "max_position_embeddings": 2048, "dropout": 0.1}
LARGER = BOTH | {"d_model": 4096, "ffn_dim": 16384, "num_layers": 32, "max_position_embeddings": 2049, "dropout": 0.0}

configs = st.builds(
    lambda head_dim, heads, **rest: ModelConfig(d_model=2 * head_dim * heads, heads=heads, **rest),
    head_dim=st.integers(2, 64),
    heads=st.integers(1, 64),
    vocab_size=st.integers(1, 60_000),
    layers=st.integers(1, 100),
    d_ffn=st.integers(1, 20_000),
    context=st.integers(1, 10_000).filter(lambda context: context != 2049),
    dropout=st.floats(0, 0.99),
    attention_dropout=st.floats(0, 0.99),
)


@pytest.mark.parametrize(("values", "preset"), [(SMALLER, "incoder-1.3b"), (LARGER, "incoder-6.7b")])
def test_the_released_configurations(values: dict[str, Any], preset: str) -> None:
    assert config_from_xglm(values) == PRESETS[preset]
    assert config_from_xglm(values | {"layerdrop": 0.2, "anything": "else"}) == PRESETS[preset]


@given(config=configs)
def test_a_configuration_comes_back(config: ModelConfig) -> None:
    assert config_from_xglm(json.loads(json.dumps(xglm_config(config)))) == config


def test_transformers_reads_the_same_sizes_and_writes_them() -> None:
    from transformers import XGLMConfig

    config = ModelConfig(
        vocab_size=7, d_model=12, layers=5, heads=3, d_ffn=11, context=13, dropout=0.3, attention_dropout=0.4
    )
    theirs = XGLMConfig.from_dict(xglm_config(config, "float16"))
    found = (theirs.vocab_size, theirs.d_model, theirs.num_layers, theirs.attention_heads, theirs.ffn_dim)
    assert found == (7, 12, 5, 3, 11)
    assert (theirs.max_position_embeddings, theirs.dropout, theirs.attention_dropout) == (13, 0.3, 0.4)
    assert (theirs.scale_embedding, theirs.activation_function, theirs.pad_token_id) == (True, "gelu", 1)
    assert config_from_xglm(json.loads(theirs.to_json_string())) == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, 'model_type is "gpt2"'),
        ({"model_type": None}, "model_type is null"),
        ({"activation_function": "gelu_new"}, 'activation_function is "gelu_new", and InCoder\'s is "gelu"'),
        ({"activation_function": "relu"}, 'activation_function is "relu"'),
        ({"scale_embedding": False}, "scale_embedding is false, and InCoder's is true"),
        ({"add_cross_attention": True}, "add_cross_attention is true"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"ffn_dim": "large"}, 'ffn_dim is "large"'),
        ({"d_model": 100}, "d_model 100 must be an even multiple of heads 32"),
        ({"dropout": None}, "dropout is null"),
        ({"attention_dropout": 1.5}, "attention_dropout is 1.5"),
    ],
)
def test_a_configuration_that_is_no_incoder(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:
        config_from_xglm(SMALLER | change)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["vocab_size", "d_model", "num_layers", "attention_heads", "ffn_dim"])
def test_a_configuration_without_a_size(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key} is missing"):
        config_from_xglm({name: value for name, value in SMALLER.items() if name != key})


# --- the weights -------------------------------------------------------------------------------------------------


def test_names_of_weights() -> None:
    ours = ["embed_tokens.weight", "layers.0.fc1.bias", "layer_norm.weight"]
    theirs = [xglm_name(name) for name in ours]
    assert theirs[1] == "model.layers.0.fc1.bias"
    expected = dict(zip(ours, theirs, strict=True))
    assert our_names(theirs) == expected
    assert our_names([*theirs, "lm_head.weight", "model.embed_positions.weights"]) == expected
    assert our_names(["lm_head.weight", *theirs[1:]]) == expected | {"embed_tokens.weight": "lm_head.weight"}
    assert "lm_head.bias" in our_names(["lm_head.bias"]).values()  # whoever checks the names will see it


# --- the tokenizer -----------------------------------------------------------------------------------------------


def test_a_tokenizer_in_the_released_layout(released_tokenizer: str) -> None:
    ours, theirs = tokenizer_from_xglm(released_tokenizer), tokenizers.Tokenizer.from_str(released_tokenizer)
    assert ours.vocab_size == 50518
    assert (ours.sentinels.first, ours.sentinels.count, ours.sentinels.end) == (50261, 256, 50517)
    names = [name for name, _ in sorted(theirs.get_vocab().items(), key=lambda item: item[1])]
    symbols = byte_symbols()
    assert [tuple(map(symbols.index, name)) for name in names[7:263]] == [(i,) for i in range(256)]
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids == theirs.encode(text).ids[1:]
        assert theirs.encode(text).ids[0] == 2
        assert ours.decode(theirs.encode(text).ids) == text
    assert theirs.encode("<|mask:0|>").ids == [2, 50261]
    assert max(ours.encode("<|mask:0|> <|endofmask|> <pad>")) < 50261


def test_the_released_vocabulary(released_layout: Callable[[dict[str, int], list[tuple[str, str]]], str]) -> None:
    if not VOCABULARY.is_dir():
        pytest.skip(f"InCoder's vocabulary is not at {VOCABULARY}")
    texts = [gzip.decompress((VOCABULARY / name).read_bytes()).decode() for name in ("vocab.json.gz", "merges.txt.gz")]
    vocabulary, merges = json.loads(texts[0]), read_merges(texts[1])
    ours = tokenizer_from_xglm(released_layout(vocabulary, merges))
    assert ours.encode("import numpy as np") == [4053]
    assert ours.to_json() == assemble_released(vocabulary, merges).to_json()


def test_merges_as_older_versions_wrote_them(released_tokenizer: str) -> None:
    values = json.loads(released_tokenizer)
    values["model"]["merges"] = [" ".join(pair) for pair in values["model"]["merges"]]
    assert tokenizer_from_xglm(json.dumps(values)).to_json() == tokenizer_from_xglm(released_tokenizer).to_json()


@pytest.mark.parametrize("sentinels", [256, 3, 1])
def test_our_tokenizer_for_transformers_and_back(tmp_path: Path, sentinels: int) -> None:
    from transformers import AutoTokenizer

    ours = assemble(["in", "=Ġ"], [("i", "n"), ("=", "Ġ")], sentinels)
    (tmp_path / "tokenizer.json").write_text(xglm_tokenizer(ours), encoding="utf-8")
    values = xglm_tokenizer_config(ModelConfig(vocab_size=ours.vocab_size, context=99))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(values), encoding="utf-8")
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert (len(theirs), theirs.model_max_length, theirs.padding_side) == (ours.vocab_size, 99, "left")
    assert (theirs.bos_token_id, theirs.pad_token_id) == (2, 1)
    for text in TEXTS:
        ids = theirs(text)["input_ids"]
        assert ids == [2, *ours.encode(text)]
        assert theirs.decode(ids, skip_special_tokens=True) == text
    assert theirs("in<|mask:0|>")["input_ids"] == [2, 263, ours.sentinels[0]]
    assert theirs.decode(theirs("from .")["input_ids"], skip_special_tokens=True) == "from ."
    assert tokenizer_from_xglm(xglm_tokenizer(ours)).to_json() == ours.to_json()


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        values["added_tokens"] = [token for token in values["added_tokens"] if token["content"] != name]

    return change


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        vocabulary = values["model"]["vocab"]
        vocabulary[new] = vocabulary.pop(old)

    return change


def another(part: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.update({part: json.loads(value.__getstate__())})


def turn_merges_round(values: dict[str, Any]) -> None:
    values["model"]["merges"].reverse()


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
UNLIKE = {
    "a sentinel missing": (without("<|mask:3|>"), "it has no <|mask:3|> at id 268"),
    "the first sentinel missing": (without("<|mask:0|>"), "it has no <|mask:0|>"),
    "no end of mask": (without("<|endofmask|>"), "it has no <|endofmask|>"),
    "another beginning": (renamed("<s>", "<bos>"), "it has no <s> at id 0"),
    "another byte": (renamed("!", "!?!"), "it has no ! at id 7"),
    "the words of GPT-2": (another("pre_tokenizer", GPT2), "cuts text into other tokens"),
    "a normaliser": (another("normalizer", normalizers.NFKC()), "cuts text into other tokens"),
    "merges in another order": (turn_merges_round, "cuts text into other tokens"),
}


@pytest.mark.parametrize("difference", UNLIKE)
def test_a_tokenizer_unlike_incoders(difference: str) -> None:
    change, said = UNLIKE[difference]
    values = json.loads(xglm_tokenizer(assemble(["yĠ", "yĠa"], [("y", "Ġ"), ("yĠ", "a")], sentinels=5)))
    values["added_tokens"] = [token for token in values["added_tokens"] if token["content"] not in ("<s>", "<pad>")]
    assert tokenizer_from_xglm(json.dumps(values)).sentinels.count == 5
    change(values)
    with pytest.raises(TokenizerError) as error:
        tokenizer_from_xglm(json.dumps(values))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{}", "null", '{"version": "1.0"}'])
def test_a_file_that_is_no_tokenizer(text: str) -> None:
    with pytest.raises(TokenizerError, match="the tokenizer file cannot be read"):
        tokenizer_from_xglm(text)
