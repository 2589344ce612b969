"""What the tokenizer learns from. Documents with their languages go in; a plan of what a budget of memory buys comes out,
and then the sample itself: for each language its share, spread over all documents, the same whatever their order.

    measure     a first reading: bytes of each language, and how much its lines repeat
    plan        how many bytes of each language the budget allows, and what the training will take
    draw        a second reading: the sample, and held-out documents to judge the vocabulary by
    prepare     the sample as the trainer gets it: repeated lines capped, and if the plan says so, rare ones split

To the trainer a line is one word (merges end only where lines do), and it keeps every distinct word with the places of
all its pairs: about a hundred bytes of memory for a byte of distinct words, whatever the language. That makes memory, not
time, the limit; benchmarks/tokenizer_memory.py measures it.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from incoder_train.errors import UserError

LINE_CAP = 100  # occurrences of one line that count: licence headers and repeated tests must not become tokens
HELD_OUT_SHARE = 0.02  # of the texts, kept to measure compression, at most a tenth of the sample's size

PROBE = 4_000_000  # bytes of each language that are looked at to see how much its lines repeat

# Measured by benchmarks/tokenizer_memory.py; the plan lies 8 to 54 % above what was taken, the more the larger the sample.
PROCESS_BYTES = 100_000_000  # the interpreter and what it has imported
TEXT_BYTES = 6.0  # for a byte of the sample
WORD_BYTES = 105.0  # for a byte of distinct words, which are lines, or pieces of lines that occur once
SECONDS_PER_BYTE = 0.032e-6  # for each byte of memory above the process


@dataclass(frozen=True)
class Language:
    """What a corpus has of a language."""

    size: int  # bytes that may be sampled
    distinct: float  # part of them that is left when each line is counted once
    distinct_split: float  # the same when lines that occur once are split

    def cost(self, split_rare: bool) -> float:
        """Bytes of memory for a byte of the sample. It falls as a sample grows, so the plan errs to the safe side."""
        return TEXT_BYTES + WORD_BYTES * (self.distinct_split if split_rare else self.distinct)


@dataclass(frozen=True)
class Plan:
    """How much text of each language the tokenizer is learned from, and what that will take."""

    languages: dict[str, Language]
    sample: dict[str, int]  # language -> bytes to learn from, at most
    split_rare: bool  # lines that occur only once are given to the trainer word by word

    @property
    def sample_bytes(self) -> int:
        return sum(self.sample.values())

    @property
    def memory(self) -> int:
        """Bytes of the whole process at its peak."""
        return PROCESS_BYTES + _cost(self.languages, self.sample, self.split_rare)

    @property
    def seconds(self) -> float:
        """About: of processor time, on a core of 2025."""
        return (self.memory - PROCESS_BYTES) * SECONDS_PER_BYTE


def measure(documents: Iterable[tuple[str, str]], seed: int = 0) -> dict[str, Language]:
    """What may be sampled from `documents`, pairs of language and text: all but what is held out."""
    sizes: Counter[str] = Counter()
    probes: dict[str, _Lowest] = {}
    for language, text in documents:
        raw = text.encode()
        rank = _rank(raw, seed)
        if not _is_held_out(rank):
            sizes[language] += len(raw)
            probes.setdefault(language, _Lowest(PROBE)).offer(rank, raw)
    return {language: _look_at(probes[language], size) for language, size in sorted(sizes.items())}


def plan_sample(
    languages: dict[str, Language],
    *,
    memory: int | None = None,
    sample_bytes: int | None = None,
    balance: float = 1.0,
    split_rare: bool = False,
) -> Plan:
    """The largest sample that `memory` bytes allow, or one of `sample_bytes`.

    Each language has a share in proportion to its bytes to the power `balance`: 1 as it comes, 0 all alike. Raises
    UserError when not even the process fits, or when both limits are given, or none.
    """
    if (memory is None) == (sample_bytes is None):
        raise UserError(
            "say how much to learn from, by the memory it may take or by the size of the sample, not by both"
        )
    sizes = {language: found.size for language, found in languages.items()}
    if memory is not None:
        if memory <= PROCESS_BYTES:
            raise UserError(
                f"{memory:,} bytes of memory are too few to learn anything; the process alone takes {PROCESS_BYTES:,}"
            )
        sample_bytes = bisect_right(
            range(sum(sizes.values()) + 1),
            memory - PROCESS_BYTES,
            key=lambda size: _cost(languages, share_out(sizes, size, balance), split_rare),
        )
        sample_bytes -= 1
    return Plan(languages, share_out(sizes, sample_bytes or 0, balance), split_rare)


def _cost(languages: dict[str, Language], sample: dict[str, int], split_rare: bool) -> int:
    return sum(ceil(size * languages[language].cost(split_rare)) for language, size in sample.items())


def _look_at(probe: _Lowest, size: int) -> Language:
    texts = list(cap_lines(raw.decode() for _, raw in probe.fitting()))
    shares = []
    for prepared in (texts, split_rare(texts)):
        words = {line for text in prepared for line, _ in _lines(text)}
        shares.append(sum(len(word.encode()) for word in words) / max(1, min(size, PROBE)))
    return Language(size, *shares)


def share_out(sizes: dict[str, int], budget: int, balance: float) -> dict[str, int]:
    """Parts of `budget` in proportion to sizes ** balance, none larger than its size: what one cannot use, the others get."""
    parts: dict[str, int] = {}
    open_ = {language: float(size) ** balance for language, size in sizes.items() if size}
    while open_:
        left, total = budget - sum(parts.values()), sum(open_.values())
        full = [language for language, weight in open_.items() if sizes[language] <= left * weight / total]
        if not full:
            return parts | {language: int(left * weight / total) for language, weight in open_.items()}
        for language in full:
            parts[language] = sizes[language]
            del open_[language]
    return parts


@dataclass(frozen=True)
class Sample:
    texts: list[str]
    held_out: list[tuple[str, str]]  # language and text


def draw(documents: Iterable[tuple[str, str]], plan: Plan, seed: int = 0) -> Sample:
    """A hash of seed and text ranks each text; a language gets its texts of lowest rank, the last one cut at a line end to
    fit. So the sample is a function of the set of documents, and no more than it is ever in memory."""
    chosen = {language: _Lowest(size) for language, size in plan.sample.items()}
    set_aside = {language: _Lowest(size // 10) for language, size in plan.sample.items()}
    for language, text in documents:
        raw = text.encode()
        rank = _rank(raw, seed)
        place = (set_aside if _is_held_out(rank) else chosen).get(language)
        if place:
            place.offer(rank, raw)
    ranked = sorted(pair for lowest in chosen.values() for pair in lowest.fitting())
    held_out = [(language, raw) for language, lowest in set_aside.items() for _, raw in lowest.fitting()]
    return Sample([raw.decode() for _, raw in ranked], [(language, raw.decode()) for language, raw in held_out])


class _Lowest:
    """Of all texts offered, those of lowest rank that together fill `limit` bytes."""

    def __init__(self, limit: int):
        self._limit, self._size = limit, 0
        self._heap: list[tuple[bytes, bytes]] = []  # the highest rank on top: ranks are stored complemented

    def offer(self, rank: bytes, raw: bytes) -> None:
        heapq.heappush(self._heap, (_complement(rank), raw))
        self._size += len(raw)
        while self._heap and self._size - len(self._heap[0][1]) >= self._limit:
            self._size -= len(heapq.heappop(self._heap)[1])

    def fitting(self) -> list[tuple[bytes, bytes]]:
        """(rank, text) in order of rank; the last text is cut at a line end."""
        pairs = [(_complement(rank), raw) for rank, raw in sorted(self._heap, reverse=True)]
        if self._size > self._limit:
            rank, raw = pairs.pop()
            kept = len(raw) - (self._size - self._limit)
            pairs += [(rank, raw[:end]) for end in [raw.rfind(b"\n", 0, kept) + 1] if end]
        return pairs


def prepare(texts: Iterable[str], plan: Plan) -> list[str]:
    capped = list(cap_lines(texts))
    return list(split_rare(capped)) if plan.split_rare else capped


def cap_lines(texts: Iterable[str]) -> Iterator[str]:
    """The texts without the lines, and the line ends after them, that have already come LINE_CAP times."""
    seen: Counter[str] = Counter()
    for text in texts:
        kept = []
        for line, ends in _lines(text):
            seen[line] += 1
            if not line or seen[line] <= LINE_CAP:
                kept.append(line + ends)
        yield "".join(kept)


def split_rare(texts: list[str]) -> Iterator[str]:
    """The texts with each line that occurs only once cut into its indent and its words, each with the spaces after it.

    The cuts are line ends, which are no part of any merge but those of line ends with each other. Most distinct lines
    occur once, and a token that runs across words is worth its place only if its line comes again.
    """
    times = Counter(line for text in texts for line, _ in _lines(text))
    for text in texts:
        yield "".join(
            ("\n".join(re.findall(r"^\s+|\S+\s*", line)) if times[line] == 1 else line) + ends
            for line, ends in _lines(text)
        )


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line and the line ends that follow it."""
    return iter(re.findall(r"([^\r\n]*)([\r\n]*)", text))


def _rank(raw: bytes, seed: int) -> bytes:
    return hashlib.blake2b(raw, digest_size=16, salt=seed.to_bytes(8, "big")).digest()


def _is_held_out(rank: bytes) -> bool:
    return rank[-1] < HELD_OUT_SHARE * 256


def _complement(rank: bytes) -> bytes:
    return bytes(255 - byte for byte in rank)
