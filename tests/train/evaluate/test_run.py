"""A run is the same whenever it is made and however often it is stopped; a file of another run is never gone on with."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.errors import UserError
from incoder_train.evaluate.case import LEFT_TO_RIGHT, RETRIEVAL, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.run import Result, describe_model, require_known, resolved, run, subset

ASKED = Settings("toy", method=RETRIEVAL, batch=3)


def toy_cases(settings: Settings) -> list[Case]:
    return [
        Case(
            f"c{i}",
            "a" * i,
            "",
            "x" if i % 2 else "y",
            Limits(4),
            lang="python" if i % 3 else "go",
            extra={"share_right": i / 10},
        )
        for i in range(10)
    ]


def toy_answer(cases: Sequence[Case], settings: Settings, generator: object) -> list[Answer]:
    assert generator is None
    return [Answer(["x", "\ud800 and 😀"], {"length": len(case.left)}) for case in cases]


def toy_score(case: Case, answer: Answer) -> Scores:
    return {"exact": float(answer.samples[0] == case.answer)}


TOY = Task("toy", "a toy", (RETRIEVAL, LEFT_TO_RIGHT), toy_cases, toy_answer, toy_score)


def without_seconds(path: Path) -> dict[str, object]:
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}


def failing_after(batches: int, error: type[BaseException]) -> Task:
    """The toy, whose model gives up."""
    left = batches

    def answer(cases: Sequence[Case], settings: Settings, generator: object) -> list[Answer]:
        nonlocal left
        left -= 1
        if left < 0:
            raise error
        return toy_answer(cases, settings, generator)

    return replace(TOY, answer=answer)


def test_a_result_says_what_was_asked_and_answered(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "new folder" / "toy.json"
    result = run(TOY, ASKED, out, lambda done, total: seen.append((done, total)))
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert result.measures == {"exact": 0.5}
    written = json.loads(out.read_text())
    assert Result(**written) == result
    assert (written["task"], written["split"], written["method"], written["model"]) == ("toy", "", RETRIEVAL, None)
    assert written["settings"]["batch"] == 3
    assert written["cases"][3] == {
        "id": "c3", "lang": "go", "kind": "", "share_right": 0.3,
        "samples": ["x", "\ud800 and 😀"], "scores": {"exact": 1.0}, "detail": {"length": 3},
    }  # fmt: skip
    assert list(out.parent.iterdir()) == [out]


def test_two_runs_give_the_same_file(tmp_path: Path) -> None:
    run(TOY, ASKED, tmp_path / "one.json")
    run(TOY, ASKED, tmp_path / "two.json")
    assert without_seconds(tmp_path / "one.json") == without_seconds(tmp_path / "two.json")


@pytest.mark.parametrize("batches", range(4))
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, batches: int) -> None:
    run(TOY, ASKED, tmp_path / "whole.json")
    out = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        run(failing_after(batches, KeyboardInterrupt), ASKED, out)
    assert not out.exists()
    run(failing_after(4 - batches, AssertionError), ASKED, out)  # asks only what is left
    assert without_seconds(out) == without_seconds(tmp_path / "whole.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "whole.json"]


def test_a_journal_cut_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    out, journal = tmp_path / "out.json", tmp_path / "out.json.partial.jsonl"
    run(TOY, ASKED, tmp_path / "whole.json")
    with pytest.raises(KeyboardInterrupt):
        run(failing_after(2, KeyboardInterrupt), ASKED, out)
    content = journal.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1, len(content)]:
        out.unlink(missing_ok=True)
        journal.write_bytes(content[:length])
        with pytest.raises(
            KeyboardInterrupt
        ):  # a second stop: what was cut short must not stand before what came after it
            run(failing_after(1, KeyboardInterrupt), ASKED, out)
        run(failing_after(3, AssertionError), ASKED, out)
        assert without_seconds(out) == without_seconds(tmp_path / "whole.json")
        assert not journal.exists()


def test_a_finished_run_is_not_made_again(tmp_path: Path) -> None:
    first = run(TOY, ASKED, tmp_path / "out.json")
    assert run(failing_after(0, AssertionError), ASKED, tmp_path / "out.json") == first


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "seed is 0, here 1"),
        ({"temperature": 0.5}, "temperature is None, here 0.5"),
        ({"limit": 9}, "limit is None, here 9"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    other = replace(ASKED, **changed)
    with pytest.raises(KeyboardInterrupt):
        run(failing_after(1, KeyboardInterrupt), ASKED, tmp_path / "out.json")
    with pytest.raises(
        UserError, match=rf"out\.json\.partial\.jsonl is of another run: there, {said}; give another --json"
    ):
        run(TOY, other, tmp_path / "out.json")
    run(TOY, ASKED, tmp_path / "out.json")
    before = (tmp_path / "out.json").read_bytes()
    with pytest.raises(UserError, match=rf"out\.json is of another run: there, {said}"):
        run(TOY, other, tmp_path / "out.json")
    assert (tmp_path / "out.json").read_bytes() == before


def test_other_cases_are_another_run(tmp_path: Path) -> None:
    run(TOY, ASKED, tmp_path / "out.json")
    changed = replace(TOY, cases=lambda settings: [replace(case, right="!") for case in toy_cases(settings)])
    with pytest.raises(UserError, match="cases' sha256 is"):
        run(changed, ASKED, tmp_path / "out.json")


def test_a_file_that_is_no_result(tmp_path: Path) -> None:
    for content in ("", "[]", "{}", "no JSON"):
        (tmp_path / "out.json").write_text(content)
        with pytest.raises(UserError, match=r"out\.json is no result of `incoder eval`; give another --json"):
            run(TOY, ASKED, tmp_path / "out.json")
        assert (tmp_path / "out.json").read_text() == content


def test_no_cases() -> None:
    with pytest.raises(UserError, match="toy has no cases to ask"):
        run(replace(TOY, cases=lambda settings: []), ASKED)


# --- what is asked ------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 100))
def test_a_subset_keeps_the_order_and_follows_the_seed(limit: int, seed: int) -> None:
    cases = toy_cases(ASKED)
    drawn = subset(cases, limit, seed)
    assert len(drawn) == min(limit, len(cases))
    assert [case for case in cases if case in drawn] == drawn
    assert subset(cases, limit, seed) == drawn


def test_another_seed_draws_another_subset() -> None:
    assert len({tuple(case.id for case in subset(toy_cases(ASKED), 4, seed)) for seed in range(10)}) > 1
    assert subset(toy_cases(ASKED), None, 1) == toy_cases(ASKED)


def test_splits_and_methods_of_a_task(tmp_path: Path) -> None:
    task = replace(TOY, splits=("one", "two"))
    assert resolved(task, Settings(""), None, None) == Settings("toy", "one", RETRIEVAL)
    assert resolved(task, Settings(""), "two", LEFT_TO_RIGHT) == Settings("toy", "two", LEFT_TO_RIGHT)
    with pytest.raises(UserError, match="no split of toy 'tow'; the nearest is 'two', and there are one, two"):
        resolved(task, Settings(""), "tow", None)
    with pytest.raises(
        UserError, match="no method for toy 'left'; the nearest is 'left-to-right', and there are retrieval, left"
    ):
        resolved(task, Settings(""), None, "left")
    with pytest.raises(UserError, match="toy is not split; leave --split out"):
        resolved(TOY, Settings(""), "one", None)
    file = Settings("", cases=tmp_path / "cases.jsonl")
    with pytest.raises(UserError, match="toy has its own cases; leave --cases out"):
        resolved(task, file, None, None)
    task = replace(task, takes_cases=True)
    assert resolved(task, file, None, None).split == ""
    with pytest.raises(UserError, match="says the kind of each case; leave --split out"):
        resolved(task, file, "one", None)


def test_a_name_that_is_known() -> None:
    require_known("task", "heldout", ("heldout",))


def test_what_is_said_of_a_model(model_directory: Path, tmp_path: Path) -> None:
    about = describe_model(model_directory)
    assert about["parameters"] == 158_976
    assert (about["path"], len(about["sha256"])) == (str(model_directory), 64)
    with pytest.raises(UserError, match="is not a folder; give a model directory"):
        describe_model(tmp_path / "nowhere")
    (tmp_path / "config.json").write_bytes((model_directory / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        describe_model(tmp_path)


# --- a kill -------------------------------------------------------------------------------------------------------

SLOW = """
    import sys, time
    from dataclasses import replace
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from test_run import ASKED, TOY, toy_answer
    from incoder_train.evaluate.run import run

    def answer(*arguments):
        time.sleep(float(sys.argv[3]))
        return toy_answer(*arguments)

    run(replace(TOY, answer=answer), replace(ASKED, batch=1), Path(sys.argv[2]), lambda done, total: print(done, flush=True))
"""


@pytest.mark.proof
def test_kill_9_loses_at_most_the_last_batch(tmp_path: Path) -> None:
    out = tmp_path / "out.json"

    def start(pause: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(SLOW), str(Path(__file__).parent), str(out), str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    for batches in (2, 5, 7):
        process = start(0.05)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= batches:
                break
        time.sleep(0.02 * batches)  # at another moment of a batch each time
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists()
    process = start(0.0)
    printed, _ = process.communicate()
    assert process.returncode == 0
    assert printed.split()[-1] == "10"
    run(TOY, replace(ASKED, batch=1), tmp_path / "whole.json")
    assert without_seconds(out) == without_seconds(tmp_path / "whole.json")
