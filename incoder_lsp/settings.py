"""Every setting a user can make: its group, name, type, default and one line of help.

JSON comes in (`initializationOptions`, `workspace/didChangeConfiguration`), a frozen Settings goes out, with one sentence
for each value that could not be taken. Editors write names in camelCase.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from incoder_lsp.backend.address import ACCEPTS, KEY_VARIABLE, is_backend

GENERAL, SUGGESTIONS, ACTIONS = "General", "Suggestions", "Actions"

Kind = tuple[str, Callable[[Any], bool]]  # what is accepted, in words, and the test of it


def setting(group: str, default: Any, help: str, kind: Kind) -> Any:  # noqa: A002 - the user's word for it
    accepts, test = kind
    return field(default=default, metadata={"group": group, "help": help, "accepts": accepts, "test": test})


def _one_of(*values: str) -> Kind:
    quoted = [f'"{value}"' for value in values]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}", lambda v: v in values


def _whole(low: int, high: int) -> Kind:
    return (
        f"a whole number from {low} to {high}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
    )


SWITCH: Kind = "true or false", lambda v: isinstance(v, bool)
PATH: Kind = "a path or null", lambda v: v is None or isinstance(v, str)
SERVER: Kind = f"{ACCEPTS}, or null", lambda v: v is None or (isinstance(v, str) and is_backend(v))


@dataclass(frozen=True)
class Settings:
    """What the user wants, in force for the whole session until it is changed."""

    enabled: bool = setting(GENERAL, True, "Suggest anything at all.", SWITCH)
    model: str | None = setting(
        GENERAL, None, "The model directory; null is the bundled model. `--model` on the command line wins.", PATH
    )
    backend: str | None = setting(
        GENERAL,
        None,
        "A server that completes instead of a model: llama.cpp's, vLLM, or another `incoder-lsp serve --http`. The code around "
        f"the cursor is sent there, and nowhere else. Its key, if it wants one, is read from {KEY_VARIABLE}.",
        SERVER,
    )
    multi_line: Literal["auto", "never"] = setting(
        SUGGESTIONS,
        "auto",
        "Suggest several lines where a block starts or when asked (auto), or never.",
        _one_of("auto", "never"),
    )
    max_tokens: int = setting(SUGGESTIONS, 64, "The longest suggestion, in tokens.", _whole(1, 1024))
    stop_at_doubt: Literal["off", "normal", "careful"] = setting(
        SUGGESTIONS,
        "normal",
        "End a suggestion that was not asked for where it gets unlikely that all of it is right: early (careful), or never (off).",
        _one_of("off", "normal", "careful"),
    )
    candidates: int = setting(SUGGESTIONS, 3, "How many suggestions to choose from when asked.", _whole(1, 5))
    debounce_ms: int = setting(
        SUGGESTIONS, 40, "How long to wait for the next key before asking the model, in milliseconds.", _whole(0, 5000)
    )
    type_hints: bool = setting(
        ACTIONS,
        False,
        "Show the types that Python functions lack, and how sure the model is of each, as inlay hints.",
        SWITCH,
    )


def camel_case(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


FIELDS = {camel_case(item.name): item for item in dataclasses.fields(Settings)}


def read_settings(data: Any, base: Settings) -> tuple[Settings, list[str]]:
    """`base` with the values of a JSON object, bare or under the key "incoder"; and what is wrong with it, in sentences.

    A key that is unknown or has a value of the wrong kind changes nothing; null as the whole object means no change.
    """
    section = data.get("incoder", data) if isinstance(data, dict) else data
    if section is None:
        return base, []
    if not isinstance(section, dict):
        return base, ["The settings of incoder must be an object of names and values."]
    values, problems = {}, []
    for key, value in section.items():
        item = FIELDS.get(key)
        if item is None:
            near = difflib.get_close_matches(key, FIELDS, 1, 0)[0]
            problems.append(f"incoder.{key} is no setting; the nearest one is incoder.{near}.")
        elif not item.metadata["test"](value):
            problems.append(f"incoder.{key} must be {item.metadata['accepts']}.")
        else:
            values[item.name] = value
    return dataclasses.replace(base, **values), problems
