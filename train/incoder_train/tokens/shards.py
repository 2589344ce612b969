"""Token ids on disk: documents go in, a folder comes out that training reads through a memory map.

    tokens.bin        the ids of all documents, one after the other, little-endian uint16 (uint32 for a vocabulary over 65,536)
    documents.npy     (documents + 1,) int64: where each document starts, and where the last one ends
    packages.npy      (packages + 1,) int64: which document is the first of each package, and how many there are
    shard.json        counts, and the hashes of the tokenizer and of tokens.bin

Each document is wrapped in its metadata before it is tokenised, unless it carries its own. Which attribute goes in front
is a function of (seed, document index), so the same corpus gives the same bytes. A corpus has the files of a package one
after the other, by path; a package is a run of documents that name the same one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from incoder_model import metadata
from incoder_model.tokenizer import Tokenizer
from incoder_train.errors import UserError

if TYPE_CHECKING:
    from incoder_train.corpus.document import Document

TOKENS, OFFSETS, PACKAGES, REPORT = "tokens.bin", "documents.npy", "packages.npy", "shard.json"
BATCH = 256  # documents tokenised at a time, on all cores


class Tokens(Protocol):
    """What is read of a shard: an array does, and so do those below."""

    def __len__(self) -> int: ...
    def __getitem__(self, which: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Shard:
    tokens: Tokens  # (tokens,) uint16 or uint32, memory-mapped
    offsets: np.ndarray  # (documents + 1,) int64
    tokenizer_sha256: str
    sha256: str  # of the tokens: what a run was trained on
    name: str = "the data"  # for messages
    size: int = 0  # bytes of the text; 0 where a shard of an earlier version did not count them
    packages: np.ndarray | None = (
        None  # (packages + 1,) int64; None where a shard of an earlier version does not know them
    )


class Attributed(NamedTuple):
    """A text, and what is told about it."""

    text: str
    attributes: Mapping[str, str] | None  # what its header tells; None: it has its headers in it
    package: str | None = None  # what it is a part of, with the documents beside it; None: it stands alone


def attributed(document: Document) -> Attributed:
    """A document of a corpus. Threads tell nothing about each other."""
    package = None if document.own_metadata else f"{document.archive} {document.repository}"
    return Attributed(document.text, document.header_attributes(), package)


def write_shard(
    out: Path,
    documents: Iterable[Attributed | tuple[str, Mapping[str, str] | None]],
    tokenizer: Tokenizer,
    *,
    seed: int = 0,
    front_probability: float = 0.5,
) -> dict[str, int]:
    """Tokenise `documents` into the folder `out`. Returns the counts. `front_probability` is for `metadata.wrap`.

    A shard that is there is replaced when the new one is whole. Raises UserError when something else is there.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT).exists():
        raise UserError(f"{out} holds other things than a token shard; empty it, or name another folder with --out")
    packages: list[int] = []
    batches = _batched(wrapped(_noting_packages(documents, packages), seed, front_probability))
    first = next(batches, [])  # documents that cannot be read fail here, before anything is written
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    offsets, characters, size, digest = [0], 0, 0, hashlib.sha256()
    with (unfinished / TOKENS).open("wb") as file:
        for texts in chain([first], batches):
            characters += sum(map(len, texts))
            size += sum(len(text.encode(errors="replace")) for text in texts)
            for ids in tokenizer.encode_batch(texts):
                content = np.asarray(ids, dtype).tobytes()
                file.write(content)
                digest.update(content)
                offsets.append(offsets[-1] + len(ids))
    np.save(unfinished / OFFSETS, np.asarray(offsets, np.int64))
    np.save(unfinished / PACKAGES, np.asarray([*packages, len(offsets) - 1], np.int64))
    counts = {"documents": len(offsets) - 1, "packages": len(packages)}
    counts |= {"tokens": offsets[-1], "characters": characters, "bytes": size}
    hashes = {"tokenizer_sha256": tokenizer_hash(tokenizer), "sha256": digest.hexdigest(), "dtype": dtype.str}
    (unfinished / REPORT).write_text(json.dumps(counts | hashes, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
    return counts


def open_shard(folder: Path) -> Shard:
    """A shard, or a folder of several, opened as one in the order of their names.

    Tokens are mapped when they are first read. Raises UserError when there is no finished shard, when one was cut short, or
    when two were made with different tokenizers.
    """
    if (folder / REPORT).exists() or not folder.is_dir():
        folders = [folder]
    else:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".") or [folder]
    opened = [_open_one(path) for path in folders]
    if len(opened) == 1:
        return opened[0]
    for path, shard in zip(folders, opened, strict=True):
        if shard.tokenizer_sha256 != opened[0].tokenizer_sha256:
            raise UserError(f"{path} was made with another tokenizer than {folders[0]}; make the shards again with one")
    tokens = JoinedTokens([shard.tokens for shard in opened])
    offsets = [shard.offsets[:-1] + start for shard, start in zip(opened, tokens.starts, strict=True)]
    digest = hashlib.sha256("".join(shard.sha256 for shard in opened).encode()).hexdigest()
    size = sum(shard.size for shard in opened) if all(shard.size for shard in opened) else 0
    ends = np.concatenate([*offsets, [len(tokens)]])
    return Shard(tokens, ends, opened[0].tokenizer_sha256, digest, str(folder), size, _joined_packages(opened))


def _joined_packages(shards: Sequence[Shard]) -> np.ndarray | None:
    """A package that goes on in the next shard begins anew there."""
    firsts, documents = [], 0
    for shard in shards:
        if shard.packages is None:
            return None
        firsts.append(shard.packages[:-1] + documents)
        documents += len(shard.offsets) - 1
    return np.concatenate([*firsts, [documents]])


def _open_one(folder: Path) -> Shard:
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        tokens = MappedTokens(folder / TOKENS, np.dtype(report["dtype"]))
        offsets = np.load(folder / OFFSETS, mmap_mode="r")
        packages = np.load(folder / PACKAGES) if "packages" in report else None
        hashes = report["tokenizer_sha256"], report["sha256"]
        shard = Shard(tokens, offsets, *hashes, str(folder), int(report.get("bytes", 0)), packages)
        counted = int(offsets[-1])
        size = (folder / TOKENS).stat().st_size
    except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
        raise UserError(f"{folder} holds no token shard ({error}); make one with `incoder data shard`") from None
    if size != counted * tokens.dtype.itemsize:
        raise UserError(
            f"{folder / TOKENS} has {size / tokens.dtype.itemsize:g} tokens, {OFFSETS} speaks of {counted}; "
            "make the shard again"
        )
    if packages is not None and (packages.ndim != 1 or not len(packages) or packages[-1] != len(offsets) - 1):
        raise UserError(f"{folder / PACKAGES} is not that of {len(offsets) - 1} documents; make the shard again")
    return shard


class MappedTokens:
    """The tokens of a file, mapped into memory when the first of them is asked for."""

    def __init__(self, path: Path, dtype: np.dtype):
        self.path, self.dtype = path, dtype
        self.length = path.stat().st_size // dtype.itemsize

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, which: slice) -> np.ndarray:
        return self._mapped[which]

    @cached_property
    def _mapped(self) -> np.ndarray:
        if not self.length:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, dtype=self.dtype, mode="r").view(np.ndarray)  # plain: slices cost half


