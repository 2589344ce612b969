"""`incoder tokenizer`: the vocabulary."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from incoder_train.cli.common import one_sentence

app = typer.Typer(no_args_is_help=True, help="The vocabulary.")


@app.callback()
def main() -> None:
    pass


@app.command("train")
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
    from incoder_train.tokens.vocabulary import train_tokenizer

    with one_sentence(), Console().status("learning merges"):
        texts = (document.text for document in read_documents(corpus, "train"))
        file = out or corpus / "tokenizer.json"
        report = train_tokenizer(texts, vocab_size=vocab_size, out=file, sample_bytes=sample_mb * 1_000_000, seed=seed)
    for field in dataclasses.fields(report):
        print(f"{field.name}: {getattr(report, field.name)}")
