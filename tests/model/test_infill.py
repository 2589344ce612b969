"""Filling holes, with an evaluator that says what it is told: the prompt token for token, the window, the end of a span."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.causal_mask import unmask
from incoder_model.config import ModelConfig
from incoder_model.engine import Engine, common_prefix
from incoder_model.infill import (
    Infill,
    InfillRequest,
    Model,
    continue_text,
    fit,
    infill,
    infill_holes,
    prefill,
    prompt_of,
)
from incoder_model.tokenizer import BOS, PAD, Tokenizer

HEADER = "<| file ext=.py |>\n"
SPECIAL = ["<|mask:0|>", "<|mask:1|>", "<|endofmask|>", "<|endoftext|>", "<pad>", "<|", "<|/ file |>", "|>"]
CODE = ["def ", "self.latitude", "return ", "(a, b)", ":", "    ", "\n", "\r\n", "\f", "\u2028", "é", "😀", "\ud800"]

texts = st.lists(st.sampled_from(SPECIAL + CODE) | st.text(max_size=6), max_size=8).map("".join)
lines = (
    st.lists(st.sampled_from(SPECIAL + CODE) | st.text(max_size=6), max_size=5)
    .map("".join)
    .map(lambda text: text.replace("\n", "").replace("\r", ""))
)


@dataclass
class Speaker:
    """An evaluator that says `script` after the prompt, whose length it is told. `held` is all that it was given."""

    vocab_size: int
    script: Sequence[int]
    after: Callable[[list[int]], int]  # what is held -> how much of it is the prompt
    context: int = 512
    held: list[int] = field(default_factory=list)

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        self.held += tokens
        scores = np.zeros(self.vocab_size, np.float32)
        said = len(self.held) - self.after(self.held)
        if 0 <= said < len(self.script):
            scores[self.script[said]] = 20.0
        return scores

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        return np.stack([self.evaluate([token]) for token in tokens])

    def truncate(self, length: int) -> None:
        del self.held[length:]


def speaking(tokenizer: Tokenizer, script: Sequence[int], context: int = 512) -> tuple[Model, Speaker]:
    """A model that says `script` after the last sentinel of its prompt."""

    def after_the_last_sentinel(held: list[int]) -> int:
        return max((i + 1 for i, token in enumerate(held) if token in tokenizer.sentinels), default=len(held) + 1)

    speaker = Speaker(tokenizer.vocab_size, script, after_the_last_sentinel, context)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=4, heads=1, context=context)
    return Model(config, tokenizer, Engine(speaker)), speaker


def spelled(tokenizer: Tokenizer, text: str) -> list[int]:
    """One token for every byte."""
    return [tokenizer.token_bytes.index(bytes([byte])) for byte in text.encode()]


# --- the prompt --------------------------------------------------------------------------------------------------


def test_prompt_of_one_hole_token_for_token(tokenizer: Tokenizer) -> None:
    encode, sentinels = tokenizer.encode, tokenizer.sentinels
    model, speaker = speaking(tokenizer, [sentinels.end])
    infill(model, InfillRequest("a = ", "\nb = 2\n", HEADER))
    front = [BOS, *encode(HEADER), *encode("a = "), sentinels[0]]
    assert speaker.held == [*front, *encode("\nb = 2\n"), sentinels[1], sentinels[0]]
    infill(model, InfillRequest("a = ", "", HEADER))
    assert speaker.held == [*front, sentinels[0]]
    infill(model, InfillRequest("", ""))
    assert speaker.held == [BOS, sentinels[0], sentinels[0]]


def test_prompt_of_a_region_token_for_token(tokenizer: Tokenizer) -> None:
    """What stands right of the hole comes first, and the model goes on with what stands left of it."""
    encode, sentinels = tokenizer.encode, tokenizer.sentinels
    model, speaker = speaking(tokenizer, [sentinels.end])
    model.config = replace(model.config, region=True)
    infill(model, InfillRequest("a = ", "\nb = 2\n", HEADER))
    left = [*encode(HEADER), *encode("a = ")]
    assert speaker.held == [BOS, sentinels[0], *encode("\nb = 2\n"), sentinels[1], sentinels[0], *left]
    infill(model, InfillRequest("a = ", "", HEADER))
    assert speaker.held == [BOS, sentinels[0], sentinels[0], *left]
    asked = InfillRequest("a = ", "\nb = 2\n", HEADER)
    assert prompt_of(model, asked, region=False)[-1] == sentinels[0]
    assert prompt_of(model, asked) == prompt_of(model, asked, region=True)


def test_typing_along_a_region_keeps_the_cache(tokenizer: Tokenizer) -> None:
    """Over a line's end as well: the right side is not read again."""
    encode, sentinels = tokenizer.encode, tokenizer.sentinels
    model, _ = speaking(tokenizer, [sentinels.end])
    model.config = replace(model.config, region=True)
    one = prompt_of(model, InfillRequest("a = 1\n", "\nb = 2\n", HEADER))
    two = prompt_of(model, InfillRequest("a = 1\nc = 3\n", "\nb = 2\n", HEADER))
    assert two == [*one, *encode("c = 3\n")]


