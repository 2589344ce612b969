"""Token ids on disk: documents go in, a folder comes out that training reads through a memory map.

    tokens.bin        the ids of all documents, one after the other, little-endian uint16 (uint32 for a vocabulary over 65,536)
    documents.npy     (documents + 1,) int64: where each document starts, and where the last one ends
    shard.json        counts, and the hashes of the tokenizer and of tokens.bin

Each document is wrapped in its metadata before it is tokenised, unless it carries its own. Which attribute goes in front
is a function of (seed, document index), so the same corpus gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from incoder_model import metadata
from incoder_model.tokenizer import Tokenizer
from incoder_train.errors import UserError

TOKENS, OFFSETS, REPORT = "tokens.bin", "documents.npy", "shard.json"
BATCH = 256  # documents tokenised at a time, on all cores


@dataclass(frozen=True)
class Shard:
    tokens: np.ndarray  # (tokens,) uint16 or uint32, memory-mapped
    offsets: np.ndarray  # (documents + 1,) int64
    tokenizer_sha256: str
    sha256: str  # of the tokens: what a run was trained on


Annotated = tuple[str, Mapping[str, str] | None]  # a text and its header's attributes; None: it has headers in it


def write_shard(out: Path, documents: Iterable[Annotated], tokenizer: Tokenizer, *, seed: int = 0) -> dict[str, int]:
    """Tokenise `documents` into the folder `out`. Returns the counts.

    A shard that is there is replaced when the new one is whole. Raises UserError when something else is there.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT).exists():
        raise UserError(f"{out} holds other things than a token shard; empty it, or name another folder with --out")
    batches = _batched(_wrapped(documents, seed))
    first = next(batches, [])  # documents that cannot be read fail here, before anything is written
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    offsets, characters, digest = [0], 0, hashlib.sha256()
    with (unfinished / TOKENS).open("wb") as file:
        for texts in chain([first], batches):
            characters += sum(map(len, texts))
            for ids in tokenizer.encode_batch(texts):
                content = np.asarray(ids, dtype).tobytes()
                file.write(content)
                digest.update(content)
                offsets.append(offsets[-1] + len(ids))
    np.save(unfinished / OFFSETS, np.asarray(offsets, np.int64))
    counts = {"documents": len(offsets) - 1, "tokens": offsets[-1], "characters": characters}
    hashes = {"tokenizer_sha256": tokenizer_hash(tokenizer), "sha256": digest.hexdigest(), "dtype": dtype.str}
    (unfinished / REPORT).write_text(json.dumps(counts | hashes, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
    return counts


def open_shard(folder: Path) -> Shard:
    """Raises UserError when the folder holds no finished shard."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        tokens = np.memmap(folder / TOKENS, dtype=report["dtype"], mode="r")
        offsets = np.load(folder / OFFSETS)
        shard = Shard(tokens, offsets, report["tokenizer_sha256"], report["sha256"])
        counted = int(offsets[-1])
    except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
        raise UserError(f"{folder} holds no token shard ({error}); make one with `incoder data shard`") from None
    if len(tokens) != counted:
        raise UserError(
            f"{folder / TOKENS} has {len(tokens)} tokens, {OFFSETS} speaks of {counted}; make the shard again"
        )
    return shard


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(tokenizer.to_json().encode()).hexdigest()


def _wrapped(documents: Iterable[Annotated], seed: int) -> Iterator[str]:
    for index, (text, attributes) in enumerate(documents):
        rng = np.random.Generator(np.random.Philox(key=[seed, index]))
        yield text if attributes is None else metadata.wrap(text, attributes, rng)


def _batched(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(texts, BATCH)):
        yield batch
