"""Pinned sources of permissively licensed code go in, cleaned documents come out:

    manifest -> collect -> licence, notebooks, filter, redact -> copies -> decontaminate, tests -> documents
                `------------- reading ---------------------'             `------ finishing ------'

A stage is a pure generator that says of every document whether it stays or why it goes. `stages` has their order and cuts
it into tasks, `runner` performs the tasks, `build` joins what they wrote (Fried et al. 2022, section 3)."""

from incoder_train.corpus.build import Statistics, build_corpus, read_documents
from incoder_train.corpus.document import Document

__all__ = ["Document", "Statistics", "build_corpus", "read_documents"]
