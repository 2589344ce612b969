"""`incoder infill`: fill the holes of a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from incoder_train.cli.common import one_sentence


def infill(
    file: Annotated[Path, typer.Argument(help="A source file. Without --at, every <mask> in it is a hole.")],
    at: Annotated[str | None, typer.Option(metavar="LINE:COL", help="Fill at this place, counted from 1.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model directory; by default the bundled model.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest a filled hole may get.")] = 64,
    one_line: Annotated[bool, typer.Option("--one-line", help="With --at: end with the line.")] = False,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="With a temperature: of the likeliest tokens.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="With a temperature: the same seed, the same text.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each hole's text, tokens, milliseconds and why it ended.")
    ] = False,
) -> None:
    """Fill the holes of FILE and print the whole text; FILE itself stays as it is."""
    from incoder_model.sampling import Sampling
    from incoder_train.fill import fill_at, fill_masks, read_source

    with one_sentence():
        text, sampling = read_source(file), Sampling(temperature, top_p, seed)
        if at is None:
            parts, holes = fill_masks(text, file, model, max_tokens=max_tokens, sampling=sampling)
        else:
            parts, holes = fill_at(text, at, file, model, max_tokens=max_tokens, one_line=one_line, sampling=sampling)
    pieces = [(parts[0], "")]
    for hole, part in zip(holes, parts[1:], strict=True):
        pieces += [(hole.text, "bold green"), (part, "")]
    filled = "".join(text for text, _ in pieces)
    if as_json:
        print(json.dumps({"filled": filled, "holes": [_hole_json(hole) for hole in holes]}))
    elif (console := Console(soft_wrap=True)).is_terminal:
        console.print(Text.assemble(*pieces), end="")
    else:
        typer.echo(filled.encode(), nl=False)  # bytes: not a character of the file may change on its way


def _hole_json(hole) -> dict[str, object]:
    values = dataclasses.asdict(hole)
    return {key: values[key] for key in ("text", "tokens", "milliseconds", "stopped")}