class JoinedTokens:
    """The tokens of several shards as if they were one array. A slice is a document's: it lies in one shard."""

    def __init__(self, parts: Sequence[Tokens]):
        self.parts = parts
        ends = np.cumsum([len(part) for part in parts])
        self.starts, self.length = [0, *ends[:-1].tolist()], int(ends[-1])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, which: slice) -> np.ndarray:
        part = bisect_right(self.starts, which.start) - 1
        start = self.starts[part]
        return self.parts[part][which.start - start : which.stop - start]


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(tokenizer.to_json().encode()).hexdigest()


def _noting_packages(
    documents: Iterable[Attributed | tuple[str, Mapping[str, str] | None]], firsts: list[int]
) -> Iterator[Attributed]:
    """The documents; meanwhile, the number of each one that begins a package is appended to `firsts`."""
    last = None
    for index, given in enumerate(documents):
        document = given if isinstance(given, Attributed) else Attributed(*given)
        if index == 0 or document.package is None or document.package != last:
            firsts.append(index)
        last = document.package
        yield document


def wrapped(documents: Iterable[Attributed], seed: int, front_probability: float) -> Iterator[str]:
    """The texts as they are tokenised, each in its metadata."""
    for index, (text, attributes, _) in enumerate(documents):
        rng = np.random.Generator(np.random.Philox(key=[seed, index]))
        yield text if attributes is None else metadata.wrap(text, attributes, rng, front_probability=front_probability)


def _batched(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(texts, BATCH)):
        yield batch
