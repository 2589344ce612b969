"""The sample a tokenizer is learned from: within its budget, fair to languages, and the same whatever the order."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.errors import UserError
from incoder_train.tokens.sampling import (
    LINE_CAP,
    PROBE,
    PROCESS_BYTES,
    Language,
    cap_lines,
    draw,
    measure,
    plan_sample,
    share_out,
    split_rare,
)

documents = st.lists(st.tuples(st.sampled_from(["c", "js", "py"]), st.text("ab é\n", max_size=60)), max_size=40)
sizes = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9))
shares = st.floats(0, 1)
languages = st.dictionaries(st.sampled_from("abcdef"), st.builds(Language, st.integers(0, 10**9), shares, shares))
PYTHON = {"py": Language(10**9, 0.7, 0.4)}


def size(text: str) -> int:
    return len(text.encode())


# --- the plan ----------------------------------------------------------------------------------------------------


@given(sizes, st.integers(0, 10**9), st.floats(0, 1))
def test_shares_fill_the_budget_and_no_more(corpus: dict[str, int], budget: int, balance: float) -> None:
    parts = share_out(corpus, budget, balance)
    assert parts.keys() == {language for language, count in corpus.items() if count}
    assert all(0 <= part <= corpus[language] for language, part in parts.items())
    wanted = min(budget, sum(corpus.values()))
    assert wanted - len(corpus) <= sum(parts.values()) <= wanted


def test_balance_goes_from_proportional_to_equal() -> None:
    corpus = {"py": 90_000, "lua": 10_000}
    assert share_out(corpus, 10_000, 1.0) == {"py": 9000, "lua": 1000}
    assert share_out(corpus, 10_000, 0.5) == {"py": 7500, "lua": 2500}
    assert share_out(corpus, 10_000, 0.0) == {"py": 5000, "lua": 5000}
    assert share_out(corpus, 40_000, 0.0) == {"py": 30_000, "lua": 10_000}  # all of it, and the rest goes to the other


@given(languages, st.lists(st.integers(PROCESS_BYTES + 1, 10**12), min_size=2), st.booleans(), shares)
def test_more_memory_never_means_less_text(
    found: dict[str, Language], budgets: list[int], rare: bool, balance: float
) -> None:
    plans = [plan_sample(found, memory=memory, split_rare=rare, balance=balance) for memory in sorted(budgets)]
    assert [plan.sample_bytes for plan in plans] == sorted(plan.sample_bytes for plan in plans)
    assert [plan.seconds for plan in plans] == sorted(plan.seconds for plan in plans)
    assert all(plan.memory <= memory for plan, memory in zip(plans, sorted(budgets), strict=True))


def test_split_lines_need_less_memory() -> None:
    whole, split = (plan_sample(PYTHON, sample_bytes=10**8, split_rare=rare) for rare in (False, True))
    assert split.memory < whole.memory
    assert split.sample_bytes == whole.sample_bytes


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"memory": PROCESS_BYTES}, "too few to learn anything"),
        ({}, "not by both"),
        ({"memory": 10**9, "sample_bytes": 5}, "not by both"),
    ],
)
def test_what_cannot_be_planned(limits: dict[str, int], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        plan_sample(PYTHON, **limits)  # pyright: ignore[reportArgumentType]


def test_lines_that_repeat_cost_less() -> None:
    """A memory budget buys more of a language that repeats itself; and the probe is bounded."""
    repeats = [("c", f"/* the same licence in every file, {i % 50} */\n" * 9) for i in range(1000)]
    differs = [("py", "".join(f"x{i * 9 + j} = {i**5} + {j}\n" for j in range(9))) for i in range(1000)]
    found = measure(repeats + differs)
    assert found["c"].distinct < 0.02
    assert 0.8 < found["py"].distinct < 1
    assert found["py"].distinct_split < found["py"].distinct
    assert found["c"].size + found["py"].size < PROBE
    large = {name: Language(10**9, one.distinct, one.distinct_split) for name, one in found.items()}
    c, py = (plan_sample({name: large[name]}, memory=10**9).sample_bytes for name in ("c", "py"))
    assert c > 5 * py


# --- the sample --------------------------------------------------------------------------------------------------


@given(documents, st.integers(0, 400), st.integers(0, 3), st.floats(0, 1), st.randoms())
def test_a_sample_is_whole_texts_but_for_one_of_each_language(
    found: list[tuple[str, str]], sample_bytes: int, seed: int, balance: float, chance: random.Random
) -> None:
    plan = plan_sample(measure(found, seed), sample_bytes=sample_bytes, balance=balance)
    sample = draw(found, plan, seed)
    assert sum(map(size, sample.texts)) <= plan.sample_bytes <= sample_bytes
    texts = Counter(text for _, text in found)
    cut = Counter(sample.texts) - texts
    assert sum(cut.values()) <= len(plan.sample)
    assert all(text.endswith("\n") and any(whole.startswith(text) for whole in texts) for text in cut)
    for language, text in sample.held_out:
        assert any(other == language and whole.startswith(text) for other, whole in found)
    shuffled = chance.sample(found, len(found))
    assert measure(shuffled, seed) == measure(found, seed)
    assert draw(shuffled, plan, seed) == sample


def test_all_is_taken_where_there_is_room() -> None:
    found = [("py", f"text {i}\n") for i in range(500)]
    plan = plan_sample(measure(found), sample_bytes=10**6)
    sample = draw(found, plan)
    assert plan.sample_bytes == sum(map(size, sample.texts))
    held_out = set(found) - {("py", text) for text in sample.texts}
    assert 0 < len(held_out) < 30
    assert set(sample.held_out) == held_out


def test_another_seed_takes_other_texts() -> None:
    found = [("py", f"text {i}\n" * 10) for i in range(50)]
    texts = [draw(found, plan_sample(measure(found, seed), sample_bytes=900), seed).texts for seed in (0, 1)]
    assert texts[0] != texts[1]


# --- what the trainer gets ---------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=20), max_size=LINE_CAP // 20))
def test_few_lines_pass_the_cap_unchanged(found: list[str]) -> None:
    assert list(cap_lines(found)) == found


@given(st.integers(0, 3 * LINE_CAP), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_repeated_lines_are_capped(times: int, end: str) -> None:
    [text] = cap_lines([f"same{end}" * times + "\n" * times + "other"])
    assert text.count("same") == min(times, LINE_CAP)
    assert text.endswith("other")


@given(st.lists(st.text("ab \t\r\n\u2028", max_size=40), max_size=5))
def test_rare_lines_are_cut_and_nothing_is_lost(found: list[str]) -> None:
    def without_cuts(text: str) -> str:
        return text.replace("\n", "").replace("\r", "")

    assert [*map(without_cuts, split_rare(found))] == [*map(without_cuts, found)]


def test_rare_lines_fall_into_words() -> None:
    twice = "    return self.name\n"
    assert [*split_rare([twice, twice + "    for x in  y:\r\n\n"])] == [
        twice,
        twice + "    \nfor \nx \nin  \ny:\r\n\n",
    ]
