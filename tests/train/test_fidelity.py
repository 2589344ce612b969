"""How far a copy's predictions lie from the original's, against the same by plain loops."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from incoder_model.checkpoint import load_transformer
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.transformer import Transformer
from incoder_train.fidelity import compare, compare_on, windows


@pytest.fixture
def networks(model_directory: Path) -> tuple[Transformer, Transformer]:
    original, _ = load_transformer(model_directory)
    other = copy.deepcopy(original)
    other.layers[0].fc1.weight.mul_(1.1)  # pyright: ignore
    return original, other


def test_a_network_is_like_itself(networks: tuple[Transformer, Transformer], tokenizer: Tokenizer) -> None:
    original, other = networks
    same = compare(original, original, tokenizer)
    assert same.tokens > 3000
    assert (same.logit_difference, same.divergence, same.same_choice) == (0, 0, 1)
    assert same.loss == same.loss_of_copy > 0
    changed = compare(original, other, tokenizer)
    assert changed.loss == same.loss
    assert changed.loss_of_copy != same.loss
    assert changed.divergence > 0
    assert changed.same_choice < 1


def test_against_plain_loops(networks: tuple[Transformer, Transformer]) -> None:
    sequences = [[2, 300, 301, 302], [2, 310], [2]]
    found = compare_on(*networks, sequences)
    gaps, divergences, same, losses = [], [], [], ([], [])
    for sequence in sequences:
        scores = [network.logits(network(torch.tensor([sequence]))[0]).double().numpy() for network in networks]
        for place, target in enumerate(sequence[1:]):
            p, q = (np.exp(rows[place]) / np.exp(rows[place]).sum() for rows in scores)
            gaps.append(np.abs(scores[0][place] - scores[1][place]).mean())
            divergences.append((p * np.log(p / q)).sum())
            same.append(p.argmax() == q.argmax())
            for of_network, loss in zip((p, q), losses, strict=True):
                loss.append(-math.log(of_network[target]))
    assert found.tokens == len(gaps) == 4
    assert found.logit_difference == pytest.approx(np.mean(gaps), rel=1e-4)
    assert found.divergence == pytest.approx(np.mean(divergences), rel=1e-2)
    assert found.same_choice == np.mean(same)
    assert (found.loss, found.loss_of_copy) == pytest.approx([np.mean(loss) for loss in losses], rel=1e-4)


def test_the_sample_is_cut_into_windows(tokenizer: Tokenizer) -> None:
    pieces = list(windows(tokenizer, 100))
    assert {len(piece) for piece in pieces[:-1]} == {100}
    assert all(piece[0] == BOS and 1 < len(piece) <= 100 for piece in pieces)
    text = tokenizer.decode([token for piece in pieces for token in piece[1:]])
    assert text.startswith('"""Text wrapping and filling.')
