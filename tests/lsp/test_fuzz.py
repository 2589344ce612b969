"""Messages that are nearly right: each request among them is answered exactly once, and the server lives on."""

from __future__ import annotations

import asyncio
import itertools
import random

from conftest import SCRIPTED
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_client import INLINE, RawClient, inline

from incoder_lsp.conformance import fuzz

numbers = itertools.count(1_000_000)


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_messages_that_are_nearly_right(client: RawClient, rng: random.Random, count: int):
    bodies = [fuzz.body(rng, next(numbers)) for _ in range(count)]
    for body in bodies:
        client.write_message(body.data)
    assert "error" not in client.ask(INLINE, inline("file:///nowhere.py", 0, 0))
    for body in bodies:
        if body.request is not None:
            client.reply(body.request)
            assert [message.get("id") for message in client.received].count(body.request) == 1
    client.received.clear()


def test_a_body_is_mostly_a_message_still():
    bodies = [fuzz.body(random.Random(seed), 7) for seed in range(300)]
    requests = [body for body in bodies if body.request == 7]
    meant = sum("id" in seed and "method" in seed for seed in fuzz.SEEDS) / len(fuzz.SEEDS)
    assert 0.3 * meant < len(requests) / len(bodies) < 0.9 * meant
    assert len({body.data for body in bodies}) > 200


def test_the_command_finds_nothing_in_the_server():
    assert asyncio.run(fuzz.run(SCRIPTED, 1.0, seed=3)) >= fuzz.BATCH
