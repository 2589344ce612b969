"""What is taken of the user's settings, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.settings import FIELDS, Settings, read_settings

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([*FIELDS]), inner, max_size=5)
    ),
)


@given(json_values)
def test_any_json_gives_settings_and_a_sentence_for_what_was_left_out(data: Any):
    settings, problems = read_settings(data, Settings())
    assert all(item.metadata["test"](getattr(settings, item.name)) for item in FIELDS.values())
    assert all(problem.startswith(("incoder.", "The settings")) and problem.endswith(".") for problem in problems)


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: {"incoder": data}])
def test_values_are_laid_over_what_was_there(wrap: Any):
    base, _ = read_settings(wrap({"maxTokens": 9, "model": "/models/mine"}), Settings())
    settings, problems = read_settings(wrap({"multiLine": "never", "model": None}), base)
    assert problems == []
    assert settings == Settings(max_tokens=9, multi_line="never", model=None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"debounce": 3}, "incoder.debounce is no setting; the nearest one is incoder.debounceMs."),
        ({"maxTokens": 0}, "incoder.maxTokens must be a whole number from 1 to 1024."),
        ({"maxTokens": True}, "incoder.maxTokens must be a whole number from 1 to 1024."),
        ({"multiLine": "always"}, 'incoder.multiLine must be "auto" or "never".'),
        ({"model": 1}, "incoder.model must be a path or null."),
        ([], "The settings of incoder must be an object of names and values."),
    ],
)
def test_what_is_wrong_changes_nothing_and_is_named(data: Any, problem: str):
    assert read_settings(data, Settings()) == (Settings(), [problem])


def test_every_setting_has_a_line_of_help():
    assert all(item.metadata["help"].endswith(".") for item in FIELDS.values())
