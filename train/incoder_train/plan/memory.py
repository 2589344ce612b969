"""Memory by formula: the shape of a model and how it is laid on its GPUs go in; bytes on one GPU come out.

Three moments of an update can be its peak, and the largest is reported:

    loss          the activations of all blocks are kept, and the logits of one piece of the rows exist
    last block    its backward pass has begun: nearly all activations are kept, and its gradients are whole
    first block   its backward pass: hardly any activations are left, but all sharded gradients are there

Sizes of activations are bytes for each token, d = d_model and f = d_ffn, counted from what autograd keeps of a block and
checked against traces (`incoder plan --trace`). Attention is flash or memory-efficient: scores never lie in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from incoder_model.config import ModelConfig
from incoder_train.plan.arithmetic import Recompute

GIB = 2**30
CONTEXT = 1.2 * GIB  # a CUDA context, NCCL's buffers and the allocator's rounding
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU at the peak of an update."""

    moment: str  # when the peak is
    parameters: float  # this GPU's share, fp32
    gradients: float  # of these, what exists at the peak, fp32
    optimiser: float
    gathered: float  # whole units at work and the buffers of their collectives
    kept: float  # activations that wait for their backward pass
    working: float  # the piece of logits, or one block's activations and gradients
    context: float = CONTEXT

    @property
    def total(self) -> float:
        return self.traced + self.optimiser + self.context

    @property
    def traced(self) -> float:
        """What `incoder plan --trace` sees: without the optimiser's state and the context."""
        return self.parameters + self.gradients + self.gathered + self.kept + self.working


def memory(
    config: ModelConfig,
    *,
    rows: int,
    shard_group: int,
    precision: str,
    recompute: Recompute,
    loss_chunk: int | None,
    optimiser: str = "adamw",
    accumulates: bool = False,
    packed: bool = False,
) -> Memory:
    """`rows` of `config.context` tokens at a time; weights shared by `shard_group` GPUs; `loss_chunk` None: whole logits.

    accumulates: an update is several micro-batches; packed: rows hold several documents, and a mask keeps them apart."""
    tokens, weight = rows * config.context, BYTES[precision]
    embedding = config.vocab_size * config.d_model
    block = (config.parameters - embedding) / config.layers
    share = config.parameters / shard_group
    states = state_bytes(config, optimiser) / shard_group

    alone = shard_group == 1
    entry = weight * config.d_model
    # Selective recomputation keeps what is as wide as the model: the inputs, queries, keys, values, and three results.
    saved = {"full": entry, "selective": 7 * entry, "none": block_bytes(config, weight)}[recompute]
    loss = loss_bytes(config, tokens, weight, loss_chunk)
    # The low-precision copies: of all weights; or the root unit, the block at work and the one on its way.
    copies = (0 if weight == 4 else weight * config.parameters) if alone else weight * (embedding + block)
    # In the backward pass also the next block on its way, the head's gradients, and this block's: low, and fp32 to be summed.
    reducing = 0 if alone else weight * (block + embedding) + (weight + 4) * block
    mask = (1 + weight) * rows * config.context**2 if packed else 0  # as booleans, and as what is added to the scores
    one_block = backward_bytes(config, weight) * tokens

    def at(moment: str, layers: float, gradients: float, gathered: float, working: float) -> Memory:
        kept = (layers * saved + entry + weight * config.d_model) * tokens + mask
        return Memory(moment, 4 * share, 4 * gradients, states, gathered, kept, working)

    before = share if accumulates else 0.0
    return max(
        at("loss", config.layers, before, copies, loss),
        at("last block", config.layers - 1, max(before, share / config.layers), copies + reducing, one_block),
        at("first block", 0, share, copies + reducing, one_block),
        key=lambda memory: memory.total,
    )


def state_bytes(config: ModelConfig, optimiser: str) -> int:
    """Of the whole optimiser: two fp32 moments a parameter for AdamW, one for the matrices of the blocks if Muon has them."""
    matrices = config.layers * (4 * config.d_model**2 + 2 * config.d_model * config.d_ffn)
    return 8 * config.parameters - (4 * matrices if optimiser == "muon" else 0)


def loss_bytes(config: ModelConfig, tokens: int, weight: int, chunk: int | None) -> int:
    """Whole logits: they, their log-softmax and the gradients, three times fp32. In pieces: the logits of one,
    low and in fp32, and their log-softmax; and the gradients of all hidden states and of the
    embedding, which the backward pass scales in a copy."""
    if chunk is None:
        return 12 * config.vocab_size * tokens
    head = config.vocab_size * config.d_model
    forwards = (10 if weight == 2 else 8) * config.vocab_size * min(tokens, chunk) + (4 + weight) * head
    backwards = (8 + weight) * head
    return weight * config.d_model * tokens + max(forwards, backwards)


def block_bytes(config: ModelConfig, weight: int) -> int:
    """For each token, what a block keeps for its backward pass when nothing is recomputed."""
    d, f = config.d_model, config.d_ffn
    masks = 2 * d if config.dropout else 0
    # The inputs of both norms; their outputs, queries, keys, values and the attention's result; the feed-forward's two.
    return 8 * weight * d + 2 * weight * f + masks


def backward_bytes(config: ModelConfig, weight: int) -> int:
    """For each token, what one block's backward pass needs at its widest, in the feed-forward layer."""
    return block_bytes(config, weight) + weight * config.d_ffn
