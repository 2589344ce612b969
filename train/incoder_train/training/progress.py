"""What a person sees while a model trains: loss, speed and time left on one line, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from incoder_train.training.recipe import Recipe

PLAIN_EVERY = 30.0  # seconds between lines in a log file


class Progress:
    """A context manager around the training loop."""

    def __init__(self, recipe: Recipe, parameters: int, *, shown: bool = True):
        self._console = Console(quiet=not shown)
        self._console.print(f"{recipe.name}: {recipe.model}, {parameters:,} parameters")
        columns = (
            "step {task.fields[step]}",
            "loss {task.fields[loss]}",
            "held out {task.fields[validation]}",
            "{task.fields[speed]} tokens/s",
            "MFU {task.fields[mfu]}",
        )
        self._bar = Bar(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(),
            *(TextColumn(text) for text in (*columns, "{task.fields[left]} left")),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._fields: dict[str, Any] = {
            "step": "0",
            "loss": "-",
            "validation": "-",
            "speed": "-",
            "mfu": "-",
            "left": "-",
        }
        self._task = self._bar.add_task("", total=1.0, **self._fields)
        self._speed = 0.0
        self._started = self._last_line = time.monotonic()
        self._first_share: float | None = None

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def show(self, step: int, share: float, *, tokens: int, seconds: float) -> None:
        """`share` of the run is done; the last step took `seconds` for `tokens`."""
        if self._first_share is None:
            self._first_share = share
        if seconds:
            now = tokens / seconds
            self._speed = 0.95 * self._speed + 0.05 * now if self._speed else now
        elapsed = time.monotonic() - self._started
        gained = share - self._first_share
        left = f"{elapsed / gained * (1 - share) / 60:.0f} min" if gained > 0 else "-"
        self._update(step=str(step), speed=f"{self._speed:,.0f}", left=left)
        self._bar.update(self._task, completed=share)
        if self._bar.disable and (time.monotonic() - self._last_line > PLAIN_EVERY or share >= 1):
            self._last_line = time.monotonic()
            self._console.print(
                f"{share:4.0%}  " + "  ".join(f"{key} {value}" for key, value in self._fields.items() if value != "-"),
                highlight=False,
            )

    def say(self, *, loss: float | None = None, validation: float | None = None, mfu: float | None = None) -> None:
        if loss is not None:
            self._update(loss=f"{loss:.3f}")
        if validation is not None:
            self._update(validation=f"{validation:.3f}")
        if mfu is not None:
            self._update(mfu=f"{mfu:.0%}")

    def tell(self, sentence: str) -> None:
        """A line of its own."""
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def _update(self, **fields: Any) -> None:
        self._fields |= fields
        self._bar.update(self._task, **self._fields)
