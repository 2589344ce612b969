"""What is carried arrives whole or is refused, and is there what it was at home."""

import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from typer.testing import CliRunner

import incoder_model
import incoder_train
from incoder_model.checkpoint import TOKENIZER, load_transformer
from incoder_model.loading import load_model
from incoder_model.tokenizer import Tokenizer
from incoder_train import freight
from incoder_train.cli import app
from incoder_train.corpus.build import DOCUMENTS, REPORT, Statistics
from incoder_train.corpus.document import Document
from incoder_train.corpus.lines import write_part
from incoder_train.corpus.options import DEFAULTS
from incoder_train.errors import UserError
from incoder_train.freight import (
    SUMS,
    chunks,
    compressed,
    from_archive,
    joined,
    pack_corpus,
    pack_run,
    read_sums,
    shard_part,
    to_archive,
    unpack_run,
    write_listed,
)
from incoder_train.tokens.shards import Shard, open_shard

SCRIPT = Path(incoder_train.__file__).parents[1] / "scripts" / "gpu_run.py"
SOURCES = [str(Path(package.__file__ or "").parents[1]) for package in (incoder_model, incoder_train)]
ABSENT = ("zstandard", "matplotlib", "markdown_it", "pyarrow", "pygls")  # what a rented machine may lack
RECIPE = """
name = "short"
model = "tiny"
[data]
train = "data/train"
validation = "data/validation"
tokenizer = "data/tokenizer.json"
context = 64
[run]
steps = 60
batch_size = 2
validation_batches = 1
log_every = 1
checkpoint_every = 5
"""
needs_linux = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="rented GPU machines have Linux")


