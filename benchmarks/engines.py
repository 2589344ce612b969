"""What each engine needs for the same weights: ours, transformers, CTranslate2 and llama.cpp, in turns.

    python benchmarks/engines.py [--preset 70m]... [--model DIR]... [--threads N]... [--load 0] [--load 2] [--rounds N]
                                 [--only CONTENDER]... [--work DIR] [--json OUT] [--picture OUT.png]

Milliseconds, with one text in the cache, greedy:

    decode        one token after 512: the time between the first and the last of 33 tokens of one answer, divided by 32
    prefill N     from N tokens, none of which the engine has read, to the first token of the answer
    +8            the same for 8 tokens after 512 that it has read
    key           the same, to the 12th token: what a suggestion costs
    load          from the start of a process to its being ready to answer, its imports in it; files are in the page cache
    memory        MB of the process after all that (PSS)

Every contender is first asked for scores after the same prompts; one whose scores are another model's ends the run. Then they
take turns, question by question; a ratio is the median of the ratios within the same round. The first row is what others are
compared with. --load N keeps N cores busy beside them: then every peer is there with one thread as well, since two OpenMP
threads on busy cores are slower than one.

"ours, without VNNI" is what a processor without whole-number products is given; a model whose folder has one graph is the same in
both. What llama.cpp was built for stands under the table: the xllamacpp wheel is built for AVX2 alone. To give it all that this
processor has, install it from source: pip install --no-binary xllamacpp xllamacpp. CTranslate2 keeps only an announced
beginning, so its "+8" and "key" are those of a text that does not grow.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import machine
import numpy as np
import typer
from contenders import ENGINES
from report import draw_bars, number, show, write_json
from turns import FOR_TRANSFORMERS, Failed, Worker, beside, ratio, take_turns
from weights import NAMES, Weights

from incoder_model.checkpoint import BUNDLED, read_config
from incoder_model.config import ModelConfig
from incoder_model.tokenizer import BOS

REFERENCE = "ours, torch"  # in float32, from the very weights that the files hold
# The least cosine of centred scores that rounding explains.
ALIKE = {"fp32": 0.9999, "torch": 0.9999, "bf16": 0.998, "f16": 0.999, "q4_0": 0.8}
ALIKE_INT8 = 0.99
CACHED, TYPED, NEW, DECODED = 512, 8, 12, 33
PROMPTS = (5, 60, 200)  # tokens of the prompts whose scores are compared
FIRST_ORDINARY = 300  # token ids from here to the sentinels are text in every vocabulary of ours
STARTS = 3


def questions(config: ModelConfig) -> dict[str, Any]:
    """For each measure that the model's context has room for: what is read before, what is asked, tokens of the answer."""
    rng = np.random.default_rng(0)

    def text(length: int) -> list[int]:
        return rng.integers(FIRST_ORDINARY, config.vocab_size - FIRST_ORDINARY, length).tolist()

    cached = [BOS, *text(CACHED - 1)]
    typed = [[*cached, *text(TYPED)] for _ in range(3)]
    asked = {
        "decode": (cached, typed[:1], DECODED),
        "prefill 512": ([BOS], [text(512)], 1),
        "prefill 1500": ([BOS], [text(1500)], 1),
        "+8": (cached, typed, 1),
        "key": (cached, typed, NEW),
    }
    fits = {name: what for name, what in asked.items() if len(what[1][0]) + what[2] <= config.context}
    if not fits:
        raise SystemExit(f"a context of {config.context} tokens is too short for any of {', '.join(asked)}")
    return {name: {"moments": what} for name, what in fits.items()}


def milliseconds(measure: str, rows: list[list[float]]) -> float:
    """Of one turn: the median over its prompts."""
    if measure == "decode":
        return statistics.median((row[-1] - row[0]) / (len(row) - 1) for row in rows)
    return statistics.median(row[-1] for row in rows)


