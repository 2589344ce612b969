"""A model directory becomes a GGUF file, which llama.cpp and what is built on it open: InCoder is their `gpt2`, with the sinusoids
as its table of positions, the scale of the embedding multiplied in, and an output head of its own.

    what InCoder has                            the file's tensor
    embedding times sqrt(d_model)               token_embd.weight
    sinusoids, from row 2 on                    position_embd.weight
    q_proj, k_proj, v_proj, one below another   blk.N.attn_qkv
    embedding                                   output.weight

llama.cpp computes the GELU in its tanh form, from a table in half precision: with weights in fp32 log-probabilities of the
bundled model differ by up to 0.005.

Tensors go from file to file one at a time. The file appears under its name when all of it is written.
"""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.constants import GGML_QUANT_SIZES, GGML_QUANT_VERSION, Keys
from gguf.quants import quantize
from safetensors import safe_open

from incoder_model.checkpoint import WEIGHTS, ModelDirectoryError, as_network
from incoder_model.config import ModelConfig
from incoder_model.quantise import SCALE
from incoder_model.tokenizer import BOS, PAD, Tokenizer
from incoder_model.transformer import POSITION_OFFSET, position_table
from incoder_train.convert import Progress, check_weights, open_directory
from incoder_train.errors import UserError
from incoder_train.gguf_vocabulary import CLOSES, NOTE, OPENS, PRE, UNK, vocabulary_of
from incoder_train.weight_files import Stored

