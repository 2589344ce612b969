"""The plan of the paper's run gives the paper's figures; every other figure is checked against a published or traced one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from incoder_model.config import PRESETS, ModelConfig
from incoder_train.cli import app
from incoder_train.errors import UserError
from incoder_train.plan.arithmetic import flops_of_token, flops_per_token
from incoder_train.plan.memory import GIB, memory, state_bytes
from incoder_train.plan.network import read_speed
from incoder_train.plan.plan import Plan, make_plan
from incoder_train.plan.warnings import warnings
from incoder_train.training import hardware
from incoder_train.training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[3] / "train" / "incoder_train" / "recipes"
LARGE = PRESETS["incoder-6.7b"]
IB100 = read_speed("100Gb")


def paper(**changes: object) -> Plan:
    return make_plan(recipe(), **{"gpu": hardware.gpu("v100-32g"), "gpus": 248, "net": IB100, "tokens": 52e9} | changes)  # pyright: ignore[reportArgumentType]


def recipe(name: str = "incoder-6.7b-v100", **machine: object) -> Recipe:
    found = read_recipe(RECIPES / f"{name}.toml")
    return replace(found, machine=replace(found.machine, **machine))  # pyright: ignore[reportArgumentType]


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "120"})


# --- the paper's run ---------------------------------------------------------------------------------------------


def test_the_papers_run_has_the_papers_figures() -> None:
    plan = paper(days=24)
    assert plan.config.parameters == 6_651_084_800
    assert plan.flops.six_nd == pytest.approx(2.075e21, rel=1e-3)
    assert plan.flops.with_attention == pytest.approx(2.242e21, rel=1e-3)
    assert plan.flops.with_recompute == pytest.approx(2.99e21, rel=1e-3)  # Table 7: 3.0 ZFLOP
    assert plan.tokens_an_update == 4_063_232
    assert round(plan.updates) == 12_798
    assert plan.deadline is not None
    assert plan.deadline.rate == pytest.approx(101, abs=0.5)
    assert plan.deadline.mfu == pytest.approx(0.035, abs=0.0005)
    assert plan.deadline.hfu == pytest.approx(0.0465, abs=0.0005)
    assert plan.disk.checkpoint == 12 * 6_651_084_800
    assert plan.disk.data == 104e9


def test_the_papers_table_7_at_the_smaller_size() -> None:
    flops = flops_of_token(PRESETS["incoder-1.3b"], 2048, "full")
    assert flops.with_recompute * 52e9 == pytest.approx(0.6e21, rel=0.05)


def test_the_paper_in_days_at_published_utilisation() -> None:
    """45 TFLOP/s a GPU, which is what others reached on V100s, make 3.1 days of it."""
    plan = paper(hfu=0.36)
    assert plan.time is not None and plan.rate is not None
    assert plan.time.days == pytest.approx(3.1, rel=0.02)
    assert plan.rate == pytest.approx(788, rel=0.03)
    assert plan.time.range == (0.9, 1.1)
    assert paper().time.range == (0.7, 1.5)  # pyright: ignore[reportOptionalMemberAccess]


# --- FLOPs -------------------------------------------------------------------------------------------------------


def test_flops_are_those_that_torch_counts() -> None:
    """Of one forward and backward pass on the meta device. Torch counts the matrix products alone, we all parameters, and the
    row of biases and norms that no product has is the difference."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from incoder_model.transformer import Transformer

    config = ModelConfig(vocab_size=1000, d_model=256, layers=3, heads=4, d_ffn=1024, context=128)
    with torch.device("meta"):
        model = Transformer(config)
        tokens = torch.zeros(2, config.context, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model.logits(model(tokens)).sum().backward()
    assert counter.get_total_flops() / tokens.numel() == pytest.approx(
        flops_per_token(config, 128, "none")[0], rel=0.01
    )


@given(st.sampled_from(sorted(PRESETS)), st.sampled_from(["none", "selective", "full"]), st.integers(16, 4096))
def test_hardware_flops_are_at_least_the_models(preset: str, recompute: str, context: int) -> None:
    flops = flops_of_token(PRESETS[preset], context, recompute)  # pyright: ignore[reportArgumentType]
    assert flops.six_nd < flops.with_attention <= flops.with_recompute
    assert (flops.with_attention < flops.with_recompute) == (recompute != "none")


# --- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "rows", "recompute", "traced"),
    [
        (248, 1, "full", 3.4),
        (248, 8, "full", 14.4),
        (248, 16, "full", 27.9),
        (64, 8, "full", 14.7),
        (8, 4, "full", 10.6),
        (248, 1, "none", 10.4),
        (248, 2, "none", 19.3),
        (248, 3, "none", 28.5),
    ],
)
def test_memory_is_within_a_tenth_of_the_trace(world: int, rows: int, recompute: str, traced: float) -> None:
    """Traces of InCoder-6.7B with whole logits, fp16 weights and fp32 sums, the optimiser apart, in GiB."""
    found = memory(LARGE, rows=rows, shard_group=world, precision="fp16", recompute=recompute, loss_chunk=None)  # pyright: ignore[reportArgumentType]
    assert found.traced / GIB == pytest.approx(traced, rel=0.1)


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(1, 32),
    st.sampled_from([1, 2, 8, 64]),
    st.sampled_from(["fp32", "bf16"]),
    st.sampled_from(["none", "full"]),
    st.sampled_from(["adamw", "muon"]),
)
def test_memory_grows_with_rows_and_shrinks_with_sharing(
    preset: str, rows: int, world: int, precision: str, recompute: str, optimiser: str
) -> None:
    def total(rows: int = rows, world: int = world, recompute: str = recompute, chunk: int | None = 1024) -> float:
        return memory(
            PRESETS[preset],
            rows=rows,
            shard_group=world,
            precision=precision,
            recompute=recompute,  # pyright: ignore[reportArgumentType]
            loss_chunk=chunk,
            optimiser=optimiser,
        ).total

    assert total() < total(rows=rows + 1)
    assert total(world=128) < total(world=max(2, world))
    assert total(recompute="full") <= total(recompute="none")
    assert total(chunk=256) <= total(chunk=1024)


