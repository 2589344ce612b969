"""What suggestions are worth to somebody who types, and what each rule and each source of context adds to that.

    python benchmarks/savings.py [--places N] [--half report|calibration] [--only NAME]... [--latency MS] [--model DIR]
                                 [--seed N] [--json OUT]

Lines of held-out files are typed again (`typist`, with wrong letters that are taken back), a key at a time, and the session's own
completer is asked after each: when it is asked, what is known already, and what is shown are the server's doing; only the
protocol is left out, and the clock is played. The person takes a suggestion if all of it is what comes next, with one key, and
types on otherwise. A suggestion that takes longer than the pause before the next key is not seen.

    saved       the share of keys that need not be pressed
    shown       suggestions that appear, for 100 keys; one that goes on while it is typed counts once
    right       the share of them that are wholly what comes next
    wrong       characters shown that do not come next, for each key saved
    saved, +-   against the defaults, on the same places: the difference in points, and its 95 % interval (bootstrap)

Everything is on, as by default, and then one thing is changed at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import machine
import numpy as np
import typer
from holes import CALIBRATION, REPORT, sources_of
from report import number, show, write_json
from typist import MEDIAN_SECONDS, SPREAD, WRONG_LETTER, pieces, some_lines

from incoder_lsp import filling, filters, when
from incoder_lsp.completer import Completer
from incoder_lsp.documents import Document
from incoder_lsp.filters.suggestion import Suggestion
from incoder_lsp.infiller import Done, Infiller, Stop, open_source
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings
from incoder_lsp.surroundings import Surroundings
from incoder_lsp.worker import Worker
from incoder_model.infill import Infill, InfillRequest
from incoder_train.evaluate.sources import Source

LANGUAGES = ("python", "typescript", "javascript")
LONGEST_FILE = 40_000  # characters
DRAWS = 2000  # of the bootstrap
BASE = "as by default"
ASKED_ELSEWHERE = ("_manual", "settled", "_inside_word")  # as well: to leave them out of the list switches nothing off


@dataclass(frozen=True)
class Place:
    source: Source
    start: int
    wanted: str

    def chance(self, typed: int, what: str) -> random.Random:
        """The same at the same character, whatever was typed or taken before it."""
        return random.Random(f"{self.source.id} {self.start} {typed} {what}")


@dataclass(frozen=True)
class Change:
    """From what is there by default."""

    settings: dict[str, Any] = field(default_factory=dict)
    rules: tuple[Any, ...] = filters.FILTERS
    moments: tuple[Any, ...] = when.RULES
    neighbours: bool = False  # the package's other files are open


@dataclass
class Tally:
    """Of one place."""

    keys: int = 0
    without: int = 0  # keys that it takes without suggestions
    shown: int = 0
    right: int = 0
    wrong: int = 0  # characters


class Remembered:
    """An Infiller that is asked everything once."""

    def __init__(self, model: Infiller):
        self._model, self._said = model, dict[InfillRequest, Infill]()
        self.name, self.context = model.name, model.context

    def infill(self, request: InfillRequest, stop: Stop, done: Done | None = None) -> Infill:
        if request not in self._said:
            self._said[request] = self._model.infill(request, lambda: False)
        return self._said[request]

    def prompt_tokens(self, request: InfillRequest) -> int:
        return self._model.prompt_tokens(request)


def changes() -> dict[str, Change]:
    found = {BASE: Change()}
    for rule in filters.FILTERS:
        found[f"without {rule.__name__}"] = Change(rules=tuple(one for one in filters.FILTERS if one is not rule))
    found["doubt: off"] = Change({"stop_at_doubt": "off"})
    found["doubt: careful"] = Change({"stop_at_doubt": "careful"})
    for rule in when.RULES:
        if rule.__name__ not in ASKED_ELSEWHERE:
            found[f"without {rule.__name__.strip('_')}"] = Change(
                moments=tuple(one for one in when.RULES if one is not rule)
            )
    found["one line only"] = Change({"multi_line": "never"})
    for share in (0.5, 0.85):
        found[f"left share {share:g}"] = Change({"left_share": share})
    found["open files shown"] = Change({"neighbour_files": True}, neighbours=True)
    return found


def places(half: str, count: int, seed: int) -> list[Place]:
    """In turn from each file, of the languages that the bundled model has learned."""
    sources = [one for one in sources_of(half) if one.lang in LANGUAGES and len(one.text) < LONGEST_FILE]  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    rng.shuffle(sources)  # type: ignore[arg-type]
    texts = [one.text.replace("\r\n", "\n") for one in sources]
    found = []
    for turn in range(count):
        source, text = sources[turn % len(sources)], texts[turn % len(sources)]
        found.append(Place(replace(source, text=text), *some_lines(text, rng)))
    return found


class Person:
    """Types at one place after the other, and looks at what is suggested."""

    def __init__(self, model: Infiller, change: Change, latency: float, others: Sequence[Source]):
        self._settings = replace(Settings(debounce_ms=0, statistics=False), **change.settings)
        self._latency, self._now = latency, 0.0
        self._others = others if change.neighbours else ()
        self._worker = Worker(lambda _: model)
        self._completer = Completer(
            self._worker,
            partial(_fill, rules=change.rules),
            prepare=lambda *_: None,
            clock=lambda: self._now,
        )

    async def type_at(self, place: Place) -> Tally:
        await self._worker.load(None)
        text = place.source.text
        self._uri, self._text = (
            f"file:///{place.source.id}",
            text[: place.start] + text[place.start + len(place.wanted) :],
        )
        self._surroundings, self._documents = Surroundings(), self._open_files(place)
        self._tally, self._seen, typed = Tally(), "", 0
        while typed < len(place.wanted):
            piece = next(pieces(place.wanted[typed:]))
            if piece.isalpha() and place.chance(typed, "wrong").random() < WRONG_LETTER:
                await self._press(place, typed, "q", "")
                await self._press(place, typed, "", "q")
                self._tally.without += 2
            suggestion = await self._press(place, typed, piece, "")
            typed += len(piece)
            if suggestion and place.wanted.startswith(suggestion.text, typed):
                await self._press(place, typed, suggestion.text, "")
                typed += len(suggestion.text)
        self._tally.without += len([*pieces(place.wanted)])
        self._completer.forget(self._uri)
        return self._tally

    async def _press(self, place: Place, typed: int, inserted: str, removed: str) -> Suggestion | None:
        """A key, and the suggestion that the person sees after it."""
        at = place.start + typed
        before, self._text = self._text, self._text[:at] + inserted + self._text[at + len(removed) :]
        pause = _pause(place, typed, inserted)
        self._now += pause
        self._tally.keys += 1
        self._completer.edited(self._uri, before, self._text)
        if pause < self._latency:
            self._seen = ""
            return None
        path = "/" + place.source.path
        question = Question(self._uri, path, self._text, at + len(inserted), "\n", False, self._settings)
        choice = self._surroundings.choice(question, self._documents, ())
        answer = await self._completer.ask(replace(question, choice=choice))
        suggestion = answer.best
        said = suggestion.text if suggestion else ""
        if said and self._seen != inserted + said:
            comes = place.wanted[typed + len(inserted) :]
            same = _common(said, comes)
            self._tally.shown += 1
            self._tally.right += same == len(said)
            self._tally.wrong += len(said) - same
        self._seen = said
        return suggestion

    def _open_files(self, place: Place) -> dict[str, Document]:
        others = [one for one in self._others if one.package == place.source.package and one.path != place.source.path]
        return {f"file:///{one.path}": Document(one.text) for one in others}


def _fill(model: Infiller, question: Question, stop: Stop, rules: Sequence[Any]) -> Any:
    with _rules(rules):
        return filling.fill(model, question, stop)


@contextmanager
def _rules(rules: Sequence[Any]) -> Iterator[None]:
    """These filters in place of all of them."""
    asked = filters.filter_suggestion
    filters.filter_suggestion = lambda infill, situation: asked(infill, situation, rules)
    try:
        yield
    finally:
        filters.filter_suggestion = asked


@contextmanager
def _moments(rules: tuple[Any, ...]) -> Iterator[None]:
    kept, when.RULES = when.RULES, rules
    try:
        yield
    finally:
        when.RULES = kept


def _pause(place: Place, typed: int, inserted: str) -> float:
    before = place.wanted[max(0, typed - 1) : typed]
    kind = "line" if "\n" in inserted else "back" if not inserted else "word" if before in " ([{.,\n" else "letter"
    return MEDIAN_SECONDS[kind] * float(np.exp(SPREAD * place.chance(typed, "pause").gauss(0, 1)))


def _common(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def saved(tallies: Sequence[Tally]) -> float:
    return 1 - sum(one.keys for one in tallies) / sum(one.without for one in tallies)


def interval(ours: Sequence[Tally], base: Sequence[Tally]) -> tuple[float, float]:
    """95 % of the difference in `saved`, by drawing places."""
    keys = np.array([(a.keys, b.keys, a.without) for a, b in zip(ours, base, strict=True)])
    rng = np.random.default_rng(0)
    drawn = keys[rng.integers(len(keys), size=(DRAWS, len(keys)))].sum(axis=1)
    low, high = np.percentile((drawn[:, 1] - drawn[:, 0]) / drawn[:, 2], [2.5, 97.5])
    return float(low), float(high)


def main(
    count: Annotated[int, typer.Option("--places", min=1)] = 120,
    half: Annotated[str, typer.Option(help=f"{REPORT} or {CALIBRATION}")] = REPORT,
    only: Annotated[list[str] | None, typer.Option(help="A change; may be repeated.")] = None,
    latency: Annotated[float, typer.Option(min=0, help="Milliseconds from a key to a suggestion.")] = 60.0,
    model: Annotated[Path | None, typer.Option()] = None,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    known = changes()
    if unknown := [name for name in only or [] if name not in known]:
        raise SystemExit(f"there is no change {unknown[0]!r}; there are {', '.join(map(repr, known))}")
    remembered, typed = Remembered(open_source(model)), places(half, count, seed)
    others = sources_of(half)  # type: ignore[arg-type]
    tallies: dict[str, list[Tally]] = {}
    for name, change in known.items():
        if not only or name in {BASE, *only}:
            person = Person(remembered, change, latency / 1000, others)
            with _moments(change.moments):
                tallies[name] = asyncio.run(_type_all(person, typed))
            print(f"{name}: {saved(tallies[name]):.1%}", flush=True)
    rows = {name: summary(found, tallies[BASE]) for name, found in tallies.items()}
    result = {
        "machine": machine.describe(),
        "model": remembered.name,
        "half": half,
        "seed": seed,
        "places": count,
        "keys": sum(one.without for one in tallies[BASE]),
        "latency_ms": latency,
        "changes": rows,
    }
    title = f"{remembered.name}: {result['keys']} keys at {count} places of held-out files ({half}), {latency:g} ms"
    show(
        title,
        {name: _cells(row) for name, row in rows.items()},
        ["change", "saved", "shown", "right", "wrong", "saved, +-"],
    )
    if as_json:
        write_json(as_json, result)


async def _type_all(person: Person, typed: Sequence[Place]) -> list[Tally]:
    return [await person.type_at(place) for place in typed]


def summary(found: Sequence[Tally], base: Sequence[Tally]) -> dict[str, Any]:
    shown, keys = sum(one.shown for one in found), sum(one.keys for one in found)
    spared = sum(one.without - one.keys for one in found)
    return {
        "saved": saved(found),
        "shown_per_100_keys": 100 * shown / keys,
        "right": sum(one.right for one in found) / shown if shown else None,
        "wrong_per_key_saved": sum(one.wrong for one in found) / spared if spared > 0 else None,
        "difference": saved(found) - saved(base),
        "interval": interval(found, base),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["interval"]
    right = "–" if row["right"] is None else f"{row['right']:.0%}"
    change = "" if low == high == 0 else f"{100 * row['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return [f"{row['saved']:.1%}", number(row["shown_per_100_keys"]), right, number(row["wrong_per_key_saved"]), change]


if __name__ == "__main__":
    typer.run(main)
