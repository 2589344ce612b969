"""Keeps the benchmarks out of the training data. A folder of benchmark files goes in; every document that shares a
distinctive passage with one of their items is dropped.

A passage is a window of 13 consecutive words (runs of letters, digits and underscores, in lower case; punctuation,
layout and line breaks do not count), the length in use for this since GPT-3. Windows are taken from all that an item
consists of: prompt with solution, description, tests. A window is distinctive if at least 8 of its words are different
and begin with a letter: counting from 1 to 13 is no evidence. The rule errs on the safe side, since one sentence of a
docstring is enough to drop a file. What it cannot see are items without such a window (none of HumanEval, 1 in 100 of
the Python cloze, 1 in 9 of MBPP), one-liners that anybody may write."""

import gzip
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from incoder_train.corpus.document import Document, Verdict
from incoder_train.errors import UserError

WINDOW = 13  # words
DISTINCT = 8  # different words of a window that begin with a letter

Window = tuple[str, ...]


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def windows_of(text: str) -> Iterator[Window]:
    words = words_of(text)
    return zip(*(itertools.islice(words, start, None) for start in range(WINDOW)), strict=False)


def distinctive_windows(text: str) -> Iterator[Window]:
    return (window for window in windows_of(text) if sum(word[0].isalpha() for word in set(window)) >= DISTINCT)


def item_texts(item: dict[str, Any]) -> list[str]:
    """What must not be seen in training: every text of a benchmark item, with its answers in their places."""
    texts = [item.get("prompt", "") + item.get("canonical_solution", "") + item.get("suffix", "")]
    texts += [item.get(key, "") for key in ("test", "text", "code", "test_list", "challenge_test_list")]
    cloze = " ".join(item.get("pl_tokens", []))
    texts += [" ".join(item.get("nl_tokens", [])), cloze.replace("<mask>", "max"), cloze.replace("<mask>", "min")]
    return [text if isinstance(text, str) else "\n".join(text) for text in texts if text]


def benchmark_files(folder: Path) -> list[Path]:
    """Every .json and .jsonl file (also gzipped) below `folder`; raises UserError if there is none."""
    files = sorted(path for path in folder.rglob("*") if re.search(r"\.jsonl?(\.gz)?$", path.name))
    if not files:
        raise UserError(f"There is no .json or .jsonl benchmark file in {folder}; give the folder that holds them.")
    return files


def read_windows(folder: Path) -> dict[Window, str]:
    """The distinctive passages of the benchmark files below `folder`, each with the name of its benchmark."""
    windows: dict[Window, str] = {}
    seen: set[str] = set()  # infilling items repeat the same few solutions, cut in different places
    for path in benchmark_files(folder):
        benchmark = path.parent.relative_to(folder).as_posix()
        for text in itertools.chain.from_iterable(map(item_texts, _read_items(path))):
            if text not in seen:
                seen.add(text)
                windows.update(dict.fromkeys(distinctive_windows(text), benchmark))
    return windows


def _read_items(path: Path) -> list[dict[str, Any]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        items = [json.loads(line) for line in text.splitlines() if line] if ".jsonl" in path.name else json.loads(text)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f"The benchmark file {path} cannot be read ({error}); replace it with an intact copy."
        ) from None
    if not all(isinstance(item, dict) and item_texts(item) for item in items):
        raise UserError(f"The benchmark file {path} has items without a text to search for; its format is not known.")
    return items


def shared_benchmark(text: str, windows: dict[Window, str]) -> str | None:
    """The benchmark that `text` shares a passage with, if any."""
    return next((windows[window] for window in windows_of(text) if window in windows), None)


def drop_contaminated(documents: Iterable[Document], windows: dict[Window, str]) -> Iterator[Verdict]:
    for document in documents:
        benchmark = shared_benchmark(document.text, windows)
        yield document, f"shares a passage with {benchmark}" if benchmark else None
