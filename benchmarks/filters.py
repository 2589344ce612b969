"""What each rule of `incoder_lsp/filters` does to suggestions at held-out places, and what it is worth.

    python benchmarks/filters.py [--lines N] [--blocks N] [--asked] [--model DIR]

The places are those by which thresholds are judged (`holes.py`), not those on which they were chosen.

    changed, dropped    of the suggestions that come to the rule
    was right           of those dropped, how many were what a person wrote, from the first character to the last
    lost, spared        characters of what it cut or dropped that match what was written, and that do not
    without it          utility of all suggestions without the rule, for 100 places; with every rule it is in the last line
"""

from __future__ import annotations

import argparse
from pathlib import Path

from doubt import COST, matched, worth
from holes import REPORT, Answered, answers, holes_of

from incoder_lsp.filters import FILTERS, Drop, Filter, Suggestion, filter_suggestion
from incoder_lsp.infiller import open_source


def row(rule: Filter, answered: list[Answered]) -> str:
    before = FILTERS[: FILTERS.index(rule)]
    came = changed = dropped = right = lost = spared = 0
    for one in answered:
        so_far = filter_suggestion(one.infill, one.situation, before)
        if isinstance(so_far, Suggestion):
            came += 1
            then = rule(so_far, one.situation)
            said, kept = so_far.text.rstrip(), "" if isinstance(then, Drop) else then.text.rstrip()
            agreed = matched(said, one.hole.written)
            changed += isinstance(then, Suggestion) and kept != said
            dropped += isinstance(then, Drop)
            right += isinstance(then, Drop) and agreed == len(said)
            change = agreed - matched(kept, one.hole.written)
            lost, spared = lost + change, spared + len(said) - len(kept) - change
    without = worth(answered, rules=[other for other in FILTERS if other is not rule]).utility(COST)
    cells = (f"{changed / max(1, came):.1%}", f"{dropped / max(1, came):.1%}", f"{right} of {dropped}", lost, spared)
    return f"| {rule.__name__} | {' | '.join(map(str, cells))} | {without:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=12, help="places within lines, of each file")
    parser.add_argument("--blocks", type=int, default=3, help="places at the start of blocks, of each file")
    parser.add_argument("--asked", action="store_true", help="by the user, not by a key: whole, and of several lines")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    places = holes_of(REPORT, options.lines, options.blocks)
    answered = list(answers(open_source(options.model), places, invoked=options.asked))
    print(
        f"{len(answered)} places\n\n| rule | changed | dropped | was right | lost | spared | without it |\n|"
        + " --- |" * 7
    )
    for rule in FILTERS:
        print(row(rule, answered))
    print(f"| all | | | | | | {worth(answered).utility(COST):.0f} |")


if __name__ == "__main__":
    main()
