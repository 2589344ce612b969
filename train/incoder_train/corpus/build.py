"""The whole pipeline: a manifest goes in, a folder comes out.

    documents.jsonl.zst   one document a line: {text, path, filename, ext, archive, licence, split}
    documents.json        what went in, what came out, why the rest was dropped, stage by stage; checksums

The same manifest and the same benchmarks give the same bytes. Both files are written under temporary names, and
documents.json is removed first and put in place last: a folder that has one is complete, whenever we were killed."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from incoder_train.corpus.collect import collect, fetch
from incoder_train.corpus.decontaminate import drop_contaminated, read_windows
from incoder_train.corpus.dedup import drop_copies
from incoder_train.corpus.document import Document, Stage, Verdict
from incoder_train.corpus.filters import cap_tests, filter_documents
from incoder_train.corpus.manifest import Manifest, read_manifest
from incoder_train.corpus.redact import redact_documents
from incoder_train.errors import UserError

DOCUMENTS = "documents.jsonl.zst"
REPORT = "documents.json"
UNFINISHED = ".unfinished-"  # before the name of a file that is being written
VALIDATION_SHARE = 0.01  # paper: 1 %


@dataclass
class StageCount:
    """What one stage saw and let through, and how many documents it dropped for which reason."""

    name: str
    documents_in: int = 0
    documents_out: int = 0
    characters_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Statistics:
    """What documents.json holds. Sizes are of the texts, in bytes of UTF-8."""

    name: str
    documents: int
    bytes: int
    splits: dict[str, dict[str, int]]  # split -> {"documents", "bytes"}
    archives: list[dict[str, Any]]  # as in the manifest, with "documents" and "bytes"
    stages: list[StageCount]
    contaminated: list[str]  # the files that decontamination dropped, and why
    sha256: str  # of documents.jsonl.zst
    content_sha256: str  # of the lines in it, which no version of the compressor changes


def build_corpus(
    manifest_path: Path,
    out: Path,
    *,
    cache: Path,
    benchmarks: Path | None,
    without_decontamination: bool = False,
    progress: Callable[[str], None] = lambda sentence: None,
) -> Statistics:
    """Builds the corpus into the folder `out`, fetching into `cache` what is not there. `progress` gets a line for each
    archive. Raises UserError, and leaves an earlier corpus in `out` as it was, if anything is wrong with the input."""
    manifest = read_manifest(manifest_path)
    stages = _stages(manifest, benchmarks, without_decontamination)
    wheels = [fetch(archive, cache) for archive in manifest.archives]

    def collect_all() -> Iterator[Document]:
        for archive, wheel in zip(manifest.archives, wheels, strict=True):
            progress(f"reading {archive.name} {archive.version}")
            yield from collect(archive, wheel, manifest.extensions)

    counts = [StageCount(name) for name in stages]
    contaminated: list[str] = []
    documents = collect_all()
    for count, stage in zip(counts, stages.values(), strict=True):
        documents = _counted(stage(documents), count, contaminated)

    out.mkdir(parents=True, exist_ok=True)
    new_documents, new_report = out / f"{UNFINISHED}{DOCUMENTS}", out / f"{UNFINISHED}{REPORT}"
    try:
        statistics = _write(new_documents, documents, manifest, counts, contaminated)
        new_report.write_text(json.dumps(asdict(statistics), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (out / REPORT).unlink(missing_ok=True)
        new_documents.replace(out / DOCUMENTS)
        new_report.replace(out / REPORT)
    finally:
        new_documents.unlink(missing_ok=True)
        new_report.unlink(missing_ok=True)
    return statistics


def read_documents(out: Path, split: str | None = None) -> Iterator[Document]:
    """The documents of a finished corpus in the order of its file: all of them, or those of one split."""
    if not (out / REPORT).exists():
        raise UserError(f"There is no finished corpus in {out}; build it first.")
    with (out / DOCUMENTS).open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
            document = Document(**json.loads(line))
            if split in (None, document.split):
                yield document


def split_of(document: Document) -> str:
    """Where a document belongs: train or validation. The paper splits by project; with ten projects that would mean to
    validate on one team's style, so here single files are set aside, chosen by a hash of where they lie."""
    digest = hashlib.sha256(f"{document.archive}/{document.path}".encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64 else "train"


def _stages(manifest: Manifest, benchmarks: Path | None, without_decontamination: bool) -> dict[str, Stage]:
    stages: dict[str, Stage] = {"filter": filter_documents, "redact": redact_documents, "dedup": drop_copies}
    if not without_decontamination:
        if benchmarks is None or not benchmarks.is_dir():
            place = f"at {benchmarks}" if benchmarks else "given"
            raise UserError(
                f"The benchmarks that must be kept out of the corpus are not {place}; "
                "say where they are, or say explicitly that you want a corpus without decontamination."
            )
        stages["decontaminate"] = partial(drop_contaminated, windows=read_windows(benchmarks))
    stages["tests"] = partial(cap_tests, tests_share=manifest.tests_share)
    return stages


def _counted(verdicts: Iterator[Verdict], count: StageCount, contaminated: list[str]) -> Iterator[Document]:
    for document, reason in verdicts:
        count.documents_in += 1
        if reason is None:
            count.documents_out += 1
            count.characters_out += len(document.text)
            yield document
        else:
            count.dropped[reason] = count.dropped.get(reason, 0) + 1
            if count.name == "decontaminate":
                contaminated.append(f"{document.archive}: {document.path} {reason}")


def _write(
    path: Path, documents: Iterable[Document], manifest: Manifest, counts: list[StageCount], contaminated: list[str]
) -> Statistics:
    tally: Counter[tuple[str, str]] = Counter()  # (a split or an archive, a unit) -> how much of it
    content = hashlib.sha256()
    with path.open("wb") as file, zstandard.ZstdCompressor(level=9).stream_writer(file) as stream:
        for document in documents:
            split = split_of(document)
            line = json.dumps(asdict(replace(document, split=split)), ensure_ascii=False).encode() + b"\n"
            content.update(line)
            stream.write(line)
            size = len(document.text.encode())
            for part in (split, f"archive {document.archive}"):
                tally[part, "documents"] += 1
                tally[part, "bytes"] += size

    def sizes(part: str) -> dict[str, int]:
        return {unit: tally[part, unit] for unit in ("documents", "bytes")}

    splits = {name: sizes(name) for name in ("train", "validation")}
    return Statistics(
        name=manifest.name,
        documents=sum(split["documents"] for split in splits.values()),
        bytes=sum(split["bytes"] for split in splits.values()),
        splits=splits,
        archives=[asdict(archive) | sizes(f"archive {archive.name}") for archive in manifest.archives],
        stages=counts,
        contaminated=contaminated,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        content_sha256=content.hexdigest(),
    )
