"""Drops exact copies. Two files are the same if they have the same extension and the same sequence of words, whatever
stands between the words (paper, section 3); of equal files the first stays. The keys of all files are in memory, about
200 bytes each: 10 million files want 2 GB."""

import hashlib
from collections.abc import Iterable, Iterator

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.words import joined_words


def dedup_key(document: Document) -> tuple[str, bytes, int]:
    r"""(extension, MD5 of the words joined by spaces, number of words); words are what `\W+` separates."""
    words = joined_words(document.text)
    count = words.count(b" ") + bool(words)
    return document.ext, hashlib.md5(words, usedforsecurity=False).digest(), count


def drop_copies(documents: Iterable[Document]) -> Iterator[Verdict]:
    seen = set()
    for document in documents:
        key = dedup_key(document)
        yield document, "copy of an earlier file" if key in seen else None
        seen.add(key)
