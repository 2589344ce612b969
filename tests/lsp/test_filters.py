"""Each golden file is a case: what it shows, a document with the model's words at the cursor, and what becomes of it.

In the second part, `│` is the cursor and `⟪...⟫` what the model says there; in the third, `⟦...⟧` is what is inserted when
the suggestion is accepted, or there is the reason why nothing is shown. To add a case, add a file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.context import situation_at
from incoder_lsp.filters import Drop, Suggestion, filter_suggestion
from incoder_lsp.settings import Settings
from incoder_model.infill import Infill, StopReason

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


def shown(left: str, said: str, right: str, stopped: StopReason = "end-of-mask") -> Suggestion | Drop:
    situation = situation_at(left + right, len(left), "case.py", invoked=True, settings=Settings())
    assert situation is not None
    return filter_suggestion(Infill(said, 1, 0.0, stopped, 0.0), situation)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.stem)
def test_golden(case: Path) -> None:
    about, document, expected = re.split(r"^---\n", case.read_text(encoding="utf-8"), flags=re.MULTILINE)
    left, said, right = re.fullmatch(r"(.*)│⟪(.*)⟫(.*)", document, re.DOTALL).groups()  # type: ignore[union-attr]
    stopped = re.search(r"^stopped: (.*)$", about, re.MULTILINE)
    result = shown(left, said, right, stopped[1] if stopped else "end-of-mask")  # type: ignore[arg-type]
    if isinstance(result, Drop):
        assert expected == f"dropped: {result.reason}\n"
    else:
        assert expected == f"{left}⟦{result.text}⟧{right[result.covers :]}"


@given(
    st.text(alphabet="ab()[]{}\"' \n:", max_size=20),
    st.text(alphabet="ab()[]{}\"' \n:", max_size=20),
    st.text(alphabet="ab()[]{}\"'", max_size=6),
)
def test_covers_only_closers_on_this_line_that_are_in_the_text(left: str, said: str, right: str) -> None:
    result = shown(left, said, right)
    if isinstance(result, Suggestion):
        covered = right[: result.covers]
        assert len(covered) == result.covers
        assert set(covered) <= set(")]}\"'`")
        remaining = iter(result.text)
        assert all(character in remaining for character in covered)  # in order


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_what_is_shown_is_never_blank_and_begins_as_the_model_said(left: str, said: str, right: str) -> None:
    result = shown(left, said, right)
    if isinstance(result, Suggestion):
        assert result.text.strip()
        assert said.startswith(result.text)
