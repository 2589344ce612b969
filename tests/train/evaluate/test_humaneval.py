"""HumanEval: the true solutions pass, others do not, and what a model is asked is the paper's prompt."""

from __future__ import annotations

import ast
import hashlib

import pytest

from incoder_train.evaluate.benchmarks import SHIPPED
from incoder_train.evaluate.case import LEFT_TO_RIGHT, Answer, Case, Settings
from incoder_train.evaluate.passing import FAILURES, run_tests
from incoder_train.evaluate.tasks import humaneval

pytestmark = pytest.mark.usefixtures("sandbox")
SETTINGS = Settings("humaneval", method=LEFT_TO_RIGHT)


@pytest.fixture(scope="module")
def cases(sandbox: str) -> list[Case]:
    return humaneval.TASK.cases(SETTINGS)


def solution(case: Case) -> str:
    return "\n" + case.extra["canonical_solution"]


def test_the_files_are_whole_and_come_with_their_licences() -> None:
    """As they were published, at the commits that the data's licence files belong to."""
    hashes = {
        path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for folder in ("human-eval", "human-eval-infilling")
        for path in sorted((SHIPPED / folder).iterdir())
    }
    assert hashes == HASHES
    assert "MIT License" in (SHIPPED / "human-eval" / "LICENSE").read_text(encoding="utf-8")


def test_a_model_is_asked_to_go_on_after_the_docstring(cases: list[Case]) -> None:
    assert len(cases) == len({case.id for case in cases}) == 164
    first = cases[0]
    assert first.id == "HumanEval/0"
    assert first.header + first.left == f"<| file ext=.py |>\n{first.extra['prompt'].rstrip()}"
    assert first.right == first.answer == ""
    assert (first.limits.max_tokens, first.limits.stops) == (450, ("\nclass", "\ndef", "\n#", "\nif"))
    assert all(isinstance(ast.parse(humaneval.program(case, solution(case))), ast.Module) for case in cases)


def test_true_solutions_pass_and_others_fail(cases: list[Case]) -> None:
    some = cases[::16]
    answers = [Answer([solution(case), "\n    return None", "\n    return", "\n    def"]) for case in some]
    judged = run_tests(some, answers, Settings("humaneval", samples=4), humaneval.program)
    for case, answer in zip(some, judged, strict=True):
        passed, *failed = answer.detail[FAILURES]
        assert passed is None and None not in failed, case.id
        assert humaneval.score(case, answer) == {"pass@1": pytest.approx(1 / 4)}


def test_as_many_samples_are_run_as_were_asked_for(cases: list[Case]) -> None:
    """Methods that choose give the others, too, after their choice."""
    [answer] = run_tests(cases[:1], [Answer(["\n    return 1", solution(cases[0])])], SETTINGS, humaneval.program)
    assert len(answer.samples) == 2
    assert humaneval.score(cases[0], answer) == {"pass@1": 0}


@pytest.mark.proof
def test_all_true_solutions_pass(cases: list[Case]) -> None:
    judged = run_tests(cases, [Answer([solution(case)]) for case in cases], SETTINGS, humaneval.program)
    failures = {case.id: answer.detail[FAILURES] for case, answer in zip(cases, judged, strict=True)}
    assert {name: reasons for name, reasons in failures.items() if reasons != [None]} == {}


HASHES = {
    "human-eval/HumanEval.jsonl.gz": "b796127e635a67f9",
    "human-eval/LICENSE": "bcba3de214851cce",
    "human-eval-infilling/HumanEval-MultiLineInfilling.jsonl.gz": "2f341612eee1d35d",
    "human-eval-infilling/HumanEval-RandomSpanInfilling.jsonl.gz": "b4f330d8a8ff97bf",
    "human-eval-infilling/HumanEval-RandomSpanInfillingLight.jsonl.gz": "1432250ecac0cb56",
    "human-eval-infilling/HumanEval-SingleLineInfilling.jsonl.gz": "1277073e7ddce163",
    "human-eval-infilling/LICENSE": "bcba3de214851cce",
}
