"""What of a file, and of others, is in a prompt: whole lines, whole blocks where they are near, and nothing that moves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.config import ModelConfig
from incoder_model.engine import common_prefix
from incoder_model.infill import InfillRequest, prompt_of
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.window import Neighbour, cut_at_edges, fit, show_neighbours

HEADER = "<| file ext=.py filename=area.py |>\n"
SHAPES = Neighbour("/w/shapes.py", "class Rectangle:\n    pass")
OTHERS = Neighbour("/w/others.py", "x = 1")
SHOWN = {
    SHAPES: "<| file ext=.py filename=shapes.py |>\nclass Rectangle:\n    pass\n",
    OTHERS: "<| file ext=.py filename=others.py |>\nx = 1\n",
}

program = st.lists(st.sampled_from(["a = 1", "    b = f(a)", "", "\n", "é"]), max_size=80).map("\n".join)


@dataclass
class Reader:
    tokenizer: Tokenizer
    context: int = 512
    region: bool = True

    @property
    def config(self) -> ModelConfig:
        return ModelConfig(
            self.tokenizer.vocab_size, d_model=4, heads=1, layers=1, d_ffn=4, context=self.context, region=self.region
        )


def asked(left: str = "a = 1\n", right: str = "\n", share: float = 0.5, typed: str = "") -> InfillRequest:
    return InfillRequest(left, right, HEADER, typed, neighbours=(SHAPES, OTHERS), neighbour_share=share)


# --- other files -------------------------------------------------------------------------------------------------


def test_neighbours_stand_before_the_file_the_best_one_last(tokenizer: Tokenizer) -> None:
    encode, m = tokenizer.encode, tokenizer.sentinels
    front = encode(SHOWN[OTHERS]) + encode(SHOWN[SHAPES])
    own = encode(HEADER) + encode("a = 1\n")
    prompt = prompt_of(Reader(tokenizer), asked())
    assert prompt == [BOS, m[0], *encode("\n"), m[1], m[0], *front, *own]
    prompt = prompt_of(Reader(tokenizer, region=False), asked())
    assert prompt == [BOS, *front, *own, m[0], *encode("\n"), m[1], m[0]]


def test_they_take_only_the_room_that_the_file_leaves(tokenizer: Tokenizer) -> None:
    without = InfillRequest("x = self.longitude\n" * 300, "\n", HEADER)
    full = asked(without.left)
    assert prompt_of(Reader(tokenizer), full) == prompt_of(Reader(tokenizer), without)
    assert prompt_of(Reader(tokenizer), asked(share=0)) == prompt_of(
        Reader(tokenizer), InfillRequest("a = 1\n", "\n", HEADER)
    )


@given(st.lists(program, max_size=4), st.integers(-5, 200))
def test_what_is_shown_is_whole_lines_of_the_best(tokenizer: Tokenizer, pieces: list[str], room: int) -> None:
    neighbours = [Neighbour(f"/w/n{number}.py", text) for number, text in enumerate(pieces)]
    tokens = show_neighbours(neighbours, room, tokenizer)
    assert len(tokens) <= max(0, room)
    shown = tokenizer.decode(tokens)
    documents = [f"<| file ext=.py filename=n{number}.py |>\n{text}\n" for number, text in enumerate(pieces)]
    best = 0
    while best < len(documents) and shown.endswith(documents[best]):
        shown = shown[: len(shown) - len(documents[best])]
        best += 1
    if shown:
        assert documents[best].startswith(shown), "the one for which there is not enough room loses its end"
        assert shown.count("\n") > 1
        assert shown.endswith("\n")


@pytest.mark.parametrize("region", [True, False])
def test_typing_seldom_moves_them(tokenizer: Tokenizer, region: bool) -> None:
    """While a file grows to its window's size and beyond, its prompt mostly keeps what stands before what is typed."""
    left, prompts, with_neighbours = "", [], 0
    for line in range(120):
        prompts.append(prompt_of(Reader(tokenizer, region=region), asked(left)))
        with_neighbours += len(prompts[-1]) > len(tokenizer.encode(HEADER + left)) + 20
        left += f"z = w{line}\n"
    assert with_neighbours
    tail = 12 if region else 12 + len(tokenizer.encode("z = w100\n"))
    moved = sum(common_prefix(a, b) < len(a) - tail for a, b in pairwise(prompts))
    assert moved <= len(tokenizer.encode(left)) / (512 / 16) + 3


# --- edges -------------------------------------------------------------------------------------------------------


@given(program, program, st.integers(0, 120), st.integers(1, 16), st.floats(0.1, 0.9))
@settings(max_examples=200)
def test_a_cut_is_at_an_edge_and_costs_at_most_a_step(
    tokenizer: Tokenizer, above: str, below: str, room: int, step: int, share: float
) -> None:
    left, right = tokenizer.encode(above), tokenizer.encode(below)
    whole_left, whole_right = fit(left, right, room, step, share)
    near_left, near_right = cut_at_edges(left, right, room, step, share, tokenizer)
    lost_left, lost_right = len(whole_left) - len(near_left), len(whole_right) - len(near_right)
    assert 0 <= lost_left <= step
    assert 0 <= lost_right <= step
    assert (near_left, near_right) == (left[len(left) - len(near_left) :], right[: len(near_right)])
    if len(whole_left) == len(left):
        assert near_left == left
    elif any(token in tokenizer.newlines for token in whole_left[:step]):
        assert left[len(left) - len(near_left) - 1] in tokenizer.newlines
    if len(whole_right) == len(right):
        assert near_right == right
    elif any(token in tokenizer.newlines for token in whole_right[-step:]):
        assert near_right[-1] in tokenizer.newlines


def test_a_block_is_a_better_edge_than_a_line(tokenizer: Tokenizer) -> None:
    above = "first = 1\nsecond = 2\n\nthird = 3\nfourth = 4\n" * 3
    tokens = tokenizer.encode(above)
    near, _ = cut_at_edges(tokens, [], len(tokens) - 2, 24, 0.7, tokenizer)
    assert tokenizer.decode(near).startswith(("third", "first"))
    assert tokenizer.decode(near).startswith("third")


def test_the_share_of_the_left_side(tokenizer: Tokenizer) -> None:
    side = "x = self.longitude\n" * 300
    m = tokenizer.sentinels
    for share in (0.3, 0.7):
        prompt = prompt_of(Reader(tokenizer), InfillRequest(side, side, "", left_share=share))
        right = prompt.index(m[1]) - 2
        left = len(prompt) - right - 4
        assert abs(left / (left + right) - share) < 0.15
