"""How much likelier must a line be with the model's word for a hint? In functions of held-out files a variable is swapped for
another one of the function, or an operator for another one, and the hints of the function are asked for; and so are those of the
function as it was.

    python benchmarks/surprise.py [--functions N] [--model DIR]

Printed is, for gains in nats, how often the swapped word is among the hints, how often the word that was there is what the hint
says, and how many hints there are in 100 untouched lines: for every other one of the packages in the order of their names, on
which the threshold in `actions/surprise.py` is chosen, and for the others, which judge it.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from incoder_lsp.actions.action import Edit, View, applied
from incoder_lsp.actions.source import Function, Source, parse
from incoder_lsp.actions.surprise import Surprise, surprises_of, words_of
from incoder_lsp.settings import Settings
from incoder_model.infill import Model
from incoder_model.loading import load_model
from incoder_model.python_names import bound
from incoder_train.evaluate.sources import load_sources

GAINS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)
SHORTEST, LONGEST = 4, 40  # lines
OPERATORS = {
    "==": "!=", "!=": "==", "<": ">", ">": "<", "<=": ">=", ">=": "<=", "+": "-", "-": "+", "*": "/", "/": "*",
    "and": "or", "or": "and", "+=": "-=", "-=": "+=",
}  # fmt: skip


def swapped(source: Source, function: Function, rng: random.Random) -> Edit | None:
    """A variable or an operator of the function's body, and another one for it."""
    start, end = source.range(function.node.body[0])[0], function.range[1]
    names = sorted(bound(function.node)[0] - {"self", "cls"})
    places = []
    for one in words_of(source):
        word = source.text[slice(*one)]
        others = [OPERATORS[word]] if word in OPERATORS else [name for name in names if name != word and word in names]
        if start <= one[0] and one[1] <= end and others:
            places.append((one, others))
    rng.shuffle(places)
    for (left, right), others in places:
        edit = Edit(left, right, rng.choice(others), "")
        if parse(applied(source.text, [edit])) is not None:
            return edit
    return None


def hints(model: Model, source: Source, number: int) -> list[Surprise]:
    view = View("", 0, source, (), Settings())
    return [*surprises_of(model, view, source.functions[number], lambda: False, least=GAINS[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=60, help="of each half")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    python = [one for one in load_sources() if one.lang == "python" and one.text.isascii()]
    packages = sorted({one.package for one in python})
    for half, name in enumerate(("the threshold is chosen on", "the threshold is judged by")):
        print(f"\n## {name}: {', '.join(packages[half::2])}\n")
        rng, lines = random.Random(2022), 0
        files = [Source(one.text.replace("\r\n", "\n"), one.path) for one in python if one.package in packages[half::2]]
        places = [
            (source, number)
            for source in files
            for number, function in enumerate(source.functions)
            if SHORTEST <= (function.node.end_lineno or 0) - function.node.body[0].lineno < LONGEST
            and not function.nested
        ]
        rng.shuffle(places)
        untouched: list[float] = []
        found: list[tuple[float, bool]] = []  # gain of the hint at the swapped word, and whether it says the old one
        tried = 0
        for source, number in places:
            edit = swapped(source, source.functions[number], rng)
            if edit is None or tried == options.functions:
                continue
            tried += 1
            node = source.functions[number].node
            lines += (node.end_lineno or 0) - node.body[0].lineno + 1
            untouched += [one.gain for one in hints(model, source, number)]
            old = source.text[edit.start : edit.end]
            broken = Source(applied(source.text, [edit]), source.path)
            found += [(one.gain, one.instead == old) for one in hints(model, broken, number) if one.start == edit.start]
        print(f"{tried} functions, {lines} lines\n")
        print("| gain | swapped word found | put right | hints in 100 untouched lines |\n| --- | --- | --- | --- |")
        for gain in GAINS:
            hit = [right for size, right in found if size >= gain]
            false = sum(size >= gain for size in untouched)
            print(f"| {gain:.0f} | {len(hit) / tried:.1%} | {sum(hit) / tried:.1%} | {100 * false / lines:.1f} |")


if __name__ == "__main__":
    main()
