"""Held-out holes: what is cut out and put back is the file; holes are where each kind says; they never change."""

import hashlib
import json
import random
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.errors import UserError
from incoder_train.evaluate.case import ANCHORED, CAUSAL_MASK, Answer, Case, Settings
from incoder_train.evaluate.sources import Source, load_sources
from incoder_train.evaluate.tasks import TASKS
from incoder_train.evaluate.tasks.bits_per_byte import windows
from incoder_train.evaluate.tasks.heldout import CASES, CUTS, KEYS, MOST_LINES, SHORTEST, TASK, draw, from_line_start

FILES = {source.id: source for source in load_sources()}
TEXT = st.lists(
    st.sampled_from(
        ["x = f(y)", "    return 1", "\t# note", "", "   ", "é😀 += 2", "\n", "\r\n", "\r", "\u2028", "\f"]
    ),
    max_size=30,
).map("".join)


@cache
def cases_of(split: str) -> list[Case]:
    return TASK.cases(Settings("heldout", split))


def whole(case: Case) -> str:
    return case.left + case.answer + case.right


@pytest.mark.parametrize("kind", CUTS)
def test_cases_of_a_kind(kind: str) -> None:
    cases = cases_of(kind)
    assert Counter(case.lang for case in cases) == CASES
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert whole(case) == FILES[case.path].text
        assert case.answer.strip()
        assert case.kind == kind
        assert case.header.endswith(f"filename={case.path.rpartition('/')[2]} |>\n")
        assert 0 <= case.extra["share_right"] <= 1


# Of ids and answers; another Python, or another file of sources, must not ask other holes under the same name.
DIGEST = "712ba8378ab75826d424d2c675e05f700d710d5fd3082bd5941f14d44d32b5b8"


def test_the_cases_are_always_the_same() -> None:
    """A run's seed has no say in it."""
    assert TASK.cases(Settings("heldout", "rest-of-line", seed=5)) == cases_of("rest-of-line")
    digest = hashlib.sha256(repr([(case.id, case.answer) for case in cases_of("all")]).encode()).hexdigest()
    assert digest == DIGEST


def test_all_is_all() -> None:
    assert cases_of("all") == [case for kind in CUTS for case in cases_of(kind)]


def test_a_single_line_is_the_line_without_its_indent() -> None:
    for case in cases_of("single-line"):
        before, after = case.left.rpartition("\n")[2], case.right.partition("\n")[0]
        assert before.strip() == after.strip() == ""
        assert len(re.sub(r"\s", "", case.answer)) >= SHORTEST
        assert not case.answer.startswith(("//", "#") if case.lang == "python" else ("//", "/*"))
        assert not re.search(r"^\s|\s$|[\r\n]", case.answer)


def test_several_lines_are_whole() -> None:
    for case in cases_of("multi-line"):
        assert case.left.endswith("\n")
        assert case.right.partition("\n")[0].strip() == ""
        assert 2 <= len(case.answer.splitlines()) <= MOST_LINES
        assert case.answer.splitlines()[-1].strip()


def test_a_random_span_stays_within_a_few_lines() -> None:
    cases = cases_of("random-span")
    assert max(case.answer.count("\n") for case in cases) < MOST_LINES
    inside = [case for case in cases if case.left[-1:].isalnum() and case.answer[0].isalnum()]
    assert len(inside) > 100  # words are cut, too


def test_the_rest_of_a_line_begins_where_a_person_pauses() -> None:
    for case in cases_of("rest-of-line"):
        assert case.left.rpartition("\n")[2].strip()
        assert case.right.partition("\n")[0].strip() == ""
        assert not (re.match(r"\w", case.answer) and re.search(r"\w$", case.left))  # not within a word


@given(TEXT, st.sampled_from(sorted(CUTS)), st.integers(0, 3))
def test_any_file_is_cut_cleanly(text: str, kind: str, seed: int) -> None:
    source = Source("package", "1", "MIT", "a.py", text)
    cases = draw([source], kind, 5, random.Random(seed))
    assert all(whole(case) == text and case.answer.strip() for case in cases)
    assert draw([source], kind, 5, random.Random(seed)) == cases
    assert draw([], kind, 5, random.Random(seed)) == []


def test_methods_that_force_nothing_are_asked_from_the_start_of_the_line() -> None:
    for case in cases_of("single-line"):
        asked = from_line_start(case)
        assert whole(asked) == whole(case)
        assert asked.left == "" or asked.left.endswith("\n")
        assert asked.answer.lstrip() == case.answer
    for kind in ("multi-line", "random-span", "rest-of-line"):
        assert all(from_line_start(case) is case for case in cases_of(kind)[:50])


# --- scores -------------------------------------------------------------------------------------------------------


def test_scores_of_an_answer() -> None:
    by_lang = {case.lang: case for case in cases_of("single-line")}
    for lang, case in by_lang.items():
        right = TASK.score(case, Answer([case.answer + "  "]))
        assert set(right.values()) == {1.0}
        assert ("parses" in right) == (lang == "python")
    wrong = TASK.score(by_lang["python"], Answer(["return (", by_lang["python"].answer]))  # the first one counts
    assert (wrong["exact"], wrong["parses"]) == (0.0, 0.0)
    assert 0 <= wrong["similarity"] < 1


