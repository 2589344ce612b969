"""The metrics of a run: one JSON object a line, which any tool can read while the run goes on, and TensorBoard's event
files beside it if the recipe asks for them. Every line has the step, the tokens seen and the seconds of training so far."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path

from incoder_train.errors import UserError

METRICS = "metrics.jsonl"
EVENTS = "tensorboard"  # the folder of event files, beside metrics.jsonl
X_AXES = ("step", "tokens", "seconds")  # what a value is plotted against


class Metrics:
    def __init__(self, path: Path, *, keep_until: int, tensorboard: bool = False):
        """Lines after step `keep_until` are dropped: the run that goes on from there will write them again.

        Raises UserError when `tensorboard` is asked for and not installed.
        """
        if tensorboard and find_spec("tensorboard") is None:
            raise UserError(
                "the recipe asks for tensorboard, which is not installed; "
                'run: pip install "incoder-lsp[tensorboard]", or leave it out: metrics.jsonl is written anyway'
            )
        self._path = path
        lines = [_line(values) for values in read_metrics(path) if values["step"] <= keep_until]
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text("".join(lines), encoding="utf-8")
        unfinished.replace(path)
        self._events = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(path.parent / EVENTS, purge_step=keep_until + 1)

    def write(self, **values: float) -> None:
        """A number that is not finite is written as null: JSON knows no other."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(values))
        if self._events:
            for name, value in values.items():
                if name not in X_AXES:
                    self._events.add_scalar(name, value, int(values["step"]))
            self._events.flush()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a run, without values that are null. A last line that a kill cut short is left out.

    Raises UserError when another line is damaged.
    """
    if not path.exists():
        return []
    text = path.read_bytes().decode(errors="replace")
    return [_values(line, f"{path}, line {i}") for i, line in enumerate(text.split("\n")[:-1], start=1)]


def _line(values: dict[str, float]) -> str:
    return json.dumps({name: value if math.isfinite(value) else None for name, value in values.items()}) + "\n"


def _values(line: str, where: str) -> dict[str, float]:
    try:
        values = json.loads(line)
        return {"step": values["step"]} | {name: value for name, value in values.items() if value is not None}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{where}, is no line of metrics; remove it and try again") from None
