"""MBPP: the prompt, where its file comes from, and that its own solutions pass."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from incoder_train.errors import UserError
from incoder_train.evaluate.case import LEFT_TO_RIGHT, Answer, Case, Settings
from incoder_train.evaluate.passing import FAILURES, run_tests
from incoder_train.evaluate.sandbox import available_way
from incoder_train.evaluate.tasks import mbpp

BENCHMARKS = Path(__file__).parents[4] / "shared/data/benchmarks"
needs_benchmarks = pytest.mark.skipif(
    not (BENCHMARKS / mbpp.FILE).is_file(), reason="the benchmark files are not beside this checkout"
)
ROW = {
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b):\r\n  return a + b",
    "task_id": 11,
    "test_setup_code": "two = 2",
    "test_list": ["assert add(1, 2) == 3", "assert add(two, 2) == 4", "assert add(0, 0) == 0"],
}
SLOW = "MBPP/123"  # divides by every number up to 10,000, for each: some 10 s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, [{**ROW, "task_id": 10}, ROW, {**ROW, "task_id": 510}, {**ROW, "task_id": 511}])
    return tmp_path


def write(folder: Path, rows: list[object]) -> None:
    (folder / "mbpp").mkdir(exist_ok=True)
    (folder / "mbpp/mbpp.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))


def settings(folder: Path | None) -> Settings:
    return Settings("mbpp", method=LEFT_TO_RIGHT, benchmarks=folder)


def cases_of(folder: Path | None) -> list[Case]:
    try:
        available_way()
    except UserError as error:
        pytest.skip(str(error))
    return mbpp.TASK.cases(settings(folder))


def test_a_model_is_asked_with_the_sentence_and_the_first_assert(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = cases_of(folder)
    assert [case.id for case in cases] == ["MBPP/11", "MBPP/510"]  # the test items
    assert cases[0].left == '"""\nWrite a function to add two numbers.\nassert add(1, 2) == 3\n"""\n'
    assert cases[0].limits.stops == ("\nassert", "\nclass", "\nif", '\n"""', "\nprint", "[DONE]")
    monkeypatch.setenv("INCODER_BENCHMARKS", str(folder))
    assert cases_of(None) == cases


def test_asserts_judge(folder: Path) -> None:
    case = cases_of(folder)[0]
    samples = [ROW["code"], "def add(a, b):\n    return 3", "add = int.__add__", "def add(a, b): return a - b"]
    [answer] = run_tests([case], [Answer(samples)], Settings("mbpp", samples=4), mbpp.program)
    assert answer.detail[FAILURES] == [None, "AssertionError", None, "AssertionError"]
    assert mbpp.score(case, answer) == {"pass@1": pytest.approx(0.5)}


def test_a_missing_or_strange_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INCODER_BENCHMARKS", raising=False)
    with pytest.raises(UserError, match=r"does not come along; name, in INCODER_BENCHMARKS, a folder"):
        mbpp.TASK.cases(settings(None))
    with pytest.raises(UserError, match=r"has no mbpp/mbpp.jsonl.gz"):
        mbpp.TASK.cases(settings(tmp_path))
    write(tmp_path, [{"question": "?"}])
    with pytest.raises(UserError, match=r"has a line without 'task_id'"):
        mbpp.TASK.cases(settings(tmp_path))
    write(tmp_path, [3])
    with pytest.raises(UserError, match=r"has a line without 'task_id'"):
        mbpp.TASK.cases(settings(tmp_path))
    for content in (
        b"",
        gzip.compress(b""),
        b"{}",
        gzip.compress(b"{")[:-9],
        gzip.compress(b"{"),
        gzip.compress(b"\xff"),
    ):
        (tmp_path / "mbpp/mbpp.jsonl.gz").write_bytes(content)
        with pytest.raises(UserError, match=r"no gzipped file of JSON lines|is empty"):
            mbpp.TASK.cases(settings(tmp_path))


@needs_benchmarks
def test_true_solutions_pass() -> None:
    some = cases_of(BENCHMARKS)[::40]
    judged = run_tests(
        some, [Answer([case.extra["code"]]) for case in some], settings(None), mbpp.program, mbpp.SECONDS
    )
    assert [answer.detail[FAILURES] for answer in judged] == [[None]] * len(some)


@needs_benchmarks
@pytest.mark.proof
def test_all_true_solutions_pass_but_a_slow_one() -> None:
    cases = [case for case in cases_of(BENCHMARKS) if case.id != SLOW]
    assert len(cases) == 499
    judged = run_tests(
        cases, [Answer([case.extra["code"]]) for case in cases], settings(None), mbpp.program, mbpp.SECONDS
    )
    failures = {case.id: answer.detail[FAILURES] for case, answer in zip(cases, judged, strict=True)}
    assert {name: reasons for name, reasons in failures.items() if reasons != [None]} == {}
