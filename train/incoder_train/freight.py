"""What is carried to a machine without a network and back from it, in files of a size that can be carried, and whole or refused.

    there    a corpus -> train-00.jsonl.xz, ..., validation-00.jsonl.xz, tokenizer.json -> token shards
    back     a run's newest model and papers -> NAME.tar.gz.00, ... -> the run's folder

Beside either lies SHA256SUMS, which is written last. What is read on that machine needs neither zstandard nor a whole corpus:
each file becomes a shard of its own when it has arrived, and together the shards have the tokens of `incoder data shard`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from incoder_model.checkpoint import CONFIG, TOKENIZER, WEIGHTS
from incoder_model.tokenizer import load_tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.shards import attributed, wrapped, write_shard

SUMS = "SHA256SUMS"
SPLITS = ("train", "validation")
PART = re.compile(rf"({'|'.join(SPLITS)})-\d+\.jsonl\.xz")
CHUNK = 16_000_000  # bytes of JSON lines that are compressed by themselves
RECORDS = ("recipe.json", "metrics.jsonl", "log.txt")  # of a run
MODEL_FILE = re.compile(rf"(step-\d+)/({CONFIG}|{WEIGHTS}|{TOKENIZER})")

Named = Iterable[tuple[str, bytes]]  # files by name


# --- a corpus, there ----------------------------------------------------------------------------------------------


def pack_corpus(corpus: Path, out: Path, most: int) -> None:
    """Files of at most `most` bytes. Raises UserError when there is no corpus in the folder `corpus`, or no tokenizer.json."""
    from incoder_train.corpus.build import read_documents, read_statistics

    front = read_statistics(corpus).options["front_probability"]

    def files() -> Named:
        yield TOKENIZER, (corpus / TOKENIZER).read_bytes()
        for split in SPLITS:
            documents = map(attributed, read_documents(corpus, split))
            parts = joined(compressed(chunks(wrapped(documents, 0, front))), most)
            yield from ((f"{split}-{number:02}.jsonl.xz", content) for number, content in enumerate(parts))

    write_listed(out, files())


def chunks(texts: Iterable[str]) -> Iterator[bytes]:
    """Each text as a JSON string on a line of its own, many lines at a time."""
    lines, size = [], 0
    for text in texts:
        lines.append(json.dumps(text, ensure_ascii=False).encode() + b"\n")
        size += len(lines[-1])
        if size >= CHUNK:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each chunk as an xz stream, in their order, on all cores."""
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(lzma.compress, chunk, preset=1))
            if len(waiting) > 2 * (os.cpu_count() or 1):
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)


def joined(streams: Iterable[bytes], most: int) -> Iterator[bytes]:
    """As many streams together as fit into `most` bytes; to xz they are one."""
    content = b""
    for stream in streams:
        if len(stream) > most:
            raise UserError(f"the smallest files possible have {len(stream):,} bytes; give a larger --part-mb")
        if len(content) + len(stream) > most:
            yield content
            content = b""
        content += stream
    if content:
        yield content


def shard_corpus(carried: Path, folders: Mapping[str, Path], tokenizer: Path) -> Iterator[str]:
    """Make shards of the files that are there, in the folders of their splits; the tokenizer goes to its place. Yields a line for
    each file, and one for those that are missing. Raises UserError when a file is not as it was packed."""
    sums = read_sums(carried)
    parts = {name: folders[name.split("-")[0]] / name.split(".")[0] for name in sums if PART.fullmatch(name)}
    if TOKENIZER not in sums or not parts:
        raise UserError(f"{carried} has no corpus; give the folder whose files `pack` wrote")
    tokenizer.parent.mkdir(parents=True, exist_ok=True)
    write_whole(tokenizer, read_whole(carried / TOKENIZER, sums[TOKENIZER]))
    arrived = [name for name in parts if (carried / name).exists()]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made_of = {name: f"{sums[name]} {sums[TOKENIZER]}" for name in arrived}
        tasks = [pool.submit(shard_part, carried / name, made_of[name], parts[name], tokenizer) for name in arrived]
        yield from (task.result() for task in tasks)
    missing = [name for name in parts if name not in arrived]
    yield f"not here yet: {', '.join(missing)}" if missing else "all is here"


