"""The network against an independent one, Hugging Face's XGLM, with the same random weights; and its size, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from incoder_model.config import PRESETS, ModelConfig
from incoder_model.transformer import KVCache, SelfAttention, Transformer, initialise, position_table
from incoder_model.xglm import HEAD, xglm_config, xglm_name

if TYPE_CHECKING:
    from transformers import XGLMForCausalLM

TOLERANCE = 1e-4  # of any logit, in float32

SMALL = ModelConfig(vocab_size=300, d_model=64, layers=3, heads=4, d_ffn=256, context=96)
# As InCoder-1.3B in all but its width: 24 layers of 32 heads, a feed-forward four times as wide, every vocabulary row.
THIN = ModelConfig(vocab_size=50518, d_model=128, layers=24, heads=32, d_ffn=512, context=2048)


def randomise(model: Transformer) -> Transformer:
    """Biases and norms too, so that one that is forgotten or in the wrong place shows."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
            else:
                parameter.normal_(mean=float(name.endswith("norm.weight")), std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=[SMALL, THIN], ids=["small", "shaped as 1.3B"])
def pair(request: pytest.FixtureRequest) -> tuple[Transformer, XGLMForCausalLM]:
    from transformers import XGLMConfig, XGLMForCausalLM

    config: ModelConfig = request.param
    ours = randomise(Transformer(config))
    with torch.device("meta"):
        theirs = XGLMForCausalLM(XGLMConfig.from_dict(xglm_config(config)))
    theirs.to_empty(device="cpu")
    weights = {xglm_name(name): weight for name, weight in ours.state_dict().items()}
    loaded = theirs.load_state_dict(weights, strict=False)
    assert (loaded.missing_keys, loaded.unexpected_keys) == ([HEAD], [])
    theirs.tie_weights()
    theirs.model.embed_positions.make_weights(config.context + 2, config.d_model, 1)
    return ours, theirs.eval()


