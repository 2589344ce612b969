"""One set of weights in the forms that each engine reads: our model directory, GGUF for llama.cpp, CTranslate2's folder.

A size comes in by its name, or a model directory by its path; `Weights` hands out paths, each form made once, when somebody
asks for it. transformers reads our directory itself (`contenders`). Weights of a size are random: speed does not depend on
them. Their tokenizer is learned from Python's standard library, so that text costs as many tokens as a real one makes of it.
"""

from __future__ import annotations

import dataclasses
import sysconfig
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from incoder_model.checkpoint import load_transformer, save_model
from incoder_model.config import PRESETS, ModelConfig

if TYPE_CHECKING:
    from incoder_model.tokenizer import Tokenizer
    from incoder_model.transformer import Transformer

Quantisation = Literal["f16", "q8_0", "q4_0"]
Form = Literal["directory", "ctranslate2"] | Quantisation


def _size(d_model: int, layers: int) -> ModelConfig:
    return ModelConfig(vocab_size=32_768, d_model=d_model, layers=layers, heads=d_model // 64, d_ffn=4 * d_model)


# By their real parameter counts; the sizes that the goals are stated for.
SIZES = {"42m": _size(512, 8), "70m": _size(640, 10), "110m": _size(768, 12)}
NAMES = [*SIZES, *(name for name in PRESETS if name.startswith("small-"))]
# Attention that looks somewhere and layers that weigh something: a wrong position or a lost layer then shows in the scores.
GAINS = {"q_proj.weight": 3, "k_proj.weight": 3, "fc2.weight": 3}
SAMPLE_BYTES = 12_000_000


class Weights:
    """`name` is a size or a model directory; `folder` is where what is made of it goes, and stays."""

    def __init__(self, name: str, folder: Path):
        self.name = name if name in NAMES else Path(name).name
        self._folder = folder / self.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self.directory = self._random(name) if name in NAMES else Path(name)

    def form(self, kind: Form) -> Path:
        """The model directory, CTranslate2's folder (in float32; the engine makes int8 of it when it loads), or a GGUF file."""
        if kind == "directory":
            return self.directory
        path = self._folder / kind
        if not path.exists():
            unfinished = path.with_name(f".{kind}.unfinished")
            write = write_ctranslate2 if kind == "ctranslate2" else partial(write_gguf, quantisation=kind)
            write(self.directory, unfinished)
            unfinished.rename(path)
        return path

    def _random(self, name: str) -> Path:
        import torch

        from incoder_model.transformer import Transformer, initialise

        directory = self._folder / "model"
        if directory.exists():
            return directory
        config = dataclasses.replace(SIZES.get(name) or PRESETS[name], region=True)  # as our trained models are asked
        torch.manual_seed(0)
        model = initialise(Transformer(config))
        with torch.no_grad():
            for parameter, weight in model.named_parameters():
                weight.mul_(next((gain for ending, gain in GAINS.items() if parameter.endswith(ending)), 1))
        save_model(directory, model, _tokenizer(config.vocab_size, self._folder), dtype=torch.int8, graph=True)
        return directory


def _tokenizer(vocab_size: int, folder: Path) -> Tokenizer:
    from incoder_model.tokenizer import load_tokenizer
    from incoder_train.tokens.sampling import measure, plan_sample
    from incoder_train.tokens.vocabulary import train_tokenizer

    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(file for file in library.rglob("*.py") if "site-packages" not in file.parts)
    documents = [("python", file.read_text(encoding="utf-8", errors="replace")) for file in files]
    made = folder / "tokenizer.json"
    plan = plan_sample(measure(documents), sample_bytes=SAMPLE_BYTES)
    train_tokenizer(documents, plan, vocab_size=vocab_size, out=made)
    return load_tokenizer(made)


def _opened(directory: Path) -> tuple[Transformer, Tokenizer, dict[str, np.ndarray]]:
    model, tokenizer = load_transformer(directory)
    return model, tokenizer, {name: weight.numpy() for name, weight in model.state_dict().items()}


def write_ctranslate2(directory: Path, out: Path) -> None:
    """CTranslate2's own model of a decoder, filled by hand: it has no loader for XGLM. Tokens are called by their ids."""
    from ctranslate2.specs import common_spec, transformer_spec

    from incoder_model.transformer import POSITION_OFFSET

    model, _, weights = _opened(directory)
    config = model.config
    spec: Any = transformer_spec.TransformerDecoderModelSpec.from_config(
        config.layers, config.heads, pre_norm=True, activation=common_spec.Activation.GELU
    )
    decoder: Any = spec.decoder

    def norm(layer: Any, name: str) -> None:
        layer.gamma, layer.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def linear(layer: Any, *names: str) -> None:
        layer.weight = np.concatenate([weights[f"{name}.weight"] for name in names])
        layer.bias = np.concatenate([weights[f"{name}.bias"] for name in names])

    decoder.scale_embeddings = True
    decoder.embeddings.weight = weights["embed_tokens.weight"]
    decoder.projection.weight = weights["embed_tokens.weight"].copy()
    decoder.position_encodings.encodings = model.positions[POSITION_OFFSET:][: config.context].numpy()
    norm(decoder.layer_norm, "layer_norm")
    for i, layer in enumerate(decoder.layer):
        ours = f"layers.{i}"
        norm(layer.self_attention.layer_norm, f"{ours}.self_attn_layer_norm")
        linear(layer.self_attention.linear[0], *(f"{ours}.self_attn.{part}_proj" for part in "qkv"))
        linear(layer.self_attention.linear[1], f"{ours}.self_attn.out_proj")
        norm(layer.ffn.layer_norm, f"{ours}.final_layer_norm")
        linear(layer.ffn.linear_0, f"{ours}.fc1")
        linear(layer.ffn.linear_1, f"{ours}.fc2")
    spec.register_vocabulary([str(i) for i in range(config.vocab_size)])
    spec.config.bos_token = spec.config.eos_token = "2"
    spec.config.unk_token = "3"
    spec.validate()
    spec.optimize(quantization=None)
    out.mkdir(exist_ok=True)
    spec.save(str(out))


def write_gguf(directory: Path, out: Path, quantisation: Quantisation) -> None:
    """What `incoder convert --to gguf` writes, but as good as llama.cpp can have it: it has q4_0, too; the embedding is the head
    again, with its scale taken back by the last norm; and /infill has its sentinels, whatever the model was trained on."""
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    from gguf.quants import quantize

    from incoder_model.transformer import POSITION_OFFSET
    from incoder_train.gguf_layout import describe, layout

    model, tokenizer, weights = _opened(directory)
    config = model.config
    kind = GGMLQuantizationType[quantisation.upper()]
    parts = layout(config, kind)
    del parts["output.weight"]
    writer = GGUFWriter(out, "gpt2")
    answering = dataclasses.replace(config, region=False)
    describe(writer, answering, tokenizer, name=directory.name, file_type=LlamaFileType[f"MOSTLY_{kind.name}"])
    for name, part in parts.items():
        if part.sources:
            values = np.concatenate([weights[source] for source in part.sources]) * np.float32(part.factor)
        else:
            values = model.positions[POSITION_OFFSET:][: config.context].numpy()
        if name.startswith("output_norm"):
            values = values / np.float32(parts["token_embd.weight"].factor)
        writer.add_tensor(name, quantize(np.ascontiguousarray(values), part.type), raw_dtype=part.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