@pytest.fixture
def corpus(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """60 files and threads, a tenth of them for validation."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    documents = []
    for i in range(60):
        text = f"def area_{i}(width):\n    return width * {i} * '{chr(955 + i)}'\n" * 5
        split = "validation" if i % 10 == 3 else "train"
        documents.append(Document(text, f"a/{i}.py", f"{i}.py", ".py", "a", "MIT", split, own_metadata=i % 7 == 0))
    write_part(folder / DOCUMENTS, documents, level=1)
    options = DEFAULTS | {"front_probability": 0.3}
    (folder / REPORT).write_text(
        json.dumps(asdict(Statistics("a", len(documents), 0, {}, {}, [], options, [], [], {}, "", "")))
    )
    (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def packed(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(freight, "CHUNK", 1200)
    pack_corpus(corpus, tmp_path / "packed", 1000)
    return tmp_path / "packed"


def documents_of(shard: Shard) -> list[list[int]]:
    return [shard.tokens[slice(*shard.offsets[i : i + 2])].tolist() for i in range(len(shard.offsets) - 1)]


# --- a corpus ----------------------------------------------------------------------------------------------------


def test_a_carried_corpus_has_the_tokens_of_the_one_at_home(corpus: Path, packed: Path, tmp_path: Path) -> None:
    sums = read_sums(packed)
    parts = [name for name in sums if name.startswith("train-")]
    assert len(parts) > 1
    assert parts == sorted(parts)
    for name in sums:
        kind = name.split("-")[0]
        if name != TOKENIZER:
            shard_part(packed / name, f"{sums[name]} t", tmp_path / "there" / kind / name[:-9], packed / TOKENIZER)
    arguments = ["data", "shard", corpus, "--tokenizer", corpus / TOKENIZER, "--out", tmp_path / "home"]
    assert CliRunner().invoke(app, list(map(str, arguments))).exit_code == 0
    for split, count in (("train", 54), ("validation", 6)):
        there, home = (open_shard(tmp_path / place / split) for place in ("there", "home"))
        assert documents_of(there) == documents_of(home)
        assert len(documents_of(home)) == count
        assert there.size == home.size > 0
        assert np.array_equal(there.offsets, home.offsets)


def test_files_are_small_enough_and_the_same_every_time(corpus: Path, packed: Path, tmp_path: Path) -> None:
    assert all(file.stat().st_size <= 1000 for file in packed.glob("*.xz"))
    assert (packed / TOKENIZER).read_bytes() == (corpus / TOKENIZER).read_bytes()
    pack_corpus(corpus, tmp_path / "again", 1000)
    assert (tmp_path / "again" / SUMS).read_bytes() == (packed / SUMS).read_bytes()
    with pytest.raises(UserError, match=r"the smallest files possible have \d+ bytes; give a larger --part-mb"):
        pack_corpus(corpus, tmp_path / "again", 100)
    assert not (tmp_path / "again" / SUMS).exists()  # not whole
    with pytest.raises(UserError, match="no finished corpus in"):
        pack_corpus(tmp_path, tmp_path / "nothing", 1000)


def test_a_part_is_made_once_and_anew_when_it_or_the_tokenizer_is_another(packed: Path, tmp_path: Path) -> None:
    file, shard = packed / "train-00.jsonl.xz", tmp_path / "train-00"
    digest = read_sums(packed)[file.name]
    said = shard_part(file, f"{digest} one", shard, packed / TOKENIZER)
    assert "documents" in said
    assert shard_part(file, f"{digest} one", shard, packed / TOKENIZER) == "train-00: done before"
    assert shard_part(file, f"{digest} other", shard, packed / TOKENIZER) == said
    with pytest.raises(UserError, match=r"train-00\.jsonl\.xz is damaged; carry it again"):
        shard_part(file, f"{'0' * 64} other", shard, packed / TOKENIZER)
    assert len(documents_of(open_shard(shard))) > 1  # the one of before


@given(st.lists(st.text(max_size=30)), st.integers(1, 60))
def test_texts_come_back_from_streams_as_they_were(texts: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freight, "CHUNK", size)
        files = list(joined(compressed(chunks(texts)), 300))
    assert all(0 < len(file) <= 300 for file in files)
    lines = [line for file in files for line in lzma.decompress(file).decode().split("\n")[:-1]]
    assert [json.loads(line) for line in lines] == texts


# --- a run -------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(model_directory: Path, tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "short"
    for step in ("step-00000100", "step-00000020"):
        shutil.copytree(model_directory, run / step)
        (run / step / "state.json").write_text("large")
    (run / "step-00000200").mkdir()  # of a run whose checkpoints are no models
    (run / "recipe.json").write_text('{"name": "short"}')
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    return run


def test_the_newest_model_comes_home_in_bf16(run: Path, tmp_path: Path) -> None:
    assert pack_run(run, tmp_path / "out", 50_000) == run / "step-00000100"
    parts = sorted((tmp_path / "out").glob("short.tar.gz.*"))
    assert len(parts) > 3
    assert all(part.stat().st_size <= 50_000 for part in parts)
    check = subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path / "out", capture_output=True, check=False)
    assert check.returncode == 0
    home = unpack_run(tmp_path / "out", tmp_path / "home" / "short")
    assert home == tmp_path / "home" / "short" / "step-00000100"
    assert sorted(path.name for path in home.parent.iterdir()) == ["metrics.jsonl", "recipe.json", "step-00000100"]
    assert (home.parent / "recipe.json").read_bytes() == (run / "recipe.json").read_bytes()
    stored = load_file(home / "model.safetensors")
    original = load_transformer(run / "step-00000100")[0].state_dict()
    assert all(torch.equal(stored[name], weight.bfloat16()) for name, weight in original.items())
    with pytest.raises(UserError, match="short is there already; name another folder with --out"):
        unpack_run(tmp_path / "out", tmp_path / "home" / "short")


def test_a_run_that_is_not_whole_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"has no {SUMS}; carry that file, too"):
        unpack_run(tmp_path, tmp_path / "home")
    pack_run(run, tmp_path / "out", 100_000)
    part = tmp_path / "out" / "short.tar.gz.01"
    content = part.read_bytes()
    for change in (content[:-1], content[:5000] + b"x" + content[5001:], b""):
        part.write_bytes(change)
        with pytest.raises(UserError, match=r"short\.tar\.gz\.01 is damaged; carry it again"):
            unpack_run(tmp_path / "out", tmp_path / "home")
    part.unlink()
    with pytest.raises(UserError, match=r"short\.tar\.gz\.01 is missing; carry it again"):
        unpack_run(tmp_path / "out", tmp_path / "home")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"]


def test_a_run_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no model yet; wait for its first checkpoint"):
        pack_run(tmp_path, tmp_path / "out", 1000)


@given(st.dictionaries(st.sampled_from(["recipe.json", "log.txt", "step-1/config.json"]), st.binary(max_size=2000)))
def test_an_archive_holds_what_was_put_in(files: dict[str, bytes]) -> None:
    assert from_archive(to_archive(files)) == files
    assert to_archive(files) == to_archive(files)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "step-1/../../config.json", "step-1/optimiser.bin"])
def test_an_archive_with_other_names_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is nothing that a run brings home"):
        from_archive(to_archive({"recipe.json": b"", name: b""}))


# --- the list ----------------------------------------------------------------------------------------------------


def test_a_list_is_written_last(tmp_path: Path) -> None:
    def files() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        assert not (tmp_path / SUMS).exists()
        yield "b", b"2"

    write_listed(tmp_path, [("a", b"0")])
    write_listed(tmp_path, files())
    assert read_sums(tmp_path).keys() == {"a", "b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [SUMS, "a", "b"]


# --- the script --------------------------------------------------------------------------------------------------


def gpu_run(folder: Path, *arguments: object, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*map(str, paths), *SOURCES])
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@needs_linux
@pytest.mark.proof
def test_there_and_back(corpus: Path, tmp_path: Path) -> None:
    """A run on a rented machine from beginning to end, in processes of its own, one of which is killed on the way."""
    home, there, bare = (tmp_path / name for name in ("home", "there", "bare"))
    for folder in (home, there / "carried", bare):
        folder.mkdir(parents=True)
    (bare / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({ABSENT}))\n")
    (there / "short.toml").write_text(RECIPE)

    def remote(*arguments: object) -> subprocess.CompletedProcess[str]:
        return gpu_run(there, *arguments, paths=(bare,))

    assert gpu_run(home, "pack", corpus, "--out", "packed").returncode == 0
    names = ["SHA256SUMS", "tokenizer.json", "train-00.jsonl.xz", "validation-00.jsonl.xz"]
    assert sorted(path.name for path in (home / "packed").iterdir()) == names
    for name in names[:3]:
        shutil.copy(home / "packed" / name, there / "carried")
    said = remote("shard", "short.toml", "carried")
    assert said.stdout.splitlines()[-1] == "not here yet: validation-00.jsonl.xz", said.stderr
    shutil.copy(home / "packed" / names[3], there / "carried")
    said = remote("shard", "short.toml", "carried").stdout.splitlines()
    assert (said[0], said[-1]) == ("train-00: done before", "all is here")

    early = remote("collect", "short.toml", "--out", "out")
    assert (early.returncode, early.stderr.count("\n")) == (1, 1)
    assert "has no model yet" in early.stderr
    run = there / "runs" / "short"
    assert "at work; its log is" in remote("train", "short.toml", "--patience", 0.1).stdout
    deadline = time.monotonic() + 200
    while not list(run.glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first = int((run / "pid").read_text())
    os.kill(first, signal.SIGKILL)
    remote("train", "short.toml", "--patience", 0.1)
    assert remote("train", "short.toml").stdout == "runs/short is at work already\n"
    said = remote("status", "short.toml", "--wait", 200).stdout
    assert said.splitlines()[-1] == "not at work"
    assert "step 60 " in said
    assert int((run / "pid").read_text()) != first
    assert remote("collect", "short.toml", "--out", "out").returncode == 0

    joined = gpu_run(home, "join", there / "out", "--out", "runs/short")
    assert joined.stdout == "runs/short/step-00000060\n", joined.stderr
    steps = [json.loads(line)["step"] for line in (home / "runs/short/metrics.jsonl").read_text().splitlines()]
    assert sorted(set(steps)) == list(range(1, 61))
    assert (home / "runs/short/log.txt").read_text().count("short: tiny") == 2
    assert load_model(home / "runs/short/step-00000060").config.context == 64


@needs_linux
@pytest.mark.proof
def test_a_run_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(RECIPE)
    said = gpu_run(tmp_path, "train", "short.toml", "--patience", 120)
    assert said.returncode == 1
    assert "tokenizer.json is missing" in said.stdout
    assert "runs/short" not in said.stderr
    said = gpu_run(tmp_path, "shard", "short.toml", ".")
    assert (said.returncode, said.stdout) == (1, "")
    assert "has no SHA256SUMS; carry that file, too" in said.stderr
