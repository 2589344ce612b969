"""The whole pipeline: a manifest goes in, a folder comes out.

    documents.jsonl.zst   one document a line: {text, path, filename, ext, archive, licence, split}, and what else is known
    documents.json        what went in, what came out, why the rest was dropped, stage by stage; checksums
    .work/                what finished tasks have left; goes when the corpus is complete

The same manifest, options and benchmarks give the same bytes. Both files are written under temporary names, and
documents.json is removed first and put in place last: a folder that has one is complete, whenever we were killed."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zstandard

from incoder_train.corpus.collect import fetch
from incoder_train.corpus.document import Document
from incoder_train.corpus.finishing import benchmark_windows, top_originals
from incoder_train.corpus.lines import PART, read_part
from incoder_train.corpus.manifest import Manifest, held_out, read_manifest
from incoder_train.corpus.options import Options
from incoder_train.corpus.reading import SORTING
from incoder_train.corpus.runner import UNFINISHED, Counts, Progress, Step, merge, place, run, writing
from incoder_train.corpus.stages import corpus_steps
from incoder_train.errors import UserError

DOCUMENTS = "documents.jsonl.zst"
REPORT = "documents.json"
WORK = ".work"

Dispatch = Callable[[Sequence[Step], Path], None]  # performs the tasks of steps in a folder, or some of them


@dataclass(frozen=True)
class StageCount:
    """What one stage saw and let through, and how many documents, and bytes, it dropped for which reason."""

    name: str
    documents_in: int
    documents_out: int
    bytes_in: int
    bytes_out: int
    characters_out: int
    dropped: dict[str, int]
    dropped_bytes: dict[str, int]


@dataclass(frozen=True)
class Statistics:
    """What documents.json holds. Sizes are of the texts, in bytes of UTF-8."""

    name: str
    documents: int
    bytes: int
    splits: dict[str, dict[str, int]]  # split -> {"documents", "bytes"}
    languages: dict[str, dict[str, dict[str, int]]]  # extension -> {"collected", "kept"} -> {"documents", "bytes"}
    archives: list[dict[str, Any]]  # as in the manifest, with "documents" and "bytes"
    options: dict[str, Any]
    stages: list[StageCount]
    contaminated: list[str]  # the files that decontamination dropped, and why
    duplicates: dict[str, Any]  # "archives": where copies lay; "originals": the files that had most
    sha256: str  # of documents.jsonl.zst
    content_sha256: str  # of the lines in it, which no version of the compressor changes


def build_corpus(
    manifest_path: Path,
    out: Path,
    *,
    cache: Path,
    benchmarks: Path | None,
    without_decontamination: bool = False,
    options: Options | None = None,
    workers: int = 1,
    keep_work: bool = False,
    dispatch: Dispatch | None = None,
    progress: Progress = lambda step, done, world: None,
) -> Statistics:
    """Builds the corpus into the folder `out`, fetching into `cache` what is not there; what an earlier, killed build
    finished is not done again. `options` replace those of the manifest. `progress` is told each step and how many of
    its tasks are done. Raises UserError, and leaves an earlier corpus in `out` as it was, if anything is wrong with the
    input."""
    manifest = read_manifest(manifest_path)
    options = options or manifest.options
    if without_decontamination:
        benchmarks = None
    elif benchmarks is None or not benchmarks.is_dir():
        where = f"at {benchmarks}" if benchmarks else "given"
        raise UserError(
            f"The benchmarks that must be kept out of the corpus are not {where}; "
            "say where they are, or say explicitly that you want a corpus without decontamination."
        )
    else:
        benchmarks = benchmarks.resolve()
        benchmark_windows(benchmarks)  # a benchmark that cannot be read is said now, not after hours
    archives = []
    for number, archive in enumerate(manifest.archives):
        progress("fetch", number, len(manifest.archives))
        archives.append(fetch(archive, cache).resolve())  # other machines have other working folders
    progress("fetch", len(archives), len(archives))

    steps = corpus_steps(manifest, archives, options, benchmarks)
    for left in out.glob(f"{UNFINISHED}*"):
        left.unlink(missing_ok=True)
    shutil.rmtree(out / WORK / SORTING, ignore_errors=True)
    if dispatch:
        dispatch(steps, out.resolve() / WORK)
    results = run(steps, out / WORK, workers=workers, progress=progress)
    parts = [place(out / WORK, steps[-1].name, rank, PART) for rank in range(steps[-1].world)]
    with writing(out / REPORT) as new_report, writing(out / DOCUMENTS) as new_documents:
        hashes = _join(parts, new_documents)
        statistics = _statistics(manifest, options, merge(results[0]), merge(results[-1]), hashes)
        content = json.dumps(asdict(statistics), indent=2, ensure_ascii=False) + "\n"
        new_report.write_text(content, encoding="utf-8")
        (out / REPORT).unlink(missing_ok=True)  # then the documents get their name, and the new report last
    if not keep_work:
        shutil.rmtree(out / WORK)
    return statistics


def read_statistics(out: Path) -> Statistics:
    """What documents.json says. Raises UserError if there is none, or it is another version's."""
    try:
        content = json.loads((out / REPORT).read_bytes())
        return Statistics(**content | {"stages": [StageCount(**stage) for stage in content["stages"]]})
    except FileNotFoundError:
        raise UserError(f"There is no finished corpus in {out}; build it first.") from None
    except (ValueError, TypeError, LookupError) as error:
        raise UserError(f"{out / REPORT} is not what this version writes ({error}); build the corpus again.") from None


