"""The card of a bundle: every section is there, every number is one that came in, and nobody else's score is."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from incoder_model.config import ModelConfig
from incoder_train.card import UNKNOWN, write_card
from incoder_train.corpus.manifest import HELD_OUT
from incoder_train.corpus.options import Options, parse_options, set_options
from incoder_train.errors import UserError
from incoder_train.scores import BUNDLE, CHECKPOINT, NO_MODEL, Score, lost, read_scores, tables
from incoder_train.training.recipe import shipped

CONFIG = ModelConfig(vocab_size=4321, d_model=96, layers=7, heads=6, d_ffn=200, context=777)
OPTIONS = {"redact": True, "near_dedup": True, "line_unit": "tokens", "answers": 10}
RECIPE = {
    "name": "my-run",
    "init": None,
    "data": {"tokenizer": "data/mine/tokenizer.json", "context": 700},
    "optimiser": {"kind": "muon", "lr": 0.0021, "warmup_steps": 1234},
    "run": {"batch_size": 1357, "minutes": 20.5},
}
ORIGIN: dict[str, Any] = {
    "checkpoint": "step-00000777",
    "recipe": RECIPE,
    "last_metrics": [
        {"step": 77777, "tokens": 88888888, "seconds": 4500, "loss": 1.2341, "tokens_per_second": 5},
        {"step": 77777, "tokens": 88888888, "validation_loss": 1.3452, "bits_per_byte": 0.6543},
    ],
    "hardware": "an abacus",
    "corpus": {
        "name": "mine",
        "documents": 90909,
        "bytes": 5000000,
        "splits": {"train": {}, "validation": {"documents": 808, "bytes": 70707}},
        "languages": {
            ".rs": {"collected": {}, "kept": {"documents": 10, "bytes": 1000000}},
            ".py": {"collected": {}, "kept": {"documents": 20, "bytes": 4000000}},
            ".c": {"collected": {}, "kept": {"documents": 0, "bytes": 0}},
        },
        "archives": [
            {"name": "a", "licence": "MIT", "documents": 11, "bytes": 21},
            {"name": "b", "licence": "ISC OR MIT", "documents": 100, "bytes": 4000},
            {"name": "rich", "licence": "MIT", "documents": 2, "bytes": 5},
        ],
        "options": OPTIONS,
        "stages": [
            {"name": "collect", "documents_in": 31, "documents_out": 30, "bytes_out": 3030},
            {"name": "decontaminate", "documents_in": 30, "documents_out": 29, "bytes_out": 2929},
        ],
        "content_sha256": "fedcba",
    },
    "weights": {
        "dtype": "int8",
        "bytes": 6060606,
        "sha256": "abc",
        "fidelity": {
            "tokens": 4095,
            "logit_difference": 0.012345,
            "divergence": 1.2345e-4,
            "same_choice": 0.98761,
            "loss": 5.00001,
            "loss_of_copy": 5.00021,
        },
    },
}


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, heads left out."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rules = [number for number, line in enumerate(lines) if set("".join(line)) == {"-"}]
    return [line for number, line in enumerate(lines) if number not in rules and number + 1 not in rules]


def test_a_card_has_every_section_once_and_in_order() -> None:
    for origin, scores in ((ORIGIN, [SCORES[0]]), ({"checkpoint": "x", "weights": ORIGIN["weights"]}, [])):
        titles = [line for line in write_card(origin, CONFIG, scores).splitlines() if re.match("##? ", line)]
        assert titles[1:] == [
            "## Intended use",
            "## Limits",
            "## Data",
            "## Training",
            "## Scores",
            "## Quantisation",
            "## Licence",
            "## How to reproduce it",
            "## How to check it",
        ]
        assert titles[0] == ("# my-run" if "recipe" in origin else "# x")


def test_the_numbers_are_those_that_came_in() -> None:
    card = write_card(ORIGIN, CONFIG, [])
    about = {row[0]: row[-1] for row in rows(card.split("\n## ", 1)[0])}
    assert about == {
        "parameters": f"{CONFIG.parameters:,}",
        "layers, width, heads": "7, 96, 6",
        "context": "777 tokens",
        "vocabulary": "4,321 ids",
        "weights": "int8, 6,060,606 bytes",
        "licence": "Apache-2.0",
    }
    assert f"{CONFIG.parameters:,} parameters" in section(card, "Limits")
    assert "files that end in: .py, .rs. In" in section(card, "Limits")
    assert rows(section(card, "Data")) == [
        ["ISC OR MIT", "1", "100", "4,000"],
        ["MIT", "2", "13", "26"],
        [".py", "20", "4,000,000", "80.0 %"],
        [".rs", "10", "1,000,000", "20.0 %"],
        ["collect", "31", "30", "3,030"],
        ["decontaminate", "30", "29", "2,929"],
    ]
    for said in ("90,909 files", "5,000,000 bytes", "3 pinned archives", "`fedcba`", "808 files, 70,707 bytes"):
        assert said in section(card, "Data")
    held_out = section(card, "Data").split("for the scores: ")[1]
    assert held_out.strip(" .\n").split(", ") == sorted(HELD_OUT - {"rich"})  # which this corpus has, and says so
    assert {row[0]: row[1] for row in rows(section(card, "Training"))} == {
        "begun from": "random weights",
        "updates": "77,777",
        "tokens": "88,888,888",
        "hours": "1.25",
        "hardware": "an abacus",
        "optimiser": "muon, learning rate 0.0021, 1,234 updates of warm-up",
        "batch": "1,357 rows of at most 700 tokens",
        "training loss at the end": "1.234 nats per token",
        "held-out loss": "1.345 nats per token",
        "held-out bits per byte": "0.654",
    }
    for said in ("4,095 tokens", "0.01235 on", "0.000123 nats", "98.76% of", "from 5.0000 to 5.0002"):
        assert said in " ".join(section(card, "Quantisation").split())


def test_what_is_not_known_is_said_to_be() -> None:
    bare = {"checkpoint": "x", "weights": ORIGIN["weights"] | {"dtype": "bf16"}}
    card = write_card(bare, CONFIG, [])
    for title in ("Limits", "Data", "Training", "How to reproduce it"):
        assert UNKNOWN in section(card, title)
    assert "None were given" in section(card, "Scores")
    assert "All weights are stored in bf16" in section(card, "Quantisation")
    young = ORIGIN | {"last_metrics": []}
    unknown = {row[0] for row in rows(section(write_card(young, CONFIG, []), "Training")) if row[1] == UNKNOWN}
    assert unknown == {
        "updates",
        "tokens",
        "hours",
        "training loss at the end",
        "held-out loss",
        "held-out bits per byte",
    }


# --- how to make it again ----------------------------------------------------------------------------------------


def test_the_commands_are_those_that_made_it() -> None:
    text = section(write_card(ORIGIN, CONFIG, []), "How to reproduce it")
    commands = text.split("```")[1].splitlines()[1:]
    assert commands == [
        "incoder data build train/incoder_train/recipes/mine.manifest.toml --out data/mine --benchmarks BENCHMARKS "
        "--option near_dedup=true --option line_unit=tokens",
        "incoder tokenizer train data/mine --out data/mine/tokenizer.json --vocab-size 4321",
        "incoder data shard data/mine --tokenizer data/mine/tokenizer.json",
        "incoder train my-run.toml --out runs/my-run",
        "incoder bundle runs/my-run/step-00000777 --corpus data/mine --dtype int8",
    ]
    assert "20.5 minutes" in text
    again = set_options(Options(), parse_options(re.findall(r"--option (\S+)", commands[0])), "")
    assert {key: getattr(again, key) for key in OPTIONS} == OPTIONS


def test_weights_of_an_earlier_run_are_named() -> None:
    assert "random weights" in write_card(ORIGIN, CONFIG, [])
    begun = ORIGIN | {"recipe": RECIPE | {"init": "runs/first/step-00000009"}}
    assert write_card(begun, CONFIG, []).count("runs/first/step-00000009") == 2


def test_a_recipe_that_comes_along_is_named_and_a_corpus_with_benchmarks_in_it_says_so() -> None:
    name = next(iter(shipped()))
    corpus = ORIGIN["corpus"] | {"stages": ORIGIN["corpus"]["stages"][:1]}
    recipe = RECIPE | {"name": name, "run": {"batch_size": 1, "minutes": None}}
    card = write_card(ORIGIN | {"recipe": recipe, "corpus": corpus}, CONFIG, [])
    text = section(card, "How to reproduce it")
    assert f"incoder train {name} --out" in text
    assert "--without-decontamination --option" in text
    assert "minutes" not in text
    assert "benchmarks were NOT kept out" in section(card, "Data")
    assert "were kept out" in section(write_card(ORIGIN, CONFIG, []), "Data")


# --- scores ------------------------------------------------------------------------------------------------------

SCORES = [
    Score("heldout", "single-line", "left-to-right", BUNDLE, 300, {"exact": 0.101, "similarity": 0.5}),
    Score("heldout", "single-line", "retrieval", NO_MODEL, 300, {"exact": 0.039}),
    Score("heldout", "single-line", "causal-mask", CHECKPOINT, 300, {"exact": 0.158, "similarity": 0.6}),
    Score("heldout", "single-line", "causal-mask", BUNDLE, 300, {"exact": 0.1552, "similarity": 0.61}),
    Score("bits-per-byte", "", "left-to-right", BUNDLE, 1200, {"bits_per_byte": 0.71234}),
    Score("bits-per-byte", "", "left-to-right", CHECKPOINT, 1200, {"bits_per_byte": 0.7123}),
    Score("heldout", "multi-line", "causal-mask", BUNDLE, 20, {"exact": 0.1}),
    Score("heldout", "multi-line", "causal-mask", CHECKPOINT, 300, {"exact": 0.3}),  # other cases: no comparison
]


def test_scores_stand_beside_baseline_and_floor() -> None:
    card = section(write_card(ORIGIN, CONFIG, SCORES), "Scores")
    assert re.findall("### (.*)", card) == ["heldout, single-line", "bits-per-byte", "heldout, multi-line"]
    assert rows(card.split("### ")[1]) == [
        ["infilling, by the paper's prompt", "this model", "300", "15.5 %", "61.0 %"],
        ["infilling, by the paper's prompt", "before quantisation", "300", "15.8 %", "60.0 %"],
        ["left to right (baseline)", "this model", "300", "10.1 %", "50.0 %"],
        ["line retrieval (floor)", "no model", "300", "3.9 %", ""],
    ]
    assert rows(card.split("### ")[2])[0] == ["left to right (baseline)", "this model", "1,200", "0.712"]


def test_what_quantisation_cost_is_in_points() -> None:
    assert [(*what, round(points, 6)) for *what, points in lost(SCORES)] == [
        ("heldout single-line", "infilling, by the paper's prompt", "exact", 0.28),
        ("heldout single-line", "infilling, by the paper's prompt", "similarity", -1.0),
    ]
    card = section(write_card(ORIGIN, CONFIG, SCORES), "Quantisation")
    assert rows(card)[0] == ["heldout single-line", "infilling, by the paper's prompt", "exact", "+0.28"]
    assert rows(section(write_card(ORIGIN, CONFIG, SCORES[:2]), "Quantisation")) == []


def result(file: Path, **changes: Any) -> Path:
    """As `incoder eval --json` writes it."""
    values = {
        "task": "heldout",
        "split": "single-line",
        "method": "causal-mask",
        "model": {"path": "somewhere", "sha256": "b" * 64, "parameters": 5},
        "measures": {"exact": 0.25},
        "cases": [{"id": "1"}, {"id": "2"}],
    }
    file.write_text(json.dumps(values | changes))
    return file


def read(files: Sequence[Path]) -> list[Score]:
    return read_scores(files, bundle_sha256="b" * 64, checkpoint_sha256="c" * 64)


def test_results_are_read_as_the_evaluation_writes_them(tmp_path: Path) -> None:
    files = [
        result(tmp_path / "ours.json"),
        result(tmp_path / "before.json", model={"sha256": "c" * 64}),
        result(tmp_path / "floor.json", model=None, method="retrieval"),
        result(tmp_path / "strange.json", task="a|b", split="", method="new", measures={"pass@1": 1, "a": 0}),
    ]
    scores = read(files)
    assert [score.of for score in scores] == [BUNDLE, CHECKPOINT, NO_MODEL, BUNDLE]
    assert scores[0] == Score("heldout", "single-line", "causal-mask", BUNDLE, 2, {"exact": 0.25})
    assert list(tables(scores))[1] == (
        "### a|b\n\n| method | of | cases | pass@1 | a |\n| --- | --- | --- | --- | --- |\n"
        "| new | this model | 2 | 100.0 % | 0.0 % |\n"
    )


def test_another_models_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"theirs\.json is the score of another model; a card holds those of"):
        read([result(tmp_path / "theirs.json", model={"path": "somewhere", "sha256": "d" * 64})])


@pytest.mark.parametrize(
    "changes",
    [
        {"measures": None},
        {"measures": {"exact": "high"}},
        {"cases": 3},
        {"model": 3},
        {"model": {}},
        {"model": {"sha256": []}},
        {"task": 5},
    ],
    ids=str,
)
def test_what_is_no_result_is_refused(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    with pytest.raises(UserError, match=r"x\.json is no result of `incoder eval` \(.*\); give what its --json wrote"):
        read([result(tmp_path / "x.json", **changes)])
    (tmp_path / "y.json").write_text("[" if "task" in changes else "[]")
    with pytest.raises(UserError, match=r"y\.json is no result"):
        read([tmp_path / "y.json"])
