"""`incoder data`: from source archives to token shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from incoder_train.cli.common import Out, one_sentence
from incoder_train.errors import UserError

app = typer.Typer(no_args_is_help=True, help="From source archives to token shards.")


@app.command("build")
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


@app.command("shard")
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
    from incoder_train.tokens.shards import write_shard

    with one_sentence():
        try:
            loaded = load_tokenizer(tokenizer)
        except TokenizerError as error:
            raise UserError(str(error)) from None
        for split in ("train", "validation"):
            documents = ((document.text, document.header_attributes()) for document in read_documents(corpus, split))
            counts = write_shard((out or corpus) / split, documents, loaded, seed=seed)
            print(f"{split}: {counts['documents']:,} documents, {counts['tokens']:,} tokens")