def require_trainable(out: Path) -> None:
    """Raises UserError if the corpus in `out` has packages that models are tested on, or there is no finished one."""
    try:
        archives = json.loads((out / REPORT).read_bytes()).get("archives", [])
    except FileNotFoundError:
        raise UserError(f"There is no finished corpus in {out}; build it first.") from None
    if kept := next((archive["name"] for archive in archives if held_out(archive["name"])), None):
        raise UserError(
            f"{out} has {kept}, which models are tested on and must not be trained on; take another corpus."
        )


def read_documents(out: Path, split: str | None = None) -> Iterator[Document]:
    """The documents of a finished corpus in the order of its file: all of them, or those of one split."""
    if not (out / REPORT).exists():
        raise UserError(f"There is no finished corpus in {out}; build it first.")
    count = json.loads((out / REPORT).read_bytes())["documents"]
    return (document for document in read_part(out / DOCUMENTS, count) if split in (None, document.split))


def _join(parts: Sequence[Path], path: Path) -> dict[str, str]:
    """Writes the frames of all parts one after the other. Returns the hashes of the file and of what is in it."""
    content, frames = hashlib.sha256(), hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            with part.open("rb") as source:
                while chunk := source.read(1 << 20):
                    file.write(chunk)
                    frames.update(chunk)
            with part.open("rb") as source:
                for chunk in zstandard.ZstdDecompressor().read_to_iter(source):
                    content.update(chunk)
    return {"sha256": frames.hexdigest(), "content_sha256": content.hexdigest()}


def _statistics(
    manifest: Manifest, options: Options, read: Counts, finish: Counts, hashes: dict[str, str]
) -> Statistics:
    none = {"documents": 0, "bytes": 0}
    splits = {name: finish["splits"].get(name, none) for name in ("train", "validation")}
    languages = {
        ext: {"collected": collected, "kept": finish["languages"].get(ext, none)}
        for ext, collected in sorted(read["collected"].items(), key=lambda item: -item[1]["bytes"])
    }
    duplicates = finish["duplicates"]
    duplicates["originals"] = top_originals(duplicates["originals"])
    return Statistics(
        name=manifest.name,
        documents=sum(split["documents"] for split in splits.values()),
        bytes=sum(split["bytes"] for split in splits.values()),
        splits=splits,
        languages=languages,
        archives=[asdict(archive) | finish["archives"].get(archive.name, none) for archive in manifest.archives],
        options=asdict(options),
        stages=[StageCount(name, **counts) for name, counts in (read["stages"] | finish["stages"]).items()],
        contaminated=finish["contaminated"],
        duplicates=duplicates,
        **hashes,
    )
