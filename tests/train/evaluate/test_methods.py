"""What each method asks a model, and what it makes of the answers: a real network with random weights says them."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.batch import Generator
from incoder_model.checkpoint import load_transformer
from incoder_model.engine import Engine
from incoder_model.infill import InfillRequest, Model, infill
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.torch_evaluator import TorchEvaluator
from incoder_model.transformer import Transformer
from incoder_train.errors import UserError
from incoder_train.evaluate.case import (
    ANCHORED,
    CAUSAL_MASK,
    LEFT_TO_RIGHT,
    METHODS,
    RERANK,
    RETRIEVAL,
    Answer,
    Case,
    Limits,
    Settings,
)
from incoder_train.evaluate.methods import anchored, both_sides, completed, fill, left_to_right, log_likelihoods
from incoder_train.evaluate.truncations import shortened

causal_mask = partial(both_sides, region=False)

HEADER = "<| file ext=.py |>\n"
LONG = "x = self.latitude\n" * 120  # more than the context of 512 holds
CASES = [
    Case("whole", "import math\n\n\ndef area(r):\n", "\n    return a\n", "    a = r", Limits(8)),
    Case(
        "within",
        "class City:\n    def __init__(self, name):\n        self.na",
        "\n",
        "me = name",
        Limits(8, one_line=True),
    ),
    Case("end", "def haversine(a: City", "", ", b: City):", Limits(5)),
    Case("long", LONG + "    x = ", "\n" + LONG, "1", Limits(6, one_line=True)),
    Case("lines", "for row in matrix:\n", "print(row)\n", "    a\n    b\n", Limits(30, truncate="num-lines")),
    Case("stops", "def f(", "):\n    pass\n", "x", Limits(20, stops=("a", "(", "\n"))),
]
models = pytest.mark.parametrize("method", [method for method in METHODS if method != RETRIEVAL])


@pytest.fixture(scope="module")
def network(model_directory: Path) -> Transformer:
    """In float64, so that rounding never decides between two tokens."""
    return load_transformer(model_directory)[0].double()


@pytest.fixture(scope="module")
def generator(network: Transformer, tokenizer: Tokenizer) -> Generator:
    return Generator(network, tokenizer)


def asked(method: str, **more: object) -> Settings:
    return Settings("heldout", method=method, **more)  # pyright: ignore[reportArgumentType]


def same(one: Answer, other: Answer) -> bool:
    """The same, but for the last digits of likelihoods."""
    rest = ("tokens", "stopped")
    floats = ("log_probability", "scores")
    return (
        one.samples == other.samples
        and all(one.detail.get(key) == other.detail.get(key) for key in rest)
        and all(one.detail.get(key, 0) == pytest.approx(other.detail.get(key, 0), abs=1e-3) for key in floats)
    )


# --- what is asked -----------------------------------------------------------------------------------------------


def test_prompts_token_for_token(generator: Generator) -> None:
    encode, m = generator.tokenizer.encode, generator.tokenizer.sentinels
    case = Case("a", "x = 1\n  y = se", "\nz\n", "", Limits(7, one_line=True), HEADER)
    front = [BOS, *encode(HEADER)]
    both = causal_mask(case, generator)
    assert both.tokens == [*front, *encode("x = 1\n  y = se"), m[0], *encode("\nz\n"), m[1], m[0]]
    assert (both.typed, both.max_tokens, both.one_line) == ("", 7, True)
    anchor = anchored(case, generator)
    assert anchor.tokens == [*front, *encode("x = 1\n"), m[0], *encode("\nz\n"), m[1], m[0]]
    assert (anchor.typed, anchor.max_tokens, anchor.one_line) == ("  y = se", 7, True)
    left = left_to_right(case, generator)
    assert left.tokens == [*front, *encode("x = 1\n  y = se")]
    assert (left.typed, left.max_tokens, left.one_line) == ("", 7, True)
    at_the_end = replace(case, right="")
    assert causal_mask(at_the_end, generator).tokens == [*front, *encode("x = 1\n  y = se"), m[0], m[0]]


def test_what_is_far_from_the_hole_is_left_out(generator: Generator) -> None:
    case = Case("a", LONG + "last", "first" + LONG, "", Limits(12), HEADER)
    encode, m = generator.tokenizer.encode, generator.tokenizer.sentinels
    for ask in (causal_mask, anchored, left_to_right):
        prompt = ask(case, generator)
        assert 0.8 * 512 < len(prompt.tokens) + len(encode(prompt.typed)) + 12 <= 512
        assert prompt.tokens[: len(encode(HEADER)) + 1] == [BOS, *encode(HEADER)]
    assert left_to_right(case, generator).tokens[-1:] == encode("last")[-1:]
    tokens = causal_mask(case, generator).tokens
    hole = tokens.index(m[0])
    assert generator.tokenizer.decode(tokens[:hole]).endswith("\nlast")
    assert generator.tokenizer.decode(tokens[hole:]).startswith("firstx = ")


def test_a_budget_leaves_half_of_a_small_context_to_be_read(generator: Generator) -> None:
    case = Case("a", "x", "y", "", Limits(5000))
    assert [ask(case, generator).max_tokens for ask in (causal_mask, anchored, left_to_right)] == [256] * 3


# --- what comes of it --------------------------------------------------------------------------------------------


@models
def test_batches_of_any_size_and_order_give_the_same_answers(method: str, generator: Generator) -> None:
    how = asked(method, temperature=None if method == RERANK else 0.9, seed=3)
    together = fill(CASES, how, generator)
    backwards = fill(CASES[::-1], how, generator)[::-1]
    alone = [fill([case], how, generator)[0] for case in CASES]
    for one, two, three in zip(together, backwards, alone, strict=True):
        assert same(one, two) and same(one, three)


@models
def test_answers_are_short_enough_and_can_be_written(method: str, generator: Generator) -> None:
    for case, answer in zip(CASES, fill(CASES, asked(method), generator), strict=True):
        assert len(answer.samples) == (10 if method == RERANK else 1)
        assert all(shortened(sample, case) == sample for sample in answer.samples)
        assert all("\n" not in sample for sample in answer.samples) or not case.limits.one_line
        assert answer.detail["tokens"] <= case.limits.max_tokens
        assert answer.detail["log_probability"] <= 0
        assert json.loads(json.dumps(answer.detail)) == answer.detail


def test_anchored_is_what_an_editor_would_say(generator: Generator, network: Transformer, tokenizer: Tokenizer) -> None:
    model = Model(network.config, tokenizer, Engine(TorchEvaluator(network)))
    for case, answer in zip(CASES, fill(CASES, asked(ANCHORED), generator), strict=True):
        line = case.left[case.left.rfind("\n") + 1 :]
        left = case.left.removesuffix(line)
        limits = case.limits
        request = InfillRequest(
            left, case.right, case.header, line, one_line=limits.one_line, max_tokens=limits.max_tokens
        )
        assert answer.samples == [shortened(infill(model, request).text, case)]


def test_a_stop_ends_an_answer_where_it_first_comes(generator: Generator) -> None:
    case = replace(CASES[0], limits=Limits(40))
    for method in (CAUSAL_MASK, LEFT_TO_RIGHT):
        whole = fill([case], asked(method), generator)[0]
        stop = whole.samples[0][5:7]
        cut = fill([replace(case, limits=Limits(40, stops=(stop,)))], asked(method), generator)[0]
        assert cut.samples[0] == whole.samples[0].split(stop)[0]
        assert cut.detail["stopped"] == "done"
        assert cut.detail["tokens"] < whole.detail["tokens"]


@given(st.integers(0, 9), st.sampled_from([CAUSAL_MASK, LEFT_TO_RIGHT, ANCHORED]))
@settings(max_examples=6)
def test_samples_differ_and_can_be_drawn_again(generator: Generator, seed: int, method: str) -> None:
    how = asked(method, seed=seed, samples=4)
    cases = [CASES[0], replace(CASES[0], id="another")]
    answers = fill(cases, how, generator)
    assert all(len(answer.samples) == 4 for answer in answers)
    assert len({sample for answer in answers for sample in answer.samples}) > 4
    assert all(map(same, answers, fill(cases, how, generator)))
    assert fill(cases, replace(how, samples=2), generator)[0].samples == answers[0].samples[:2]
    assert fill(cases, replace(how, seed=seed + 1), generator)[0].samples != answers[0].samples


def test_one_sample_is_greedy_unless_asked_otherwise(generator: Generator) -> None:
    greedy = fill(CASES[:2], asked(CAUSAL_MASK), generator)
    assert all(map(same, greedy, fill(CASES[:2], asked(CAUSAL_MASK, seed=9, temperature=0.0), generator)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (asked(CAUSAL_MASK, samples=3, temperature=0.0), "at temperature 0 all 3 samples are the same"),
        (asked(RERANK, temperature=0.0), "at temperature 0 all 10 samples are the same"),
        (asked(RERANK, samples=2), "rerank draws 10 samples"),
        (asked(CAUSAL_MASK, temperature=-1.0), "must not be negative"),
        (asked(CAUSAL_MASK, temperature=0.5, top_p=0.0), "must lie in"),
    ],
)
def test_settings_that_cannot_be(generator: Generator, settings: Settings, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        fill(CASES[:1], settings, generator)


# --- reranking ---------------------------------------------------------------------------------------------------


def plainly(network: Transformer, tokens: list[int]) -> np.ndarray:
    with torch.inference_mode():
        log_p = network.logits(network(torch.tensor([tokens]))[0]).log_softmax(-1)
    return np.array([log_p[i, token] for i, token in enumerate(tokens[1:])])


@pytest.mark.parametrize("by", ["sum", "mean"])
def test_the_likeliest_document_comes_first(generator: Generator, network: Transformer, by: str) -> None:
    case = replace(CASES[4], extra={"rerank": by})
    answer = fill([case], asked(RERANK, seed=1), generator)[0]
    drawn = fill([case], asked(LEFT_TO_RIGHT, seed=1, samples=10), generator)[0]
    assert sorted(answer.samples) == sorted(drawn.samples)
    scores = []
    for sample in answer.samples:
        text = HEADER + case.left + sample + "\n" * (not sample.endswith("\n")) + case.right
        log_p = plainly(network, [BOS, *generator.tokenizer.encode(text)])
        scores.append(log_p.mean() if by == "mean" else log_p.sum())
    assert answer.detail["scores"] == pytest.approx(scores, abs=1e-3)
    assert scores == sorted(scores, reverse=True)
    assert len(set(answer.samples)) > 3


def test_documents_longer_than_the_context_are_compared_by_what_is_around_the_hole(
    generator: Generator, network: Transformer
) -> None:
    case, texts = CASES[3], ["", "1", "x.latitude"]
    found = log_likelihoods(case, texts, generator)
    encode, decode = generator.tokenizer.encode, generator.tokenizer.decode
    room = 512 - 6 - len(encode(HEADER)) - 16
    assert room > 400
    right = int(room * (1 - 0.7))
    left = room - right
    near = [decode(encode(case.left)[-left:]), decode(encode(case.right)[:right])]
    true = [plainly(network, [BOS, *encode(HEADER + near[0] + text + near[1])]).sum() for text in texts]
    assert found == pytest.approx(true, abs=1e-3)


def test_a_hole_of_whole_lines_is_closed() -> None:
    case = Case("a", "x\n", "z\n", "y\n", Limits(8))
    assert completed(case, "b") == completed(case, "b\n") == "x\nb\nz\n"
    assert completed(replace(case, answer="y"), "b") == "x\nbz\n"


# --- without a model ---------------------------------------------------------------------------------------------


def test_retrieval_needs_no_model() -> None:
    case = Case("a", "open()\nread()\nclose()\n\nopen()\n", "close()\n", "read()\n", Limits(8))
    one = replace(case, limits=Limits(8, one_line=True))
    stopped = replace(case, limits=Limits(8, stops=("(",)))
    assert fill([case, one, stopped], asked(RETRIEVAL), None) == [
        Answer(["read()\n"]),
        Answer(["read()"]),
        Answer(["read"]),
    ]
