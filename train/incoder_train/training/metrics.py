"""The metrics of a run: one JSON object a line, which any tool can read while the run goes on."""

from __future__ import annotations

import json
from pathlib import Path


class Metrics:
    def __init__(self, path: Path, *, keep_until: int):
        """Lines after step `keep_until` are dropped: the run that goes on from there will write them again."""
        self._path = path
        lines = [json.dumps(line) + "\n" for line in read_metrics(path) if line["step"] <= keep_until]
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text("".join(lines), encoding="utf-8")
        unfinished.replace(path)

    def write(self, **values: float) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """A last line that a kill cut short is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
