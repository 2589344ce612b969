"""What a check is, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from incoder_lsp.conformance.bench import Bench

Verdict = Literal["pass", "fail", "not applicable"]
Run = Callable[["Bench"], Awaitable["str | None"]]


class Failed(Exception):  # noqa: N818 - a verdict, not an error of this program
    """The server does not do what a check asserts, or does not do anything any more. The message says what it did."""


class NotApplicable(Exception):  # noqa: N818
    """What a check asserts cannot be seen at this server. The message says why."""


@dataclass(frozen=True)
class Check:
    """`run` returns when the server passes (with what was measured, if anything was), and raises Failed or NotApplicable."""

    number: int  # in the list of the specification
    title: str
    asserts: str  # one sentence
    run: Run
    starts: int  # how many servers it starts and waits for until they suggest something
    seconds: float  # what it may take, besides those starts


@dataclass(frozen=True)
class Outcome:
    check: Check
    verdict: Verdict
    detail: str  # the reason of a failure, or what was measured; may be empty
    seconds: float


def check(number: int, title: str, *, starts: int = 0, seconds: float = 60) -> Callable[[Run], Check]:
    """Make a check of a function; the first paragraph of its docstring is what it asserts."""

    def wrap(run: Run) -> Check:
        asserts = " ".join((run.__doc__ or "").split("\n\n")[0].split())
        return Check(number, title, asserts, run, starts, seconds)

    return wrap


def require(true: object, otherwise: str) -> None:
    """Raises Failed with the sentence where `true` is not."""
    if not true:
        raise Failed(otherwise)
