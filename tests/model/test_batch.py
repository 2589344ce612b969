"""Many prompts at once say what each would have said alone, and scores are those of the whole network."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from incoder_model import scoring
from incoder_model.batch import LIKELY, Completion, Generator, Prompt, choose_rows, load_generator
from incoder_model.checkpoint import WEIGHTS, ModelDirectoryError, load_transformer
from incoder_model.engine import Engine
from incoder_model.infill import InfillRequest, Model, continue_text, infill, left_prompt, prompt_of
from incoder_model.sampling import Sampling, choose
from incoder_model.scoring import groups
from incoder_model.tokenizer import BOS, Tokenizer
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
LONG = "x = self.latitude\n" * 120  # more than the context holds

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=8).map("".join)
sides = st.one_of(texts, texts, texts, st.just(LONG))
requests = st.builds(
    InfillRequest,
    left=sides,
    right=sides,
    header=st.sampled_from(["", HEADER]),
    typed=st.just("") | texts | st.sampled_from(["r", "ret", "    return np", "self.lat", "x <|"]),
    one_line=st.booleans(),
    max_tokens=st.integers(1, 12),
)
samplings = st.sampled_from([Sampling(), Sampling(0.9, 0.95), Sampling(2.0, 1.0)])


@pytest.fixture(scope="module")
def alone(network: Transformer, tokenizer: Tokenizer) -> Model:
    return Model(network.config, tokenizer, Engine(TorchEvaluator(network)))


@pytest.fixture(scope="module")
def generator(network: Transformer, tokenizer: Tokenizer) -> Generator:
    return Generator(network, tokenizer)


def prompt(model: Model, request: InfillRequest, seed: int = 0) -> Prompt:
    return Prompt(prompt_of(model, request), request.max_tokens, request.typed, request.one_line, seed)


def outcome(said: Completion) -> tuple[object, ...]:
    return said.text, said.generated, pytest.approx(said.log_probability, abs=1e-3), said.stopped


# --- going on ----------------------------------------------------------------------------------------------------


@given(st.lists(requests, max_size=7), samplings, st.integers(1, 7))
@settings(max_examples=15)
def test_a_batch_says_what_infill_says_one_at_a_time(
    network: Transformer, alone: Model, asked: list[InfillRequest], sampling: Sampling, rows: int
) -> None:
    """Of prompts of any lengths, in any order, however few go on together; each draws from the stream of its own seed."""
    prompts = [prompt(alone, request, seed) for seed, request in enumerate(asked)]
    said = Generator(network, alone.tokenizer, rows).generate(prompts, sampling=sampling)
    for seed, (request, completion) in enumerate(zip(asked, said, strict=True)):
        answer = infill(alone, replace(request, sampling=replace(sampling, seed=seed)))
        assert outcome(completion) == (answer.text, answer.tokens, answer.log_probability, answer.stopped)


def test_a_batch_goes_on_as_continue_text_does(generator: Generator, alone: Model) -> None:
    lefts = ["import math\n\n", "", "def haversine(", LONG, "class City:\n    def __init__(self, "]
    prompts = [Prompt(left_prompt(generator, left, HEADER, 9), 9) for left in lefts]
    for left, completion in zip(lefts, generator.generate(prompts, sampling=Sampling()), strict=True):
        answer = continue_text(alone, left, header=HEADER, max_tokens=9)
        assert outcome(completion) == (answer.text, answer.tokens, answer.log_probability, answer.stopped)


def test_a_row_goes_on_to_the_end_of_the_context(network: Transformer, tokenizer: Tokenizer) -> None:
    """Rows that enter while others are under way have room for all that they may say."""
    generator = Generator(network, tokenizer, rows=2)
    tokens = [BOS, *tokenizer.encode(LONG)]
    room = [Prompt(tokens[:length], 600) for length in (500, 508, 512, 490)]
    said = generator.generate(room, sampling=Sampling())
    full = [one.generated == n for one, n in zip(said, (13, 5, 1, 23), strict=True)]
    assert [one.stopped == "context" for one in said] == full
    assert sum(full) == 3  # one says the end before


def test_equal_prompts_are_read_once(generator: Generator, network: Transformer) -> None:
    read: list[int] = []
    hook = network.register_forward_hook(lambda *args: read.append(args[1][0].numel()))
    try:
        said = generator.generate([Prompt([BOS, 9, 9], 1, seed=k) for k in range(20)], sampling=Sampling(1.5, 1.0))
    finally:
        hook.remove()
    assert read == [3]
    assert len({one.text for one in said}) > 5


def test_a_row_ends_when_its_text_is_enough(generator: Generator) -> None:
    tokens = [BOS, *generator.tokenizer.encode("import ")]
    whole = generator.generate([Prompt(tokens, 12)], sampling=Sampling())[0]
    heard: list[str] = []

    def two_characters(text: str) -> bool:
        heard.append(text)
        return len(text) > 1

    own = Prompt(tokens, 12, done=lambda text: len(text) > 4)
    long, short = generator.generate([own, Prompt(tokens, 12)], sampling=Sampling(), done=two_characters)
    assert whole.text.startswith(long.text) and long.text.startswith(short.text)
    assert (long.stopped, short.stopped) == ("done", "done")
    assert 1 < len(short.text) < len(long.text) < len(whole.text)
    assert heard[-1] == short.text and all(len(text) < 2 for text in heard[:-1])


@given(typed=st.sampled_from(["self.lat", "    return np.ar", "x <|", "é", ""]), sampling=samplings)
@settings(max_examples=10)
def test_what_is_typed_is_spelled(generator: Generator, typed: str, sampling: Sampling) -> None:
    said = generator.generate([Prompt([BOS], 4, typed)], sampling=sampling)[0]
    spelled = generator.tokenizer.decode_bytes(said.tokens)
    if said.generated:
        assert spelled.startswith(typed.encode())
        assert spelled == (typed + said.text).encode() or "�" in said.text
    else:  # the end came in the middle of it, as `<|/` after `<|`
        assert (typed.encode().startswith(spelled), said.text, said.stopped) == (True, "", "end-of-text")


@pytest.mark.parametrize("tokens", [[], [BOS] * 513])
def test_a_prompt_that_does_not_fit_is_refused(generator: Generator, tokens: list[int]) -> None:
    with pytest.raises(ValueError, match=f"between 1 and 512 tokens, this one has {len(tokens)}"):
        generator.generate([Prompt(tokens, 4)], sampling=Sampling())


def test_nothing_to_say(generator: Generator) -> None:
    assert generator.generate([], sampling=Sampling()) == []
    with pytest.raises(ValueError, match="max_tokens is 0"):
        generator.generate([Prompt([BOS], 0)], sampling=Sampling())


@pytest.mark.parametrize("vocabulary", [2, 300, LIKELY, LIKELY + 1, 3000])
@pytest.mark.parametrize("spread", [0.1, 3.0])  # of the scores: the flatter, the more tokens hold top_p
@pytest.mark.parametrize("top_p", [0.05, 0.95, 1.0])
def test_rows_choose_as_one_would(vocabulary: int, spread: float, top_p: float) -> None:
    scores = np.random.default_rng(0).normal(0, spread, (9, vocabulary)).astype(np.float32)
    for sampling in (Sampling(), Sampling(0.7, top_p), Sampling(1.5, top_p)):
        draws = [np.random.default_rng(i).random() for i in range(9)] if sampling.temperature else []
        tokens, log_p = choose_rows(torch.tensor(scores), sampling, draws)
        for i, row in enumerate(scores):
            token, log_probability = choose(row, sampling, np.random.default_rng(i))
            assert (tokens[i], log_p[i].item()) == (token, pytest.approx(log_probability, abs=1e-4))


# --- scores ------------------------------------------------------------------------------------------------------

token_lists = st.lists(st.integers(7, 12), min_size=1, max_size=30)


def plainly(network: Transformer, tokens: Sequence[int]) -> np.ndarray:
    with torch.inference_mode():
        log_p = network.logits(network(torch.tensor([tokens]))[0]).log_softmax(-1)
    return np.array([log_p[i, token] for i, token in enumerate(tokens[1:])], np.float32)


@given(st.lists(token_lists, max_size=6), token_lists, st.integers(1, 200))
@settings(max_examples=30)
def test_scores_are_those_of_the_whole_network(
    network: Transformer, others: list[list[int]], beginning: list[int], most: int
) -> None:
    """Families, strangers and equal sequences; passes of any size."""
    sequences = [*others, *([*beginning, *other] for other in others), *others[:1]]
    found = scoring.log_probabilities(network, sequences, most)
    assert [one.dtype for one in found] == [np.float32] * len(sequences)
    for sequence, one in zip(sequences, found, strict=True):
        assert one == pytest.approx(plainly(network, sequence), abs=1e-4)


@example([(7, 7, 7, 7, 7, 8), (7, 7, 7, 8)], 100)
@given(st.lists(token_lists.map(tuple).filter(lambda one: len(one) > 1), unique=True), st.integers(1, 200))
def test_every_sequence_is_in_one_group(sequences: list[tuple[int, ...]], most: int) -> None:
    found = list(groups(sequences, most))
    assert sorted(one for _, group in found for one in group) == sorted(sequences)
    for shared, group in found:
        assert len(group) * len(group[0]) <= most or len(group) == 1
        assert len({one[:shared] for one in group}) == 1
        assert all(shared <= len(one) - 2 for one in group) or not shared
        assert not shared or all(2 * shared >= len(one) for one in group)


def test_documents_that_differ_in_a_hole_are_read_once(generator: Generator, network: Transformer) -> None:
    left, right = [BOS] + [9] * 400, [8] * 20
    read: list[int] = []
    hook = network.register_forward_hook(lambda *args: read.append(args[1][0].numel()))
    try:
        generator.score([[*left, token, *right] for token in range(10, 20)])
    finally:
        hook.remove()
    assert sum(read) == 401 + 10 * 20


def test_scores_come_in_chunks(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = [BOS, *generator.tokenizer.encode(LONG)][:513]
    whole = generator.score([sequence])[0]
    monkeypatch.setattr(scoring, "LOGIT_BYTES", 4 * generator.config.vocab_size * 100)
    assert generator.score([sequence])[0] == pytest.approx(whole, abs=1e-5)
    assert len(whole) == 512


def test_what_has_no_score(generator: Generator) -> None:
    assert generator.score([]) == []
    assert generator.score([[BOS]])[0].shape == (0,)
    for tokens in ([], [BOS] * 514):
        with pytest.raises(ValueError, match=f"between 1 and 513 tokens, this one has {len(tokens)}"):
            generator.score([[BOS, 9], tokens])


# --- models ------------------------------------------------------------------------------------------------------


def test_a_model_directory_becomes_a_generator(model_directory: Path) -> None:
    generator = load_generator(model_directory)
    assert (generator.context, generator.config.layers) == (512, 2)
    assert generator.generate([Prompt([BOS], 3)], sampling=Sampling())[0].generated == 3


def test_half_precision_runs_too(model_directory: Path, tokenizer: Tokenizer) -> None:
    network = load_transformer(model_directory)[0].to(torch.bfloat16)
    network.rebuild_positions()
    generator = Generator(network, tokenizer)
    tokens = [BOS, *tokenizer.encode("import math\n")]
    completion = generator.generate([Prompt(tokens, 5)], sampling=Sampling())[0]
    scores = generator.score([[*tokens, *completion.tokens]])[0]
    assert scores[-completion.generated :].sum() == pytest.approx(completion.log_probability, rel=0.05, abs=0.3)


def test_a_directory_that_holds_no_model(model_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match="is not a folder"):
        load_generator(tmp_path / "none")
    broken = tmp_path / "broken"
    shutil.copytree(model_directory, broken)
    (broken / WEIGHTS).unlink()
    with pytest.raises(ModelDirectoryError, match="copy the whole model directory again"):
        load_generator(broken)
