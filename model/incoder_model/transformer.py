"""The network (paper section 4; the dense models of Artetxe et al. 2021): a pre-norm decoder with sinusoidal positions.

Token ids (batch, time) come in, hidden states (batch, time, d_model) go out, and `logits` turns those that are needed into
scores over the vocabulary. Parameter names are those of Hugging Face's XGLM, which has the same architecture.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from incoder_model.config import ModelConfig
from incoder_model.cpu_attention import causal_attention

POSITION_OFFSET = 2  # the n-th token has row n + 2 of the table: fairseq counts on from the padding id, which is 1


def position_table(rows: int, d_model: int) -> Tensor:
    """(rows, d_model): row p is [sin(p f_j) for all j | cos(p f_j) for all j], f_j = 10000 ** (-j / (d_model/2 - 1))."""
    half = d_model // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(10000.0) / (half - 1)))
    angles = torch.arange(rows, dtype=torch.float32)[:, None] * frequencies  # (rows, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def segment_places(segments: Tensor) -> Tensor:
    """(batch, time) segment numbers to (batch, time): each token's place in its segment, from 0."""
    index = torch.arange(segments.shape[1], device=segments.device).expand(segments.shape)
    begins = segments != segments.roll(1, dims=1)
    begins[:, 0] = True
    return index - (index * begins).cummax(dim=1).values


def segment_mask(segments: Tensor) -> Tensor:
    """(batch, time) segment numbers to (batch, 1, time, time): what each token sees, which is its segment up to itself.

    It takes batch * time * time bytes (8 rows of 2,048: 32 MiB), once for all layers. Attention by flash kernels takes no such
    mask; the memory-efficient ones do.
    """
    return (segments[:, None, :, None] == segments[:, None, None, :]).tril()


class Cache(Protocol):
    """Keys and values of tokens that were read, for those that follow them."""

    @property
    def length(self) -> int:
        """Tokens in the longest row."""
        ...

    def places(self, time: int) -> slice | Tensor:
        """The places of `time` new tokens, counted from 0: the same for all rows, or (batch, time)."""
        ...

    def mask(self, time: int) -> Tensor | None:
        """What they see, to be broadcast to (batch, heads, time, length + time). None: all up to themselves."""
        ...

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write (batch, heads, time, head_dim) after what is held; return all up to there."""
        ...

    def advance(self, time: int) -> None:
        """Every layer has been extended by `time` tokens."""
        ...


class KVCache:
    """The keys and values of the first `length` tokens of each row, in buffers of fixed size. See `Cache`.

    keys, values: (layers, batch, heads, capacity, head_dim). To forget the last tokens, lower `length`.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        capacity: int | None = None,  # None: the whole context
    ):
        shape = (config.layers, batch, config.heads, capacity or config.context, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0

    def places(self, time: int) -> slice:
        return slice(self.length, self.length + time)

    def mask(self, time: int) -> Tensor | None:
        if not self.length or time == 1:
            return None
        end = self.length + time
        return torch.ones(time, end, dtype=torch.bool, device=self.keys.device).tril(self.length)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, time: int) -> None:
        self.length += time


class SelfAttention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        d = config.d_model
        self.heads, self.head_dim = config.heads, config.head_dim
        self.dropout = config.attention_dropout
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        batch, time, d_model = x.shape
        q, k, v = (
            projection(x).view(batch, time, self.heads, self.head_dim).transpose(1, 2)  # (batch, heads, time, head_dim)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        dropout = self.dropout if self.training else 0.0
        if mask is None and k.shape[2] == time:
            x = causal_attention(q, k, v, dropout)
        else:
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out_proj(x.transpose(1, 2).reshape(batch, time, d_model))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.self_attn = SelfAttention(config)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.d_ffn)
        self.fc2 = nn.Linear(config.d_ffn, config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), mask, cache, layer))
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))  # GELU in its exact, erf form


class Transformer(nn.Module):
    positions: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.embed_scale = math.sqrt(config.d_model)  # on the way in only: the tied head uses the bare embedding
        self.rebuild_positions()
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def rebuild_positions(self, device: torch.device | None = None) -> None:
        """Compute the position table, which no file holds. A model made on the meta device needs it once it has weights."""
        table = position_table(self.config.context + POSITION_OFFSET, self.config.d_model)
        self.register_buffer("positions", table.to(device), persistent=False)

    def forward(self, tokens: Tensor, cache: Cache | None = None, segments: Tensor | None = None) -> Tensor:
        """(batch, time) ids to (batch, time, d_model) hidden states; with a cache, `tokens` follow what it holds.

        segments: (batch, time), rising along a row. Each segment is read as if it stood alone: positions begin anew in it,
        and attention stays within it. Not together with a cache.
        """
        time = tokens.shape[1]
        end = time + (cache.length if cache is not None else 0)
        if end > self.config.context:
            raise ValueError(f"{end} tokens do not fit in a context of {self.config.context}")
        if segments is not None and cache is not None:
            raise ValueError("segments are for training: a cache holds one text in each row")
        if segments is not None:
            places, mask = segment_places(segments), segment_mask(segments)
        elif cache is not None:
            places, mask = cache.places(time), cache.mask(time)
        else:
            places, mask = slice(0, time), None
        positions = self.positions[POSITION_OFFSET:][places]  # (time, d_model) or (batch, time, d_model)
        embedded = self.embed_tokens(tokens)
        x = embedded * self.embed_scale + positions  # in float32, whatever the embedding's type
        x = self.dropout(x.to(embedded.dtype))
        for layer, block in enumerate(self.layers):
            x = block(x, mask, cache, layer)
        if cache is not None:
            cache.advance(time)
        return self.layer_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., d_model) to (..., vocab_size)."""
        return F.linear(hidden, self.embed_tokens.weight)


def initialise(model: Transformer) -> Transformer:
    """Fresh weights, from torch's random state."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(initial_weight(name, parameter.shape, model.config))
    return model


def initial_weight(
    name: str, shape: torch.Size, config: ModelConfig, generator: torch.Generator | None = None
) -> Tensor:
    """One fresh parameter by fairseq's rules, in float32 on the CPU: embeddings N(0, 1/d_model), attention Xavier-uniform, its
    q, k, v with gain 1/sqrt(2); the rest as torch does it (spec of fairseq's public code; InCoder's own is not known)."""
    weight = torch.empty(shape)
    if name == "embed_tokens.weight":
        nn.init.normal_(weight, std=config.d_model**-0.5, generator=generator)
        weight[1].zero_()  # the padding row
    elif "layer_norm" in name:
        nn.init.constant_(weight, float(name.endswith("weight")))
    elif name.endswith("out_proj.bias"):
        nn.init.zeros_(weight)
    elif name.endswith("_proj.weight"):
        gain = 1.0 if "out_proj" in name else 2**-0.5
        nn.init.xavier_uniform_(weight, gain=gain, generator=generator)
    else:
        bound = (config.d_ffn if "fc2" in name else config.d_model) ** -0.5
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    return weight
