"""Chooses the held-out sources that come along, from the corpus that heldout.manifest.toml describes:

    python -m incoder_train.evaluate.selection CORPUS --archives DIR --against TRAINING_CORPUS

Of each language at most so many bytes are taken, packages taking turns, their files in an order that a hash decides. What a
training corpus has too is left out: copies, and files most of whose longer lines it has. Beside the sources goes NOTICE,
with the licence of each package. The same corpora give the same files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from incoder_train.cli.common import one_sentence
from incoder_train.corpus.build import read_documents, read_statistics
from incoder_train.corpus.dedup import dedup_key
from incoder_train.corpus.document import Document
from incoder_train.corpus.filters import is_test
from incoder_train.corpus.manifest import held_out
from incoder_train.corpus.sources.archives import read_files
from incoder_train.errors import UserError
from incoder_train.evaluate.sources import LANGUAGES, SHIPPED, Source, write_sources

BYTES = {  # of text, by language
    "python": 750_000,
    "typescript": 350_000,
    "javascript": 150_000,
    "rust": 80_000,
    "go": 80_000,
    "c++": 80_000,
}
SMALLEST, LARGEST = 1_500, 40_000  # characters of a file: enough to see around a hole, and no file outweighs the others
NOT_WRITTEN = frozenset({"dist", "build", "cjs", "umd"})  # folders of compiled files
ASIDE = frozenset({"examples", "benchmarks", "benches", "scripts"})
NOT_CODE = re.compile(r"\.(?:d|test|spec)\.[cm]?[jt]sx?$")  # declarations of types, and tests beside what they test
LONG_LINE = 30  # characters; shorter lines say nothing about where a file came from
KNOWN = 0.25  # of a file's long lines: if a training corpus has more of them, the file counts as seen

# Where an archive keeps the text of its licence.
LICENCE_TEXTS = {
    "wheel": r"[^/]+\.dist-info/(?:licenses/)?(?:LICEN[CS]E|COPYING|NOTICE)[\w.-]*",
    "npm": r"[^/]+/LICEN[CS]E[\w.-]*",
    "debian": r"(?:\./)?usr/share/doc/[^/]+/copyright",
}
NOTICE_HEAD = """\
heldout.jsonl.xz holds source files of the packages below. They are as their authors published them, except that e-mail
addresses are replaced. Each is under its own licence.
"""


def main(
    corpus: Annotated[Path, typer.Argument(help="What `incoder data build` made of heldout.manifest.toml.")],
    archives: Annotated[Path, typer.Option(help="The build's --cache; licence texts are read from there.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="A training corpus; what it has is left out. May be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write; NOTICE goes beside it.")] = SHIPPED,
) -> None:
    """Write the held-out sources that come along."""
    with one_sentence():
        entries = {entry["name"]: entry for entry in read_statistics(corpus).archives}
        if trainable := [name for name in entries if not held_out(name)]:
            raise UserError(f"{corpus} has {trainable[0]}, which is not held out; build heldout.manifest.toml instead")
        packages = candidates(read_documents(corpus))
        found = [document for files in packages.values() for document in files]
        seen = in_training(found, (document for folder in against or [] for document in read_documents(folder)))
        for document, reason in zip(found, seen, strict=True):
            if reason:
                print(f"left out: {document.archive}/{document.path}, {reason}")
        left = {(d.archive, d.path) for d, reason in zip(found, seen, strict=True) if not reason}
        chosen = choose({name: [d for d in files if (name, d.path) in left] for name, files in packages.items()}, BYTES)
        sources = [
            Source(d.archive, entries[d.archive]["version"], d.licence, d.path, d.text)
            for d in sorted(chosen, key=lambda d: (d.archive, d.path))
        ]
        out.parent.mkdir(parents=True, exist_ok=True)
        write_sources(out, sources)
        named = {source.package for source in sources}
        notice = NOTICE_HEAD + "".join(licence_notice(entries[name], archives) for name in sorted(named))
        (out.parent / "NOTICE").write_text(notice, encoding="utf-8")
        files, size = Counter(s.lang for s in sources), Counter[str]()
        for source in sources:
            size[source.lang] += len(source.text.encode())
        for lang, count in files.most_common():
            print(f"{lang}: {count} files, {size[lang]:,} bytes")
        print(f"{out}: {out.stat().st_size:,} bytes, {sum(size.values()):,} of text, {len(named)} packages")


def candidates(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """What a person wrote to be used, by package: no tests, no declarations of types, nothing compiled. A package that brings
    its sources in `src` is taken from there."""
    packages: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        aside = (NOT_WRITTEN | ASIDE).intersection(_folders(document)) or NOT_CODE.search(document.path)
        if document.ext in LANGUAGES and not aside and not is_test(document):
            packages[document.archive].append(document)
    for name, files in packages.items():
        sources = [file for file in files if "src" in _folders(file)] or files
        packages[name] = [file for file in sources if SMALLEST <= len(file.text) <= LARGEST]
    return packages


def in_training(documents: Sequence[Document], training: Iterable[Document]) -> list[str]:
    """For each document why a training corpus counts as having it; empty if it has not."""
    keys = [dedup_key(document) for document in documents]
    lines = [long_lines(document.text) for document in documents]
    wanted_keys, wanted_lines = set(keys), set().union(*lines)
    seen_keys, seen_lines = set(), set()
    for document in training:
        if (key := dedup_key(document)) in wanted_keys:
            seen_keys.add(key)
        seen_lines |= wanted_lines & long_lines(document.text)
    reasons = []
    for key, own in zip(keys, lines, strict=True):
        share = len(own & seen_lines) / max(1, len(own))
        reasons.append("a copy" if key in seen_keys else f"{share:.0%} of its lines known" if share > KNOWN else "")
    return reasons


def long_lines(text: str) -> set[str]:
    return {line for raw in text.splitlines() if len(line := raw.strip()) >= LONG_LINE}


def choose(packages: Mapping[str, Sequence[Document]], budgets: Mapping[str, int]) -> list[Document]:
    """Files within each language's bytes; packages take turns, so that none outweighs the others."""
    chosen = []
    for lang, most in budgets.items():
        taken = 0
        queues = [
            sorted((d for d in files if LANGUAGES[d.ext] == lang), key=_shuffled)
            for _, files in sorted(packages.items())
        ]
        for document in (d for turn in zip_longest(*queues) for d in turn if d is not None):
            size = len(document.text.encode())
            if taken + size <= most:
                chosen.append(document)
                taken += size
    return chosen


def licence_notice(entry: Mapping[str, Any], archives: Path) -> str:
    """What NOTICE says of one package. Raises UserError if its archive has no text of a licence."""
    pattern = re.compile(LICENCE_TEXTS[entry["kind"]], re.IGNORECASE)
    files = read_files(archives / entry["filename"], lambda name: bool(pattern.fullmatch(name)), Counter())
    if not files:
        raise UserError(f"{archives / entry['filename']} has no text of its licence; leave the package out")
    texts = "\n\n".join(dict.fromkeys(content.decode("utf-8", "replace").strip() for _, content in files))
    return f"\n{'=' * 80}\n{entry['name']} {entry['version']}: {entry['licence']}\n{'=' * 80}\n\n{texts}\n"


def _folders(document: Document) -> tuple[str, ...]:
    return PurePosixPath(document.path).parts[:-1]


def _shuffled(document: Document) -> bytes:
    return hashlib.sha256(f"{document.archive}/{document.path}".encode()).digest()


if __name__ == "__main__":
    typer.run(main)
