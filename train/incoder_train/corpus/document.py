"""What flows through the corpus pipeline: a source file with its origin, and a stage's verdict on it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from incoder_model.metadata import file_attributes


@dataclass(frozen=True)
class Document:
    """One source file, or one thread of questions and answers. `split` is empty until the corpus is written."""

    text: str
    path: str  # inside the archive, with forward slashes
    filename: str
    ext: str  # with the dot, lower case
    archive: str  # the name in the manifest
    licence: str  # SPDX expression of the archive, or of the row that the file came in
    split: str = ""  # "train" or "validation"
    repository: str = ""  # owner/name, where it is known
    attributes: dict[str, str] = field(default_factory=dict)  # for the header, besides what the file's name says
    own_metadata: bool = False  # the text has its headers in it, as threads do: it is not wrapped again

    def header_attributes(self) -> dict[str, str] | None:
        """What `metadata.wrap` is to tell a model about this file; None if the text needs no wrapping."""
        return None if self.own_metadata else file_attributes(self.filename) | self.attributes


def source_file(
    path: str,
    content: bytes,
    archive: str,
    licence: str,
    repository: str = "",
    attributes: Mapping[str, str] | None = None,
) -> Document:
    """A document of a file's bytes. What is not UTF-8 becomes U+FFFD, which the filters drop; a byte order mark goes."""
    name = PurePosixPath(path)
    text = content.decode("utf-8-sig", errors="replace")
    ext = name.suffix.lower()
    return Document(text, path, name.name, ext, archive, licence, "", repository, dict(attributes or {}))


Verdict = tuple[Document, str | None]  # the document, changed or not, and why it goes; None if it stays
Stage = Callable[[Iterable[Document]], Iterator[Verdict]]
