"""What runs on GPUs, on this CPU: the step in fixed shapes, weights that stay in eight bits, and who goes where.

Only the recording of a step as a CUDA graph is not run here."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from incoder_model import int8_linear
from incoder_model.checkpoint import BUNDLED, ModelDirectoryError, load_transformer, save_model
from incoder_model.config import PRESETS, ModelConfig
from incoder_model.engine import Engine
from incoder_model.infill import InfillRequest, Model, infill
from incoder_model.int8_linear import Int8Linear
from incoder_model.loading import load_model
from incoder_model.placement import SPARE, Gpu, Placement, needed, place
from incoder_model.quantise import dequantise, quantise
from incoder_model.static_step import StaticStep
from incoder_model.torch_evaluator import TorchEvaluator
from incoder_model.transformer import KVCache, Transformer

TOLERANCE = 1e-4  # of a logit, in float32

# --- one token in fixed shapes -----------------------------------------------------------------------------------


def test_a_static_step_is_a_step_at_every_place(model_directory: Path) -> None:
    network, _ = load_transformer(model_directory)
    config = dataclasses.replace(network.config, context=64)
    tokens = torch.randint(0, config.vocab_size, (64,), generator=torch.Generator().manual_seed(0)).tolist()
    plain, fixed = KVCache(config), KVCache(config)
    step = StaticStep(network, fixed)
    with torch.inference_mode():
        for token in tokens:
            expected = network.logits(network(torch.tensor([[token]]), plain)[0, -1])
            torch.testing.assert_close(step(token), expected, atol=TOLERANCE, rtol=0)
            assert fixed.length == plain.length
    torch.testing.assert_close(fixed.keys, plain.keys, atol=TOLERANCE, rtol=0)
    with pytest.raises(ValueError, match="the cache is full: it holds 64 tokens"):
        step(0)


def test_prefill_step_and_truncate_mix(model_directory: Path) -> None:
    network, _ = load_transformer(model_directory)
    plain, fixed = TorchEvaluator(network), TorchEvaluator(network, static=True)
    rng, kept = np.random.default_rng(0), []
    for time in (40, 1, 1, 7, 1, 60, 1):
        tokens = rng.integers(0, network.config.vocab_size, time).tolist()
        expected, found = plain.evaluate(tokens), fixed.evaluate(tokens)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        kept.append((found, found.copy()))
        for evaluator in (plain, fixed):
            evaluator.truncate(30)
    assert all(np.array_equal(scores, copy) for scores, copy in kept)  # no step writes over what was given before


def test_the_same_answers(model: Model, model_directory: Path) -> None:
    network, tokenizer = load_transformer(model_directory)
    fixed = Model(network.config, tokenizer, Engine(TorchEvaluator(network, static=True)))
    for typed in ("", "ret"):
        request = InfillRequest("def area(self):\n    ", "\n\nprint(area)\n", typed=typed, max_tokens=20)
        assert infill(fixed, request).text == infill(model, request).text


# --- weights in eight bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_a_layer_in_int8_is_its_dequantised_one(dtype: torch.dtype, tolerance: float, fused: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(64, 96).requires_grad_(False)
    linear.weight.normal_(std=64**-0.5, generator=generator)
    values, scales = quantise(linear.weight.numpy())
    layer = Int8Linear(
        torch.from_numpy(values), torch.from_numpy(scales).to(dtype), nn.Parameter(linear.bias.to(dtype))
    )
    layer.fused = None if fused else False
    linear.weight.copy_(torch.from_numpy(dequantise(values, scales)))
    for shape in ((1, 1, 64), (2, 3, 64), (1, 40, 64)):
        x = torch.randn(shape, generator=generator)
        torch.testing.assert_close(layer(x.to(dtype)).float(), linear(x), atol=4 * tolerance, rtol=tolerance)
    if fused:
        assert layer.fused is not None  # this build was asked


def test_a_build_without_the_kernel_has_plain_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    monkeypatch.setattr(int8_linear, "kernel", missing)
    network, _ = load_transformer(BUNDLED, int8=True)
    plain, _ = load_transformer(BUNDLED)
    tokens = torch.arange(100, 108)[None]
    with torch.inference_mode():
        torch.testing.assert_close(network(tokens), plain(tokens), atol=1e-3, rtol=1e-3)


def test_what_is_stored_in_int8_stays_so(model_directory: Path, tmp_path: Path) -> None:
    """The bundled model is stored in int8: it must answer as it does dequantised. Another is quantised when it is opened."""
    network, tokenizer = load_transformer(BUNDLED, int8=True)
    held = [layer for layer in network.modules() if isinstance(layer, Int8Linear)]
    assert len(held) == 6 * network.config.layers
    assert not any(isinstance(layer, nn.Linear) for layer in network.modules())
    expected, _ = load_transformer(BUNDLED)
    tokens = torch.tensor([tokenizer.encode("def area(self):\n    return self.width * self.height\n")])
    with torch.inference_mode():
        torch.testing.assert_close(network(tokens), expected(tokens), atol=1e-3, rtol=1e-3)
    whole, tokenizer = load_transformer(model_directory)
    save_model(tmp_path / "int8", whole, tokenizer, dtype=torch.int8)
    as_opened, _ = load_transformer(model_directory, int8=True)
    as_stored, _ = load_transformer(tmp_path / "int8", int8=True)
    for one, other in zip(as_opened.layers.buffers(), as_stored.layers.buffers(), strict=True):
        assert torch.equal(one, other)


def test_a_static_step_in_int8_and_bf16(model_directory: Path) -> None:
    network, _ = load_transformer(BUNDLED, torch.bfloat16, int8=True)
    plain, fixed = TorchEvaluator(network), TorchEvaluator(network, static=True)
    for token in (2, 300, 400, 500):
        np.testing.assert_allclose(
            fixed.evaluate([token]), plain.evaluate([token]), atol=0.25
        )  # a bf16 near 12 has steps of 1/16


def test_weights_that_do_not_fit_are_told(tmp_path: Path, model_directory: Path) -> None:
    network, tokenizer = load_transformer(model_directory)
    save_model(tmp_path / "int8", network, tokenizer, dtype=torch.int8)
    weights = load_file(tmp_path / "int8" / "model.safetensors")
    for change, said in (
        (lambda w: w.pop("layers.0.fc1.weight.scale"), "layers.0.fc1.weight.scale is missing"),
        (lambda w: w.update({"layers.0.fc1.weight": w["layers.0.fc1.weight"][:9]}), "layers.0.fc1.weight"),
    ):
        changed = dict(weights)
        change(changed)
        save_file(changed, tmp_path / "int8" / "model.safetensors")
        with pytest.raises(ModelDirectoryError, match=said):
            load_transformer(tmp_path / "int8", int8=True)


# --- who goes where ----------------------------------------------------------------------------------------------

SMALL, MIDDLE, BIG = PRESETS["small-60m"], PRESETS["incoder-1.3b"], PRESETS["incoder-6.7b"]
GB = 1_000_000_000


@pytest.mark.parametrize(
    ("config", "gpu", "expected"),
    [
        (BIG, None, Placement()),
        (SMALL, Gpu(80 * GB, bf16=True), Placement()),
        (MIDDLE, Gpu(8 * GB, bf16=True), Placement("cuda", "bfloat16")),
        (MIDDLE, Gpu(8 * GB, bf16=False), Placement("cuda", "float16")),
        (BIG, Gpu(24 * GB, bf16=True), Placement("cuda", "bfloat16")),
        (BIG, Gpu(12 * GB, bf16=True), Placement("cuda", "bfloat16", int8=True)),
        (BIG, Gpu(6 * GB, bf16=True), Placement()),
    ],
)
def test_where_a_model_goes(config: ModelConfig, gpu: Gpu | None, expected: Placement) -> None:
    assert place(config, gpu) == expected
    assert place(config, gpu, "cpu") == Placement()


@given(st.sampled_from([SMALL, MIDDLE, BIG]), st.integers(0, 30 * GB), st.booleans())
def test_what_is_placed_on_a_gpu_fits(config: ModelConfig, free: int, bf16: bool) -> None:
    placement = place(config, Gpu(free, bf16))
    assert placement.device == "cpu" or needed(config, placement.int8) <= free


def test_what_is_needed_is_what_is_made() -> None:
    config = dataclasses.replace(SMALL, context=128)
    with torch.device("meta"):
        network = Transformer(config).to(torch.bfloat16)
        cache = KVCache(config, dtype=torch.bfloat16, device="meta")
    made = sum(x.nbytes for x in (*network.parameters(), cache.keys, cache.values))
    assert needed(config, int8=False) == made + SPARE


def test_a_gpu_that_is_asked_for_and_not_there(model_directory: Path) -> None:
    assert not torch.cuda.is_available()
    with pytest.raises(ModelDirectoryError, match="cannot run on the GPU: torch finds no GPU that it can use; say cpu"):
        load_model(model_directory, device="cuda")
    with pytest.raises(ValueError, match=r"9\.0 GB of the GPU's memory even in int8, and 2\.0 GB are free"):
        place(BIG, Gpu(2 * GB, bf16=True), "cuda")


@pytest.mark.proof
def test_the_benchmark_runs_without_a_gpu(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "gpu_decode.py"
    arguments = ["--size", "tiny", "--held", "8", "--json", str(tmp_path / "rows.json")]
    subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True)
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert {row["what"] for row in rows if row["layers"] == "bf16"} >= {"step by step", "static step"}
    assert all(row["ms"] > 0 for row in rows)
