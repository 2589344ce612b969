"""The conformance suite judged by servers whose faults are known: a toy that has none, or exactly the one that was asked for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HERE

from incoder_lsp.conformance import runner
from incoder_lsp.conformance.bench import Bench, Knobs
from incoder_lsp.conformance.checks import CHECKS, handshake, life, quality
from incoder_lsp.conformance.outcome import Check, Outcome
from incoder_lsp.conformance.soak import soak

TOY = [sys.executable, str(HERE / "conforming_server.py")]
KNOBS = Knobs(off={"incoder": {"enabled": False}}, on={"incoder": {"enabled": True}}, broken={"model": "nowhere"})
CONFORMANCE = [sys.executable, "-m", "incoder_lsp", "conformance"]
SLOW = (28, 31, 35)  # checks that take many requests, much memory or a typist's time

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(sys.platform != "linux", reason="the toy looks for its parent in /proc"),
]


def verdicts(fault: str, *numbers: int, silent: bool = False, knobs: Knobs | None = KNOBS) -> dict[int, Outcome]:
    command = [*TOY, fault] if fault else TOY
    bench = Bench(command, ready_within=0.5 if silent else 30.0, given_knobs=knobs)
    checks = [check for check in CHECKS if check.number in numbers]
    return {outcome.check.number: outcome for outcome in asyncio.run(runner.run(bench, checks))}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the toy's is seen at once."""
    monkeypatch.setattr(handshake, "EFFECT", 0.5)
    monkeypatch.setattr(life, "ENDS_WITHIN", 1.0)


def test_the_list_is_complete():
    assert [check.number for check in CHECKS] == list(range(1, 36))
    assert len({check.title for check in CHECKS}) == 35
    assert all(check.asserts.endswith(".") and check.asserts.count(". ") == 0 for check in CHECKS), "one sentence each"


FAULTS = {
    "no capability": 1,
    "stays registered": 2,
    "python lines": 3,
    "ignores cancels": 4,
    "answers twice": 5,
    "stale": 6,
    "deaf": 7,
    "takes any params": 8,
    "knows its enums": 9,
    "strict headers": 10,
    "keeps closed files": 11,
    "refuses what is outside": 12,
    "no empty files": 13,
    "range at the cursor": 14,
    "ignores the popup": 15,
    "one candidate": 16,
    "forgets": 17,
    "sticks after a backspace": 18,
    "unbalanced": 19,
    "LF only": 20,
    "spaces only": 21,
    "says markup": 22,
    "tells secrets": 23,
    "no siblings": 24,
    "undeclared command": 25,
    "always exits 0": 26,
    "outlives its editor": 27,
    "logs the text": 29,
    "writes the text": 29,
    "opens a socket": 30,
    "a toast a key": 32,
    "keeps its settings": 33,
    "progress a key": 34,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_told(fault: str):
    outcome = verdicts(fault, FAULTS[fault])[FAULTS[fault]]
    assert outcome.verdict == "fail", outcome.detail
    assert outcome.detail.endswith(".")


@pytest.mark.parametrize(("fault", "number"), [("own model", 28), ("leaks", 31)])
def test_a_fault_of_memory_is_found(fault: str, number: int):
    outcome = verdicts(fault, number)[number]
    assert outcome.verdict == "fail"
    assert " MB " in outcome.detail


def test_the_toy_without_faults_passes_every_check():
    outcomes = verdicts("", *range(1, 36))
    assert {number: outcome.detail for number, outcome in outcomes.items() if outcome.verdict != "pass"} == {}


def test_a_server_that_suggests_nothing_is_no_failure_of_what_cannot_be_seen():
    outcomes = verdicts("no capability", 3, 8, 14, 35, silent=True, knobs=Knobs(init={"model": "nowhere"}))
    assert {number: outcome.verdict for number, outcome in outcomes.items()} == {
        3: "not applicable",
        8: "pass",
        14: "not applicable",
        35: "not applicable",
    }
    assert outcomes[3].detail.startswith("It suggests nothing (within 0.5 s; ")


def test_what_is_not_known_of_a_server_is_not_judged():
    outcomes = verdicts("", 32, 33, knobs=Knobs())
    assert {outcome.verdict for outcome in outcomes.values()} == {"not applicable"}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["/nonexistent/server"], "The server does not start: /nonexistent/server: no such file or directory."),
        (
            [*TOY, "dies"],
            'The server ended (exit code 1, "cannot start: the moon is full") before initialize is answered.',
        ),
        (["cat"], None),
    ],
)
def test_a_server_that_cannot_be_started_fails_every_check_with_one_sentence(command: list[str], sentence: str | None):
    outcomes = asyncio.run(runner.run(Bench(command), CHECKS))
    assert {outcome.verdict for outcome in outcomes} == {"fail"}
    assert len({outcome.detail for outcome in outcomes}) == 1
    if sentence:
        assert outcomes[0].detail == sentence


