"""Pinned archives of permissively licensed source go in, cleaned documents come out:

    manifest -> collect -> filters -> redact -> dedup -> decontaminate -> build

Each stage is a generator that says of every document whether it stays or why it goes; `build` runs them in a fixed
order, counts, and writes the result (Fried et al. 2022, section 3)."""

from incoder_train.corpus.build import Statistics, build_corpus, read_documents
from incoder_train.corpus.document import Document

__all__ = ["Document", "Statistics", "build_corpus", "read_documents"]
