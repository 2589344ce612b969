"""The arithmetic of a training run: a model's shape goes in; FLOPs, tokens and rates come out, all exact. No torch here.

FLOPs are counted three ways, because papers do, and the same run looks a third faster by one than by another:

    6ND               six for each parameter and token: a multiplication and an addition, once forwards, twice backwards
    with attention    and 12 x layers x d_model x context for each token, the products of queries, keys and values;
                      the half that the causal mask hides is counted, as everyone does (this is what MFU counts)
    with recompute    a third more when the backward pass computes every activation again (this is what the paper's
                      Table 7 gives: 3.0 ZFLOP for InCoder-6.7B)

What HFU counts is what a GPU here really does: the last, less the head, which is never computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from incoder_model.config import ModelConfig

Recompute = Literal["none", "selective", "full"]  # the choices of a recipe's [machine] recompute
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Flops:
    """Of one token, or of a whole run."""

    six_nd: float
    with_attention: float
    with_recompute: float  # equals with_attention when nothing is recomputed

    def __mul__(self, tokens: float) -> Flops:
        return Flops(self.six_nd * tokens, self.with_attention * tokens, self.with_recompute * tokens)


def flops_of_token(config: ModelConfig, context: int, recompute: Recompute) -> Flops:
    """Of training on one token in rows of `context` tokens, forwards and backwards; the tied head counts as parameters."""
    six_nd = 6 * config.parameters
    with_attention = six_nd + 12 * config.layers * config.d_model * context
    # All of the forward pass; or only the product that makes the feed-forward's wide middle, since the others' are kept.
    again = {"none": 0, "selective": 2 * config.layers * config.d_model * config.d_ffn, "full": with_attention / 3}
    return Flops(six_nd, with_attention, with_attention + again[recompute])


def flops_per_token(config: ModelConfig, context: int, recompute: Recompute) -> tuple[float, float]:
    """Model FLOPs and hardware FLOPs of one token: divided by the peak and by the time, MFU and HFU."""
    flops = flops_of_token(config, context, recompute)
    head = 2 * config.vocab_size * config.d_model if recompute == "full" else 0
    return flops.with_attention, flops.with_recompute - head


def rate(tokens: float, gpus: int, days: float) -> float:
    """Tokens a second on each GPU, when `tokens` take `days` on all of them."""
    return tokens / (gpus * days * SECONDS_A_DAY)