def test_what_stands_elsewhere_is_told_apart() -> None:
    scores = [(case, TASK.score(case, Answer([""]))) for case in cases_of("single-line")[::20]]
    for case, found in scores:
        lines = [line.strip() for line in (case.left + "\n" + case.right).splitlines()]
        assert ("exact_new" in found) == ("similarity_new" in found) == (case.answer not in lines)


def test_a_file_that_does_not_parse_is_not_asked_to() -> None:
    (case,) = draw([Source("p", "1", "MIT", "a.py", "\ndef broken(:")], "single-line", 1, random.Random(0))
    assert "parses" not in TASK.score(case, Answer(["pass"]))


# --- cases from a file --------------------------------------------------------------------------------------------

ROW = {
    "prefix": "a = 1\n",
    "middle": "b = 2",
    "suffix": "\nc = 3\n",
    "path": "x/y.py",
    "lang": "python",
    "kind": "single-line",
}


def read(tmp_path: Path, content: str) -> list[Case]:
    (tmp_path / "cases.jsonl").write_text(content)
    return TASK.cases(Settings("heldout", cases=tmp_path / "cases.jsonl"))


def test_cases_from_a_file(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"kind": "random-span", "lang": "zig", "path": "z.zig"}]
    one, two = read(tmp_path, "\n".join(map(json.dumps, rows)) + "\n\n")
    assert (one.left, one.answer, one.right) == ("a = 1\n", "b = 2", "\nc = 3\n")
    assert (one.header, one.lang, one.kind) == ("<| file ext=.py filename=y.py |>\n", "python", "single-line")
    assert (one.limits.one_line, two.limits.one_line) == (True, False)
    assert one.id != two.id


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"line 2 is no JSON \(.*\); write an object with prefix, middle, suffix, path, lang, kind"),
        ("[" * 10_000, "line 2 is no JSON"),
        ("[]", "line 2 is no object; write one with prefix, middle"),
        (json.dumps(ROW | {"id": 1}), "line 2 has the key 'id'; the keys are prefix"),
        (json.dumps(ROW | {"prefix": None}), "line 2 needs a text as 'prefix'; it has None"),
        (json.dumps({key: ROW[key] for key in KEYS if key != "lang"}), "line 2 needs a text as 'lang'; it has None"),
        (json.dumps(ROW | {"middle": " \n"}), "line 2 has a blank 'middle'"),
        (json.dumps(ROW | {"kind": "line"}), "line 2 is of kind 'line'; the kinds are single-line, multi-line"),
    ],
)
def test_a_line_that_is_no_case(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, json.dumps(ROW) + "\n" + line + "\n")


def test_a_file_without_cases(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty; give a file with a case on each line"):
        read(tmp_path, "\n")
    with pytest.raises(UserError, match="cannot be read"):
        TASK.cases(Settings("heldout", cases=tmp_path / "missing"))
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(UserError, match="cannot be read"):
        TASK.cases(Settings("heldout", cases=tmp_path / "latin"))


# --- bits per byte ------------------------------------------------------------------------------------------------


class Fair:
    """A model for which every token is as likely as a toss of a coin, and which remembers what it was asked."""

    def __init__(self, tokenizer: object, context: int):
        self.tokenizer, self.context = tokenizer, context
        self.asked: list[list[int]] = []

    def score(self, sequences):
        import numpy as np

        self.asked += sequences
        return [np.full(len(sequence) - 1, np.log(0.5), np.float32) for sequence in sequences]


def test_bits_per_byte_of_a_coin(tokenizer) -> None:
    task = TASKS["bits-per-byte"]
    cases = sorted(task.cases(Settings("bits-per-byte")), key=lambda case: len(case.answer))[:3]
    coin = Fair(tokenizer, 64)
    answers = task.answer(cases, Settings("bits-per-byte"), coin)  # pyright: ignore
    tokens = [len(tokenizer.encode(case.answer)) for case in cases]
    assert [answer.detail["tokens"] for answer in answers] == tokens
    assert max(map(len, coin.asked)) == 65  # the last token is predicted from the 64 before it
    for case in cases:
        front = [2, *tokenizer.encode(case.header)]
        of_case = [sequence[len(front) :] for sequence in coin.asked if sequence[: len(front)] == front]
        assert [token for part in of_case for token in part] == tokenizer.encode(case.answer)
    measures = task.summary([task.score(*both) for both in zip(cases, answers, strict=True)])
    size = sum(len(case.answer.encode()) for case in cases)
    assert measures == {"bits_per_byte": pytest.approx(sum(tokens) / size)}
    assert task.summary([]) == {}


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9))
def test_windows_have_every_token_once(tokens: list[int], size: int) -> None:
    parts = list(windows(tokens, size))
    assert [token for part in parts for token in part] == tokens
    assert all(0 < len(part) <= size for part in parts)


def test_methods() -> None:
    assert TASK.methods[0] == CAUSAL_MASK
    assert ANCHORED in TASK.methods