def main(
    preset: Annotated[list[str] | None, typer.Option(help=", ".join(NAMES))] = None,
    model: Annotated[list[Path] | None, typer.Option(help="A model directory, besides the presets.")] = None,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="For peers; ours choose up to the most.")] = None,
    load: Annotated[list[int] | None, typer.Option(min=0, help="Busy loops beside; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    only: Annotated[list[str] | None, typer.Option(help="A contender; may be repeated.")] = None,
    work: Annotated[Path | None, typer.Option(help="Keep what is made of the weights here, for the next run.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
    picture: Annotated[Path | None, typer.Option()] = None,
) -> None:
    names = [*(preset or []), *map(str, model or [])] or ["42m", "70m", "110m", str(BUNDLED)]
    if unknown := [name for name in only or [] if name not in ENGINES]:
        raise SystemExit(f"there is no contender {unknown[0]!r}; there are {', '.join(map(repr, ENGINES))}")
    if unknown := [name for name in preset or [] if name not in NAMES]:
        raise SystemExit(f"there is no preset {unknown[0]!r}; there are {', '.join(NAMES)}")
    result: dict[str, Any] = {"machine": machine.describe(), "llama_cpp": llama_build(), "rounds": rounds, "rows": []}
    with ExitStack() as stack:
        folder = work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in names:
            rows = compare(Weights(name, folder), only or list(ENGINES), threads, load or [0], rounds)
            result["rows"] += rows
            for loops in load or [0]:
                show_table([row for row in rows if row["load"] == loops])
            if as_json:
                write_json(as_json, result)
    print(result["llama_cpp"])
    if picture:
        draw(picture, result["rows"])


def compare(
    weights: Weights, engines: list[str], threads: list[int] | None, loads: list[int], rounds: int
) -> list[dict[str, Any]]:
    config = read_config(weights.directory)
    most = max(threads or [os.cpu_count() or 1])
    all_threads = threads or ([most, 1] if any(loads) and most > 1 else [most])
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        about: dict[str, dict[str, Any]] = {}
        for engine in engines:
            for count in [most] if engine.startswith("ours") else all_threads:
                name = engine if count == most else f"{engine}, {count} thread{'s' * (count > 1)}"
                about[name] = {"weights": weights.name, "parameters": config.parameters, "contender": name}
                try:
                    workers[name], about[name]["load_ms"] = started(weights, engine, count, min(STARTS, rounds), stack)
                except Failed as failure:
                    about[name]["absent"] = str(failure)
        if not workers:
            raise SystemExit(f"no contender could be started; the first said: {next(iter(about.values()))['absent']}")
        check(workers, about, config)
        rows = []
        for loops in loads:
            with beside(loops):
                answers = take_turns(workers, questions(config), rounds)
            rows += [row(about[name], answers, name, loops) for name in about]
        for name, worker in workers.items():
            paths = worker.ask({"path_ms": []})
            for one in rows:
                if one["contender"] == name:
                    one["memory_mb"] = machine.memory_mb([worker.pid])
                    one["path_ms"] = statistics.median(paths) if paths else None
    return rows


def started(weights: Weights, engine: str, threads: int, starts: int, stack: ExitStack) -> tuple[Worker, float]:
    """A worker that is ready, and the median milliseconds of `starts` starts. Raises Failed."""
    kind, _ = ENGINES[engine]
    try:
        path = weights.form(kind)
    except ModuleNotFoundError as error:
        raise Failed(f"{error.name} is not installed") from None
    command = [sys.executable, str(Path(__file__).with_name("contenders.py")), engine, str(path), str(threads)]
    environment = {"OMP_NUM_THREADS": str(threads)}
    if engine.startswith("transformers"):
        environment |= FOR_TRANSFORMERS
    times = []
    while True:
        begun = time.perf_counter()
        worker = Worker(command, environment)
        stack.callback(worker.close)
        worker.ask({"ready": []})
        times.append((time.perf_counter() - begun) * 1000)
        if len(times) == starts:
            return worker, statistics.median(times)
        worker.close()


def check(workers: dict[str, Worker], about: dict[str, dict[str, Any]], config: ModelConfig) -> None:
    """SystemExit when a contender's scores are not those of the same model."""
    rng = np.random.default_rng(1)
    prompts = [[BOS, *rng.integers(FIRST_ORDINARY, config.vocab_size - FIRST_ORDINARY, n).tolist()] for n in PROMPTS]
    first = REFERENCE if REFERENCE in workers else next(iter(workers))
    with tempfile.TemporaryDirectory() as folder:
        question = {"same_model": [prompts, str(Path(folder) / "scores.npy")]}
        for name in sorted(workers, key=lambda name: name != first):
            found = workers[name].ask(question)
            about[name]["agreement"] = found
            least = next((cosine for word, cosine in ALIKE.items() if word in name), ALIKE_INT8)
            if found and not found["cosine"] >= least:
                raise SystemExit(
                    f"{name} computes another model than {first}: the cosine of their scores is {found['cosine']:.4f}, "
                    f"and at least {least} was expected; nothing was timed"
                )


def row(about: dict[str, Any], answers: dict[str, Any], name: str, loops: int) -> dict[str, Any]:
    measured: dict[str, Any] = {"load": loops, "ms": {}, "rounds_ms": {}, "against_first": {}}
    base = next(iter(answers))
    for measure, turns in answers.get(name, {}).items():
        values = [milliseconds(measure, turn) for turn in turns]
        others = [milliseconds(measure, turn) for turn in answers[base][measure]]
        measured["ms"][measure] = statistics.median(values)
        measured["rounds_ms"][measure] = values
        measured["against_first"][measure] = ratio(values, others)
    return {**about, **measured}


def show_table(rows: list[dict[str, Any]]) -> None:
    measures = list(dict.fromkeys(measure for one in rows for measure in one["ms"]))
    table = {}
    for one in rows:
        if "absent" in one:
            continue
        cells = [f"{number(one['ms'][measure])} ({one['against_first'][measure]:.2f}x)" for measure in measures]
        agreement = one["agreement"]
        alike = f"{agreement['cosine']:.5f}" if agreement else "reference"
        path = number(one["path_ms"], 2)
        table[one["contender"]] = [*cells, number(one["load_ms"]), number(one["memory_mb"]), alike, path]
    title = f"{rows[0]['weights']}, {rows[0]['parameters']:,} parameters; ms (times the first row's)"
    title += f"; {rows[0]['load']} busy loops beside" if rows[0]["load"] else ""
    show(title, table, ["contender", *measures, "load ms", "MB", "cosine", "path ms"])
    for one in rows:
        if "absent" in one:
            print(f"{one['contender']} is not there: {one['absent']}")


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Of the first weights and load."""
    first = [one for one in rows if (one["weights"], one["load"]) == (rows[0]["weights"], rows[0]["load"])]
    measures = list(dict.fromkeys(measure for one in first for measure in one["ms"]))
    draw_bars(path, {m: {one["contender"]: one["ms"].get(m) for one in first if one["ms"]} for m in measures}, "ms")


def llama_build() -> str:
    try:
        xllamacpp: Any = import_module("xllamacpp")
    except ModuleNotFoundError:
        return "llama.cpp is not installed"
    return f"llama.cpp was built for: {xllamacpp.get_system_info().strip(' |')}"


if __name__ == "__main__":
    typer.run(main)