def test_prompt_of_many_holes_token_for_token(tokenizer: Tokenizer) -> None:
    """Each span stays before the next hole's sentinel; one that its budget cut is closed."""
    encode, m, end = tokenizer.encode, tokenizer.sentinels, tokenizer.sentinels.end
    model, speaker = speaking(tokenizer, [*encode("x"), end])
    holes = infill_holes(model, ["a = ", "\nb = ", "\n"], header=HEADER, max_tokens=5)
    assert [(hole.text, hole.stopped) for hole in holes] == [("x", "end-of-mask")] * 2
    prompt = [BOS, *encode(HEADER), *encode("a = "), m[0], *encode("\nb = "), m[1], *encode("\n"), m[2]]
    assert speaker.held == [*prompt, m[0], *encode("x"), end, m[1], *encode("x")]

    model, speaker = speaking(tokenizer, encode("xyz"))
    holes = infill_holes(model, ["a = ", "\nb = ", ""], max_tokens=2)
    assert [(hole.text, hole.stopped) for hole in holes] == [("xy", "budget")] * 2
    prompt = [BOS, *encode("a = "), m[0], *encode("\nb = "), m[1]]
    assert speaker.held == [*prompt, m[0], *encode("xy"), end, m[1], *encode("x")]


def test_many_holes_end_up_as_a_training_sequence(tokenizer: Tokenizer) -> None:
    encode, end = tokenizer.encode, tokenizer.sentinels.end
    model, speaker = speaking(tokenizer, [*encode("x"), end])
    infill_holes(model, ["a", "b", ""])
    document, spans = unmask([*speaker.held[1:], end], tokenizer.sentinels)
    assert (document, spans) == (encode("a") + encode("x") + encode("b") + encode("x"), [(1, 2), (3, 4)])


def test_prompt_of_a_continuation(tokenizer: Tokenizer) -> None:
    prompt = [BOS, *tokenizer.encode(HEADER), *tokenizer.encode("a = ")]
    speaker = Speaker(tokenizer.vocab_size, tokenizer.encode("xyz\n"), lambda _: len(prompt))
    model = Model(ModelConfig(vocab_size=tokenizer.vocab_size), tokenizer, Engine(speaker))
    answer = continue_text(model, "a = ", header=HEADER, one_line=True)
    assert speaker.held[: len(prompt)] == prompt
    assert (answer.text, answer.stopped) == ("xyz", "line")


