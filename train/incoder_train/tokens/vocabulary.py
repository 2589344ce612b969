"""Trains the tokenizer. Texts go in; a Hugging Face `tokenizer.json` with InCoder's id layout comes out
(`incoder_model.tokenizer` describes it and reads it).

Merges may run across spaces and punctuation but never across a line end (paper, section 3), so to the trainer each line
is one word. That is dear: 60 to 80 bytes of memory and 2 microseconds for each byte of the sample, 1.6 GB and a minute
for 20 MB, so `sample_bytes` is what keeps the cost in bounds."""

import hashlib
import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import models, trainers

from incoder_model.tokenizer import CONTROL, DELIMITERS, Tokenizer, assemble, byte_symbols, line_mode
from incoder_train.errors import UserError

LINE_CAP = 100  # occurrences of one line that count: licence headers and repeated tests must not become tokens
MAX_TOKEN = 32  # bytes of a learned token; longer ones are lines learned by heart
HELD_OUT_SHARE = 0.02  # of the texts, kept to measure compression, at most a tenth of the sample's size


@dataclass(frozen=True)
class TokenizerReport:
    vocab_size: int
    learned_tokens: int
    sample_bytes: int  # what the merges were learned from, after capping repeated lines
    held_out_bytes: int
    bytes_per_token: float  # on the held-out texts; 0 if there are none
    longest_tokens: tuple[str, ...]  # ten, longest first
    newline_tokens: tuple[int, ...]  # ids of those that hold a line end


def train_tokenizer(
    documents: Iterable[str], *, vocab_size: int, sentinels: int = 256, out: Path, sample_bytes: int, seed: int = 0
) -> TokenizerReport:
    """Learns from a sample of whole `documents`, at most `sample_bytes` bytes of them, and writes the tokenizer to
    `out`, under a temporary name first. It has exactly `vocab_size` ids; the same documents and seed give the same
    file. Raises UserError if the vocabulary is too small, or the sample too small for it."""
    fixed = len(CONTROL) + len(DELIMITERS) + len(byte_symbols()) + sentinels + 1
    if vocab_size <= fixed:
        raise UserError(
            f"A vocabulary of {vocab_size} leaves no room for merges: bytes, special tokens and {sentinels} sentinels "
            f"take {fixed} ids; ask for a larger one."
        )
    sample, held_out = sample_texts(documents, sample_bytes, seed)
    capped = list(cap_lines(sample))
    learned, merges = _learn_merges(capped, vocab_size - fixed)
    if len(learned) < vocab_size - fixed:
        raise UserError(
            f"The sample gives {len(learned)} merged tokens, a vocabulary of {vocab_size} has {vocab_size - fixed}; "
            "give more text, a larger sample or a smaller vocabulary."
        )
    tokenizer = assemble(learned, merges, sentinels)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".unfinished-{out.name}")
    unfinished.write_text(tokenizer.to_json(), encoding="utf-8")
    unfinished.replace(out)
    return _report(tokenizer, len(learned), capped, held_out)


def sample_texts(documents: Iterable[str], sample_bytes: int, seed: int) -> tuple[list[str], list[str]]:
    """(sample, held-out texts). A hash of seed and text ranks each text; when the sample outgrows `sample_bytes`, its
    texts of highest rank go. So the sample is spread over all documents, whatever their order (which decides only about
    a few small texts at its edge), and no more than that is ever in memory."""
    kept: list[tuple[bytes, str]] = []  # a heap with the highest rank on top: ranks are stored complemented
    held_out: list[str] = []
    size = held_out_size = 0
    for text in documents:
        raw = text.encode()
        rank = hashlib.blake2b(raw, digest_size=16, salt=seed.to_bytes(8, "big")).digest()
        if rank[-1] < HELD_OUT_SHARE * 256:
            if held_out_size + len(raw) <= sample_bytes // 10:
                held_out.append(text)
                held_out_size += len(raw)
            continue
        heapq.heappush(kept, (bytes(255 - byte for byte in rank), text))
        size += len(raw)
        while size > sample_bytes:
            size -= len(heapq.heappop(kept)[1].encode())
    return [text for _, text in sorted(kept, reverse=True)], held_out


def cap_lines(texts: Iterable[str]) -> Iterator[str]:
    """The texts without the lines, and the line ends after them, that have already come LINE_CAP times."""
    seen: Counter[str] = Counter()
    for text in texts:
        kept = []
        for line, ends in re.findall(r"([^\r\n]*)([\r\n]*)", text):
            seen[line] += 1
            if not line or seen[line] <= LINE_CAP:
                kept.append(line + ends)
        yield "".join(kept)


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


def _report(tokenizer: Tokenizer, learned: int, sample: list[str], held_out: list[str]) -> TokenizerReport:
    held_out_bytes = sum(len(text.encode()) for text in held_out)
    tokens = sum(map(len, tokenizer.encode_batch(held_out)))
    longest = sorted(tokenizer.token_bytes, key=len, reverse=True)[:10]
    return TokenizerReport(
        vocab_size=tokenizer.vocab_size,
        learned_tokens=learned,
        sample_bytes=sum(len(text.encode()) for text in sample),
        held_out_bytes=held_out_bytes,
        bytes_per_token=round(held_out_bytes / tokens, 3) if tokens else 0.0,
        longest_tokens=tuple(name.decode(errors="replace") for name in longest),
        newline_tokens=tuple(sorted(tokenizer.newlines)),
    )