def some_tokens(config: ModelConfig, batch: int, time: int) -> torch.Tensor:
    return torch.randint(4, config.vocab_size, (batch, time), generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_logits_without_a_cache(pair: tuple[Transformer, XGLMForCausalLM]) -> None:
    ours, theirs = pair
    tokens = some_tokens(ours.config, batch=2, time=40)
    expected = theirs(tokens, use_cache=False).logits
    assert expected.std() > 0.1  # there is something to compare
    torch.testing.assert_close(ours.logits(ours(tokens)), expected, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_logits_with_a_cache(pair: tuple[Transformer, XGLMForCausalLM]) -> None:
    """A prompt, a second piece of it, then single tokens; theirs through their own cache, which must also equal one pass."""
    ours, theirs = pair
    tokens = some_tokens(ours.config, batch=1, time=40)
    cache, past = KVCache(ours.config), None
    found, expected = [], []
    for piece in tokens.split([20, 12, *[1] * 8], dim=1):
        found.append(ours.logits(ours(piece, cache)))
        answer = theirs(piece, past_key_values=past, use_cache=True)
        past = answer.past_key_values
        expected.append(answer.logits)
    torch.testing.assert_close(torch.cat(found, 1), torch.cat(expected, 1), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(torch.cat(found, 1), theirs(tokens).logits, atol=TOLERANCE, rtol=0)


def test_every_row_of_the_position_table(pair: tuple[Transformer, XGLMForCausalLM]) -> None:
    ours, theirs = pair
    expected = theirs.model.embed_positions(torch.arange(ours.config.context)[None])[0]
    torch.testing.assert_close(ours.positions[2:], expected, atol=1e-6, rtol=0)
    assert position_table(4, 6)[3].tolist() == pytest.approx(
        [*(torch.tensor([3.0, 3e-2, 3e-4]).sin().tolist()), *(torch.tensor([3.0, 3e-2, 3e-4]).cos().tolist())]
    )


@torch.inference_mode()
def test_a_cache_that_was_cut_goes_on_from_there() -> None:
    model = randomise(Transformer(SMALL))
    tokens, cache = some_tokens(SMALL, batch=2, time=12), KVCache(SMALL, batch=2)
    model(tokens, cache)
    cache.length = 5
    torch.testing.assert_close(model(tokens[:, 5:], cache), model(tokens)[:, 5:], atol=1e-5, rtol=0)
    assert cache.length == 12


def test_segments_are_read_as_if_each_stood_alone() -> None:
    """Logits, and the gradient of every weight; the second row ends in padding, a segment of its own."""
    model, lengths = randomise(Transformer(SMALL)).requires_grad_(), ([5, 1, 30, 12], [17, 3, 28])
    tokens = some_tokens(SMALL, batch=2, time=48)
    segments = torch.stack([torch.arange(len(row)).repeat_interleave(torch.tensor(row)) for row in lengths])
    packed = model.logits(model(tokens, segments=segments))
    pieces = [piece for row, sizes in zip(tokens, lengths, strict=True) for piece in row.split(sizes)]
    alone = torch.cat([model.logits(model(piece[None]))[0] for piece in pieces])
    torch.testing.assert_close(packed.flatten(0, 1), alone, atol=1e-5, rtol=0)
    directions = torch.randn(alone.shape, generator=torch.Generator().manual_seed(2)) / len(alone)
    gradients = [
        torch.autograd.grad((logits * directions).sum(), list(model.parameters()))
        for logits in (packed.flatten(0, 1), alone)
    ]
    for together, one_by_one in zip(*gradients, strict=True):
        torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(model.logits(model(tokens)).flatten(0, 1), alone, atol=1e-2)  # they matter


@torch.inference_mode()
def test_one_segment_is_no_segment() -> None:
    model, tokens = randomise(Transformer(SMALL)), some_tokens(SMALL, batch=2, time=20)
    segments = torch.full((2, 20), 7, dtype=torch.int32)
    torch.testing.assert_close(model(tokens, segments=segments), model(tokens), atol=1e-5, rtol=0)


def test_segments_and_a_cache_exclude_each_other() -> None:
    tokens = torch.zeros(1, 4, dtype=torch.long)
    with pytest.raises(ValueError, match="segments are for training"):
        Transformer(SMALL)(tokens, KVCache(SMALL), segments=tokens)


def test_a_context_that_is_full() -> None:
    model, cache = Transformer(SMALL), KVCache(SMALL)
    with pytest.raises(ValueError, match="97 tokens do not fit in a context of 96"):
        model(torch.zeros(1, 97, dtype=torch.long))
    with torch.inference_mode():
        model(torch.zeros(1, 96, dtype=torch.long), cache)
        with pytest.raises(ValueError, match="97 tokens do not fit"):
            model(torch.zeros(1, 1, dtype=torch.long), cache)


@pytest.mark.parametrize(("preset", "count"), [("incoder-1.3b", 1_312_063_488), ("incoder-6.7b", 6_651_084_800)])
def test_parameters_of_the_released_models(preset: str, count: int) -> None:
    assert PRESETS[preset].parameters == count


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_are_counted_right(preset: str) -> None:
    with torch.device("meta"):
        model = Transformer(PRESETS[preset])
    assert sum(parameter.numel() for parameter in model.parameters()) == PRESETS[preset].parameters


def test_dropout_acts_while_training_only() -> None:
    config = ModelConfig(
        vocab_size=50, d_model=32, layers=1, heads=2, d_ffn=64, context=16, dropout=0.5, attention_dropout=0.5
    )
    model, tokens = randomise(Transformer(config)), torch.arange(10)[None]
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))


def test_initialisation_by_fairseqs_rules() -> None:
    config = ModelConfig(vocab_size=2000, d_model=128, layers=2, heads=2, d_ffn=512, context=8)
    model = initialise(Transformer(config))
    assert model.embed_tokens.weight.std().item() == pytest.approx(128**-0.5, rel=0.02)
    assert not model.embed_tokens.weight[1].any()
    for attention in (module for module in model.modules() if isinstance(module, SelfAttention)):
        xavier = (6 / (128 + 128)) ** 0.5
        for projection, gain in ((attention.q_proj, 2**-0.5), (attention.v_proj, 2**-0.5), (attention.out_proj, 1.0)):
            assert projection.weight.abs().max().item() == pytest.approx(gain * xavier, rel=0.01)
        assert not attention.out_proj.bias.any()
