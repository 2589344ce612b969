"""Removes e-mail addresses. A text goes in; the same text comes out with all that looks like an address replaced by
`removed@example.com` (paper, section 3). The pattern is as permissive as the released pipeline's: it also takes what
people write to hide from robots ("name at host dot org"), and accepts that some prose goes with it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from incoder_train.corpus.document import Document, Verdict

REPLACEMENT = "removed@example.com"

AT = r"(?:@|\s(?:at|a)\s|\s?\((?:at|a)\)\s?|\s?\[at\]\s?)"
DOT = r"(?:\.|\sdot\s|\s?\(dot\)\s?|\s?\[dot\]\s?)"
TOP = r"(?:com|co\.[a-z]{2}|ac\.[a-z]{2}|edu|org|gov|net)"
# The look-behind lets a match start only where a word does: without it a long word is tried from each of its letters.
ADDRESS = re.compile(rf"(?<![\w.+-])[\w.+-]+{AT}[\w-]+(?:{DOT}[\w-]+)*?{DOT}{TOP}(?![\w-])", re.IGNORECASE)


def redact(text: str) -> str:
    return ADDRESS.sub(REPLACEMENT, text)


def redact_documents(documents: Iterable[Document]) -> Iterator[Verdict]:
    for document in documents:
        yield replace(document, text=redact(document.text)), None