def shard_part(file: Path, made_of: str, folder: Path, tokenizer: Path) -> str:
    """Of one file, unless that is done. made_of: the SHA-256 of the file and of the tokenizer."""
    origin = folder / "made-of.txt"
    if origin.exists() and origin.read_text() == made_of:
        return f"{folder.name}: done before"
    content = read_whole(file, made_of.split(maxsplit=1)[0])
    with lzma.open(io.BytesIO(content), "rt", encoding="utf-8", newline="\n") as lines:
        counts = write_shard(folder, ((json.loads(line), None) for line in lines), load_tokenizer(tokenizer))
    origin.write_text(made_of)
    return f"{folder.name}: {counts['documents']:,} documents, {counts['tokens']:,} tokens"


# --- a run, back --------------------------------------------------------------------------------------------------


def pack_run(run: Path, out: Path, most: int) -> Path:
    """Files of at most `most` bytes, with the newest model, its weights in bf16. Returns where that one is.

    Raises UserError when the run has none."""
    import torch

    from incoder_model.checkpoint import load_transformer, model_files

    models = sorted(path.parent for path in run.glob(f"step-*/{WEIGHTS}"))
    if not models:
        raise UserError(f"{run} has no model yet; wait for its first checkpoint")
    model, tokenizer = load_transformer(models[-1])
    stored = model_files(model.config, model.state_dict(), tokenizer, dtype=torch.bfloat16)
    files = {f"{models[-1].name}/{name}": content for name, content in stored.items()}
    files |= {name: (run / name).read_bytes() for name in RECORDS if (run / name).exists()}
    packed = to_archive(files)
    starts = range(0, len(packed), most)
    write_listed(
        out,
        ((f"{run.name}.tar.gz.{number:02}", packed[at : at + most]) for number, at in enumerate(starts)),
    )
    return models[-1]


def unpack_run(carried: Path, out: Path) -> Path:
    """Make the run's folder `out`, whole or not at all; returns where its model is. Raises UserError."""
    if out.exists():
        raise UserError(f"{out} is there already; name another folder with --out")
    packed = b"".join(read_whole(carried / name, digest) for name, digest in read_sums(carried).items())
    files = from_archive(packed)
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, content in files.items():
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / name).write_bytes(content)
    unfinished.rename(out)
    return next(out.glob("step-*"))


def to_archive(files: Mapping[str, bytes]) -> bytes:
    """The same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 6, mtime=0)


def from_archive(packed: bytes) -> dict[str, bytes]:
    """The inverse; raises UserError for a name that no run brings home."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None or not (member.name in RECORDS or MODEL_FILE.fullmatch(member.name)):
                raise UserError(f"{member.name} is nothing that a run brings home; these are not the files of one")
            files[member.name] = content.read()
    return files


# --- files and their hashes ---------------------------------------------------------------------------------------


def write_listed(out: Path, files: Named) -> None:
    """Files, each written whole, and then SUMS, the list of them: a folder that has it is complete."""
    out.mkdir(parents=True, exist_ok=True)
    (out / SUMS).unlink(missing_ok=True)
    lines = []
    for name, content in files:
        write_whole(out / name, content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    write_whole(out / SUMS, "".join(lines).encode())


def read_sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its name. Raises UserError when there is no list."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{folder} has no {SUMS}; carry that file, too") from None
    return {Path(name).name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def read_whole(file: Path, digest: str) -> bytes:
    """Raises UserError when the file is not there, or not what was written."""
    content = file.read_bytes() if file.exists() else None
    if content is None or hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{file} is {'missing' if content is None else 'damaged'}; carry it again")
    return content


def write_whole(file: Path, content: bytes) -> None:
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)
