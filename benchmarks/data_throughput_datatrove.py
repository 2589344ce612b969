"""datatrove's side of data_throughput.py, as its user would write it: the rules in a filter class of its own, in the words of
the paper and of the standard library; the same pattern of addresses in a formatter, or its own PII formatter, which knows
fewer spellings; its exact deduplication over the same key with its fastest hash; plain JSON lines, which it reads and
writes fastest; its tokenizer step."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr
from pathlib import Path, PurePosixPath
from typing import Any

from datatrove.data import Document as TheirDocument
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.logging import logger

from incoder_train.corpus.document import Document
from incoder_train.corpus.filters import NOT_SOURCE, NOTICES, OTHER_COPYLEFT, SPDX_LINE, VENDORED
from incoder_train.corpus.generated import HEAD, is_generated
from incoder_train.corpus.licence import ALLOWED_LICENCES, licence_names
from incoder_train.corpus.redact import ADDRESS, REPLACEMENT

logger.remove()  # its words about each task would hide the tables


class Filters(BaseFilter):
    name = "filters"

    def filter(self, doc: TheirDocument) -> bool:
        text, folders = doc.text, set(PurePosixPath(doc.metadata["path"]).parts[:-1])
        if not text.strip():
            return False
        lengths = [len(line) for line in text.split("\n")]
        visible = re.sub(r"\s+", "", text)
        return not (
            max(lengths) > 1000
            or sum(lengths) / len(lengths) > 100
            or matched(r"\w+", text) / len(text) < 0.4
            or any(notice in text for notice in NOTICES)
            or "\ufffd" in text
            or "\0" in text
            or folders & (VENDORED | NOT_SOURCE)
            or not 64 <= len(text.encode()) <= 1_000_000
            or matched(r"[^\W\d_]+", visible) / len(visible) < 0.3
            or matched(r"\d+", visible) / len(visible) > 0.25
            or is_generated(text)
            or names_other_licence(text)
        )


def matched(runs: str, text: str) -> int:
    return sum(map(len, re.findall(runs, text)))


def names_other_licence(text: str) -> bool:
    stated = [name for line in SPDX_LINE.findall(text[:HEAD]) for name in licence_names(line.strip())]
    return not ALLOWED_LICENCES.issuperset(stated) or any(notice in text for notice in OTHER_COPYLEFT)


class SamePattern(BaseFormatter):
    name = "addresses"

    def format(self, text: str) -> str:
        return ADDRESS.sub(REPLACEMENT, text)


ADDRESSES: dict[str, Callable[[], BaseFormatter]] = {
    "the same pattern": SamePattern,
    "its own pattern": lambda: PIIFormatter(remove_ips=False, email_replacement=REPLACEMENT),
}


def words(doc: TheirDocument) -> str:
    return doc.metadata["ext"] + " " + " ".join(re.findall(r"\w+", doc.text))


KEY = ExactDedupConfig(content_getter=words)  # xxhash, 64 bits
words.__annotations__["return"] = str  # datatrove looks at the annotation itself, which here is its name


def stages(
    documents: list[Document], data: Path, work: Path, tokenizer: Path, tokenised_share: int
) -> dict[str, Callable[[], object]]:
    """What each stage takes, on documents in memory where it does not read itself."""
    converted = [
        TheirDocument(document.text, str(index), metadata={"path": document.path, "ext": document.ext})
        for index, document in enumerate(documents)
    ]

    def fresh() -> Iterator[TheirDocument]:
        """Formatters change a document."""
        return (TheirDocument(document.text, document.id, metadata=document.metadata) for document in converted)

    return {
        "read": lambda: exhaust(JsonlReader(str(data), glob_pattern="*.jsonl", compression=None).run()),
        "filter": lambda: exhaust(Filters().run(iter(converted))),
        **{f"redact, {name}": lambda make=make: exhaust(make().run(fresh())) for name, make in ADDRESSES.items()},
        "key and partition": lambda: ExactDedupSignature(str(work / "keys"), KEY).run(iter(converted)),
        "tokenise": lambda: exhaust(
            DocumentTokenizer(str(work / "tokens"), str(tokenizer), shuffle_documents=False).run(
                iter(converted[::tokenised_share])
            )
        ),
    }


def pipeline(data: Path, work: Path, workers: int, shards: int, addresses: str) -> Path:
    """Filter, redact, deduplicate; returns the folder of the result."""

    def execute(name: str, steps: list[Any], tasks: int) -> None:
        executor = LocalPipelineExecutor(
            steps, tasks=tasks, workers=min(workers, tasks), logging_dir=str(work / name), start_method="fork"
        )
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            executor.run()

    clean, keys, copies, out = (str(work / name) for name in ("clean", "keys", "copies", "out"))
    clean_steps = [
        JsonlReader(str(data), glob_pattern="*.jsonl", compression=None),
        Filters(),
        ADDRESSES[addresses](),
        JsonlWriter(clean, compression=None),
        ExactDedupSignature(keys, KEY),
    ]
    execute("logs-clean", clean_steps, shards)
    execute("logs-find", [ExactFindDedups(keys, copies, KEY, lines_to_buffer=10_000)], 1)
    drop_steps = [
        JsonlReader(clean, compression=None),
        ExactDedupFilter(copies, KEY),
        JsonlWriter(out, compression=None),
    ]
    execute("logs-drop", drop_steps, shards)
    return work / "out"


def read(out: Path) -> Iterator[Document]:
    """The result as documents of ours, as far as keys need them."""
    for path in sorted(out.glob("*.jsonl")):
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                row = json.loads(line)
                yield Document(row["text"], "", "", row["metadata"]["ext"], "", "")


def exhaust(stage: Iterable[object] | None) -> None:
    for _ in stage or ():
        pass
