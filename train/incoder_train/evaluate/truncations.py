"""What is cut off an answer: whatever follows it that no file of code would hold, and what a task has cut by its rule.

Nothing here makes a text longer. The rules are those of the paper's evaluation (its sections 4.1 and A; spec of its scripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from incoder_train.evaluate.case import Case

# The marks of another kind of document, or of this one's end: every method stops at them.
MARKS = ("<|", "<code>", "</code>", "<cell>", "</cell>", "<text>", "</text>")


def shortened(text: str, case: Case) -> str:
    """What a method has said, up to the first of the case's stops, and then by its truncation."""
    text = before_stops(text, (*MARKS, *case.limits.stops, *(("\n",) if case.limits.one_line else ())))
    return TRUNCATIONS[case.limits.truncate](text, case) if case.limits.truncate else text


def is_enough(text: str, case: Case) -> bool:
    """Nothing said after `text` could change what `shortened` leaves of it."""
    lines_are_full = case.limits.truncate == "num-lines" and text.count("\n") >= lines_in(case.answer)
    return lines_are_full or any(stop in text for stop in (*MARKS, *case.limits.stops))


def before_stops(text: str, stops: Iterable[str]) -> str:
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]


def lines_in(answer: str) -> int:
    return answer.removesuffix("\n").count("\n") + 1


def num_lines(text: str, case: Case) -> str:
    """As many lines as the true answer has, its last line end only where that has one."""
    lines = text.split("\n")
    count = lines_in(case.answer)
    kept = "\n".join(lines[:count])
    return kept + "\n" if case.answer.endswith("\n") and len(lines) > count else kept


def suffix(text: str, case: Case) -> str:
    """Without a tail that the right side begins with: whole lines of it, as many as can be."""
    below = case.right.split("\n")
    for count in range(min(len(below), text.count("\n") + 1), 0, -1):
        tail = "\n".join(below[:count])
        whole = text.removesuffix("\n")
        kept = whole.removesuffix(tail)
        if tail.strip() and len(kept) < len(whole) and (count > 1 or kept[-1:] in ("", "\n")):
            return kept
    return text


TRUNCATIONS: dict[str, Callable[[str, Case], str]] = {"num-lines": num_lines, "suffix": suffix}
