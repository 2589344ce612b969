"""Seconds on the wire, against a table worked out by hand for InCoder-6.7B on 31 nodes of 8 GPUs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.config import PRESETS
from incoder_train.errors import UserError
from incoder_train.plan.network import Cluster, communication_seconds, read_speed

PARAMETERS = PRESETS["incoder-6.7b"].parameters
NVLINK = 150e9


@pytest.mark.parametrize(
    ("net", "micro_steps", "seconds"),
    [("25Gb", 8, 161), ("25Gb", 1, 20), ("100Gb", 8, 40), ("100Gb", 1, 5.0), ("200Gb", 1, 2.5), ("4x100Gb", 8, 10)],
)
def test_full_sharding_over_248_gpus(net: str, micro_steps: int, seconds: float) -> None:
    cluster = Cluster(248, 8, read_speed(net), NVLINK)
    found = communication_seconds(PARAMETERS, cluster, shard_group=248, micro_steps=micro_steps)
    assert found == pytest.approx(seconds, rel=0.02)


def test_one_gpu_says_nothing_and_one_node_uses_no_network() -> None:
    alone = Cluster(1, 8, None, NVLINK)
    assert communication_seconds(PARAMETERS, alone, shard_group=1, micro_steps=4) == 0
    node = [Cluster(8, 8, net, NVLINK) for net in (None, 1.0)]
    with_slow, without = (communication_seconds(PARAMETERS, one, shard_group=8, micro_steps=1) for one in node)
    assert with_slow == without == pytest.approx(PARAMETERS * 8 * 7 / 8 / (0.85 * NVLINK))


def test_hybrid_sharding_crosses_nodes_once_an_update() -> None:
    """Groups of 8 in one node each: over the network go the fp32 gradients, there and back, however many micro-batches."""
    cluster = Cluster(64, 8, read_speed("100Gb"), NVLINK)
    one, four = (communication_seconds(PARAMETERS, cluster, shard_group=8, micro_steps=n) for n in (1, 4))
    inside = PARAMETERS * 8 * 7 / 8 / (0.85 * NVLINK)
    across = 2 * 4 * PARAMETERS * 7 / 8 / (0.85 * 12.5e9)
    assert one == pytest.approx(inside + across)
    assert four == pytest.approx(4 * inside + across)
    full = communication_seconds(PARAMETERS, cluster, shard_group=64, micro_steps=4)
    assert four < full


@given(st.integers(1, 8), st.integers(1, 9999), st.sampled_from(["Gb", "GB"]))
def test_a_speed_is_read_as_it_is_written(links: int, speed: int, unit: str) -> None:
    expected = pytest.approx(links * speed * 1e9 / (8 if unit == "Gb" else 1))
    assert read_speed(f"{links}x{speed}{unit}") == read_speed(f" {links} x {speed} {unit}/s ") == expected


@pytest.mark.parametrize("text", ["", "fast", "100", "100gb", "0Gb", "-5Gb", "100Mb", "x100Gb"])
def test_what_is_no_speed_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="say the speed of one node's link"):
        read_speed(text)
