"""How many answers pass their tests: programs are made of them and run, and pass@k is told from how many passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from incoder_train.evaluate.case import Answer, Case, Scores, Settings
from incoder_train.evaluate.sandbox import SECONDS, run_programs

KS = (1, 10, 100)
FAILURES = "failures"  # in an answer's detail: why each of its samples failed, None where it passed


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that of k different ones of these samples at least one passed: the unbiased estimate of pass@k (Chen et al.
    2021, section 2.1), as a product, so that no large numbers are divided. There must be at least k samples."""
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {passed} in {samples}")
    failed = samples - passed
    none_passed = 1.0
    for i in range(k):
        none_passed *= max(failed - i, 0) / (samples - i)
    return 1 - none_passed


def run_tests(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    settings: Settings,
    program: Callable[[Case, str], str],
    seconds: float = SECONDS,
) -> list[Answer]:
    """The answers, with FAILURES of as many samples as were asked for. All programs of a batch run side by side.

    Raises UserError where generated programs cannot be run."""
    asked = [answer.samples[: settings.samples] for answer in answers]
    programs = [program(case, sample) for case, samples in zip(cases, asked, strict=True) for sample in samples]
    verdicts = iter(run_programs(programs, seconds=seconds))
    failures = [[None if (verdict := next(verdicts)).passed else verdict.why for _ in samples] for samples in asked]
    return [
        replace(answer, detail={**answer.detail, FAILURES: one}) for answer, one in zip(answers, failures, strict=True)
    ]


def pass_scores(answer: Answer) -> Scores:
    """pass@k for each k that there are samples for."""
    failures: list[str | None] = answer.detail[FAILURES]
    return {f"pass@{k}": pass_at_k(len(failures), failures.count(None), k) for k in KS if k <= len(failures)}
