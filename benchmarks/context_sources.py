"""What should the model be shown? Holes of held-out packages, asked as the editor asks, with each source of context off and on.

    python benchmarks/context_sources.py [--half report|tune] [--cases N] [--arm NAME]... [--minutes N]
                                         [--longest CHARACTERS] [--keys N] [--seed N] [--model DIR] [--json OUT]

Half of the holes are rests of lines, half whole lines; each arm fills all of them with one line. What is chosen by looking at
results is chosen on the half "tune", every other package by name, and told of the half "report", the rest.

    exact           the share of holes that are filled as they were
    characters      the share of a hole's characters that are right up to the first wrong one
    + and -         holes that only the arm, and only the defaults, have right; p is that of McNemar's exact test, and for
                    characters that of the sign test
    per key         prompt tokens that went through the network for a key within a line, and for any key: short files are typed
                    again (`typist`), and the cache keeps what it can

Open files are all the others of the package in the sources; imported ones are those that lie there. How much recently edited
places help cannot be told by files without a history.
"""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import comb
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from report import number, show, write_json
from typist import keys

from incoder_lsp.context import Situation, situation_at
from incoder_lsp.documents import Document
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings
from incoder_lsp.surroundings import Surroundings
from incoder_lsp.type_along import anchored
from incoder_model.checkpoint import BUNDLED
from incoder_model.infill import Model, infill, prefill
from incoder_model.loading import load_model
from incoder_train.evaluate.case import Case
from incoder_train.evaluate.sources import Source, load_sources
from incoder_train.evaluate.tasks.heldout import draw

KINDS = ("rest-of-line", "single-line")
DEFAULTS = "defaults"
ARMS = {
    DEFAULTS: Settings(neighbour_files=False, neighbour_imports=False),
    "open files": Settings(neighbour_files=True, neighbour_imports=False),
    "imported files": Settings(neighbour_files=False, neighbour_imports=True),
    "open and imported files": Settings(neighbour_files=True, neighbour_imports=True),
    "left share 0.5": Settings(left_share=0.5),
    "left share 0.6": Settings(left_share=0.6),
    "left share 0.8": Settings(left_share=0.8),
    "left share 0.9": Settings(left_share=0.9),
}
TYPED_FILES, TYPED_LENGTHS = (
    4,
    range(800, 3500),
)  # characters: they leave room for others in the bundled model's context
IN_LINE = ("letter", "word")  # kinds of keys


@dataclass
class Tally:
    exact: list[bool] = field(default_factory=list)
    characters: list[float] = field(default_factory=list)
    tokens: list[tuple[str, int]] = field(default_factory=list)  # kind of key, tokens that it cost


class Packages:
    """The files of one half, and on a disk as well, where imports are looked for."""

    def __init__(self, half: str, folder: Path):
        names = sorted({source.package for source in load_sources()})
        mine = set(names[half == "report" :: 2])
        self.sources = [source for source in load_sources() if source.package in mine]
        self.folder = folder
        self._surroundings = Surroundings()
        for source in self.sources:
            place = folder / source.id
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(source.text, encoding="utf-8")
        self._documents = {(folder / source.id).as_uri(): Document(source.text) for source in self.sources}

    def question(self, name: str, text: str, offset: int, settings: Settings) -> Question:
        """About the file by the id `name`, the others of its package being open."""
        place, package = self.folder / name, next(one.package for one in self.sources if one.id == name)
        root = self.folder / package
        beside = {uri: one for uri, one in self._documents.items() if uri.startswith(f"{root.as_uri()}/")}
        asked = Question(place.as_uri(), str(place), text, offset, "\n", False, settings)
        return replace(asked, choice=self._surroundings.choice(asked, beside, [str(root)]))


def situation_of(asked: Question) -> Situation | None:
    return situation_at(
        asked.text,
        asked.offset,
        asked.path,
        invoked=asked.invoked,
        settings=asked.settings,
        anchor=asked.anchor,
        choice=asked.choice,
    )


def fill(model: Model, packages: Packages, case: Case, settings: Settings, tally: Tally) -> None:
    situation = situation_of(packages.question(case.path, case.left + case.right, len(case.left), settings))
    said = ""
    if situation is not None:
        said = infill(model, replace(situation.request, one_line=True, max_tokens=32)).text.split("\n")[0].rstrip()
    right = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(said, case.answer, strict=False)))
    tally.exact.append(said == case.answer.rstrip())
    tally.characters.append(right / len(case.answer))


