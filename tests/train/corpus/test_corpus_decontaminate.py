"""Benchmark items are found in whatever layout they appear, and ordinary code is left alone."""

import argparse
import gzip
import inspect
import json
import textwrap
from pathlib import Path

import pytest

from incoder_train.corpus.decontaminate import drop_contaminated, item_texts, read_windows, shared_benchmark
from incoder_train.corpus.document import Document
from incoder_train.errors import UserError

BENCHMARKS = Path(__file__).parents[4] / "shared/data/benchmarks"
needs_benchmarks = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmark files are not beside this checkout"
)

ITEM = {
    "prompt": 'def count_vowels(sentence: str) -> int:\n    """How many vowels does the sentence have?"""\n',
    "canonical_solution": "    return sum(letter in 'aeiou' for letter in sentence.lower())\n",
    "test": "assert [count_vowels(word) for word in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]]",
}


def document(text: str) -> Document:
    return Document(text, "package/module.py", "module.py", ".py", "package", "MIT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vowels").mkdir()
    (tmp_path / "vowels/items.jsonl.gz").write_bytes(gzip.compress(json.dumps(ITEM).encode()))
    return tmp_path


def test_a_planted_item_goes_whatever_its_layout(folder: Path) -> None:
    windows = read_windows(folder)
    planted = ITEM["prompt"] + ITEM["canonical_solution"]
    texts = [
        planted,
        planted.upper().replace("    ", "\t"),
        textwrap.indent(planted, "# "),
        "x = 1\n" + planted + "y = 2\n",
    ]
    innocent = [
        inspect.getsource(textwrap),
        inspect.getsource(argparse),
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14",
    ]
    verdicts = list(drop_contaminated(map(document, texts + innocent), windows))
    assert [reason for _, reason in verdicts] == ["shares a passage with vowels"] * len(texts) + [None] * len(innocent)


def test_a_part_of_an_item_goes_too(folder: Path) -> None:
    part = "return sum(letter in 'aeiou' for letter in sentence.lower())"
    windows = read_windows(folder)
    assert shared_benchmark(part, windows) is None  # nine words, which anybody may write
    assert shared_benchmark("does the sentence have " + part, windows) == "vowels"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("items.txt", "", "no .json or .jsonl benchmark file"),
        ("items.jsonl", "{", "cannot be read"),
        ("items.jsonl.gz", "{}", "cannot be read"),
        ("items.jsonl", '{"frage": "?"}', "items without a text"),
    ],
)
def test_unreadable_benchmarks(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=complaint):
        read_windows(tmp_path)


@needs_benchmarks
@pytest.mark.parametrize(("benchmark", "unseen"), [("human-eval", 0.0), ("mbpp", 0.12), ("cloze-maxmin/python", 0.01)])
def test_planted_benchmark_items_go(benchmark: str, unseen: float) -> None:
    windows = read_windows(BENCHMARKS / benchmark)
    [path] = (BENCHMARKS / benchmark).glob("*.gz")
    with gzip.open(path, "rt") as file:
        items = [json.loads(line) for line in file] if ".jsonl" in path.name else json.load(file)
    passed = [item for item in items if not any(shared_benchmark(text, windows) for text in item_texts(item))]
    assert len(passed) <= unseen * len(items)
    assert shared_benchmark(inspect.getsource(argparse), windows) is None


@needs_benchmarks
def test_every_infilling_item_is_a_human_eval_item() -> None:
    """So one folder would do; both are read because the rule must not depend on it."""
    windows = read_windows(BENCHMARKS / "human-eval")
    with gzip.open(BENCHMARKS / "human-eval-infilling/HumanEval-RandomSpanInfillingLight.jsonl.gz", "rt") as file:
        items = [json.loads(line) for line in file]
    assert all(
        shared_benchmark(item["prompt"] + item["canonical_solution"] + item["suffix"], windows) for item in items
    )
