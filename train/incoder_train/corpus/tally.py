"""Counting what goes through the stages. Statistics are plain dictionaries, so that those of all tasks can be added up
(`runner.merge`) and kept as JSON. Bytes are of the texts in UTF-8."""

from collections.abc import Callable, Iterable, Iterator

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.runner import Counts


def size_of(document: Document) -> int:
    return len(document.text) if document.text.isascii() else len(document.text.encode())


def language(document: Document) -> str:
    """What it is counted under: a file's extension."""
    return "thread" if document.own_metadata else document.ext or "no extension"


def counted(
    verdicts: Iterable[Verdict], counts: Counts, on_drop: Callable[[Document, str], None] | None = None
) -> Iterator[Document]:
    """The documents that stay. `counts` gets how many went in and came out and why the others were dropped, with their
    bytes, in the form in which the stage lets them go."""
    counts |= dict.fromkeys(("documents_in", "documents_out", "bytes_in", "bytes_out", "characters_out"), 0)
    counts |= {"dropped": {}, "dropped_bytes": {}}
    for document, reason in verdicts:
        size = size_of(document)
        counts["documents_in"] += 1
        counts["bytes_in"] += size
        if reason is None:
            counts["documents_out"] += 1
            counts["bytes_out"] += size
            counts["characters_out"] += len(document.text)
            yield document
        else:
            counts["dropped"][reason] = counts["dropped"].get(reason, 0) + 1
            counts["dropped_bytes"][reason] = counts["dropped_bytes"].get(reason, 0) + size
            if on_drop:
                on_drop(document, reason)


def tallied(documents: Iterable[Document], table: Counts, key: Callable[[Document], str]) -> Iterator[Document]:
    """The same documents; `table` gets {"documents", "bytes"} for each value of `key`."""
    for document in documents:
        row = table.setdefault(key(document), {"documents": 0, "bytes": 0})
        row["documents"] += 1
        row["bytes"] += size_of(document)
        yield document


def noting(documents: Iterable[Document], note: Callable[[int, Document], None]) -> Iterator[Document]:
    """The same documents; `note` is told each, with its number."""
    for ordinal, document in enumerate(documents):
        note(ordinal, document)
        yield document