F32 = GGMLQuantizationType.F32
TYPES = {  # of matrices; vectors and positions are few, and stay in fp32
    "fp32": (F32, LlamaFileType.ALL_F32),
    "fp16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
EPSILON = 1e-5  # of torch's layer norms


@dataclass(frozen=True)
class Part:
    """A tensor of the file: the `sources` one below another, times `factor`. Without any it is the table of positions."""

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    factor: float = 1.0


def convert_to_gguf(
    source: Path, out: Path, dtype: str = "fp16", progress: Progress = lambda done, total: None
) -> ModelConfig:
    """Write the model directory `source` as the file `out`, whole or not at all. `dtype` is a key of TYPES. Raises UserError."""
    if out.exists():
        raise UserError(f"{out} is there already; remove it, or name another file to write")
    config, tokenizer = open_directory(source)
    matrices, file_type = TYPES[dtype]
    block = GGML_QUANT_SIZES[matrices][0]
    for name in ("d_model", "d_ffn"):
        if getattr(config, name) % block:
            raise UserError(
                f"{dtype} takes {block} weights of a row at a time, and {name} is {getattr(config, name)}; say --dtype fp16"
            )
    names = _find_weights(source, config)
    parts = layout(config, matrices)
    unfinished = out.with_name(f".{out.name}.unfinished")
    writer = GGUFWriter(None, "gpt2")
    describe(writer, config, tokenizer, name=source.resolve().name, file_type=file_type)
    sizes = {name: _bytes(part) for name, part in parts.items()}
    for name, part in parts.items():
        writer.add_tensor_info(name, part.shape, np.dtype(np.float32), sizes[name], part.type)
    try:
        with ExitStack() as stack:
            stack.callback(unfinished.unlink, missing_ok=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            stack.callback(writer.close)
            writer.write_header_to_file(unfinished)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            done = 0
            for name, part in parts.items():
                writer.write_tensor_data(_encoded(_values(source, names, part, config), part, name))
                done += sizes[name]
                progress(done, sum(sizes.values()))
            writer.close()
            with unfinished.open("rb+") as written:
                os.fsync(written.fileno())
            unfinished.rename(out)
    except OSError as error:
        raise UserError(f"{out} could not be written: {error.strerror or error}") from None
    return config


def layout(config: ModelConfig, matrices: GGMLQuantizationType) -> dict[str, Part]:
    """The tensors of the file, by name, in their order there."""
    d, f, v = config.d_model, config.d_ffn, config.vocab_size

    def affine(name: str, source: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, Part]:
        kind = matrices if len(shape) == 2 else F32
        weight = Part(tuple(f"{one}.weight" for one in source), shape, kind)
        return {f"{name}.weight": weight, f"{name}.bias": Part(tuple(f"{one}.bias" for one in source), shape[:1], F32)}

    parts = {
        "token_embd.weight": Part(("embed_tokens.weight",), (v, d), matrices, math.sqrt(d)),
        "position_embd.weight": Part((), (config.context, d), F32),
    }
    for n in range(config.layers):
        ours, theirs = f"layers.{n}", f"blk.{n}"
        qkv = tuple(f"{ours}.self_attn.{x}_proj" for x in "qkv")
        parts |= affine(f"{theirs}.attn_norm", (f"{ours}.self_attn_layer_norm",), (d,))
        parts |= affine(f"{theirs}.attn_qkv", qkv, (3 * d, d))
        parts |= affine(f"{theirs}.attn_output", (f"{ours}.self_attn.out_proj",), (d, d))
        parts |= affine(f"{theirs}.ffn_norm", (f"{ours}.final_layer_norm",), (d,))
        parts |= affine(f"{theirs}.ffn_up", (f"{ours}.fc1",), (f, d))
        parts |= affine(f"{theirs}.ffn_down", (f"{ours}.fc2",), (d, f))
    parts |= affine("output_norm", ("layer_norm",), (d,))
    return {**parts, "output.weight": Part(("embed_tokens.weight",), (v, d), matrices)}


def prompt(config: ModelConfig) -> str:
    """The prompt of llama.cpp's `/completion` that asks for what stands between LEFT and RIGHT, in the order that this model
    was trained on. llama.cpp reads the names of tokens in it as these tokens; so it does in LEFT and RIGHT."""
    if config.region:
        return "<|endoftext|><|mask:0|>RIGHT<|mask:1|><|mask:0|>LEFT"
    return "<|endoftext|>LEFT<|mask:0|>RIGHT<|mask:1|><|mask:0|>"


def describe(
    writer: GGUFWriter, config: ModelConfig, tokenizer: Tokenizer, *, name: str, file_type: LlamaFileType
) -> None:
    """The file's metadata."""
    writer.add_name(name)
    writer.add_description("InCoder: fills holes in code")
    writer.add_file_type(file_type)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ffn)
    writer.add_block_count(config.layers)
    writer.add_head_count(config.heads)
    writer.add_layer_norm_eps(EPSILON)
    vocabulary = vocabulary_of(tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(vocabulary.texts)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_unk_token_id(UNK)
    writer.add_pad_token_id(PAD)
    writer.add_bos_token_id(BOS)
    writer.add_add_bos_token(False)  # the prompts begin with it themselves
    for key, token in special_tokens(config, tokenizer).items():
        writer.add_uint32(key, token)
    writer.add_bool("incoder.region", config.region)
    writer.add_string("incoder.prompt", prompt(config))
    writer.add_string("incoder.tokenizer", NOTE)


def special_tokens(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, int]:
    """What ends an answer, and what llama.cpp's `/infill` builds its prompt of.

    It stops at every one of EOS, EOT, EOM and FIM_PAD; so all that end a span for us end it there, too.
    `/infill` makes PRE left SUF right MID (with --spm-infill: SUF right PRE left MID). With <|endoftext|> as PRE and <|mask:0|>
    as SUF and MID that is the prompt of the paper, short of its <|mask:1|>. To a model trained on regions no choice of the
    three says the same: it needs two sentinels between the sides and nothing after the left one, where MID always stands.
    Such a model gets none of them, and llama.cpp answers that it cannot infill, instead of with nothing.
    """
    keys, sentinels = Keys.Tokenizer, tokenizer.sentinels
    ids = {keys.EOS_ID: sentinels.end, keys.EOT_ID: sentinels.end, keys.EOM_ID: CLOSES, keys.FIM_PAD_ID: OPENS}
    if not config.region:
        ids |= {keys.FIM_PRE_ID: BOS, keys.FIM_SUF_ID: sentinels[0], keys.FIM_MID_ID: sentinels[0]}
    return ids


# --- reading the model directory ---------------------------------------------------------------------------------


def _find_weights(source: Path, config: ModelConfig) -> frozenset[str]:
    """The names of all tensors that are stored: the weights of `config`, and the scales of those in int8."""
    file = source / WEIGHTS
    try:
        with safe_open(file, "np") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 (it is no dict)
    except FileNotFoundError:
        raise UserError(f"{source} has no {WEIGHTS}; copy the whole model directory again") from None
    except Exception as error:  # safetensors raises its own kinds, and OSError
        raise UserError(f"{file} is damaged ({error}); copy the file again") from None
    weights = {
        name: Stored(file, name, shape, torch.float32) for name, shape in shapes.items() if not name.endswith(SCALE)
    }
    check_weights(weights, config, source)
    return frozenset(shapes)


def _read(source: Path, names: frozenset[str], name: str) -> torch.Tensor:
    """One weight in float32. The file is opened anew for each, so that pages that were read can be given back."""
    with safe_open(source / WEIGHTS, "pt") as opened:
        parts = {one: opened.get_tensor(one) for one in (name, name + SCALE) if one in names}
    try:
        return as_network(parts, source, torch.float32)[name]
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None


def _values(source: Path, names: frozenset[str], part: Part, config: ModelConfig) -> np.ndarray:
    if not part.sources:
        return position_table(config.context + POSITION_OFFSET, config.d_model)[POSITION_OFFSET:].numpy()
    return torch.cat([_read(source, names, one) for one in part.sources]).mul_(part.factor).numpy()


# --- numbers as they stand in the file ---------------------------------------------------------------------------


def _encoded(values: np.ndarray, part: Part, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        encoded = quantize(values, part.type)
    if not np.isfinite(values).all():
        raise UserError(f"{name} has a weight that is no finite number; take weights of an earlier checkpoint")
    if encoded.dtype == np.float16 and not np.isfinite(encoded).all():
        raise UserError(f"{name} has values beyond the range of fp16; say --dtype bf16")
    return encoded


def _bytes(part: Part) -> int:
    values, size = GGML_QUANT_SIZES[part.type]  # of a block
    return math.prod(part.shape) // values * size
