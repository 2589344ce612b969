"""The `incoder` command: fill holes in a file, and everything from source archives to a bundled model.

Each command reads its arguments, calls one function and prints what came of it. What needs torch is imported when it runs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from incoder_train.errors import UserError

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="InCoder: code infilling, from training to use."
)
data_app = typer.Typer(no_args_is_help=True, help="From source archives to token shards.")
tokenizer_app = typer.Typer(no_args_is_help=True, help="The vocabulary.")
app.add_typer(data_app, name="data")
app.add_typer(tokenizer_app, name="tokenizer")

Out = Annotated[Path, typer.Option(help="The folder, or file, to write.")]


@contextmanager
def one_sentence() -> Iterator[None]:
    """A UserError ends the command with its sentence and exit code 1; so does a full disk, or what else the system refuses."""
    try:
        yield
    except UserError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"{error.filename or 'a file'} could not be read or written: {error.strerror or error}"
    else:
        return
    Console(stderr=True).print(Text(f"incoder: {sentence}"), soft_wrap=True)
    raise typer.Exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("incoder-lsp"))
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command()
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


@data_app.command("build")
def data_build(
    manifest: Annotated[Path, typer.Argument(help="A TOML list of archives with version, licence and sha256.")],
    out: Out,
    cache: Annotated[Path, typer.Option(help="Where downloaded archives are kept.")] = Path("data/archives"),
    benchmarks: Annotated[Path | None, typer.Option(help="Benchmark files that must not be in the corpus.")] = None,
    without_decontamination: Annotated[
        bool, typer.Option("--without-decontamination", help="Go on without them.")
    ] = False,
) -> None:
    """Collect, filter, redact, deduplicate and decontaminate a corpus."""
    from incoder_train.corpus import build_corpus

    console = Console()
    with one_sentence(), console.status("starting") as status:
        statistics = build_corpus(
            manifest,
            out,
            cache=cache,
            benchmarks=benchmarks,
            without_decontamination=without_decontamination,
            progress=status.update,
        )
    for stage in statistics.stages:
        dropped = ", ".join(
            f"{reason} {count}" for reason, count in sorted(stage.dropped.items(), key=lambda item: -item[1])
        )
        console.print(
            f"{stage.name:>14}: {stage.documents_in:,} in, {stage.documents_out:,} out"
            + (f" ({dropped})" if dropped else "")
        )
    console.print(f"{statistics.documents:,} documents, {statistics.bytes:,} bytes in {out}")


@data_app.command("shard")
def data_shard(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made.")],
    tokenizer: Annotated[Path, typer.Option(help="A tokenizer.json.")],
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder for each split; by default the corpus folder.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Which metadata goes in front of a document and which behind it.")
    ] = 0,
) -> None:
    """Tokenise a corpus into the shards that training reads."""
    from incoder_model.tokenizer import TokenizerError, load_tokenizer
    from incoder_train.corpus import read_documents
    from incoder_train.shards import write_shard

    with one_sentence():
        try:
            loaded = load_tokenizer(tokenizer)
        except TokenizerError as error:
            raise UserError(str(error)) from None
        for split in ("train", "validation"):
            documents = ((document.text, document.filename) for document in read_documents(corpus, split))
            counts = write_shard((out or corpus) / split, documents, loaded, seed=seed)
            print(f"{split}: {counts['documents']:,} documents, {counts['tokens']:,} tokens")


@tokenizer_app.command("train")
def tokenizer_train(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default tokenizer.json in the corpus folder.")
    ] = None,
    vocab_size: Annotated[int, typer.Option(help="Ids in all, special ones included.")] = 8192,
    sample_mb: Annotated[
        int, typer.Option(min=1, help="Megabytes to learn from; each takes about 80 MB of memory.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which documents are the sample.")] = 0,
) -> None:
    """Learn a line-mode byte-level BPE from a corpus."""
    from incoder_train.corpus import read_documents
    from incoder_train.tokenizer_training import train_tokenizer

    with one_sentence(), Console().status("learning merges"):
        texts = (document.text for document in read_documents(corpus, "train"))
        file = out or corpus / "tokenizer.json"
        report = train_tokenizer(texts, vocab_size=vocab_size, out=file, sample_bytes=sample_mb * 1_000_000, seed=seed)
    for field in dataclasses.fields(report):
        print(f"{field.name}: {getattr(report, field.name)}")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe; see incoder_train/recipes.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a model."""
    with one_sentence():
        _need("torch")
        from incoder_train.recipe import read_recipe
        from incoder_train.trainer import train as run

        settings = read_recipe(recipe)
        print(run(settings, out or Path("runs") / settings.name, resume=resume))


@app.command()
def bundle(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a run, or any model directory.")],
    out: Annotated[
        Path | None, typer.Option(help="By default the place of the bundled model in this installation.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="The corpus folder, whose licences and counts go into the bundle.")
    ] = None,
) -> None:
    """Make the small, shippable copy of a model: bf16 weights, and where they come from."""
    with one_sentence():
        _need("torch")
        from incoder_train.bundle import write_bundle

        folder = write_bundle(checkpoint, out, corpus)
        for file in sorted(folder.iterdir()):
            print(f"{file.stat().st_size:>12,}  {file}")


def _need(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UserError(f'this needs {package}, which is not installed; run: pip install "incoder-lsp[train]"')
