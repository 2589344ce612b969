"""Where does doubt begin? The rest of held-out lines and blocks is taken out, and suggested as on a key, at several thresholds.

    python benchmarks/doubt.py [--lines N] [--blocks N] [--cost X] [--model DIR]

A threshold is the least log-probability of all that is shown (`incoder_lsp/filters/doubt.py`). The best one has the most
characters that match what a person wrote, less `cost` for each character shown that does not. It is chosen on half of the
packages (`holes.py`); the other half says what it is worth. Lines and bodies of blocks are counted together, as they were asked.

    shown           of the places asked, how many get a suggestion
    right           of the suggestions, how many are what was written from their first character to their last
    precision       of the characters shown, how many match
    matched, wrong  characters, for 100 places
    tokens          that the model says at a place: it ends with the one that makes the answer too unlikely
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from math import inf
from pathlib import Path

from holes import CALIBRATION, REPORT, Answered, answers, holes_of

from incoder_lsp.filters import FILTERS, Filter, Suggestion, filter_suggestion
from incoder_lsp.infiller import open_source
from incoder_model.infill import Infill

THRESHOLDS = (-inf, -8, -6, -4, -3, -2.5, -2.2, -2, -1.8, -1.6, -1.4, -1.2, -1, -0.8, -0.7, -0.6, -0.4, -0.2)
COST = 0.5


@dataclass(frozen=True)
class Worth:
    """What suggestions at some places are worth."""

    places: int
    shown: int
    right: int
    matched: int  # characters
    wrong: int
    tokens: int

    def utility(self, cost: float) -> float:
        """For 100 places."""
        return 100 * (self.matched - cost * self.wrong) / self.places


def matched(text: str, written: str) -> int:
    """How many characters of a suggestion are what was written; the line's end is, too."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, written + "\n", strict=False)))


def worth(answered: Sequence[Answered], least: float | None = None, rules: Sequence[Filter] = FILTERS) -> Worth:
    shown = right = match = characters = tokens = 0
    for one in answered:
        kept = filter_suggestion(one.infill, one.situation, rules, least)
        tokens += said(one.infill, -inf if least is None else least)
        if isinstance(kept, Suggestion):
            agreed = matched(kept.text, one.hole.written)
            shown, right = shown + 1, right + (agreed == len(kept.text))
            match, characters = match + agreed, characters + len(kept.text)
    return Worth(len(answered), shown, right, match, characters - match, tokens)


def said(infill: Infill, least: float) -> int:
    """How many tokens until all of them are less likely than that."""
    likely = accumulate(chance for _, chance in infill.chances)
    return next((count for count, so_far in enumerate(likely, 1) if so_far < least), infill.tokens)


def table(name: str, answered: Sequence[Answered], cost: float) -> float:
    """Printed; the best threshold comes back."""
    found = {least: worth(answered, least) for least in THRESHOLDS}
    print(f"\n{name}: {len(answered)} places\n")
    print("| at least | shown | right | precision | matched | wrong | utility | tokens |\n|" + " --- |" * 8)
    for least, one in found.items():
        shares = (one.shown / one.places, one.right / max(1, one.shown), one.matched / max(1, one.matched + one.wrong))
        each = (100 * one.matched / one.places, 100 * one.wrong / one.places, one.utility(cost))
        cells = [*(f"{s:.1%}" for s in shares), *(f"{n:.0f}" for n in each), f"{one.tokens / one.places:.1f}"]
        print(f"| {least} | {' | '.join(cells)} |")
    return max(found, key=lambda least: found[least].utility(cost))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=12, help="places within lines, of each file")
    parser.add_argument("--blocks", type=int, default=3, help="places at the start of blocks, of each file")
    parser.add_argument("--cost", type=float, default=COST, help="of a character that is shown in vain")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    model = open_source(options.model)
    for half in (CALIBRATION, REPORT):
        best = table(
            half, list(answers(model, holes_of(half, options.lines, options.blocks), invoked=False)), options.cost
        )
        print(f"\nbest at a cost of {options.cost:g}: {best}")


if __name__ == "__main__":
    main()
