"""How sure must the model be of a type hint? Hints of held-out packages are taken out, and the action is asked for them.

    python benchmarks/type_hints.py [--files N] [--model DIR]

Printed is, for return types and for arguments, how many hints the action says above each threshold, and the share of them that
people had written there: for every other one of the Python packages in the order of their names, on which the thresholds in
`actions/annotate.py` are chosen (the lowest from which upwards that share is likely to be 80 %: the lower end of its interval is),
and for the others, which judge them. None by the paper's rule is counted apart.
"""

from __future__ import annotations

import argparse
import ast
import math
import random
from collections.abc import Sequence
from pathlib import Path

from incoder_lsp.actions.action import Edit, View, applied
from incoder_lsp.actions.annotate import hints_of, places
from incoder_lsp.actions.annotation import returns_nothing
from incoder_lsp.actions.source import Definition, Source
from incoder_lsp.settings import Settings
from incoder_model.infill import Model
from incoder_model.loading import load_model
from incoder_train.evaluate.sources import Source as File
from incoder_train.evaluate.sources import load_sources

EACH_FILE = 60  # functions
Said = tuple[float, bool]  # how sure, and whether people wrote the same


def without_hints(source: Source) -> str:
    """The file without hints of arguments and returns."""
    cuts = []
    for function in source.functions:
        cuts += [
            (source.range(node)[0] + len(node.arg), source.range(node.annotation)[1])
            for node in ast.walk(function.node.args)
            if isinstance(node, ast.arg) and node.annotation
        ]
        if function.node.returns:
            start, end = source.range(function.node.returns)
            arrow = source.text.rfind("->", 0, start)
            cuts.append((len(source.text[:arrow].rstrip()), end))
    return applied(source.text, [Edit(start, end, "", "") for start, end in sorted(cuts)])


def written(node: Definition) -> dict[str, str]:
    """What people wrote, by argument; "" is what is returned."""
    arguments = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
    hints = {part.arg: ast.unparse(part.annotation) for part in arguments if part.annotation}
    return hints | ({"": ast.unparse(node.returns)} if node.returns else {})


def lower_end(right: Sequence[bool], z: float = 1.28) -> float:
    """Of the interval that holds the true share with 80 % (Wilson 1927)."""
    n, share = len(right), sum(right) / len(right)
    return (share + z * z / (2 * n) - z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def table(name: str, said: Sequence[Said], asked: int) -> None:
    print(f"\n{name}: {asked} asked, {len(said)} said something that can be a hint\n")
    print("| at least | hints | of those asked | right | at least likely |\n| --- | --- | --- | --- | --- |")
    for threshold in (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99):
        right = [one for sure, one in said if sure >= threshold]
        if right:
            print(
                f"| {threshold} | {len(right)} | {len(right) / asked:.1%} | {sum(right) / len(right):.1%} "
                f"| {lower_end(right):.1%} |"
            )


def report(model: Model, files: Sequence[File]) -> None:
    returned: list[Said] = []
    arguments: list[Said] = []
    ruled: list[bool] = []
    asked = {True: 0, False: 0}  # by whether it is an argument
    for file in files:
        whole = Source(file.text.replace("\r\n", "\n"), file.path)
        bare = Source(without_hints(whole), file.path)
        if bare.tree is None:
            continue
        view = View("", 0, bare, ((0, 0),), Settings())
        both = [*zip(whole.functions, bare.functions, strict=True)]
        hinted = [(old, new) for old, new in both if written(old.node) and places(bare, new)]
        for old, new in random.Random(file.id).sample(hinted, min(EACH_FILE, len(hinted))):
            truth = written(old.node)
            if returns_nothing(new.node) and "" in truth:
                ruled.append(truth.pop("") == "None")
            for name in truth:
                asked[bool(name)] += any(place.argument == name for place in places(bare, new))
            for hint in hints_of(model, view, new, lambda: False):
                name = hint.place.argument
                if name in truth:
                    right = truth[name].strip("'\"") == hint.text.strip('"')
                    (arguments if name else returned).append((hint.probability, right))
    print(f"None by the rule: {len(ruled)} return types, {sum(ruled) / max(1, len(ruled)):.1%} right")
    table("return types", returned, asked[False])
    table("arguments", arguments, asked[True])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100, help="of each half, at most")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    python = sorted((one for one in load_sources() if one.lang == "python"), key=lambda one: one.id)
    random.Random(2022).shuffle(python)
    packages = sorted({one.package for one in python})
    for number, name in enumerate(("the thresholds are chosen on", "the thresholds are judged by")):
        half = packages[number::2]
        print(f"\n## {name}: {', '.join(half)}\n")
        report(model, [one for one in python if one.package in half][: options.files])


if __name__ == "__main__":
    main()
