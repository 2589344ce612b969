"""Many prompts at once say what each would have said alone, and scores are those of the whole network."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.batch import Completion, Generator, Prompt
from incoder_model.checkpoint import load_transformer
from incoder_model.engine import Engine
from incoder_model.infill import InfillRequest, Model, infill, prompt_of
from incoder_model.sampling import Sampling
from incoder_model.tokenizer import Tokenizer
from incoder_model.torch_evaluator import TorchEvaluator
from incoder_model.transformer import Transformer

HEADER = "<| file ext=.py |>\n"
PIECES = [
    "def ",
    "self.lat",
    "return ",
    "(a, b)",
    ":",
    "    ",
    "\n",
    "\r\n",
    "é",
    "😀",
    "\ud800",
    "<|mask:0|>",
    "<|",
    "x <",
]
LONG = "x = self.latitude\n" * 60  # with 400 tokens beside it more than the context holds

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=8).map("".join)
sides = texts | texts.map(lambda text: LONG + text) | texts.map(lambda text: text + LONG)
requests = st.builds(
    InfillRequest,
    left=sides,
    right=sides,
    header=st.sampled_from(["", HEADER]),
    typed=st.just("") | texts | st.sampled_from(["r", "ret", "    return np", "self.lat", "x <|"]),
    one_line=st.booleans(),
    max_tokens=st.integers(1, 12) | st.just(40),
)
temperatures = st.sampled_from([Sampling(), Sampling(0.9, 0.95), Sampling(2.0, 1.0)])


@pytest.fixture(scope="module")
def network(model_directory: Path) -> Transformer:
    """In float64, so that rounding never decides between two tokens."""
    return load_transformer(model_directory)[0].double()


@pytest.fixture(scope="module")
def alone(network: Transformer, tokenizer: Tokenizer) -> Model:
    return Model(network.config, tokenizer, Engine(TorchEvaluator(network)))


def prompts_of(requests: list[InfillRequest], model: Model) -> list[Prompt]:
    return [
        Prompt(prompt_of(model, one), one.max_tokens, one.typed, one.one_line, seed)
        for seed, one in enumerate(requests)
    ]


def outcome(said: Completion) -> tuple[object, ...]:
    return said.text, said.generated, pytest.approx(said.log_probability, abs=1e-3), said.stopped


@given(st.lists(requests, max_size=7), temperatures, st.integers(1, 7))
@settings(max_examples=20)
def test_a_batch_says_what_infill_says_one_at_a_time(
    network: Transformer, alone: Model, asked: list[InfillRequest], sampling: Sampling, rows: int
) -> None:
    said = Generator(network, alone.tokenizer, rows).generate(prompts_of(asked, alone), sampling=sampling)
    for seed, (request, completion) in enumerate(zip(asked, said, strict=True)):
        answer = infill(alone, replace(request, sampling=replace(sampling, seed=seed)))
        assert outcome(completion) == (answer.text, answer.tokens, answer.log_probability, answer.stopped)
