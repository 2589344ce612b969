"""Whether a suggestion fits where it is put: golden cases, small files with the cursor marked, that a person can add to.

The first line of a case names its rule and says what it is about; `‸` is the cursor. Every case is held to every rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import Failed, NotApplicable, check
from incoder_lsp.conformance.session import AUTOMATIC, INVOKED

GOLDEN = Path(__file__).parent.parent / "golden"
CURSOR = "‸"
PAIRS = {")": "(", "]": "[", "}": "{"}
MOST_EQUAL_LINES = 3


@dataclass(frozen=True)
class Case:
    name: str
    left: str
    right: str


@check(19, "Fits where it is put")
async def fits(bench: Bench) -> str:
    """In golden cases no suggestion repeats what stands to its right or below, leaves brackets or quotes unbalanced that
    were balanced, breaks the indentation, or goes in circles."""
    bench.require_suggestions()
    session, seen, faults = await bench.shared(), 0, []
    for case in cases():
        document = session.open(case.left + case.right, case.name)
        for kind in (AUTOMATIC, INVOKED):
            for item in await document.suggest(len(case.left), kind):
                seen += 1
                applied = document.applied(item, len(case.left))
                text = document.inserted(item, len(case.left))
                right = applied[len(case.left) + len(text) :]
                found = [name for name, breaks in RULES.items() if breaks(case.left, text, right)]
                faults += [f"{case.name}: {fault}: {text[:60]!r}" for fault in found]
    if not seen:
        raise NotApplicable("It suggested nothing in any golden case")
    if faults := list(dict.fromkeys(faults)):
        raise Failed(f"{len(faults)} of {seen} suggestions: " + "; ".join(faults[:4]))
    return f"{seen} suggestions in {len(cases())} cases"


def cases() -> list[Case]:
    """The golden cases. Raises ValueError where a file has not exactly one cursor."""
    found = []
    for path in sorted(GOLDEN.glob("*.txt")):
        text = path.read_text(encoding="utf-8").partition("\n")[2]
        if text.count(CURSOR) != 1:
            raise ValueError(f"{path} must have exactly one {CURSOR}")
        left, _, right = text.partition(CURSOR)
        found.append(Case(path.name.removesuffix(".txt"), left, right))
    return found


def repeats_right(_: str, text: str, right: str) -> bool:
    """Its end is the rest of the line, or its last lines are the next ones."""
    rest, _, below = right.partition("\n")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(rest.strip()) > 2 and text.rstrip().endswith(rest.strip()):
        return True
    following = next((line.strip() for line in below.split("\n") if line.strip()), "")
    return bool(following) and len(following) > 2 and following in lines


def unbalances(left: str, text: str, right: str) -> bool:
    """Brackets or quotes are balanced without it and not with it."""
    return _balanced(left + right) and not _balanced(left + text + right)


def breaks_indentation(left: str, text: str, _: str) -> bool:
    """A line goes in deeper without a line before it that opens a block, or comes out to where no block is."""
    lines = (left + text).split("\n")
    first = left.count("\n")
    levels, opens = [0], False
    for number, line in enumerate(lines):
        if not line.strip() or not _balanced("\n".join(lines[:number])):
            continue  # blank, or inside brackets, where Python does not look at the indentation
        margin = len(line) - len(line.lstrip())
        if margin > levels[-1]:
            if not opens and number >= first:
                return True
            levels.append(margin)
        while margin < levels[-1]:
            levels.pop()
        if margin != levels[-1] and number > first:
            return True
        opens = line.rstrip().endswith(":")
    return False


def goes_in_circles(_: str, text: str, __: str) -> bool:
    """A line comes again and again, or the text is one short piece over and over."""
    lines = Counter(line.strip() for line in text.split("\n") if len(line.strip()) > 2)
    if any(count > MOST_EQUAL_LINES for count in lines.values()):
        return True
    short = text.strip()
    periods = range(1, (len(short) + 2) // 4 + 1) if len(short) > 8 else ()  # four times, what separates them left out
    return any(short[size:] == short[:-size] for size in periods)


RULES: dict[str, Callable[[str, str, str], bool]] = {
    "says what stands there already": repeats_right,
    "unbalances brackets or quotes": unbalances,
    "breaks the indentation": breaks_indentation,
    "goes in circles": goes_in_circles,
}


def _balanced(text: str) -> bool:
    """Brackets outside of one-line strings and comments, and those strings themselves."""
    stack: list[str] = []
    quote, i = "", 0
    while i < len(text):
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
            elif char == "\n":
                return False
        elif char in "\"'":
            if text[i : i + 3] == char * 3:  # a docstring: to its end
                close = text.find(char * 3, i + 3)
                if close < 0:
                    return False
                i = close + 2
            else:
                quote = char
        elif char == "#":
            i = text.find("\n", i) - 1 if "\n" in text[i:] else len(text)
        elif char in "([{":
            stack.append(char)
        elif char in PAIRS and (not stack or stack.pop() != PAIRS[char]):
            return False
        i += 1
    return not stack and not quote