def test_the_optimisers_state_is_that_of_the_real_one() -> None:
    import torch

    from incoder_model.transformer import Transformer
    from incoder_train.training.optimiser import make_optimisers
    from incoder_train.training.recipe import Optimiser

    config = ModelConfig(vocab_size=100, d_model=32, layers=2, heads=2, d_ffn=64, context=16)
    for kind in ("adamw", "muon"):
        model = Transformer(config)
        optimisers = make_optimisers(dict(model.named_parameters()), Optimiser(kind=kind))
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        for optimiser in optimisers:
            optimiser.step()
        states = [value for one in optimisers for state in one.state.values() for value in state.values()]
        assert sum(value.nbytes for value in states if value.dim()) == state_bytes(config, kind)


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_draws_one_table_and_writes_json(tmp_path: Path) -> None:
    file = RECIPES / "incoder-6.7b-v100.toml"
    options = ("--gpus", 248, "--gpu", "v100-32g", "--net", "100Gb", "--tokens", "52e9", "--days", "24")
    result = incoder("plan", file, *options, "--json", tmp_path / "plan.json")
    assert result.exit_code == 0
    for line in (
        r"parameters +6,651,084,800 +exact",
        r"FLOPs, with recompute +2\.99e\+21",
        r"updates +12,798 +of 4,063,232 tokens",
        r"tokens/s a GPU +101",
        r"MFU, HFU +3\.5%, 4\.6%",
        r"a checkpoint +79\.8 GB +weights 26\.6 GB",
        r"warning: PyTorch's usual wheels have no code for a v100-32g \(sm_70\)",
    ):
        assert re.search(line, result.stdout), line
    values = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert values["config"]["d_model"] == 4096
    assert values["flops"]["six_nd"] == pytest.approx(2.075e21, rel=1e-3)
    assert values["memory"]["total"] < 32 * GIB