def type_again(
    model: Model, packages: Packages, source: Source, settings: Settings, seed: int, count: int
) -> Iterator[tuple[str, int]]:
    """What each key's prompt costs."""
    earlier: Question | None = None
    for key in itertools.islice(keys(source.text, np.random.default_rng(seed)), count):
        asked = anchored(packages.question(source.id, key.after, key.cursor, settings), earlier)
        if situation := situation_of(asked):
            before = model.engine.evaluated
            prefill(model, situation.request)
            yield key.kind, model.engine.evaluated - before
            earlier = asked


def two_sided(wins: int, losses: int) -> float:
    """How likely a coin is so one-sided."""
    tosses = wins + losses
    tail = sum(comb(tosses, count) for count in range(min(wins, losses) + 1)) / 2**tosses
    return min(1.0, 2 * tail)


def compared(arm: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    better = sum(ours > theirs for ours, theirs in zip(arm, base, strict=True))
    worse = sum(ours < theirs for ours, theirs in zip(arm, base, strict=True))
    return {"mean": statistics.fmean(arm), "better": better, "worse": worse, "p": two_sided(better, worse)}


def main(
    half: Annotated[str, typer.Option(help="report or tune")] = "report",
    cases: Annotated[int, typer.Option(min=2)] = 320,
    arm: Annotated[list[str] | None, typer.Option(help="Beside the defaults; may be repeated.")] = None,
    minutes: Annotated[float, typer.Option(help="Then no further hole is filled.")] = 8.0,
    longest: Annotated[int | None, typer.Option(help="Characters of a file that has holes.")] = None,
    keys_: Annotated[int, typer.Option("--keys", min=1, help="Of each file that is typed again.")] = 60,
    seed: Annotated[int, typer.Option()] = 0,
    model: Annotated[Path, typer.Option()] = BUNDLED,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    if half not in ("report", "tune"):
        raise SystemExit(f"there is no half {half!r}; there are report and tune")
    if unknown := [name for name in arm or [] if name not in ARMS]:
        raise SystemExit(f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
    tallies = {name: Tally() for name in [DEFAULTS, *(arm or list(ARMS)[1:])]}
    loaded, deadline = load_model(model), time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        packages = Packages(half, Path(folder))
        rng = random.Random(f"{seed} context")
        asked = [one for one in packages.sources if longest is None or len(one.text) <= longest]
        holes = [hole for kind in KINDS for hole in draw(asked, kind, cases // len(KINDS), rng)]
        rng.shuffle(holes)
        for hole in holes:
            if time.monotonic() > deadline:
                break
            for name, tally in tallies.items():
                fill(loaded, packages, hole, ARMS[name], tally)
        files = [one for one in packages.sources if one.text.isascii() and len(one.text) in TYPED_LENGTHS]
        typed = list(enumerate(rng.sample(files, TYPED_FILES)))
        for name, tally in tallies.items():
            fresh = load_model(model)  # another arm's keys must not be in the cache
            for turn, source in typed:
                tally.tokens += type_again(fresh, packages, source, ARMS[name], turn, keys_)
    base = tallies[DEFAULTS]
    result: dict[str, Any] = {"half": half, "holes": len(base.exact), "seed": seed, "arms": {}}
    for name, tally in tallies.items():
        in_line = [cost for kind, cost in tally.tokens if kind in IN_LINE]
        result["arms"][name] = {
            "exact": compared(tally.exact, base.exact),
            "characters": compared(tally.characters, base.characters),
            "tokens_in_line": statistics.fmean(in_line) if in_line else None,
            "tokens": statistics.fmean(cost for _, cost in tally.tokens),
        }
    show_table(result)
    if as_json:
        write_json(as_json, result)


def show_table(result: dict[str, Any]) -> None:
    def pair(one: dict[str, float]) -> list[str]:
        return [f"{one['mean']:.1%}", f"+{one['better']} -{one['worse']}", number(one["p"], 2)]

    rows = {
        name: [*pair(row["exact"]), *pair(row["characters"]), number(row["tokens_in_line"]), number(row["tokens"])]
        for name, row in result["arms"].items()
    }
    title = f"{result['holes']} holes of the half {result['half']!r} of the held-out packages"
    show(title, rows, ["arm", "exact", "", "p", "characters", "", "p", "tokens per key in a line", "of all keys"])


if __name__ == "__main__":
    typer.run(main)
