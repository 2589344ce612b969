"""Each golden file is a case: what it shows, a document with the model's words at the cursor, and what becomes of it.

In the second part, `│` is the cursor and `⟪...⟫` what the model says there; in the third, `⟦...⟧` is what is inserted when
the suggestion is accepted, or there is the reason why nothing is shown. To add a case, add a file.

Lines of the first part may say more: `path: x.py` (case.txt if none), `stopped: budget`, `asked: no` (a key did, not the user),
`sure of: ...`, the beginning of the model's words that it has no doubt of.
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


def shown(
    left: str,
    said: str,
    right: str,
    stopped: StopReason = "end-of-mask",
    path: str = "case.txt",
    asked: bool = True,
    sure: int = -1,
) -> Suggestion | Drop:
    """sure: of how many characters the model is; -1 is all."""
    situation = situation_at(left + right, len(left), path, invoked=asked, settings=Settings())
    assert situation is not None
    chances = ((sure, 0.0), (len(said), -9.0)) if sure >= 0 else ()
    return filter_suggestion(Infill(said, 1, 0.0, stopped, 0.0, chances), situation)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.stem)
def test_golden(case: Path) -> None:
    about, document, expected = re.split(r"^---\n", case.read_text(encoding="utf-8"), flags=re.MULTILINE)
    left, said, right = re.fullmatch(r"(.*)│⟪(.*)⟫(.*)", document, re.DOTALL).groups()  # type: ignore[union-attr]
    more = dict(re.findall(r"^(path|stopped|asked|sure of): (.*)$", about, re.MULTILINE))
    sure = more.get("sure of")
    assert sure is None or said.startswith(sure)
    result = shown(
        left,
        said,
        right,
        more.get("stopped", "end-of-mask"),  # type: ignore[arg-type]
        more.get("path", "case.txt"),
        more.get("asked") != "no",
        -1 if sure is None else len(sure),
    )
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
