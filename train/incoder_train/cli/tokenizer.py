"""`incoder tokenizer`: learn a vocabulary, and see what one is like."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from incoder_train.cli.common import one_sentence
from incoder_train.errors import UserError

if TYPE_CHECKING:
    from incoder_model.tokenizer import Tokenizer
    from incoder_train.tokens.sampling import Plan
    from incoder_train.tokens.vocabulary_report import VocabularyReport

DEFAULT_MEMORY = 2_000_000_000
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30, "T": 10**12, "TI": 2**40}

app = typer.Typer(no_args_is_help=True, help="The vocabulary: learn one, see what one is like.")


def bytes_of(size: str) -> int:
    """`4GB`, `512 MiB`, `1.5G`: a size as people write it."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", size.strip().upper())
    if not found or found[2] not in UNITS:
        raise typer.BadParameter(f"{size!r} is no size; write it like 4GB or 500MB")
    return int(float(found[1]) * UNITS[found[2]])


@app.command("train")
def tokenizer_train(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default tokenizer.json in the corpus folder.")
    ] = None,
    vocab_size: Annotated[int, typer.Option(help="Ids in all, special ones included.")] = 8192,
    memory: Annotated[
        int | None,
        typer.Option(
            parser=bytes_of,
            metavar="SIZE",
            help="What the training may take, like 4GB; decides the size of the sample.",
            show_default="2GB",
        ),
    ] = None,
    sample_mb: Annotated[int | None, typer.Option(min=1, help="Megabytes to learn from, instead of --memory.")] = None,
    balance: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="A language's share grows as its bytes to this power: 0 is equal shares."),
    ] = 1.0,
    split_rare: Annotated[
        bool,
        typer.Option(
            "--split-rare",
            help="Learn lines that occur once word by word: a third less memory, tokens a little shorter.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Which documents are the sample.")] = 0,
) -> None:
    """Learn a line-mode byte-level BPE from a corpus."""
    from incoder_train.tokens.sampling import measure, plan_sample
    from incoder_train.tokens.vocabulary import train_tokenizer

    console, started = Console(), time.monotonic()
    with one_sentence():
        from incoder_train.corpus.build import require_trainable

        require_trainable(corpus)
        if memory is None and sample_mb is None:
            memory = DEFAULT_MEMORY
        with console.status("measuring the corpus"):
            languages = measure(_documents(corpus, "train"), seed)
        plan = plan_sample(
            languages,
            memory=memory,
            sample_bytes=sample_mb and sample_mb * 1_000_000,
            balance=balance,
            split_rare=split_rare,
        )
        _print_plan(console, plan)
        file = out or corpus / "tokenizer.json"
        with console.status("learning merges"):
            report = train_tokenizer(_documents(corpus, "train"), plan, vocab_size=vocab_size, out=file, seed=seed)
    _print_report(console, file, report)
    console.print(f"{_peak_memory()}{time.monotonic() - started:.0f} s")


@app.command("report")
def tokenizer_report(
    tokenizer: Annotated[Path, typer.Argument(help="A tokenizer.json.")],
    corpus: Annotated[
        Path | None,
        typer.Option(help="A corpus folder; its validation split shows how well each language is compressed."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write the report to this file, too.")] = None,
) -> None:
    """What a vocabulary is like: compression by language, spaces, line ends, the longest tokens and the unused ones."""
    from incoder_train.tokens.vocabulary_report import report_vocabulary

    with one_sentence():
        loaded = _load(tokenizer)
        report = report_vocabulary(loaded, _documents(corpus, "validation") if corpus else ())
        if out:
            unfinished = out.with_name(f".unfinished-{out.name}")
            unfinished.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n", encoding="utf-8")
            unfinished.replace(out)
        _print_report(Console(), tokenizer, report)
        if report.mixed_newline_tokens:
            raise UserError(
                f"{tokenizer} has tokens that hold a line end and other text ({_ids(report.mixed_newline_tokens)}), "
                "so a hole cannot end exactly with its line; train one with `incoder tokenizer train`"
            )


def _documents(corpus: Path, split: str) -> Iterator[tuple[str, str]]:
    """Language, as the file's extension tells it, and text."""
    from incoder_train.corpus import read_documents

    for document in read_documents(corpus, split):
        yield document.ext.lstrip(".") or "none", document.text


def _load(file: Path) -> Tokenizer:
    from incoder_model.tokenizer import TokenizerError, load_tokenizer

    try:
        return load_tokenizer(file)
    except TokenizerError as error:
        raise UserError(str(error)) from None


def _print_plan(console: Console, plan: Plan) -> None:
    table = Table("language", "corpus MB", "sample MB", "share", title="plan", title_justify="left")
    for language, size in sorted(plan.sample.items(), key=lambda item: -item[1]):
        table.add_row(
            language,
            f"{plan.languages[language].size / 1e6:,.1f}",
            f"{size / 1e6:,.1f}",
            f"{size / plan.sample_bytes:.1%}",
        )
    _align(table)
    console.print(table)
    console.print(
        f"{plan.sample_bytes / 1e6:,.1f} MB to learn from: up to about {plan.memory / 1e9:.2f} GB of memory "
        f"and {plan.seconds / 60:.1f} minutes of one core"
    )


def _print_report(console: Console, file: Path, report: VocabularyReport) -> None:
    console.print(f"{file}: {report.vocab_size:,} ids, {report.text_tokens:,} of them text", highlight=False)
    if report.compression:
        table = Table("held out", "documents", "MB", "tokens", "bytes per token")
        rows = [*report.compression.items(), ("all", report.overall)][: None if len(report.compression) > 1 else 1]
        for language, part in rows:
            table.add_row(
                language,
                f"{part.documents:,}",
                f"{part.bytes / 1e6:,.2f}",
                f"{part.tokens:,}",
                f"{part.bytes_per_token:.3f}",
            )
        _align(table)
        console.print(table)
    facts = Table(show_header=False)
    facts.add_row("with a space", ", ".join(f"{share:.1%} {place}" for place, share in report.spaces.items()))
    facts.add_row("with a line end", f"{len(report.newline_tokens)}: {_ids(report.newline_tokens)}")
    facts.add_row("line end and text", _ids(report.mixed_newline_tokens) or "none, as it must be")
    if report.compression:
        share = len(report.unused_tokens) / report.text_tokens
        facts.add_row("unused on held out", f"{len(report.unused_tokens):,} ({share:.1%})")
    facts.add_row("longest", Text("\n".join(map(repr, report.longest_tokens))))
    console.print(facts)


def _align(table: Table) -> None:
    for column in table.columns[1:]:
        column.justify = "right"


def _ids(tokens: tuple[int, ...]) -> str:
    return ", ".join(map(str, tokens[:12])) + (", ..." if len(tokens) > 12 else "")


def _peak_memory() -> str:
    """What the process took at its peak, where the system says so."""
    if sys.platform == "win32":
        return ""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.2f} GB, "