def test_a_check_has_its_time_and_no_more():
    async def forever(bench: Bench) -> None:
        await asyncio.sleep(600)

    checks = [Check(1, "forever", "It ends.", forever, 0, 0.1), *(check for check in CHECKS if check.number == 13)]
    first, second = asyncio.run(runner.run(Bench(TOY), checks))
    assert (first.verdict, first.detail) == ("fail", "It was not done after 0 s.")
    assert second.verdict == "pass", "the next check has a server"


def test_a_server_that_was_killed_by_a_check_is_started_again():
    async def kill(bench: Bench) -> None:
        (await bench.shared()).client.process.kill()
        await (await bench.shared()).alive()

    checks = [Check(1, "kill", "It lives.", kill, 0, 30), *(check for check in CHECKS if check.number == 13)]
    first, second = asyncio.run(runner.run(Bench(TOY), checks))
    assert first.verdict == "fail"
    assert first.detail.startswith("The server ended (signal 9) before conformance/ping is answered")
    assert second.verdict == "pass"


def test_nothing_that_was_started_is_left_behind():
    bench = Bench(TOY)
    asyncio.run(runner.run(bench, [check for check in CHECKS if check.number in (13, 26)]))
    assert bench.processes() == []
    assert not bench.scratch.exists()


def test_a_soak_through_four_lives():
    (outcome,) = asyncio.run(runner.run(Bench(TOY, given_knobs=KNOBS), [soak(1200)]))
    assert outcome.verdict == "pass", outcome.detail
    (outcome,) = asyncio.run(runner.run(Bench([*TOY, "python lines"]), [soak(1200)]))
    assert outcome.verdict == "fail"


def test_each_golden_case_breaks_a_rule_when_it_is_filled_badly():
    bad = {
        "branch.py": "return 1\n    else:\n        return -1",
        "brackets.py": "folder)):",
        "list.py": "3,\n]",
        "method.py": "self.items.append(item)\n            return item",
        "nested.py": "counts[word] += 1\n    return counts",
        "next_line.py": "return size",
        "prints.py": 'print("----")\n    print("----")\n    print("----")\n    print("----")',
        "quotes.py": 'world"',
        "rest_of_line.py": "width * height",
        "table.py": '"d": 1, "d": 1, "d": 1, "d": 1, ',
    }
    good = {
        "branch.py": "return 1",
        "brackets.py": "folder",
        "list.py": "3,",
        "method.py": "self.items.append(item)",
        "nested.py": "counts[word] += 1\n        else:\n            counts[word] = 1",
        "next_line.py": "size += 1",
        "prints.py": "return None",
        "quotes.py": "world",
        "rest_of_line.py": "width",
        "table.py": '"e": 1,',
    }
    cases = {case.name: case for case in quality.cases()}
    assert set(cases) == set(bad) == set(good)
    for name, case in cases.items():
        broken = [rule for rule, breaks in quality.RULES.items() if breaks(case.left, bad[name], case.right)]
        assert broken, f"{name} lets {bad[name]!r} pass"
        broken = [rule for rule, breaks in quality.RULES.items() if breaks(case.left, good[name], case.right)]
        assert not broken, f"{name}: {good[name]!r} {broken}"


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path):
    out = tmp_path / "out.json"
    command = [*CONFORMANCE, "--server", " ".join(TOY), "--only", "13,16", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "toy 1: 2 passed, 0 failed, 0 not applicable"
    report = json.loads(out.read_text())
    assert report["server"] == {"name": "toy", "version": "1", "silence": None}
    assert [(check["number"], check["verdict"]) for check in report["checks"]] == [(13, "pass"), (16, "pass")]
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    command[command.index("--server") + 1] += " 'one candidate'"
    assert subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 1
    assert json.loads(out.read_text())["counts"] == {"pass": 1, "fail": 1}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--server", ""], '--server is empty; give a command, for example --server "incoder-lsp serve".'),
        (["--server", "a 'b"], '--server "a \'b" has a quote that is not closed.'),
        (["--server", "a", "--only", "x"], "--only takes numbers and ranges such as 3,5-7, not 'x'."),
        (["--server", "a", "--only", "2-99"], "there is no check 36; they are numbered from 1 to 35."),
        (["--server", "a", "--knobs", "[]"], '--knobs must be a JSON object of "off", "on", "broken" and "init".'),
    ],
)
def test_options_that_make_no_sense_are_one_sentence_and_exit_code_2(options: list[str], sentence: str):
    done = subprocess.run([*CONFORMANCE, *options], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"incoder-lsp: {sentence}\n")


def test_a_report_that_cannot_be_written_is_told_before_anything_is_run(tmp_path: Path):
    command = [*CONFORMANCE, "--server", "cat", "--json", str(tmp_path / "no" / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"incoder-lsp: cannot write {tmp_path}/no/out.json: no such file or directory.\n"
