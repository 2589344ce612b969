"""Holes in HumanEval's solutions: the true spans pass, what a model sees is the paper's, and scores say what they mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incoder_train.evaluate.case import (
    ANCHORED,
    CAUSAL_MASK,
    LEFT_TO_RIGHT,
    METHODS,
    RERANK,
    Answer,
    Case,
    Limits,
    Settings,
)
from incoder_train.evaluate.passing import FAILURES, run_tests
from incoder_train.evaluate.tasks import humaneval_infill
from incoder_train.evaluate.tasks.humaneval_infill import FILES, TASK, program, score

pytestmark = pytest.mark.usefixtures("sandbox")
SIZES = {"single-line": 1033, "multi-line": 5815, "random-span": 1640, "random-span-light": 164}
LINES = ("single-line", "multi-line")
TASK_SETTINGS = Settings("humaneval-infill", split="single-line")


@pytest.fixture(scope="module")
def splits(sandbox: str) -> dict[str, list[Case]]:
    return {split: TASK.cases(replace(TASK_SETTINGS, split=split)) for split in TASK.splits}


def judged(case: Case, *samples: str) -> Answer:
    settings = replace(TASK_SETTINGS, samples=len(samples))
    return run_tests([case], [Answer(list(samples))], settings, program)[0]


def test_the_splits_have_their_published_sizes(splits: dict[str, list[Case]]) -> None:
    assert {split: len(cases) for split, cases in splits.items()} == SIZES == {split: SIZES[split] for split in FILES}
    assert TASK.methods == METHODS
    assert TASK.cases(replace(TASK_SETTINGS, split=""))[0] == splits["single-line"][0]
    assert all(len({case.id for case in cases}) == len(cases) for cases in splits.values())


def test_a_hole_of_whole_lines_stands_between_whole_lines(splits: dict[str, list[Case]]) -> None:
    case = splits["single-line"][1]
    assert (case.header, case.answer) == ("<| file ext=.py |>\n", "        for idx2, elem2 in enumerate(numbers):\n")
    assert case.left.endswith('    """\n    for idx, elem in enumerate(numbers):\n')
    assert case.right.startswith("            if idx != idx2:\n") and case.right.endswith("\n    return False")
    for split in LINES:
        for case in splits[split]:
            assert case.left.endswith("\n") and case.answer.endswith("\n")
            assert case.right == case.right.rstrip() and not case.right.startswith("\n\n")


def test_a_random_span_keeps_its_surroundings(splits: dict[str, list[Case]]) -> None:
    for case in splits["random-span"]:
        whole = case.left + case.answer + case.right
        assert whole == case.extra["prompt"] + case.extra["canonical_solution"] + case.extra["suffix"]


@pytest.mark.parametrize(
    ("split", "method", "most", "truncate"),
    [
        ("single-line", CAUSAL_MASK, 30, "num-lines"),
        ("single-line", ANCHORED, 30, "num-lines"),
        ("single-line", LEFT_TO_RIGHT, 40, "num-lines"),
        ("single-line", RERANK, 40, "num-lines"),
        ("multi-line", CAUSAL_MASK, 450, "num-lines"),
        ("multi-line", LEFT_TO_RIGHT, 450, "num-lines"),
        ("random-span-light", CAUSAL_MASK, 450, ""),
    ],
)
def test_limits_are_the_papers(split: str, method: str, most: int, truncate: str) -> None:
    case = TASK.cases(replace(TASK_SETTINGS, split=split, method=method))[0]
    assert case.limits == Limits(most, stops=("\nclass", "\ndef", "\n#", "\nif"), truncate=truncate)


def test_no_true_answer_is_cut_by_a_stop(splits: dict[str, list[Case]]) -> None:
    for cases in splits.values():
        assert not [case.id for case in cases if any(stop in case.answer for stop in case.limits.stops)]


def test_the_share_on_the_right_is_of_the_solutions_lines(splits: dict[str, list[Case]]) -> None:
    """HumanEval/0's solution has seven lines that are not blank."""
    shares = [case.extra["share_right"] for case in splits["single-line"][:7]]
    assert shares == pytest.approx([6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7, 0])
    assert all(0 <= case.extra["share_right"] <= 1 for cases in splits.values() for case in cases)


def test_scores_of_one_sample(splits: dict[str, list[Case]]) -> None:
    case = splits["single-line"][1]
    true = case.answer
    assert score(case, judged(case, true)) == {"pass": 1, "exact": 1, "similarity": 1}
    # A line end that is missing is added; white space at the end does not count.
    assert score(case, judged(case, true.rstrip())) == {"pass": 1, "exact": 1, "similarity": 1}
    other = score(case, judged(case, "        for idx2, elem2 in list(enumerate(numbers)):\n"))
    assert other["pass"] == 1 and other["exact"] == 0 and 0.8 < other["similarity"] < 1
    assert score(case, judged(case, "        for idx2 in numbers:\n"))["pass"] == 0


def test_scores_of_many_samples_are_pass_at_k(splits: dict[str, list[Case]]) -> None:
    case = splits["single-line"][1]
    ten = [case.answer, *[f"        pass  # {i}" for i in range(9)]]
    scores = score(case, judged(case, *ten))
    assert scores == {"pass@1": pytest.approx(0.1), "pass@10": 1, "exact": 1, "similarity": 1}


def test_a_random_span_is_put_in_as_it_is(splits: dict[str, list[Case]]) -> None:
    case = next(case for case in splits["random-span-light"] if case.answer == " % 1.0")
    assert score(case, judged(case, " % 1"))["pass"] == 1
    assert judged(case, " % 1\n    return 0").detail[FAILURES] == [None]
    assert judged(case, " +").detail[FAILURES][0].startswith("SyntaxError")


def test_true_spans_pass(splits: dict[str, list[Case]]) -> None:
    some = [case for split, cases in splits.items() for case in cases[7 :: SIZES[split] // 6]]
    answers = run_tests(some, [Answer([case.answer]) for case in some], TASK_SETTINGS, program)
    for case, answer in zip(some, answers, strict=True):
        assert {**score(case, answer)} == {"pass": 1, "exact": 1, "similarity": 1}, case.id


@pytest.mark.proof
@pytest.mark.parametrize("split", FILES)
def test_all_true_spans_pass(splits: dict[str, list[Case]], split: str) -> None:
    """Those that make up the same program are run together; the others are all different ones."""
    cases = splits[split]
    answers = run_tests(cases, [Answer([case.answer]) for case in cases], TASK_SETTINGS, program)
    failures = {case.id: answer.detail[FAILURES] for case, answer in zip(cases, answers, strict=True)}
    assert {name: reasons for name, reasons in failures.items() if reasons != [None]} == {}


def test_a_run_without_a_model_goes_from_cases_to_scores(splits: dict[str, list[Case]]) -> None:
    pytest.importorskip("incoder_train.evaluate.methods")
    settings = replace(TASK_SETTINGS, method="retrieval")
    some = splits["single-line"][:100:10]
    answers = humaneval_infill.answer(some, settings, None)
    scores = TASK.summary([score(case, one) for case, one in zip(some, answers, strict=True)])
    assert list(scores) == ["pass", "exact", "similarity"]
