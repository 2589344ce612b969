"""The sizes of a model: what must be known to build it, and the named sizes that exist."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelConfig:
    """The shape of one decoder-only transformer (paper section 4 and Table 8). Raises ValueError for a shape that cannot be."""

    vocab_size: int = 50518  # not rounded up: the released models have exactly these rows
    d_model: int = 2048
    layers: int = 24
    heads: int = 32
    d_ffn: int = 8192
    context: int = 2048  # tokens
    dropout: float = 0.0  # on the embedding sum and on each residual branch
    attention_dropout: float = 0.0
    region: bool = (
        False  # a prompt has the right side first, and the left side in the span: what this model was trained on
    )

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "layers", "heads", "d_ffn", "context"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1")
        if self.d_model % (2 * self.heads) or self.d_model < 4:  # positions take two sines and two cosines at least
            raise ValueError(f"d_model {self.d_model} must be an even multiple of heads {self.heads}, and at least 4")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must lie in [0, 1)")

    @property
    def head_dim(self) -> int:
        return self.d_model // self.heads

    @property
    def parameters(self) -> int:
        """How many parameters a model of this shape has; the tied head counts once."""
        attention = 4 * (self.d_model * self.d_model + self.d_model)
        ffn = 2 * self.d_model * self.d_ffn + self.d_ffn + self.d_model
        layer_norm = 2 * self.d_model
        return self.vocab_size * self.d_model + self.layers * (attention + ffn + 2 * layer_norm) + layer_norm

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelConfig:
        """Raises ValueError for an unknown key, naming the nearest known one."""
        known = [field.name for field in dataclasses.fields(ModelConfig)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise ValueError(f"unknown model setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return ModelConfig(**values)


PRESETS = {
    "incoder-6.7b": ModelConfig(d_model=4096, layers=32, heads=32, d_ffn=16384, attention_dropout=0.1),
    "incoder-1.3b": ModelConfig(d_model=2048, layers=24, heads=32, d_ffn=8192, dropout=0.1, attention_dropout=0.1),
    # Our own, for CPUs: heads of 64, a feed-forward four times as wide, a vocabulary that does not outweigh the layers.
    "small-60m": ModelConfig(vocab_size=16384, d_model=640, layers=10, heads=10, d_ffn=2560),
    "small-30m": ModelConfig(vocab_size=16384, d_model=448, layers=9, heads=7, d_ffn=1792),
    "small-8m": ModelConfig(vocab_size=8192, d_model=256, layers=8, heads=4, d_ffn=1024),
    "small-4m": ModelConfig(vocab_size=8192, d_model=192, layers=6, heads=3, d_ffn=768),
    "small-2m": ModelConfig(vocab_size=8192, d_model=128, layers=5, heads=2, d_ffn=512),
    "tiny": ModelConfig(vocab_size=8192, d_model=64, layers=2, heads=2, d_ffn=256, context=256),
}
