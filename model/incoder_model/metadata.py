"""The metadata header: what a model is told about a file before and after its text (paper section 2.2, Figure 6).

    <| file ext=.py filename=setup.py |>
    ...the text...
    <|/ file source=github |>

While training, each attribute goes to the header or to the closing tag by the toss of a coin, so that the model learns to
use what it is told and to guess the rest. Attributes are text and stay text: nothing here is a special token.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np


def header(attributes: Mapping[str, str], tag: str = "file") -> str:
    """The opening line, its newline included."""
    return f"<| {' '.join([tag, *_pairs(attributes)])} |>\n"


def footer(attributes: Mapping[str, str], tag: str = "file") -> str:
    """The closing tag. It follows a newline."""
    return f"<|/ {' '.join([tag, *_pairs(attributes)])} |>"


def file_attributes(path: str) -> dict[str, str]:
    """What a path says of a file: `ext` (with its dot, where there is one) and `filename` (the base name)."""
    name = os.path.basename(path)  # noqa: PTH119 - a string operation: the path may be from another machine
    ext = os.path.splitext(name)[1]  # noqa: PTH122
    return {"ext": ext, "filename": name} if ext else {"filename": name}


def wrap(
    text: str,
    attributes: Mapping[str, str],
    rng: np.random.Generator,
    tag: str = "file",
    front_probability: float = 0.5,
) -> str:
    """A training document: each attribute in front with `front_probability`, else behind, those of one side in random
    order."""
    keys = [str(key) for key in rng.permutation(sorted(attributes))]
    in_front = rng.random(len(keys)) < front_probability
    front = {key: attributes[key] for key, first in zip(keys, in_front, strict=True) if first}
    behind = {key: attributes[key] for key, first in zip(keys, in_front, strict=True) if not first}
    return f"{header(front, tag)}{text}\n{footer(behind, tag)}"


def _pairs(attributes: Mapping[str, str]) -> list[str]:
    return [f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in attributes.items()]
