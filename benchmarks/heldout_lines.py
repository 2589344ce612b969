"""How often a hole of one line is filled exactly, on code that the model never saw.

    python benchmarks/heldout_lines.py [--model DIR] [--lines N] [--seed S]

Lines are drawn from packages that no manifest of ours lists (rich and attrs, as installed here). Three methods fill the same
holes: infilling from both sides, left to right from the left side only, and, without any model, the line that follows the
last earlier occurrence of the line before. "elsewhere" counts the lines whose text also stands somewhere else in view.
"""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from incoder_model.checkpoint import BUNDLED, load_model
from incoder_model.infill import InfillRequest, Model, continue_text, infill
from incoder_model.metadata import file_attributes, header

PACKAGES = ("rich", "attr")
MAX_TOKENS = 32


@dataclass(frozen=True)
class Case:
    filename: str
    left: str  # up to the start of the line
    indent: str  # given to every method
    line: str  # the answer
    right: str

    @property
    def elsewhere(self) -> bool:
        return any(self.line == line.strip() for line in (self.left + self.right).splitlines())


def draw_cases(count: int, seed: int) -> list[Case]:
    """`count` lines with at least five characters, comments left out, each from a file chosen evenly."""
    files = [
        path for name in PACKAGES for path in sorted(package_folder(name).rglob("*.py")) if path.stat().st_size > 2000
    ]
    rng = random.Random(seed)
    cases: list[Case] = []
    while len(cases) < count:
        path = rng.choice(files)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        number = rng.randrange(1, len(lines))
        line = lines[number].strip()
        if len(line) >= 5 and not line.startswith("#"):
            body = lines[number].rstrip("\n")
            indent = body[: len(body) - len(body.lstrip())]
            cases.append(Case(path.name, "".join(lines[:number]), indent, line, "\n" + "".join(lines[number + 1 :])))
    return cases


def package_folder(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None, f"{name} is not installed"
    return Path(found.origin).parent


def by_infilling(model: Model, case: Case) -> str:
    request = InfillRequest(
        case.left, case.right, header(file_attributes(case.filename)), case.indent, True, MAX_TOKENS
    )
    return infill(model, request).text


def left_to_right(model: Model, case: Case) -> str:
    attributes = header(file_attributes(case.filename))
    return continue_text(model, case.left + case.indent, header=attributes, max_tokens=MAX_TOKENS, one_line=True).text


def by_retrieval(model: Model, case: Case) -> str:
    lines = [line.strip() for line in case.left.splitlines() if line.strip()]
    for i in range(len(lines) - 2, -1, -1):
        if lines[i] == lines[-1]:
            return lines[i + 1]
    return ""


METHODS = {"infilling": by_infilling, "left to right": left_to_right, "line retrieval": by_retrieval}


def main(
    model: Annotated[Path, typer.Option()] = BUNDLED,
    lines: Annotated[int, typer.Option(min=1)] = 300,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    loaded, cases = load_model(model), draw_cases(lines, seed)
    exact: Counter[str] = Counter()
    exact_new: Counter[str] = Counter()
    new = sum(not case.elsewhere for case in cases)
    for case in track(cases, "filling"):
        for name, method in METHODS.items():
            right = method(loaded, case).strip() == case.line
            exact[name] += right
            exact_new[name] += right and not case.elsewhere
    table = Table(
        "method", "exact match", "of lines that stand nowhere else in view", title=f"{lines} lines, {new} of them new"
    )
    for name in METHODS:
        table.add_row(name, f"{exact[name] / lines:.1%}", f"{exact_new[name] / max(1, new):.1%}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