def test_a_machine_that_is_not_known_gets_no_time(tmp_path: Path) -> None:
    result = incoder("plan", RECIPES / "incoder-1.3b-v100.toml")
    assert result.exit_code == 0
    assert "parameters" in result.stdout
    assert "the whole run" not in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu", "v100"), "no GPU 'v100' is known; there are v100-pcie-16g, v100-pcie-32g, v100-16g, v100-32g"),
        (("--gpu", "abacus"), "no GPU 'abacus' is known; there are t4, "),
        (("--gpus", "248", "--gpu", "v100-32g"), "248 GPUs in nodes of 8 need a network; say how fast it is"),
        (("--gpus", "2000", "--net", "100Gb"), "batch_size is 1984, less than one row for each of 2000 GPUs"),
        (("--net", "fast"), "--net is 'fast'"),
        (("--days", "3"), "what --days asks of a GPU is not known without --gpu"),
        (("--trace",), "one GPU shares none; leave it out, or say --gpus"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(options: tuple[str, ...], said: str) -> None:
    result = incoder("plan", RECIPES / "incoder-6.7b-v100.toml", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_run_in_minutes_needs_a_speed(tmp_path: Path) -> None:
    timed = replace(recipe(), run=replace(recipe().run, steps=None, minutes=60.0))
    with pytest.raises(UserError, match="ends after 60 minutes, and how many tokens that makes is not known"):
        make_plan(timed, gpus=8)
    plan = make_plan(timed, gpus=8, gpu=hardware.gpu("h100"))
    assert plan.time is not None
    assert plan.time.days * 24 == pytest.approx(1)


def warned(plan: Plan) -> str:
    return "\n".join(warnings(plan))


def test_warnings_say_what_to_beware_of() -> None:
    assert "V100" not in warned(paper()) and "bound by communication" not in warned(paper())
    slow = make_plan(recipe(micro_batch=1), gpu=hardware.gpu("v100-32g"), gpus=248, net=read_speed("25Gb"), tokens=52e9)
    assert "bound by communication: 159.6 s on the wire for 20.8 s" in warned(slow)
    assert "8 micro-batches an update gather all weights 8 times" in warned(slow)
    assert "248" not in warned(paper()) and "does not divide by 240 GPUs" in warned(paper(gpus=240))
    assert "do not divide into micro-batches of 3" in warned(make_plan(recipe(micro_batch=3), gpus=248, net=IB100))
    assert "memory is tight" not in warned(paper())
    none = make_plan(recipe(recompute="none"), gpu=hardware.gpu("v100-32g"), gpus=248, net=IB100)
    assert f"does not fit into memory; say micro_batch = {none.largest_micro_batch}," in warned(none)
    alone = make_plan(recipe(), gpu=hardware.gpu("v100-16g"))
    assert "not even one row at a time fits into memory" in warned(alone)
    assert "has no bf16" in warned(make_plan(recipe(precision="bf16"), gpu=hardware.gpu("v100-32g")))
    assert "say compile = false" in warned(make_plan(recipe(compile=True), gpu=hardware.gpu("v100-32g")))
    assert "a row holds 568 of its 2,048" in warned(paper())


def test_the_largest_micro_batch_fits_and_one_more_does_not() -> None:
    plan = paper()
    rows = plan.largest_micro_batch
    assert rows is not None and rows > 8

    def total(rows: int) -> float:
        found = memory(LARGE, rows=rows, shard_group=248, precision="fp16", recompute="full", loss_chunk=2048)
        return found.total / GIB

    assert total(rows) <= 31.7 < total(rows + 1)
