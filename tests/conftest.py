"""What many tests share: a small tokenizer, and a tiny model with random weights as a model directory.

Everything here is deterministic, and nothing heavy is imported before a test asks for it.
"""

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# The machine may be busy with other work: one thread here and in every process that a test starts, and no deadlines.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
# What tests count is nobody's statistics.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="incoder-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
# Daemons that tests start are found by these tests alone and leave soon after them. AF_UNIX has room for short paths only.
os.environ |= {"XDG_RUNTIME_DIR": tempfile.mkdtemp(prefix="incoder-"), "INCODER_DAEMON_IDLE": "5"}
# Nor does it matter what settings the person who runs them has.
os.environ["XDG_CONFIG_HOME"] = str(Path(os.environ["XDG_RUNTIME_DIR"], "config"))
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

sys.path.insert(0, str(Path(__file__).parent / "model"))  # for small_graphs

if TYPE_CHECKING:
    from incoder_model.infill import Model
    from incoder_model.tokenizer import Tokenizer

MERGES = 400
# Random weights large enough that more than the last token decides about the next one.
GAINS = {"q_proj.weight": 6, "k_proj.weight": 6, "out_proj.weight": 4, "fc2.weight": 12}
SOURCE = '''"""Distances between cities, read from a table – naïve, but “good enough” 😀."""

from __future__ import annotations

import numpy as np
import math

RADIUS = 6371.0  # km


class City:
    """A name and a place."""

    def __init__(self, name: str, latitude: float, longitude: float):
        self.name = name
        self.latitude = latitude
        self.longitude = longitude

    def __repr__(self) -> str:
        return f"City({self.name!r}, {self.latitude}, {self.longitude})"


def haversine(a: City, b: City) -> float:
    """The distance between two cities, in kilometres."""
    x = math.sin((a.latitude - b.latitude) / 2) ** 2
    y = math.cos(a.latitude) * math.cos(b.latitude) * math.sin((a.longitude - b.longitude) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(x + y))


def read_cities(path: str) -> list[City]:
    cities = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, latitude, longitude = line.rstrip("\\n").split(",")
            if not name:
                continue
            cities.append(City(name, float(latitude), float(longitude)))
    return cities


def matrix(cities: list[City]) -> np.ndarray:
    """All distances: (cities, cities)."""
    return np.array([[haversine(a, b) for b in cities] for a in cities])


if __name__ == "__main__":
    for row in matrix(read_cities("cities.csv")):
        print(" ".join(f"{value:8.1f}" for value in row))
'''


@pytest.fixture(scope="session")
def tokenizer() -> "Tokenizer":
    """920 ids: InCoder's layout with all 256 sentinels, and 400 merges learned from SOURCE, line ends of all kinds in it."""
    from tokenizers import models, trainers

    from incoder_model.tokenizer import assemble, byte_symbols, line_mode

    inner = line_mode(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=256 + MERGES, initial_alphabet=byte_symbols(), show_progress=False)
    inner.train_from_iterator([SOURCE, SOURCE.replace("\n", "\r\n")], trainer)
    merges = [(left, right) for left, right in json.loads(inner.to_str())["model"]["merges"]]
    return assemble([left + right for left, right in merges], merges)


@pytest.fixture(scope="session")
def released_layout() -> "Callable[[dict[str, int], list[tuple[str, str]]], str]":
    """Writes a `tokenizer.json` as the released one is laid out, with Hugging Face's own library and nothing of ours: from a
    vocabulary with the delimiters and bytes first, and its merges. Of the ids 0 to 3 only `<|endoftext|>` is declared special."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    def write(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> str:
        control = {"<s>": 0, "<pad>": 1, "<|endoftext|>": 2, "<unk>": 3}
        inner = Tokenizer(models.BPE({**control, **{name: i + 4 for name, i in vocabulary.items()}}, merges))
        inner.add_special_tokens([*(f"<|mask:{k}|>" for k in range(256)), "<|endofmask|>", "<|endoftext|>"])
        lines = pre_tokenizers.Split(Regex(r"[\r\n]+"), "isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        inner.pre_tokenizer = pre_tokenizers.Sequence([lines, byte_level])
        inner.decoder = decoders.ByteLevel()
        inner.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $0",
            pair="<|endoftext|> $A <|endoftext|>:1 $B:1",
            special_tokens=[("<|endoftext|>", 2)],
        )
        return inner.to_str()

    return write


@pytest.fixture(scope="session")
def released_tokenizer(released_layout: "Callable[[dict[str, int], list[tuple[str, str]]], str]") -> str:
    """A `tokenizer.json` with the released one's layout and 50,518 ids. Its merges are made up: pairs of bytes."""
    from itertools import islice, product

    from tokenizers.pre_tokenizers import ByteLevel

    delimiters = [("<", "|"), ("<|", "/"), ("|", ">")]
    symbols = sorted(ByteLevel.alphabet(), key=lambda symbol: (ord(symbol) > 255, symbol))  # the printable bytes first
    inside_lines = [symbol for symbol in symbols if symbol not in "ĊčĪ"]
    pairs = [pair for pair in product(inside_lines, repeat=2) if pair not in delimiters]
    merges = [*delimiters, *islice(pairs, 49_998)]
    names = ["<|", "<|/", "|>", *symbols, *(left + right for left, right in merges[3:])]
    return released_layout({name: i for i, name in enumerate(names)}, merges)


@pytest.fixture(scope="session")
def model_directory(tokenizer: "Tokenizer", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, 512 tokens of context. The weights are random, but it speaks: other tokens than printable ASCII are unlikely."""
    import torch

    from incoder_model.checkpoint import save_model
    from incoder_model.config import ModelConfig
    from incoder_model.transformer import Transformer, initialise

    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=64, layers=2, heads=2, d_ffn=256, context=512)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        model = initialise(Transformer(config))
        for name, weight in model.named_parameters():
            weight.mul_(next((gain for ending, gain in GAINS.items() if name.endswith(ending)), 1))
        for token, text in enumerate(tokenizer.token_bytes):
            if not (text and text.isascii() and text.decode().isprintable()):
                model.embed_tokens.weight[token] *= 0.1
    directory = tmp_path_factory.mktemp("models") / "tiny"
    save_model(directory, model, tokenizer)
    return directory


@pytest.fixture
def model(model_directory: Path) -> "Model":
    """The same model, opened, its engine fresh."""
    from incoder_model.loading import load_model

    return load_model(model_directory)


@pytest.fixture(scope="session")
def data_directory(tokenizer: "Tokenizer", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training reads: `train` and `validation` shards of documents that are much alike, and `tokenizer.json`."""
    from incoder_model.metadata import file_attributes
    from incoder_train.tokens.shards import write_shard

    directory = tmp_path_factory.mktemp("data")
    (directory / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    functions = SOURCE.split("\n\n\n")
    for split, count in (("train", 60), ("validation", 20)):
        documents = (("\n\n\n".join(functions[i % 5 :]), file_attributes(f"module_{i}.py")) for i in range(count))
        write_shard(directory / split, documents, tokenizer)
    return directory


@pytest.fixture(scope="session")
def directories(tokenizer: "Tokenizer", tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """By their shape and type, see `small_graphs`. To be copied by who changes them."""
    root = tmp_path_factory.mktemp("onnx")

    def directory(shape: str, dtype: str) -> Path:
        from small_graphs import make_directory

        path = root / f"{shape} {dtype}"
        return path if path.exists() else make_directory(path, shape, dtype, tokenizer)

    return directory
