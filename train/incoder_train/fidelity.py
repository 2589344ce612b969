"""What storing weights in fewer bits costs: a network and its copy go in, how far their predictions lie apart comes out.

Both read the same text, modules of Python's standard library: real code that every machine has, and that no archive of a corpus
needs to hold. The tasks of `incoder eval` say what it means for use; this says it at once and without data.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.transformer import Transformer

MODULES = ("textwrap", "heapq", "shlex", "fnmatch", "queue")
WINDOW = 512  # tokens read at a time
TOKENS = 4096  # in all, at most


@dataclass(frozen=True)
class Fidelity:
    tokens: int  # predictions compared
    logit_difference: float  # mean of the absolute differences
    divergence: float  # KL(original, copy), nats for each token
    same_choice: float  # share of the tokens whose likeliest successor is the same
    loss: float  # of the original, nats for each token
    loss_of_copy: float


def compare(original: Transformer, copy: Transformer, tokenizer: Tokenizer) -> Fidelity:
    return compare_on(original, copy, list(windows(tokenizer, min(WINDOW, original.config.context))))


def windows(tokenizer: Tokenizer, size: int) -> Iterator[list[int]]:
    """The sample in pieces of at most `size` ids, each with <|endoftext|> before it."""
    text = "\n".join(inspect.getsource(importlib.import_module(name)) for name in MODULES)
    tokens = tokenizer.encode(text)[:TOKENS]
    return ([BOS, *tokens[start : start + size - 1]] for start in range(0, len(tokens), size - 1))


@torch.inference_mode()
def compare_on(original: Transformer, copy: Transformer, sequences: Sequence[Sequence[int]]) -> Fidelity:
    """Every token of the sequences but the first of each is predicted once by both."""
    sums, count = torch.zeros(5, dtype=torch.float64), 0
    for sequence in sequences:
        tokens = torch.tensor([sequence])
        sums += _sums(original.logits(original(tokens)[0, :-1]), copy.logits(copy(tokens)[0, :-1]), tokens[0, 1:])
        count += len(sequence) - 1
    return Fidelity(count, *(sums / max(1, count)).tolist())


def _sums(one: Tensor, other: Tensor, targets: Tensor) -> Tensor:
    """one, other: (time, vocab_size) logits; targets: (time,). The sums over time of Fidelity's measures, in its order."""
    p, q = one.log_softmax(1), other.log_softmax(1)
    return torch.stack(
        [
            (one - other).abs().mean(1).sum(),
            (p.exp() * (p - q)).sum(),
            (one.argmax(1) == other.argmax(1)).sum(),
            -p.gather(1, targets[:, None]).sum(),
            -q.gather(1, targets[:, None]).sum(),
        ]
    ).double()