@given(left=texts, right=texts, typed=lines, header=st.sampled_from(["", HEADER, "<|mask:0|>"]))
def test_nothing_in_the_text_becomes_special(
    tokenizer: Tokenizer, left: str, right: str, typed: str, header: str
) -> None:
    model, speaker = speaking(tokenizer, [tokenizer.sentinels.end])
    answer = infill(model, InfillRequest(left, right, header, typed))
    special = [token for token in speaker.held if not tokenizer.token_bytes[token]]
    m0, m1 = tokenizer.sentinels[0], tokenizer.sentinels[1]
    assert special == ([BOS, m0, m1, m0] if right else [BOS, m0, m0])
    assert speaker.held[0] == BOS
    assert "�" not in answer.text or "�" in left + right + typed


# --- the window --------------------------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 50))
def test_fit_fills_the_room_with_what_is_nearest(left: int, right: int, room: int) -> None:
    before, after = list(range(left)), list(range(100, 100 + right))
    kept_left, kept_right = fit(before, after, room)
    assert len(kept_left) + len(kept_right) == min(room, left + right)
    assert kept_left == before[left - len(kept_left) :]
    assert kept_right == after[: len(kept_right)]
    assert len(kept_left) >= min(left, int(0.7 * room))
    assert len(kept_right) >= min(right, int(room * 0.3) - 1)


def test_no_room_is_said(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="lower max_tokens"):
        fit([], [], -1)
    model, _ = speaking(tokenizer, [], context=32)
    for ask in (
        lambda: infill(model, InfillRequest("", "", typed="x y z " * 20)),
        lambda: infill(model, InfillRequest("", "", max_tokens=64)),
        lambda: continue_text(model, "", max_tokens=64),
    ):
        with pytest.raises(ValueError, match="lower max_tokens"):
            ask()
    with pytest.raises(
        ValueError, match=r"2 holes of up to 64 tokens .* need \d+ tokens, and this model reads 32; fill fewer"
    ):
        infill_holes(model, ["a", "b", "c"])


@given(
    left=texts.map(lambda text: text * 30),
    right=texts.map(lambda text: text * 30),
    typed=lines,
    context=st.integers(64, 96),
)
@settings(max_examples=50)
def test_a_long_document_is_cut_where_it_is_farthest(
    tokenizer: Tokenizer, left: str, right: str, typed: str, context: int
) -> None:
    model, speaker = speaking(tokenizer, [tokenizer.sentinels.end], context)
    front, m0 = [BOS, *tokenizer.encode(HEADER)], tokenizer.sentinels[0]
    needed = len(front) + 3 + len(tokenizer.encode(typed)) + 16
    if needed > context:
        with pytest.raises(ValueError, match="leave no room"):
            infill(model, InfillRequest(left, right, HEADER, typed, max_tokens=16))
        return
    infill(model, InfillRequest(left, right, HEADER, typed, max_tokens=16))
    held = speaker.held
    assert held[: len(front)] == front
    hole, after, *_ = [i for i, token in enumerate(held) if token in tokenizer.sentinels]
    assert held.index(m0, hole + 1) < context - 16 - len(tokenizer.encode(typed))
    assert left.encode("utf-8", "replace").endswith(tokenizer.decode_bytes(held[len(front) : hole]))
    assert right.encode("utf-8", "replace").startswith(tokenizer.decode_bytes(held[hole + 1 : after]))


