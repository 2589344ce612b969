"""A recipe of a tiny run, for the tests of the loop."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write_recipe(data_directory: Path, tmp_path: Path) -> Write:
    """Writes a recipe of a tiny run: 12 steps, a checkpoint every 4, each step in the metrics."""

    def write(name: str = "tiny-run", **changes: object) -> Path:
        tables: dict[str, dict[str, object]] = {
            "data": {
                "train": data_directory / "train",
                "validation": data_directory / "validation",
                "tokenizer": data_directory / "tokenizer.json",
                "context": 64,
                "editor_share": 0.5,
            },
            "optimiser": {"lr": 3e-3, "warmup_steps": 4},
            "run": {
                "batch_size": 4,
                "steps": 12,
                "log_every": 1,
                "validate_every": 4,
                "validation_batches": 2,
                "checkpoint_every": 4,
            },
            "machine": {"precision": "fp32", "device": "cpu"},
        }
        for key, value in changes.items():
            table, _, setting = key.partition("__")
            tables[table][setting] = value
        lines = [f'name = "{name}"', 'model = "tiny"']
        for table, settings in tables.items():
            lines += [
                f"[{table}]",
                *(f"{key} = {literal(value)}" for key, value in settings.items() if value is not None),
            ]
        file = tmp_path / f"{name}.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    return write


def literal(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)
