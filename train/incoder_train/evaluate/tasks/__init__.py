"""The table of tasks. A task is a module with `TASK`; to add one is to add a file and its name here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from incoder_train.evaluate.case import Task

NAMES = (  # a line each; the module is called like the task
    "humaneval-infill",
    "humaneval",
    "mbpp",
    "cloze",
    "heldout",
    "return-type",
    "variable-name",
    "docstring",
    "bits-per-byte",
)


class _Tasks(Mapping[str, Task]):
    """By name. A module is imported when its task is asked for; none of them imports torch before a model is needed."""

    def __getitem__(self, name: str) -> Task:
        if name not in NAMES:
            raise KeyError(name)
        return import_module(f"{__name__}.{name.replace('-', '_')}").TASK

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


TASKS: Mapping[str, Task] = _Tasks()