@pytest.mark.parametrize("region", [False, True])
@pytest.mark.parametrize("lines_below", [0, 10, 400])
def test_a_window_that_is_full_seldom_moves(tokenizer: Tokenizer, region: bool, lines_below: int) -> None:
    """While a long document is typed on, its prompt mostly keeps all but its end, and fills most of the context."""
    model, _ = speaking(tokenizer, [tokenizer.sentinels.end])
    model.config = replace(model.config, region=region)
    encode, below = tokenizer.encode, "\n" + "y = self.latitude + 2\n" * lines_below
    left, prompts = "x = self.longitude\n" * 300, []
    for i in range(40):
        for typed in ("", "z = ", f"z = w{i}"):
            request = InfillRequest(left, below, HEADER, typed, max_tokens=32)
            prompts.append([*prompt_of(model, request), *encode(typed)])
        left += f"z = w{i}\n"
    assert all(0.8 * 512 < len(prompt) + 32 <= 512 for prompt in prompts)
    tail = 12 if region else len(encode(below)) + 20  # tokens that typing replaces
    moved = sum(common_prefix(a, b) < len(a) - tail for a, b in pairwise(prompts))
    typed = 40 * len(encode("z = w9\n"))
    assert moved <= typed / (512 / 16) + 1


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 50), st.integers(1, 9))
def test_fit_in_steps(left: int, right: int, room: int, step: int) -> None:
    before, after = list(range(left)), list(range(100, 100 + right))
    kept_left, kept_right = fit(before, after, room, step)
    assert len(kept_left) + len(kept_right) <= room
    assert len(kept_left) + len(kept_right) > min(room, left + right) - 2 * step
    assert before[(left - len(kept_left)) :] == kept_left
    assert after[: len(kept_right)] == kept_right
    assert len(kept_left) in (0, left) or (left - len(kept_left)) % step == 0
    assert len(kept_right) == right or len(kept_right) % step == 0


def test_typed_lines_of_a_region_are_read_as_text(tokenizer: Tokenizer) -> None:
    model, speaker = speaking(tokenizer, [tokenizer.sentinels.end])
    model.config = replace(model.config, region=True)
    infill(model, InfillRequest("a = 1\n", "\nb = 2\n", HEADER, "c = 3\nd = "))
    prompt = prompt_of(model, InfillRequest("a = 1\nc = 3\n", "\nb = 2\n", HEADER))
    assert speaker.held[: len(prompt)] == prompt


def test_typed_lines_are_forced_until_they_take_much_of_the_window(tokenizer: Tokenizer) -> None:
    """So that what stands behind the second sentinel need not be read again at each line end."""
    model, _ = speaking(tokenizer, [tokenizer.sentinels.end])
    below = "\n" + "y = self.latitude + 2\n" * 8
    infill(model, InfillRequest("a = 1\n", below, HEADER))
    before = model.engine.evaluated
    infill(model, InfillRequest("a = 1\n", below, HEADER, "c = 3\n"))
    assert model.engine.evaluated - before <= len(tokenizer.encode("c = 3\n")) + 1
    infill(model, InfillRequest("a = 1\n", below, HEADER, "c = xzqj\n" * 60))  # else it would not fit


def test_a_prompt_that_was_prefilled_costs_one_token(tokenizer: Tokenizer) -> None:
    model, _ = speaking(tokenizer, [tokenizer.sentinels.end])
    request = InfillRequest("a = 1\n", "\nb = 2\n" * 20, HEADER)
    prefill(model, request, stop=lambda: True)
    assert model.engine.evaluated == 0
    prefill(model, request)
    before = model.engine.evaluated
    assert before > 40
    infill(model, request)
    assert model.engine.evaluated == before + 1


