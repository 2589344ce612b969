"""Every setting a user can make: its group, name, type, default and one line of help.

JSON comes in, wherever the user wrote it; values that can be laid over a Settings go out, with one sentence for each that
could not be taken. Users write names in camelCase. Who may say what, and whose word counts, is in `configuration`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from incoder_lsp.backend.address import ACCEPTS, KEY_VARIABLE, is_backend
from incoder_lsp.patterns import are_patterns

GENERAL, FILES, SUGGESTIONS, CONTEXT, ACTIONS = "General", "Files", "Suggestions", "Context", "Actions"

Values = dict[str, Any]  # by field of Settings, each of its kind
OF_EDITORS = ("command", "trace")  # settings of our editor clients, which send them with ours


@dataclass(frozen=True)
class Kind:
    """What a setting takes: in words, as a test of any JSON value, and as JSON schema, which editors check while users type."""

    accepts: str
    test: Callable[[Any], bool]
    schema: dict[str, Any]


def setting(group: str, default: Any, help: str, kind: Kind) -> Any:  # noqa: A002 - the user's word for it
    return field(default=default, metadata={"group": group, "help": help, "kind": kind})


def _one_of(*values: str) -> Kind:
    quoted = [f'"{value}"' for value in values]
    words = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return Kind(words, lambda v: v in values, {"type": "string", "enum": [*values]})


def _whole(low: int, high: int) -> Kind:
    return Kind(
        f"a whole number from {low} to {high}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
        {"type": "integer", "minimum": low, "maximum": high},
    )


def _share(low: float, high: float) -> Kind:
    return Kind(
        f"a number from {low:g} to {high:g}",
        lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= high,
        {"type": "number", "minimum": low, "maximum": high},
    )


def _list_of(what: str, test: Callable[[tuple[str, ...]], bool] = lambda _: True) -> Kind:
    """Of strings; in a Settings it is a tuple."""
    return Kind(
        f"a list of {what}",
        lambda v: isinstance(v, (list, tuple)) and all(isinstance(one, str) for one in v) and test(tuple(v)),
        {"type": "array", "items": {"type": "string"}},
    )


SWITCH = Kind("true or false", lambda v: isinstance(v, bool), {"type": "boolean"})
PATH = Kind("a path or null", lambda v: v is None or isinstance(v, str), {"type": ["string", "null"]})
SERVER = Kind(
    f"{ACCEPTS}, or null",
    lambda v: v is None or (isinstance(v, str) and is_backend(v)),
    {"type": ["string", "null"]},
)


@dataclass(frozen=True)
class Settings:
    """What the user wants, in force for a session or for one folder of it until it is changed."""

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
    statistics: bool = setting(
        GENERAL,
        True,
        "Add up how many suggestions were shown, accepted and kept, in a file on this machine; `incoder-lsp stats` shows it.",
        SWITCH,
    )
    off_languages: tuple[str, ...] = setting(
        FILES,
        (),
        'Suggest nothing in these languages, by the names that editors have for them, such as `"markdown"`.',
        _list_of("names of languages"),
    )
    off_files: tuple[str, ...] = setting(
        FILES,
        (),
        'Suggest nothing in these files, written as in `.gitignore`: `"*.sql"` by the name, `"docs/"` with all that is in it, '
        '`"/src/old/*.py"` from the workspace folder on.',
        _list_of("patterns as in .gitignore", are_patterns),
    )
    gitignored: bool = setting(
        FILES, False, "Suggest unasked in files that git ignores, too; when asked, it always does.", SWITCH
    )
    mode: Literal["automatic", "subtle", "manual"] = setting(
        SUGGESTIONS,
        "automatic",
        "When to suggest: while you type (automatic); computed while you type and shown at once when you ask (subtle); or "
        "nothing is computed until you ask (manual).",
        _one_of("automatic", "subtle", "manual"),
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
        SUGGESTIONS,
        40,
        "The shortest wait for the next key before asking the model, in milliseconds. It grows, to 300 at most, while you type "
        "faster than the model answers.",
        _whole(0, 5000),
    )
    left_share: float = setting(
        CONTEXT,
        0.7,
        "How much of what the model reads stands before the cursor, where a file is longer than it can read.",
        _share(0.1, 0.9),
    )
    neighbour_share: float = setting(
        CONTEXT,
        0.25,
        "How much of what the model reads may come from other files, where any of the three switches below is on.",
        _share(0, 0.5),
    )
    neighbour_files: bool = setting(CONTEXT, False, "Show the model pieces of other open files.", SWITCH)
    neighbour_edits: bool = setting(
        CONTEXT, False, "Show the model what was edited lately in other open files.", SWITCH
    )
    neighbour_imports: bool = setting(
        CONTEXT,
        False,
        "Show the model pieces of the files that a file imports, read from the workspace's folders.",
        SWITCH,
    )
    neighbours_to_backend: bool = setting(
        CONTEXT,
        False,
        "Send pieces of other files to the `backend` as well, where one is set; else it gets those of the current file only.",
        SWITCH,
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


def read_values(data: Any, file: Path | None = None) -> tuple[Values, list[str]]:
    """What of a JSON object, bare or under the key "incoder", can be taken; and what is wrong with the rest, in sentences that
    begin with the `file` it stands in.

    A key that is unknown or has a value of the wrong kind is left out; null as the whole object says nothing.
    """
    section = data.get("incoder", data) if isinstance(data, dict) else data
    lead, prefix = (f"{file}: ", "") if file else ("", "incoder.")
    if section is None:
        return {}, []
    if not isinstance(section, dict):
        return {}, [f"{lead}The settings of incoder must be an object of names and values."]
    values: Values = {}
    problems = []
    for key, value in section.items():
        item = FIELDS.get(key)
        if item is None and key not in OF_EDITORS:
            near = difflib.get_close_matches(key, FIELDS, 1, 0)[0]
            problems.append(f"{lead}{prefix}{key} is no setting; the nearest one is {prefix}{near}.")
        elif item and not item.metadata["kind"].test(value):
            problems.append(f"{lead}{prefix}{key} must be {item.metadata['kind'].accepts}.")
        elif item:
            values[item.name] = tuple(value) if isinstance(value, list) else value
    return values, problems
