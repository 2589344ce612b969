"""How likely given texts are: sequences in, the log-probability of every token given those before it out.

Sequences of like length are read together, padded behind. Those that mostly begin alike, such as documents that differ in what
is in a hole, are a family: what its members share is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from incoder_model.engine import common_prefix
from incoder_model.tokenizer import PAD
from incoder_model.transformer import KVCache, Transformer

LOGIT_BYTES = 64 << 20  # of the float32 scores over the vocabulary that exist at a time

Tokens = tuple[int, ...]


@torch.inference_mode()
def log_probabilities(model: Transformer, sequences: Sequence[Sequence[int]], most: int) -> list[np.ndarray]:
    """Of each sequence (len - 1,) float32, in nats. One pass reads at most `most` tokens, or a single sequence.

    Raises ValueError for a sequence that is empty or has more than context + 1 tokens.
    """
    longest = model.config.context + 1
    for sequence in sequences:
        if not 0 < len(sequence) <= longest:
            raise ValueError(f"a sequence has between 1 and {longest} tokens, this one has {len(sequence)}")
    found: dict[Tokens, np.ndarray] = {tuple(sequence): np.empty(0, np.float32) for sequence in sequences}
    for shared, group in groups([sequence for sequence in found if len(sequence) > 1], most):
        found |= zip(group, _score(model, group, shared), strict=True)
    return [found[tuple(sequence)] for sequence in sequences]


def groups(sequences: Sequence[Tokens], most: int) -> Iterator[tuple[int, list[Tokens]]]:
    """What is read together, and how many tokens at its beginning are read once for all of it: 0, or half of each or more."""
    strangers: list[Tokens] = []
    for shared, family in _families(sorted(sequences)):
        if len(family) == 1:
            strangers += family
        else:
            yield from ((shared, part) for part in _parts(family, most))
    yield from ((0, part) for part in _parts(strangers, most))


def _families(ordered: Sequence[Tokens]) -> Iterator[tuple[int, list[Tokens]]]:
    """Neighbours with at least half of each in common. Every member has tokens to be read beyond what is shared."""
    shared, family = 0, list(ordered[:1])
    for sequence in ordered[1:]:
        common = min(common_prefix(family[0], sequence), len(sequence) - 2, shared or len(family[0]) - 2)
        if 2 * common >= max(map(len, [*family, sequence])):
            shared = common
            family.append(sequence)
        else:
            yield shared, family
            shared, family = 0, [sequence]
    if family:
        yield shared, family


def _parts(sequences: Sequence[Tokens], most: int) -> Iterator[list[Tokens]]:
    ordered = sorted(sequences, key=len, reverse=True)
    start = 0
    while start < len(ordered):
        end = start + max(1, most // len(ordered[start]))
        yield ordered[start:end]
        start = end


def _score(model: Transformer, group: Sequence[Tokens], shared: int) -> Iterator[np.ndarray]:
    """Of sequences that share their first `shared` tokens, if any."""
    device, rows = model.embed_tokens.weight.device, len(group)
    targets = padded([sequence[max(shared, 1) :] for sequence in group], device)  # (rows, longest)
    if shared:
        front = padded([group[0][:shared]], device)
        cache = _cache(model, 1, shared)
        before = model(front, cache)  # (1, shared, d_model)
        copies = _cache(model, rows, shared + targets.shape[1])
        copies.keys[..., :shared, :], copies.values[..., :shared, :] = cache.keys, cache.values  # one for all rows
        copies.length = shared
        hidden = torch.cat([before[:, -1:].expand(rows, -1, -1), model(targets[:, :-1], copies)], dim=1)
        first = _log_p(model, before[0, :-1], front[0, 1:])  # (shared - 1,)
    else:
        hidden = model(padded([sequence[:-1] for sequence in group], device))
        first = hidden.new_empty(0, dtype=torch.float32)
    lengths = torch.tensor([len(sequence) - max(shared, 1) for sequence in group])
    real = (torch.arange(targets.shape[1]) < lengths[:, None]).to(device)  # (rows, longest), and hidden (.., d_model)
    for own in _log_p(model, hidden[real], targets[real]).split(lengths.tolist()):
        yield torch.cat([first, own]).cpu().numpy()


def _log_p(model: Transformer, hidden: Tensor, tokens: Tensor) -> Tensor:
    """Of `tokens` (places,) after what the hidden states (places, d_model) have read: (places,) float32. Scores come in chunks."""
    size = max(1, LOGIT_BYTES // (4 * model.config.vocab_size))
    found = [hidden.new_empty(0, dtype=torch.float32)]
    for part, targets in zip(hidden.split(size), tokens.split(size), strict=True):
        scores = model.logits(part).float()  # (size, vocab_size)
        found.append(scores.gather(1, targets[:, None])[:, 0] - scores.logsumexp(-1))
    return torch.cat(found)


def _cache(model: Transformer, rows: int, capacity: int) -> KVCache:
    weight = model.embed_tokens.weight
    return KVCache(model.config, rows, weight.dtype, weight.device, capacity)


def padded(texts: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """(texts, longest) ids. What stands behind a text is never looked at: attention is causal."""
    longest = max(map(len, texts))
    return torch.tensor([[*text, *[PAD] * (longest - len(text))] for text in texts], device=device)
