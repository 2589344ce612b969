"""The shape of a model, and what is said of one that cannot be."""

import json

import pytest

from incoder_model.config import PRESETS, ModelConfig


@pytest.mark.parametrize("preset", PRESETS)
def test_a_shape_survives_its_file(preset: str) -> None:
    config = PRESETS[preset]
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_released_shapes() -> None:
    assert PRESETS["incoder-1.3b"].head_dim == 64
    assert PRESETS["incoder-6.7b"].head_dim == 128
    assert {PRESETS[name].vocab_size for name in ("incoder-1.3b", "incoder-6.7b")} == {50518}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layers": 0}, "layers is 0; it must be a whole number of at least 1"),
        ({"d_model": 64.0}, r"d_model is 64\.0; it must be a whole number"),
        ({"context": "2048"}, "context is '2048'; it must be a whole number"),
        ({"d_model": 100, "heads": 3}, "d_model 100 must be an even multiple of heads 3"),
        ({"d_model": 6, "heads": 2}, "even multiple"),
        ({"d_model": 2, "heads": 1}, "d_model 2 must be .* at least 4"),
        ({"dropout": 1.0}, r"dropout is 1\.0; it must lie in \[0, 1\)"),
        ({"n_layer": 2}, "unknown model setting 'n_layer'; did you mean 'layers'"),
        ({"attn_dropout": 0.1}, "unknown model setting 'attn_dropout'; did you mean 'attention_dropout'"),
        ({"zzz": 1}, "unknown model setting 'zzz'$"),
    ],
)
def test_a_shape_that_cannot_be(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelConfig.from_dict(wrong)
