"""Traces of whole updates, and the formula beside them."""

from __future__ import annotations

import dataclasses

import pytest

from incoder_model.config import PRESETS
from incoder_train.plan.memory import GIB, memory

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(
    ("preset", "rows", "world", "precision", "recompute", "chunk"),
    [
        ("small-60m", 16, 8, "bf16", "full", 2048),
        ("small-60m", 16, 8, "fp16", "selective", 2048),
        ("small-60m", 16, 2, "bf16", "none", 4096),
        ("small-60m", 4, 2, "fp32", "none", 2048),
        ("small-30m", 8, 4, "fp16", "full", None),
    ],
)
def test_the_formula_is_within_a_tenth_of_a_trace(
    preset: str, rows: int, world: int, precision: str, recompute: str, chunk: int | None
) -> None:
    from incoder_train.plan.trace import trace

    config = dataclasses.replace(PRESETS[preset], context=1024)
    traced = trace(
        config,
        micro_batch=rows,
        world=world,
        precision=precision,
        recompute=recompute,  # pyright: ignore[reportArgumentType]
        loss_chunk=chunk,
    )
    found = memory(config, rows=rows, shard_group=world, precision=precision, recompute=recompute, loss_chunk=chunk)  # pyright: ignore[reportArgumentType]
    assert found.traced == pytest.approx(traced.total, rel=0.1)


def test_the_trace_of_the_papers_run() -> None:
    """InCoder-6.7B on 248 GPUs, 8 rows, all recomputed, whole logits: 14.4 GiB, 13.5 of it activations."""
    from incoder_train.plan.trace import trace

    found = trace(
        PRESETS["incoder-6.7b"], micro_batch=8, world=248, precision="fp16", recompute="full", loss_chunk=None
    )
    assert found.total / GIB == pytest.approx(14.4, rel=0.02)
    assert found.activations / GIB == pytest.approx(13.5, rel=0.02)
