"""How good an answer is: a sample and what stood in the hole go in, a number comes out."""

from __future__ import annotations

import ast
import re
import warnings

LINE_END = re.compile(r"\r\n|\r|\n")


def exact(sample: str, answer: str) -> float:
    """1 if the two are equal, whatever white space ends them (paper section 4), else 0."""
    return float(sample.rstrip() == answer.rstrip())


def edit_similarity(sample: str, answer: str) -> float:
    """1 - distance / length of the longer one; 1 for equal texts, 0 where no character can stay. White space at their ends
    does not count, as in `exact`."""
    sample, answer = sample.rstrip(), answer.rstrip()
    return 1 - edit_distance(sample, answer) / max(1, len(sample), len(answer))


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's: the fewest characters to insert, delete or replace.

    A column of the usual table is two numbers whose bits say where it rises and falls from one row to the next (Myers 1999, in
    the form of Hyyrö 2003), so a column costs a dozen operations on whole numbers of len(one) bits.
    """
    if len(one) > len(other):
        one, other = other, one
    if not one:
        return len(other)
    where: dict[str, int] = {}  # of each character, the rows of `one` that have it
    for row, character in enumerate(one):
        where[character] = where.get(character, 0) | 1 << row
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    distance, rises, falls = len(one), every, 0  # of the column before the first character of `other`
    for character in other:
        equal = where.get(character, 0)
        level = (((equal & rises) + rises) ^ rises) | equal | falls  # diagonally, from the column before
        right_rises = falls | ~(level | rises)
        right_falls = level & rises
        distance += bool(right_rises & last) - bool(right_falls & last)
        right_rises = right_rises << 1 | 1
        right_falls = right_falls << 1
        rises = every & (right_falls | ~(level | right_rises))
        falls = level & right_rises & every
    return distance


def parses(source: str) -> bool:
    """Is it Python, to the Python that runs this?"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of "\\d" in a string
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: a null byte
            return False
    return True


def elsewhere(answer: str, left: str, right: str) -> bool:
    """Does the answer also stand somewhere else in view? Whole lines count as lines, whatever their indent; any other answer
    counts wherever its characters stand."""
    left_lines, right_lines = LINE_END.split(left), LINE_END.split(right)
    if left_lines[-1].strip() or right_lines[0].strip():
        wanted = answer.strip()
        return wanted in left or wanted in right
    wanted = [line.strip() for line in LINE_END.split(answer.strip())]
    return any(_runs([line.strip() for line in lines], wanted) for lines in (left_lines, right_lines))


def _runs(lines: list[str], wanted: list[str]) -> bool:
    starts = (start for start, line in enumerate(lines) if line == wanted[0])
    return any(lines[start : start + len(wanted)] == wanted for start in starts)
