"""Filling holes with a real network: the cache changes no answer, what is typed is kept, and a keystroke costs little."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.engine import Engine
from incoder_model.infill import Infill, InfillRequest, Model, infill, infill_holes
from incoder_model.lookup import Lookup
from incoder_model.sampling import Sampling
from incoder_model.tokenizer import Tokenizer, decode_utf8
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
    "\f",
    "\u2028",
    "é",
    "😀",
    "\ud800",
    "<|mask:0|>",
    "<|",
    "x <",
]

lines = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=5).map("".join)
lines = lines.map(lambda text: text.replace("\n", "").replace("\r", ""))
texts = st.lists(lines, max_size=4).map("\n".join)
samplings = st.sampled_from([Sampling(), Sampling(0.9, 0.95, seed=1), Sampling(2.0, 1.0, seed=2)])


class Recorder:
    """Passes on to a real evaluator and remembers what that holds."""

    def __init__(self, inner: TorchEvaluator):
        self.inner, self.context = inner, inner.context
        self.held: list[int] = []

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        self.held += tokens
        return self.inner.evaluate(tokens)

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        self.held += tokens
        return self.inner.evaluate_each(tokens)

    def truncate(self, length: int) -> None:
        del self.held[length:]
        self.inner.truncate(length)


Fresh = Callable[[], tuple[Model, Recorder]]


@pytest.fixture(scope="module")
def fresh(network: Transformer, tokenizer: Tokenizer) -> Fresh:
    def make() -> tuple[Model, Recorder]:
        recorder = Recorder(TorchEvaluator(network))
        return Model(network.config, tokenizer, Engine(recorder)), recorder

    return make


def outcome(answer: Infill) -> Infill:
    return replace(answer, milliseconds=0, log_probability=round(answer.log_probability, 3))


def start_of_span(held: Sequence[int], tokenizer: Tokenizer) -> int:
    return max(i for i, token in enumerate(held) if token in tokenizer.sentinels) + 1


@given(data=st.data())
@settings(max_examples=20)
def test_a_cache_that_was_used_before_changes_no_answer(data: st.DataObject, fresh: Fresh) -> None:
    """Requests that share prompts, beginnings of them, or nothing, some of them stopped on the way."""
    used, _ = fresh()
    lefts, rights = ["import math\n\n", "import math\n\nx = 1\n", "x" * 300], ["\n\nclass City:\n", "", "\n" * 3]
    for _ in range(data.draw(st.integers(2, 5))):
        request = InfillRequest(
            data.draw(st.sampled_from(lefts)),
            data.draw(st.sampled_from(rights)),
            data.draw(st.sampled_from(["", HEADER])),
            data.draw(st.sampled_from(["", "r", "re", "ret", "    return np"])),
            one_line=data.draw(st.booleans()),
            max_tokens=data.draw(st.integers(1, 6)),
            sampling=data.draw(samplings),
        )
        if data.draw(st.booleans()):
            looks = iter([False] * data.draw(st.integers(0, 4)))
            infill(used, request, stop=lambda looks=looks: next(looks, True))
        assert outcome(infill(used, request)) == outcome(infill(fresh()[0], request))


def test_holes_filled_in_one_pass_are_those_filled_one_after_the_other(fresh: Fresh) -> None:
    """With everything before it in the prompt, the second hole has the same answer from an engine that saw nothing before."""
    parts = ["import math\n\n\ndef area(r):\n    return ", "\n\n\ndef ", "(r):\n    return 2 * r\n"]
    model, recorder = fresh()
    first, second = infill_holes(model, parts, header=HEADER, max_tokens=6)
    prompt = recorder.held[: start_of_span(recorder.held, model.tokenizer)]
    engine = fresh()[0].engine
    scores, spoken = engine.prefill(prompt), []
    while len(spoken) < 6 and (token := int(scores.argmax())) not in model.tokenizer.ends:
        spoken.append(token)
        scores = engine.step(token)
    assert second.text == model.tokenizer.decode(spoken)
    assert first.text


@given(left=texts, right=texts, typed=lines)
@settings(max_examples=20)
def test_cached_answers_are_what_the_whole_network_says(
    network: Transformer, fresh: Fresh, tokenizer: Tokenizer, left: str, right: str, typed: str
) -> None:
    """Against the plainest loop there is: every token from a pass over everything. With nothing to take back of what is
    typed, healing has no say either."""
    model, recorder = fresh()
    typed = tokenizer.decode(model.tokenizer.healer.take_back(tokenizer.encode(typed))[0])
    certain, rest = model.tokenizer.healer.take_back(tokenizer.encode(typed))
    if rest:  # what is left can be taken back in its turn
        typed, certain = "", []
    answer = infill(model, InfillRequest(left, right, HEADER, typed, max_tokens=6))
    tokens = [*recorder.held[: start_of_span(recorder.held, tokenizer)], *certain]
    spoken: list[int] = []
    with torch.inference_mode():
        while len(spoken) < 6:
            token = int(network.logits(network(torch.tensor([tokens + spoken]))[0, -1]).argmax())
            if token in model.tokenizer.ends:
                break
            spoken.append(token)
    assert (answer.text, answer.tokens) == (tokenizer.decode(spoken), len(spoken))


@given(
    left=texts,
    right=texts,
    typed=lines,
    one_line=st.booleans(),
    budget=st.integers(1, 24),
    context=st.sampled_from([96, 256]),
)
@settings(max_examples=25)
def test_prompt_lookup_changes_no_answer(
    fresh: Fresh, left: str, right: str, typed: str, one_line: bool, budget: int, context: int
) -> None:
    """Healing, line ends, budget and window included. In float64 the scores are the same to the last digit that counts."""
    request = InfillRequest(left * 3, right * 3, HEADER, typed, one_line=one_line, max_tokens=budget)
    (model, with_lookup), (plain, without) = fresh(), fresh()
    model.engine.context = plain.engine.context = with_lookup.context = without.context = context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lookup, "_next", lambda self, most: [])
        try:
            expected = infill(plain, request)
        except ValueError:  # no room
            return
    assert outcome(infill(model, request)) == outcome(expected)
    assert with_lookup.held == without.held
    assert model.engine.passes <= plain.engine.passes


def test_prompt_lookup_saves_passes(fresh: Fresh) -> None:
    model, _ = fresh()
    answer = infill(model, InfillRequest("x = y\n" * 20, "", HEADER, max_tokens=40))
    assert answer.tokens == 40
    assert model.engine.passes < 30


def test_healing_at_a_token_boundary_changes_nothing(fresh: Fresh, tokenizer: Tokenizer) -> None:
    """Where what is typed is how the model's own answer begins, token for token, the rest of the answer follows."""
    compared = 0
    for left in ("import math\n\n", "def f(x):\n    return ", "class City:\n    ", "x = ", "for name in cities:\n"):
        model, recorder = fresh()
        whole = infill(model, InfillRequest(left, "\n", HEADER, max_tokens=12))
        said = recorder.held[start_of_span(recorder.held, tokenizer) :]
        for k in range(1, len(said)):
            typed, text = tokenizer.decode(said[:k]), tokenizer.decode_bytes(said)
            certain, _ = tokenizer.healer.take_back(tokenizer.encode(typed))
            if certain != said[: len(certain)] or not text.startswith(typed.encode()):
                continue  # the model spells it differently, or tears a character apart
            rest = infill(fresh()[0], InfillRequest(left, "\n", HEADER, typed, max_tokens=12 - k))
            assert rest.text == whole.text[len(typed) :][: len(rest.text)]
            assert rest.stopped == whole.stopped
            compared += 1
    assert compared > 10


