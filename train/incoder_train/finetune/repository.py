"""A repository as fine-tuning sees it: a folder goes in; documents to learn from, documents held out, and how many files were
left out for which reason come out. git says which files belong to it, so what .gitignore names is never read; files that
may hold secrets (`secret_files`) are not even opened. The code is the user's own and stays here: no licence is asked for.

    listed -> named as source, no secret -> at most MOST_BYTES -> corpus rules -> no secret within -> e-mails redacted
           -> the first of equal files -> held out, or learned from
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from incoder_train.corpus.dedup import drop_copies
from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.filters import filter_documents
from incoder_train.corpus.options import Options
from incoder_train.corpus.redact import redact_documents
from incoder_train.corpus.rules import rules_for
from incoder_train.corpus.sources.checkouts import listed_files, read_files
from incoder_train.errors import UserError
from incoder_train.finetune.secret_files import secret_by_name, secret_in

# Of files that people write code in. No data, no prose: they are often large, and say little about the code.
ENDINGS = """
py pyi pyx  js jsx mjs cjs ts tsx mts cts vue svelte html css scss less  java kt kts scala groovy clj cljs
c h cc cpp cxx hh hpp hxx m mm cu cuh  cs fs vb  go rs swift zig d nim dart  v sv vhd  rb php pl pm lua r jl
ex exs erl hrl hs ml mli elm lisp el scm rkt  sh bash zsh fish ps1  sql tf cmake proto
"""
SOURCE = frozenset(f".{ending}" for ending in ENDINGS.split())
MOST_BYTES = 100_000_000  # of source: ten minutes on a CPU see a tenth of it, and texts are held in memory
FEWEST = 5  # files
HELD_OUT_SHARE, HELD_OUT_FEWEST, HELD_OUT_MOST = 0.1, 2, 40
LARGE = 0.25  # a file with more than this share of the text is not held out if others can be

# Rules about whether text is code that a person wrote; those about licences are not for one's own.
RULES = rules_for(Options(copyleft_notice=False, own_rules=True))
RULES = {reason: rule for reason, rule in RULES.items() if reason != "licence of its own"}


@dataclass(frozen=True)
class Repository:
    name: str
    training: list[Document]
    held_out: list[Document]
    left_out: dict[str, int]  # reason -> files


def read_repository(root: Path) -> Repository:
    """Raises UserError when `root` is no folder, or has too few files to learn from and be judged by."""
    if not root.is_dir():
        raise UserError(f"{root} is no folder; give the folder of a repository with --data")
    root = root.resolve()
    left_out: Counter[str] = Counter()
    names = at_most(MOST_BYTES, root, source_names(listed_files(root), left_out), left_out)
    documents: Iterable[Document] = read_files(names, root, left_out, archive=root.name, licence="")
    for stage in (partial(filter_documents, rules=RULES), drop_secrets, redact_documents, drop_copies):
        documents = passing(stage(documents), left_out)
    kept = list(documents)
    if len(kept) < FEWEST:
        found = f"{len(kept)} files" if kept else "no file"
        said = f" ({told(left_out)} left out)" if left_out else ""
        raise UserError(f"{root} has {found} of source code to learn from{said}; at least {FEWEST} are needed")
    held_out = hold_out(kept)
    return Repository(
        root.name,
        [document for document in kept if document.path not in held_out],
        [document for document in kept if document.path in held_out],
        dict(left_out.most_common()),
    )


def source_names(names: Iterable[str], left_out: Counter[str]) -> Iterator[str]:
    """The names of source files that nothing tells against. A secret counts as left out whatever its extension, other files
    only if they would have been read."""
    for name in names:
        if what := secret_by_name(name):
            left_out[f"named as if it held {what}"] += 1
        elif PurePosixPath(name).suffix.lower() in SOURCE:
            yield name


def at_most(size: int, root: Path, names: Iterable[str], left_out: Counter[str]) -> list[str]:
    """So many of the files that they have at most `size` bytes; which ones, a hash decides, not the alphabet."""
    taken, room = [], size
    for name in sorted(names, key=path_hash):
        room -= (root / name).lstat().st_size
        if room >= 0:
            taken.append(name)
        else:
            left_out[f"beyond {size / 1e6:.0f} MB"] += 1
    return sorted(taken)


def drop_secrets(documents: Iterable[Document]) -> Iterator[Verdict]:
    for document in documents:
        what = secret_in(document.text)
        yield document, f"holds {what}" if what else None


def passing(verdicts: Iterable[Verdict], left_out: Counter[str]) -> Iterator[Document]:
    for document, reason in verdicts:
        if reason is None:
            yield document
        else:
            left_out[reason] += 1


def hold_out(documents: list[Document]) -> set[str]:
    """The paths of the documents that are not learned from: a tenth of the files, chosen by a hash of their paths, so that the
    choice hardly changes when files come and go."""
    total = sum(len(document.text) for document in documents)
    ordered = sorted(documents, key=lambda d: (len(d.text) > LARGE * total, path_hash(d.path)))
    count = min(HELD_OUT_MOST, max(HELD_OUT_FEWEST, round(HELD_OUT_SHARE * len(documents))))
    return {document.path for document in ordered[:count]}


def path_hash(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()


def told(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())
