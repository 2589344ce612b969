"""`incoder tokenizer`: a plan before it begins, a report afterwards, and one sentence where something is wrong."""

import argparse
import ast
import inspect
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import zstandard
from typer.testing import CliRunner, Result

from incoder_model.tokenizer import assemble, load_tokenizer
from incoder_train.cli import app
from incoder_train.cli.tokenizer import bytes_of
from incoder_train.corpus.build import DOCUMENTS, REPORT
from incoder_train.corpus.document import Document


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["tokenizer", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    lines = []
    for ext, module in ((".py", ast), (".txt", argparse)):
        for i, text in enumerate(inspect.getsource(module).split("\n\n\n")):
            split = "train" if i % 5 else "validation"
            document = Document(text + "\n", f"{i}{ext}", f"{i}{ext}", ext, "local", "MIT", split)
            lines.append(json.dumps(asdict(document)))
    (folder / DOCUMENTS).write_bytes(zstandard.compress(("\n".join(lines) + "\n").encode()))
    (folder / REPORT).write_text(json.dumps({"documents": len(lines)}))
    return folder


def test_train_and_report(corpus: Path, tmp_path: Path) -> None:
    tokenizer, found = tmp_path / "tokenizer.json", tmp_path / "report.json"
    result = incoder("train", corpus, "--vocab-size", 700, "--memory", "150MB", "--out", tokenizer)
    assert result.exit_code == 0, result.output
    plan, learned = result.stdout.split("minutes of one core")
    assert "0.1 MB to learn from: up to about 0.1" in plan
    assert "700 ids, 439 of them text" in learned
    assert "peak memory" in learned

    result = incoder("report", tokenizer, "--corpus", corpus, "--json", found)
    assert result.exit_code == 0, result.output
    assert "none, as it must be" in result.stdout
    report = json.loads(found.read_text())
    assert sorted(report["compression"]) == ["py", "txt"]
    assert report["compression"]["py"]["bytes"] > report["compression"]["py"]["tokens"] > 0
    assert report["vocab_size"] == load_tokenizer(tokenizer).vocab_size
    assert "held out" not in incoder("report", tokenizer).stdout


def test_one_sentence(corpus: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.json"
    mixed.write_text(assemble(["aĊ"], [("a", "Ċ")], 4).to_json())
    for arguments, said in (
        (("train", corpus, "--memory", "1MB"), "too few to learn anything"),
        (("train", corpus, "--memory", "1GB", "--sample-mb", 3), "not by both"),
        (("train", corpus, "--vocab-size", 60_000), "give more text, a larger sample or a smaller vocabulary"),
        (("train", tmp_path), "no finished corpus in"),
        (("report", tmp_path / "none.json"), "none.json is missing"),
        (("report", corpus / REPORT), "the tokenizer file cannot be read"),
        (("report", mixed), "tokens that hold a line end and other text (263)"),
    ):
        result = incoder(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("incoder: ")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (corpus / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("4GB", 4 * 10**9), ("512 MiB", 2**29), ("1.5g", 15 * 10**8), ("100", 100), ("2kb", 2000), ("4XB", None)],
)
def test_sizes(written: str, meant: int | None, corpus: Path) -> None:
    if meant is None:
        assert incoder("train", corpus, "--memory", written).exit_code == 2
    else:
        assert bytes_of(written) == meant
