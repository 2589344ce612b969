"""Near-copies: what collides, how well a signature estimates, and that no order of work changes the result."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_train.corpus.neardup import (
    PERMUTATIONS,
    ROWS,
    SHINGLE,
    band_keys,
    later_members,
    links,
    rows_for,
    shingles,
    signature,
)

vocabulary = [f"word{number}" for number in range(5000)]


def similarity(one: list[str], other: list[str]) -> float:
    """Jaccard similarity of the sets of runs of SHINGLE words, the plain way."""
    sets = [{tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)} for words in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def edited(words: list[str], edits: int, rng: random.Random) -> list[str]:
    words = list(words)
    for _ in range(edits):
        words[rng.randrange(len(words))] = rng.choice(vocabulary)
    return words


def keep_first(texts: list[str], partitions: int, order: list[int]) -> list[int]:
    """The whole way: records into partitions, in any order; links of each; the numbers of what goes."""
    numbers = np.repeat(np.array(order, np.uint64), PERMUTATIONS // ROWS)
    keys = np.concatenate([band_keys(texts[number]) for number in order])
    parts = keys % np.uint64(partitions)
    found = [links(keys[parts == part], numbers[parts == part]) for part in range(partitions)]
    return later_members(np.concatenate(found)).tolist()


@settings(max_examples=30, deadline=None)
@given(st.text(), st.integers(1, 7))
def test_equal_texts_collide_in_every_band(text: str, partitions: int) -> None:
    assert np.array_equal(band_keys(text), band_keys(text))
    assert keep_first([text, "quite another text of more than five words", text], partitions, [2, 0, 1]) == [2]


def test_a_shingle_is_a_run_of_words() -> None:
    assert shingles("a b c d e f").shape == (2,)
    assert np.array_equal(shingles("a b c d e f\n"), shingles("a(b, c)[d] = e+f"))
    assert np.array_equal(shingles("x a b c d e")[1:], shingles("a b c d e"))
    assert len({*shingles("a b c d e").tolist(), *shingles("b a c d e").tolist(), *shingles("a b c d").tolist()}) == 3
    assert shingles("").shape == (1,)


def test_signatures_estimate_similarity() -> None:
    """The estimate of one pair has a standard deviation of at most 0.5 / sqrt(128) = 0.044; the mean of 300, 0.0026."""
    rng = random.Random(0)
    errors = []
    for edits in [0, 2, 5, 10, 20, 60] * 50:
        one = rng.choices(vocabulary, k=400)
        other = edited(one, edits, rng)
        estimate = float(np.mean(signature(" ".join(one)) == signature(" ".join(other))))
        errors.append(estimate - similarity(one, other))
        assert abs(errors[-1]) < 5 * 0.5 / PERMUTATIONS**0.5
    assert abs(np.mean(errors)) < 4 * 0.0026


def test_few_edits_collide_and_other_texts_do_not() -> None:
    rng = random.Random(1)
    originals = [rng.choices(vocabulary, k=400) for _ in range(40)]
    copies = [edited(words, 3, rng) for words in originals]  # 3 edits: a similarity of about 0.93
    texts = [" ".join(words) for words in [*originals, *copies]]
    assert keep_first(texts, 3, list(range(80))) == list(range(40, 80))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 9))
def test_the_order_of_work_does_not_matter(rng: random.Random, partitions: int) -> None:
    texts = [" ".join(rng.choices(vocabulary[:3], k=rng.randrange(8))) for _ in range(12)]
    shuffled = list(range(12))
    rng.shuffle(shuffled)
    assert keep_first(texts, partitions, shuffled) == keep_first(texts, 1, list(range(12)))


pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(lambda pair: pair[0] < pair[1]), max_size=30)


@given(pairs, st.randoms(use_true_random=False))
def test_of_each_cluster_the_first_stays(found: list[tuple[int, int]], rng: random.Random) -> None:
    clusters = [{number} for number in range(21)]
    for pair in found:
        touched = [cluster for cluster in clusters if cluster & set(pair)]
        clusters = [cluster for cluster in clusters if cluster not in touched] + [set().union(*touched)]
    expected = sorted(number for cluster in clusters for number in cluster if number != min(cluster))

    rng.shuffle(found)
    assert later_members(np.array(found, np.uint64).reshape(-1, 2)).tolist() == expected


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.7, 0.85, 0.95])
def test_rows_put_the_threshold_where_it_is_asked_for(similarity: float) -> None:
    rows = rows_for(similarity)
    bands = PERMUTATIONS // rows
    assert abs((1 / bands) ** (1 / rows) - similarity) < 0.05
    assert band_keys("some text", rows).shape == (bands,)


def test_an_empty_partition_has_no_links() -> None:
    nothing = np.zeros(0, np.uint64)
    assert links(nothing, nothing).shape == (0, 2)
    assert later_members(links(nothing, nothing)).shape == (0,)


def test_keys_are_the_same_on_every_machine() -> None:
    assert band_keys("def double(number):\n    return number + number\n")[:2].tolist() == [
        6447192475816888213,
        15932508904037403735,
    ]
