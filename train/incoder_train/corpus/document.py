"""What flows through the corpus pipeline: a source file with its origin, and a stage's verdict on it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """One source file. `split` is empty until the corpus is written."""

    text: str
    path: str  # inside the archive, with forward slashes
    filename: str
    ext: str  # with the dot, lower case
    archive: str
    licence: str  # SPDX expression of the archive
    split: str = ""  # "train" or "validation"


Verdict = tuple[Document, str | None]  # the document, changed or not, and why it goes; None if it stays
Stage = Callable[[Iterable[Document]], Iterator[Verdict]]
