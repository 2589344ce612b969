"""What a person who types gets, and what it costs: the same keys through `incoder-lsp serve` and through its peers.

    python benchmarks/keystrokes.py [--preset 70m | --model DIR] [--answer N] [--keys N] [--rounds N] [--speed X] [--seed N]
                                    [--load N] [--only CONTENDER]... [--work DIR] [--json OUT] [--picture OUT.png]

Held-out files are typed again (`typist`): every key is a didChange and a request for an inline completion, as VS Code sends
them, and the next key cancels what is not answered. All contenders are up at the same time and take turns: each types the
keys of a round, then the next one does. --speed divides the pauses.

    ours            incoder-lsp serve over stdio, all of it: the editor's messages, the wait before asking, context, filters
    llama.cpp       its server, q8_0, one slot, cache_prompt, streamed; asked at /infill with the texts beside the cursor, as
                    llama.vim asks, and at /completion with the very tokens of our prompt
    transformers    generate() in a process of its own with our prompt, its cache kept and cut back to what is shared

Peers wait before asking as long as ours does, end with the line as ours does, and are asked only where ours would ask. They
have no filters, so they give more suggestions. /infill puts the texts where FIM models want them, which is not where a model of
ours has learned to look: its answers are no good, and cost what they would cost.

The weights of a preset know nothing: they never end an answer, and what they say is not shown. With --answer N all answers have
N tokens, and their milliseconds count, shown or not, for every typed key at which a model is asked. None of them can be had from
the answer before, as most are with a model that knows something.

    p50, p95        milliseconds from key to suggestion, of the suggestions that came before the next key
    in time         the share of keys whose answer, a suggestion or none, came before the next key
    cached          the share of keys that were answered from the last suggestion, without the model
    CPU s           seconds of processor time for 1,000 keys, of all processes behind a contender, a daemon among them
    evaluated       tokens that went through the network for a key, the answers' among them
    prompt tokens   those of the prompt alone: of a second pass over the same keys in which answers have one token and are waited
                    for; the median of the keys that are typed within a line, and the mean of all. With another session on the
                    same daemon both would be too high; this benchmark has a daemon of its own
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import machine
import numpy as np
import typer
from peers import Engine, LlamaServer
from report import draw_distribution, number, show, write_json
from suggesters import LanguageServer, Prompt, Suggester
from turns import FOR_TRANSFORMERS, beside
from typist import Key, keys
from weights import NAMES, Weights

from incoder_lsp.context import situation_at
from incoder_lsp.settings import Settings
from incoder_model.checkpoint import BUNDLED, TOKENIZER, read_config
from incoder_model.config import ModelConfig
from incoder_model.infill import prompt_of
from incoder_model.tokenizer import Tokenizer, load_tokenizer
from incoder_train.evaluate.sources import load_sources

GOALS = {"goal, p50": 40.0, "goal, p95": 100.0}
LONGEST_FILE, SHORTEST_FILE = 40_000, 4_000  # characters
OURS = "ours"
IN_LINE = ("letter", "word")  # kinds of keys
TYPED = (*IN_LINE, "line")
PATIENCE = 60.0  # seconds that a key of the second pass may take


@dataclass(frozen=True)
class Reader:
    """What `prompt_of` must know of a model."""

    config: ModelConfig
    tokenizer: Tokenizer

    @property
    def context(self) -> int:
        return self.config.context


@dataclass(frozen=True)
class Session:
    """The keys of one round, all in one file, and what peers are asked at each; None where ours would not ask."""

    name: str
    text: str
    keys: list[Key]
    prompts: list[Prompt | None]


@dataclass
class Tally:
    """What a contender did so far."""

    keys: int = 0
    in_time: int = 0
    suggested_ms: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    every_answer: bool = False  # counts as a suggestion


def sessions(rounds: int, count: int, seed: int, reader: Reader, answer: int | None) -> list[Session]:
    rng = np.random.default_rng(seed)
    files = [one for one in load_sources() if SHORTEST_FILE < len(one.text) < LONGEST_FILE and one.text.isascii()]
    chosen = rng.permutation(len(files))
    made = []
    for turn in range(rounds):
        file = files[chosen[turn % len(files)]]
        pressed = list(itertools.islice(keys(file.text, rng), count))
        prompts = [prompt_at(key, file.path, reader, answer) for key in pressed]
        made.append(Session(file.id.replace("@", ""), file.text, pressed, prompts))
    return made


def prompt_at(key: Key, path: str, reader: Reader, most: int | None) -> Prompt | None:
    situation = situation_at(key.after, key.cursor, path, invoked=False, settings=Settings())
    if situation is None:
        return None
    request = situation.request
    tokens = [*prompt_of(reader, request), *reader.tokenizer.encode(request.typed)]
    return Prompt(tokens, request.left, request.typed, request.right, most or request.max_tokens)


def serve(weights: Weights, settings: dict[str, Any], runtime: str) -> LanguageServer:
    """Ours. Its daemon, where there is one, lives in `runtime` and is no one else's."""
    command = [sys.executable, "-m", "incoder_lsp", "serve", "--model", str(weights.directory)]
    return LanguageServer(command, {"statistics": False, **settings}, {"XDG_RUNTIME_DIR": runtime})


