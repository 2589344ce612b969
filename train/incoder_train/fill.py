"""Filling holes in a file, for the command line: a text and where its holes are in, the parts around them and the spans out."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from incoder_model.checkpoint import ModelDirectoryError
from incoder_model.infill import Infill, InfillRequest, Model, infill, infill_holes, typed_part
from incoder_model.loading import load_model
from incoder_model.metadata import file_attributes, header
from incoder_model.sampling import Sampling
from incoder_train.errors import UserError

PLACEHOLDER = "<mask>"
LINE_END = re.compile(r"[\r\n]")

Filled = tuple[list[str], list[Infill]]  # the parts around the holes, one more than holes


def read_source(file: Path) -> str:
    """The text of a file, its line ends as they are."""
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start}); convert it first") from None


def offset_of(text: str, at: str) -> int:
    """The offset of LINE:COL, counted from 1 in lines and characters. Raises UserError when the text has no such place."""
    line, _, column = at.partition(":")
    if not (line.isdecimal() and column.isdecimal()):
        raise UserError(f"{at!r} is no position; write LINE:COL, such as 3:1")
    lines = text.split("\n")
    if not 1 <= int(line) <= len(lines):
        raise UserError(f"there is no line {line}; the file has {len(lines)}")
    length = len(lines[int(line) - 1].removesuffix("\r"))
    if not 1 <= int(column) <= length + 1:
        raise UserError(f"line {line} has no column {column}; its last one is {length + 1}")
    return sum(len(one) + 1 for one in lines[: int(line) - 1]) + int(column) - 1


def fill_at(
    text: str, at: str, file: Path, directory: Path | None, *, max_tokens: int, one_line: bool, sampling: Sampling
) -> Filled:
    """One hole at LINE:COL. What stands before it on its line is forced onto the span, as an editor does."""
    offset = offset_of(text, at)
    start = offset - len(typed_part(text[text.rfind("\n", 0, offset) + 1 : offset]))
    request = InfillRequest(
        left=text[:start],
        right=text[offset:],
        header=header(file_attributes(file.name)),
        typed=text[start:offset],
        one_line=one_line,
        max_tokens=max_tokens,
        sampling=sampling,
    )
    model = _load(directory)
    try:
        return [text[:offset], text[offset:]], [infill(model, request)]
    except ValueError as error:
        raise UserError(str(error)) from None


def fill_masks(text: str, file: Path, directory: Path | None, *, max_tokens: int, sampling: Sampling) -> Filled:
    """A hole at every `<mask>`. One that shares its line with other text is filled within the line."""
    parts = text.split(PLACEHOLDER)
    if len(parts) == 1:
        raise UserError(
            f"{file} has no {PLACEHOLDER} to fill; put one where a hole is, or name a place with --at LINE:COL"
        )
    model = _load(directory)
    attributes = header(file_attributes(file.name))
    shared = {k for k, (before, after) in enumerate(pairwise(parts)) if shares_line(before, after)}
    try:
        spans = infill_holes(model, parts, header=attributes, max_tokens=max_tokens, one_line=shared, sampling=sampling)
        return parts, spans
    except ValueError as error:
        raise UserError(str(error)) from None


def shares_line(before: str, after: str) -> bool:
    """Whether there is text left or right of a hole on its line."""
    return bool(LINE_END.split(before)[-1].strip() or LINE_END.split(after)[0].strip())


def _load(directory: Path | None) -> Model:
    try:
        return load_model(directory)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
