"""Trains the tokenizer. Documents and the plan of a sample go in; a Hugging Face `tokenizer.json` with InCoder's id layout
comes out (`incoder_model.tokenizer` describes it and reads it).

Merges may run across spaces and punctuation but never across a line end (paper, section 3), so to the trainer each line
is one word. That is dear, and `sampling` keeps it in bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import models, trainers

from incoder_model.tokenizer import CONTROL, DELIMITERS, assemble, byte_symbols, line_mode
from incoder_train.errors import UserError
from incoder_train.tokens.sampling import Plan, draw, prepare
from incoder_train.tokens.vocabulary_report import VocabularyReport, report_vocabulary

MAX_TOKEN = 32  # bytes of a learned token; longer ones are lines learned by heart


def train_tokenizer(
    documents: Iterable[tuple[str, str]], plan: Plan, *, vocab_size: int, sentinels: int = 256, out: Path, seed: int = 0
) -> VocabularyReport:
    """Learns from the sample of `documents`, pairs of language and text, that `plan` says, and writes the tokenizer to
    `out`, under a temporary name first. It has exactly `vocab_size` ids; the same documents, in any order, and seed give
    the same file. Raises UserError if the vocabulary is too small, or the sample too small for it."""
    fixed = len(CONTROL) + len(DELIMITERS) + len(byte_symbols()) + sentinels + 1
    if vocab_size <= fixed:
        raise UserError(
            f"A vocabulary of {vocab_size} leaves no room for merges: bytes, special tokens and {sentinels} sentinels "
            f"take {fixed} ids; ask for a larger one."
        )
    sample = draw(documents, plan, seed)
    learned, merges = _learn_merges(prepare(sample.texts, plan), vocab_size - fixed)
    if len(learned) < vocab_size - fixed:
        raise UserError(
            f"The sample gives {len(learned)} merged tokens, a vocabulary of {vocab_size} has {vocab_size - fixed}; "
            "give more text, a larger sample or a smaller vocabulary."
        )
    tokenizer = assemble(learned, merges, sentinels)
    report = report_vocabulary(tokenizer, sample.held_out)
    if report.mixed_newline_tokens:
        raise UserError(
            f"Tokens {report.mixed_newline_tokens} hold a line end and other text, so no hole could end with its line; "
            "the installed version of `tokenizers` does not split at line ends: install another one."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".unfinished-{out.name}")
    unfinished.write_text(tokenizer.to_json(), encoding="utf-8")
    unfinished.replace(out)
    return report


def _learn_merges(texts: list[str], count: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The first `count` tokens learned from `texts`, or as many as there are, and the merges that make them. Several
    merges may lead to one token; those that lead to a delimiter are left out, it has its own."""
    trainer = trainers.BpeTrainer(
        vocab_size=len(byte_symbols()) + count + len(DELIMITERS),
        initial_alphabet=byte_symbols(),
        max_token_length=MAX_TOKEN,
        show_progress=False,
    )
    inner = line_mode(models.BPE())
    inner.train_from_iterator(texts, trainer)
    tokens: dict[str, None] = {}
    merges = []
    for left, right in json.loads(inner.to_str())["model"]["merges"]:
        token = left + right
        if len(tokens) == count and token not in tokens:
            break
        if token not in DELIMITERS:
            tokens[token] = None
            merges.append((left, right))
    return list(tokens), merges