def contenders(
    weights: Weights, threads: int, wait: float, settings: dict[str, Any], runtime: str
) -> dict[str, Callable[[], Suggester]]:
    context = read_config(weights.directory).context

    def llama(route: str) -> Suggester:
        return LlamaServer(weights.form("q8_0"), threads, route, wait, context)

    def engine(name: str) -> Suggester:
        return Engine(name, weights.directory, threads, wait, FOR_TRANSFORMERS)

    return {
        OURS: lambda: serve(weights, settings, runtime),
        "llama.cpp /infill": lambda: llama("/infill"),
        "llama.cpp, our prompt": lambda: llama("/completion"),
        "transformers fp32": lambda: engine("transformers fp32"),
        "transformers bf16": lambda: engine("transformers bf16"),
    }


def main(
    preset: Annotated[str | None, typer.Option(help=", ".join(NAMES))] = None,
    model: Annotated[Path, typer.Option()] = BUNDLED,
    answer: Annotated[
        int | None, typer.Option(min=1, help="Tokens of every answer, for weights that know nothing.")
    ] = None,
    keys_: Annotated[int, typer.Option("--keys", min=1, help="Of a round.")] = 100,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    speed: Annotated[float, typer.Option(min=0.1)] = 1.0,
    seed: Annotated[int, typer.Option()] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of the peers.")] = os.cpu_count() or 1,
    debounce: Annotated[int | None, typer.Option(min=0, help="Milliseconds, in place of the default.")] = None,
    load: Annotated[int, typer.Option(min=0, help="Busy loops beside.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="A contender; may be repeated.")] = None,
    work: Annotated[Path | None, typer.Option(help="Keep what is made of the weights here, for the next run.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
    picture: Annotated[Path | None, typer.Option()] = None,
) -> None:
    if preset and preset not in NAMES:
        raise SystemExit(f"there is no preset {preset!r}; there are {', '.join(NAMES)}")
    settings: dict[str, Any] = {} if debounce is None else {"debounceMs": debounce}
    if answer:
        settings |= {"maxTokens": answer, "stopAtDoubt": "off"}
    wait = (Settings().debounce_ms if debounce is None else debounce) / 1000
    with ExitStack() as stack:
        folder = work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runtime = stack.enter_context(tempfile.TemporaryDirectory())
        weights = Weights(preset or str(model), folder)
        known = contenders(weights, threads, wait, settings, runtime)
        if unknown := [name for name in only or [] if name not in known]:
            raise SystemExit(f"there is no contender {unknown[0]!r}; there are {', '.join(map(repr, known))}")
        suggesters = {name: make() for name, make in known.items() if not only or name in only}
        for suggester in suggesters.values():
            stack.callback(suggester.marked.end)
        config = read_config(weights.directory)
        reader = Reader(config, load_tokenizer(weights.directory / TOKENIZER))
        typed = sessions(rounds, keys_, seed, reader, answer)
        with beside(load):
            rows = asyncio.run(replay(suggesters, typed, speed, every_answer=bool(answer)))
        if OURS in suggesters:
            again = serve(weights, {"debounceMs": 0, "maxTokens": 1}, runtime)
            stack.callback(again.marked.end)
            rows[OURS] |= asyncio.run(prompt_tokens(again, typed))
    result = {
        "machine": machine.describe(),
        "weights": weights.name,
        "parameters": config.parameters,
        "keys": keys_ * rounds,
        "speed": speed,
        "seed": seed,
        "load": load,
        "answer": answer,
        "debounce_ms": wait * 1000,
        "contenders": rows,
    }
    show_table(result)
    if as_json:
        write_json(as_json, result)
    if picture:
        drawn = {name: row["suggested_ms"] for name, row in rows.items() if row["suggested_ms"]}
        draw_distribution(picture, drawn, GOALS)


async def replay(
    suggesters: dict[str, Suggester], typed: Sequence[Session], speed: float, *, every_answer: bool
) -> dict[str, dict[str, Any]]:
    tallies = {name: Tally(every_answer=every_answer) for name in suggesters}
    async with AsyncExitStack() as stack:
        for suggester in suggesters.values():
            await suggester.start()
            stack.push_async_callback(suggester.close)
        for session in typed:
            for name, suggester in suggesters.items():
                suggester.open(session.name, session.text)
                before = machine.cpu_seconds(suggester.marked.pids())
                await type_along(suggester, session, speed, tallies[name])
                tallies[name].cpu_seconds += machine.cpu_seconds(suggester.marked.pids()) - before
        return {name: summary(tallies[name], await suggester.evaluated()) for name, suggester in suggesters.items()}


async def type_along(suggester: Suggester, session: Session, speed: float, tally: Tally) -> None:
    due, asked = time.perf_counter(), None
    for key, prompt in zip(session.keys, session.prompts, strict=True):
        due += key.pause / speed
        await asyncio.sleep(due - time.perf_counter())
        await take_back(asked, tally)
        asked = asyncio.create_task(answer_of(suggester, key, prompt, tally))
        tally.keys += 1
    await asyncio.sleep(session.keys[-1].pause / speed)
    await take_back(asked, tally)


async def answer_of(suggester: Suggester, key: Key, prompt: Prompt | None, tally: Tally) -> None:
    pressed = time.perf_counter()
    suggester.press(key)
    shown = await suggester.ask(key, prompt)
    if shown or (tally.every_answer and prompt and key.kind in TYPED):
        tally.suggested_ms.append((time.perf_counter() - pressed) * 1000)


async def take_back(asked: asyncio.Task[None] | None, tally: Tally) -> None:
    """The next key is there: what is not answered yet no longer counts."""
    if asked is None:
        return
    if asked.done():
        tally.in_time += 1
        asked.result()  # raises what went wrong
        return
    asked.cancel()
    await asyncio.wait([asked])


async def prompt_tokens(again: LanguageServer, typed: Sequence[Session]) -> dict[str, Any]:
    """How many tokens each key's prompt costs: answers of one token, which is not read again."""
    await again.start()
    costs: list[tuple[str, float]] = []
    for session in typed:
        again.open(session.name, session.text)
        before = await again.evaluated()
        for key, prompt in zip(session.keys, session.prompts, strict=True):
            again.press(key)
            await asyncio.wait_for(again.ask(key, prompt), PATIENCE)
            after = await again.evaluated()
            costs.append((key.kind, after["evaluated"] - before["evaluated"]))
            before = after
    await again.close()
    in_line = [cost for kind, cost in costs if kind in IN_LINE]
    return {
        "prompt_tokens_in_line": statistics.median(in_line) if in_line else None,
        "prompt_tokens": statistics.fmean(cost for _, cost in costs),
    }


def summary(tally: Tally, work: dict[str, float]) -> dict[str, Any]:
    evaluated = work.get("evaluated", work["prompt"] + work["generated"] if "prompt" in work else None)
    return {
        "p50_ms": percentile(tally.suggested_ms, 50),
        "p95_ms": percentile(tally.suggested_ms, 95),
        "suggestions": len(tally.suggested_ms),
        "in_time": tally.in_time / tally.keys,
        "cached": work["fromCache"] / tally.keys if "fromCache" in work else None,
        "cpu_seconds_per_1000": 1000 * tally.cpu_seconds / tally.keys,
        "evaluated": None if evaluated is None else evaluated / tally.keys,
        "suggested_ms": tally.suggested_ms,
    }


def percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def show_table(result: dict[str, Any]) -> None:
    rows = {}
    for name, row in result["contenders"].items():
        cells = [number(row["p50_ms"]), number(row["p95_ms"]), str(row["suggestions"]), f"{row['in_time']:.0%}"]
        cells.append("–" if row["cached"] is None else f"{row['cached']:.0%}")
        cells += [number(row["cpu_seconds_per_1000"]), number(row["evaluated"])]
        cells += [number(row.get("prompt_tokens_in_line")), number(row.get("prompt_tokens"))]
        rows[name] = cells
    columns = ["contender", "p50 ms", "p95 ms", "suggestions", "in time", "cached", "CPU s / 1,000 keys", "evaluated"]
    title = (
        f"{result['weights']}, {result['keys']} keys, pauses / {result['speed']:g}, {result['load']} busy loops beside"
    )
    if result["answer"]:
        title += f", all answers of {result['answer']} tokens"
    show(title, rows, [*columns, "prompt tokens in a line", "of all keys"])
    for name in (name for name, row in result["contenders"].items() if not row["suggestions"]):
        print(
            f"{name} gave no suggestion in time: do not compare with it before another run, on an idle machine, says the same"
        )


if __name__ == "__main__":
    typer.run(main)