@given(typed=lines, sampling=samplings)
@settings(max_examples=60)
def test_what_was_typed_is_always_kept(fresh: Fresh, tokenizer: Tokenizer, typed: str, sampling: Sampling) -> None:
    model, recorder = fresh()
    answer = infill(model, InfillRequest("import math\n", "\n", HEADER, typed, max_tokens=4, sampling=sampling))
    spelled = tokenizer.decode_bytes(recorder.held[start_of_span(recorder.held, tokenizer) :])
    given = typed.encode("utf-8", "replace")
    assert spelled.startswith(given) or given.startswith(spelled)
    if answer.tokens > 1:  # the last token was said, but no longer evaluated
        assert spelled.startswith(given)
        assert answer.text.startswith(decode_utf8(spelled[len(given) :]))


def test_a_keystroke_costs_what_was_typed(fresh: Fresh) -> None:
    """Beyond the tokens it generates, a request while a line is typed costs one to three, however long its prompt is."""
    model, _ = fresh()
    left, right, line = "import math\n\n\n" * 10, "\n\n\nclass City:\n    pass\n", "    return self.latitude"
    costs = []
    for length in range(len(line)):
        before = model.engine.evaluated
        answer = infill(model, InfillRequest(left, right, HEADER, line[:length], max_tokens=8))
        costs.append(model.engine.evaluated - before - answer.tokens)
    assert costs[0] > 50
    assert max(costs[1:]) <= 3
