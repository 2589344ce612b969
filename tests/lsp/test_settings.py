"""What is taken of the user's settings, what is said of the rest, and how all of them are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from incoder_lsp.cli import app
from incoder_lsp.settings import FIELDS, Settings, read_values

DOCS = Path(__file__).parents[2] / "docs"
JSON_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "null": type(None)}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([*FIELDS]), inner, max_size=5)
    ),
)


@given(json_values)
def test_any_json_gives_values_and_a_sentence_for_what_was_left_out(data: Any):
    values, problems = read_values(data)
    settings = Settings(**values)
    assert all(item.metadata["kind"].test(getattr(settings, item.name)) for item in FIELDS.values())
    assert all(problem.startswith(("incoder.", "The settings")) and problem.endswith(".") for problem in problems)
    hash(settings)  # nothing in it can change


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: {"incoder": data}])
def test_values_come_by_field_and_lists_as_tuples(wrap: Any):
    values, problems = read_values(wrap({"maxTokens": 9, "model": None, "offFiles": ["*.sql"]}))
    assert (values, problems) == ({"max_tokens": 9, "model": None, "off_files": ("*.sql",)}, [])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"debounce": 3}, "incoder.debounce is no setting; the nearest one is incoder.debounceMs."),
        ({"maxTokens": 0}, "incoder.maxTokens must be a whole number from 1 to 1024."),
        ({"maxTokens": True}, "incoder.maxTokens must be a whole number from 1 to 1024."),
        ({"multiLine": "always"}, 'incoder.multiLine must be "auto" or "never".'),
        ({"model": 1}, "incoder.model must be a path or null."),
        ({"offLanguages": "python"}, "incoder.offLanguages must be a list of names of languages."),
        ({"offFiles": ["[a"]}, "incoder.offFiles must be a list of patterns as in .gitignore."),
        ([], "The settings of incoder must be an object of names and values."),
    ],
)
def test_what_is_wrong_changes_nothing_and_is_named(data: Any, problem: str):
    assert read_values(data) == ({}, [problem])


def test_what_our_editor_clients_keep_beside_ours_is_no_mistake():
    assert read_values({"command": ["incoder-lsp", "serve"], "trace": {"server": "off"}}) == ({}, [])


def test_every_setting_has_a_line_of_help():
    assert all(item.metadata["help"].endswith(".") for item in FIELDS.values())


def shown(*options: str) -> str:
    result = CliRunner().invoke(app, ["settings", *options])
    assert result.exit_code == 0
    return result.output


def test_editors_get_every_setting_with_its_type_and_a_default_of_it():
    entries = [entry for group in json.loads(shown("--json")) for entry in group["settings"]]
    assert [entry["name"] for entry in entries] == [*FIELDS]
    for entry in entries:
        types = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
        assert isinstance(entry["default"], tuple(kind for name in types for kind in _classes(name))), entry
        assert FIELDS[entry["name"]].metadata["kind"].test(entry["default"])
        assert entry["default"] in entry.get("enum", [entry["default"]])
        assert entry["description"].endswith(".")


def _classes(name: str) -> tuple[type, ...]:
    found = JSON_TYPES[name]
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("item", FIELDS.values(), ids=[*FIELDS])
def test_what_a_schema_allows_is_what_is_taken(item: Any):
    """At its borders: an editor must not mark what we take, nor pass what we refuse."""
    kind = item.metadata["kind"]
    if "enum" in kind.schema:
        assert all(map(kind.test, kind.schema["enum"]))
        assert not kind.test("no such word")
    if "minimum" in kind.schema:
        low, high = kind.schema["minimum"], kind.schema["maximum"]
        assert [kind.test(value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]
    assert kind.test(None) == ("null" in kind.schema["type"])
    assert not kind.test({})


def test_the_manual_shows_what_the_command_prints():
    assert shown("--markdown") == (DOCS / "settings.md").read_text(encoding="utf-8"), (
        "write it anew: incoder-lsp settings --markdown > docs/settings.md"
    )


def test_the_terminal_shows_each_by_name():
    table = shown()
    assert all(name in table for name in FIELDS)
    assert CliRunner().invoke(app, ["settings", "--json", "--markdown"]).exit_code == 2