def test_five_megabytes_around_a_hole_are_not_all_read(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = speaking(tokenizer, [tokenizer.sentinels.end])
    encode, lengths = tokenizer.encode, []
    monkeypatch.setattr(tokenizer, "encode", lambda text: lengths.append(len(text)) or encode(text))
    before, after = "x = 1\n" * 400_000, "y = 2\n" * 400_000
    infill(model, InfillRequest(before, after))
    infill_holes(model, [before, after])
    continue_text(model, before)
    assert 400 * model.tokenizer.healer.longest < max(lengths) <= 512 * model.tokenizer.healer.longest


# --- the end of a span -------------------------------------------------------------------------------------------


def said(tokenizer: Tokenizer, script: Sequence[int], **options: object) -> Infill:
    model, _ = speaking(tokenizer, script)
    return infill(model, InfillRequest("a", "b", **options))  # pyright: ignore[reportArgumentType]


def test_a_span_ends_with_the_mask(tokenizer: Tokenizer) -> None:
    answer = said(tokenizer, [*tokenizer.encode("latitude\n\n"), tokenizer.sentinels.end, *tokenizer.encode("more")])
    assert (answer.text, answer.stopped) == ("latitude\n\n", "end-of-mask")
    assert answer.tokens == len(tokenizer.encode("latitude\n\n"))
    assert said(tokenizer, [tokenizer.sentinels.end]).text == ""


@pytest.mark.parametrize("name", ["<s>", "<pad>", "<|endoftext|>", "<unk>", "mask", "<|", "<|/"])
def test_a_span_ends_where_the_document_would(tokenizer: Tokenizer, name: str) -> None:
    ids = {"<s>": 0, "<pad>": PAD, "<|endoftext|>": BOS, "<unk>": 3, "mask": tokenizer.sentinels[9], "<|": 4, "<|/": 5}
    # A sentinel would count as the end of the prompt, so what is said after it would begin anew; nothing may be said.
    answer = said(tokenizer, [*tokenizer.encode("x"), ids[name]])
    assert (answer.text, answer.tokens, answer.stopped) == ("x", 1, "end-of-text")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n", "\r"])
def test_one_line_ends_with_the_line(tokenizer: Tokenizer, line_end: str) -> None:
    script = [
        *tokenizer.encode("latitude"),
        *tokenizer.encode(line_end),
        *tokenizer.encode("x"),
        tokenizer.sentinels.end,
    ]
    one = said(tokenizer, script, one_line=True)
    assert (one.text, one.stopped) == ("latitude", "line")
    assert said(tokenizer, script).text == f"latitude{line_end}x"


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_the_budget_is_exact(tokenizer: Tokenizer, budget: int) -> None:
    answer = said(tokenizer, tokenizer.encode("xzqjkwvy"), max_tokens=budget)
    assert (answer.text, answer.tokens, answer.stopped) == ("xzqjkwvy"[:budget], budget, "budget")


def test_what_is_typed_is_not_charged(tokenizer: Tokenizer) -> None:
    script = [*tokenizer.encode("self"), *tokenizer.encode(".latitude = latitude"), *tokenizer.encode("xzq")]
    answer = said(tokenizer, script, typed="self.lat", max_tokens=2)
    assert (answer.text, answer.tokens, answer.stopped) == ("itude = latitudex", 2, "budget")


def test_typed_text_that_is_respelled_may_fill_the_context(tokenizer: Tokenizer) -> None:
    """Few tokens typed, many said for them: then the window ends before the budget does."""
    typed = ".latitude = latitud"
    context = 4 + len(tokenizer.encode(typed)) + 20
    model, speaker = speaking(tokenizer, spelled(tokenizer, typed + "xzqjkwvyxzqjkwvyxzqjkwvy"), context)
    answer = infill(model, InfillRequest("", "", typed=typed, max_tokens=20))
    assert answer.stopped == "context"
    assert len(speaker.held) == context
    assert "xzqjkwvyxzqjkwvyxzqjkwvy".startswith(answer.text)
    assert 0 < answer.tokens == len(answer.text) < 20


def test_a_delimiter_that_is_typed_ends_nothing(tokenizer: Tokenizer) -> None:
    """`<|` ends a span when the model says it of its own accord, not while it repeats what a person has typed."""
    model, _ = speaking(tokenizer, [*spelled(tokenizer, "x "), 4, *tokenizer.encode("y"), tokenizer.sentinels.end])
    assert model.tokenizer.healer.take_back(tokenizer.encode("x <|"))[1] == b"<|"  # there is `<|/`, which is longer
    answer = infill(model, InfillRequest("a", "b", typed="x <|"))
    assert (answer.text, answer.stopped) == ("y", "end-of-mask")
    model, _ = speaking(tokenizer, [*spelled(tokenizer, "x "), 4, *tokenizer.encode("y"), tokenizer.sentinels.end])
    answer = infill(model, InfillRequest("a", "b", typed="x <"))
    assert (answer.text, answer.stopped) == ("", "end-of-text")


def test_one_line_ends_where_a_typed_line_end_grows(tokenizer: Tokenizer) -> None:
    model, _ = speaking(tokenizer, [*tokenizer.encode("\r\n"), *tokenizer.encode("x")])
    assert model.tokenizer.healer.take_back(tokenizer.encode("\r"))[1] == b"\r"
    answer = infill(model, InfillRequest("a", "b", typed="\r", one_line=True))
    assert (answer.text, answer.stopped) == ("", "line")


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_of_nothing_is_refused(tokenizer: Tokenizer, budget: int) -> None:
    model, _ = speaking(tokenizer, [])
    for ask in (
        lambda: infill(model, InfillRequest("a", "b", max_tokens=budget)),
        lambda: infill_holes(model, ["a", "b"], max_tokens=budget),
        lambda: continue_text(model, "a", max_tokens=budget),
    ):
        with pytest.raises(ValueError, match="must be at least 1"):
            ask()


def test_log_probability_is_that_of_the_generated_tokens(tokenizer: Tokenizer) -> None:
    answer = said(tokenizer, [*tokenizer.encode("xz"), tokenizer.sentinels.end])
    one = 20 - np.log(np.exp(20.0) + tokenizer.vocab_size - 1)
    assert answer.log_probability == pytest.approx(2 * one, abs=1e-4)


def test_chances_say_where_each_token_ends(tokenizer: Tokenizer) -> None:
    answer = said(tokenizer, [*tokenizer.encode("é x"), tokenizer.sentinels.end])
    assert answer.text == "é x"
    ends = [end for end, _ in answer.chances]
    assert (len(ends), ends[-1]) == (answer.tokens, len(answer.text))
    assert ends == sorted(ends)
    assert sum(chance for _, chance in answer.chances) == pytest.approx(answer.log_probability)


@pytest.mark.parametrize("sure", [0, 1, 2, 3])
def test_a_span_ends_with_the_token_that_makes_it_too_unlikely(tokenizer: Tokenizer, sure: int) -> None:
    script = [*tokenizer.encode("xzq"), tokenizer.sentinels.end]
    one = 20 - np.log(np.exp(20.0) + tokenizer.vocab_size - 1)  # the log-probability of each
    model, evaluator = speaking(tokenizer, script)
    answer = infill(model, InfillRequest("a", "b", least=(sure + 0.5) * one))
    assert answer.chances == said(tokenizer, script).chances[: sure + 1]
    assert answer.stopped == ("doubt" if sure < 3 else "end-of-mask")
    assert len(evaluator.held) == 6 + min(sure, 3)  # what ends it is not read any more


@pytest.mark.parametrize("looks", range(6))
def test_the_stop_flag_is_looked_at_before_every_token(tokenizer: Tokenizer, looks: int) -> None:
    """Once before the prompt, which is one chunk here, and once before each further token."""
    model, _ = speaking(tokenizer, tokenizer.encode("xzqjkwvy"))
    chances = iter([False] * looks)
    answer = infill(model, InfillRequest("a", "b"), stop=lambda: next(chances, True))
    assert (answer.text, answer.tokens, answer.stopped) == ("xzqjkwvy"[:looks], looks, "cancelled")
    assert model.engine.evaluated == (5 + looks if looks else 0)  # the prompt has six tokens


def test_many_holes_and_continuations_can_be_cancelled(tokenizer: Tokenizer) -> None:
    model, _ = speaking(tokenizer, tokenizer.encode("xzqjkwvy"))
    chances = iter([False] * 3)
    holes = infill_holes(model, ["a", "b", "c"], stop=lambda: next(chances, True))
    assert [(hole.text, hole.stopped) for hole in holes] == [("xzq", "cancelled"), ("", "cancelled")]
    assert continue_text(model, "a" * 5, stop=lambda: True).stopped == "cancelled"
