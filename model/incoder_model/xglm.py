"""The same model as Hugging Face's transformers keep it: XGLMForCausalLM, the layout in which InCoder's weights were released.

Three things differ from a model directory of ours, and each is turned here, both ways: what the sizes are called, a prefix in
front of the weights' names, and a tokenizer that by itself puts `<|endoftext|>` in front of every text. Values come in and go
out; no file is touched, and transformers is not needed. What cannot be turned is a ValueError with one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import tokenizers
from tokenizers import processors

from incoder_model.causal_mask import END_OF_MASK, sentinel_name
from incoder_model.config import ModelConfig
from incoder_model.tokenizer import (
    BOS,
    CONTROL,
    DELIMITER_MERGES,
    DELIMITERS,
    PAD,
    Tokenizer,
    TokenizerError,
    assemble,
    byte_symbols,
)

# --- the configuration -------------------------------------------------------------------------------------------

SIZES = {
    "vocab_size": "vocab_size",
    "d_model": "d_model",
    "layers": "num_layers",
    "heads": "attention_heads",
    "d_ffn": "ffn_dim",
    "context": "max_position_embeddings",
}
DROPOUTS = {"dropout": 0.1, "attention_dropout": 0.1}  # called the same in both; XGLM's values where a file has none
# What XGLM can be, and InCoder is not: the value that it must have, or lack.
FIXED = {"activation_function": "gelu", "scale_embedding": True, "add_cross_attention": False}
# What the 6.7B's file says, one more than the tokens it was trained with; the 1.3B's says 2048.
RELEASED_POSITIONS, RELEASED_CONTEXT = 2049, 2048


def config_from_xglm(values: Mapping[str, Any]) -> ModelConfig:
    """`values` of a `config.json`. Raises ValueError for what is no InCoder, naming the key."""
    if values.get("model_type") != "xglm":
        raise ValueError(
            f'model_type is {json.dumps(values.get("model_type"))}, which is not the released InCoder\'s "xglm"'
        )
    for key, value in FIXED.items():
        if values.get(key, value) != value:
            raise ValueError(f"{key} is {json.dumps(values[key])}, and InCoder's is {json.dumps(value)}")
    for key in SIZES.values():
        if key not in values:
            raise ValueError(f"{key} is missing")
        if not isinstance(values[key], int) or values[key] < 1:
            raise ValueError(f"{key} is {json.dumps(values[key])}; it must be a whole number of at least 1")
    sizes = {ours: values[theirs] for ours, theirs in SIZES.items()}
    if sizes["context"] == RELEASED_POSITIONS:
        sizes["context"] = RELEASED_CONTEXT
    dropouts = {key: values.get(key, value) for key, value in DROPOUTS.items()}
    for key, value in dropouts.items():
        if not isinstance(value, (int, float)):
            raise ValueError(f"{key} is {json.dumps(value)}; it must be a number")
    return ModelConfig(**sizes, **dropouts)


def xglm_config(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """The values of a `config.json`; `dtype` is torch's name for the type of the stored weights."""
    return {
        "architectures": ["XGLMForCausalLM"],
        "model_type": "xglm",
        "torch_dtype": dtype,
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
        **{key: getattr(config, key) for key in DROPOUTS},
        **FIXED,
        "activation_dropout": 0.0,
        "layerdrop": 0.0,
        "init_std": 0.02,
        "use_cache": True,
        "bos_token_id": 0,  # these as in the released files, although every sequence begins with 2
        "pad_token_id": PAD,
        "eos_token_id": BOS,
        "decoder_start_token_id": BOS,
    }


# --- the weights -------------------------------------------------------------------------------------------------

PREFIX, EMBEDDING, HEAD = "model.", "embed_tokens.weight", "lm_head.weight"
# The head is the embedding again, and positions are computed; older versions of transformers stored both.
COMPUTED = {HEAD, "model.embed_positions.weights"}


def xglm_name(name: str) -> str:
    return PREFIX + name


def our_names(theirs: Iterable[str]) -> dict[str, str]:
    """Our names of the weights that a file calls `theirs`, each with theirs. The tied embedding may be there as the head alone."""
    found = set(theirs)
    names = {name.removeprefix(PREFIX): name for name in sorted(found - COMPUTED)}
    if EMBEDDING not in names and HEAD in found:
        names[EMBEDDING] = HEAD
    return names


# --- the tokenizer -----------------------------------------------------------------------------------------------

# Text on which a tokenizer that splits, normalises or merges in another way gives itself away.
PROBE = "import numpy as np\r\n\n\n\tdef f(a_b, 12345):  # it's  naïve e\u0301 ﬁ Ａ 😀\n        return f'{x!r}' <|/ file |>\n \n"


def tokenizer_from_xglm(text: str) -> Tokenizer:
    """Ours of the same ids from a released `tokenizer.json`. Raises TokenizerError when it is no InCoder tokenizer."""
    try:
        theirs = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the Rust side raises bare Exception
        raise TokenizerError(f"the tokenizer file cannot be read ({error})") from None
    ids = theirs.get_vocab()
    names = [name for name, _ in sorted(ids.items(), key=lambda item: item[1])]
    fixed = [*CONTROL, *DELIMITERS, *byte_symbols()]
    for name in (sentinel_name(0), END_OF_MASK):
        if name not in ids:
            raise TokenizerError(f"it has no {name}")
    first, end = ids[sentinel_name(0)], ids[END_OF_MASK]
    expected = dict(enumerate(fixed)) | {first + k: sentinel_name(k) for k in range(end - first)} | {end: END_OF_MASK}
    for i, name in expected.items():
        if ids.get(name) != i:
            raise TokenizerError(f"it has no {name} at id {i}")
    if [ids[name] for name in names] != list(range(end + 1)):
        raise TokenizerError(f"its ids are not those from 0 to {end}, with {END_OF_MASK} last")
    merges = [(left, right) for left, right in json.loads(theirs.to_str())["model"].get("merges", [])]
    ours = assemble(names[len(fixed) : first], merges, end - first)
    same_pieces = ours.encode(PROBE) == theirs.encode(PROBE, add_special_tokens=False).ids
    if not same_pieces or tuple(merges[: len(DELIMITER_MERGES)]) != DELIMITER_MERGES:
        raise TokenizerError("it cuts text into other tokens than InCoder's line-mode byte-level BPE")
    return ours


def xglm_tokenizer(tokenizer: Tokenizer) -> str:
    """The `tokenizer.json` for transformers: as ours, but it puts `<|endoftext|>` in front of each text."""
    inner = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    bos = CONTROL[BOS]
    inner.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, BOS)]
    )
    return inner.to_str(pretty=False)


def xglm_tokenizer_config(config: ModelConfig) -> dict[str, Any]:
    """The values of a `tokenizer_config.json`. Decoding with clean-up would turn `from .` into `from.`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.context,
        "bos_token": CONTROL[BOS],
        "pad_token": CONTROL[PAD],
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    }
