"""Places in a file: LINE:COL to an offset, and what is asked of the model there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model import infill as infilling
from incoder_model.infill import Infill, InfillRequest, Model
from incoder_model.sampling import Sampling
from incoder_train import fill
from incoder_train.errors import UserError
from incoder_train.fill import fill_at, fill_masks, offset_of, read_source, shares_line

texts = st.lists(st.sampled_from(["a", "😀", "\n", "\r\n", "\f", "\u2028", "x y"]), max_size=12).map("".join)


@given(texts, st.data())
def test_every_place_has_its_offset(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    before = text[:offset]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    if before.endswith("\r") and text[offset:].startswith("\n"):
        with pytest.raises(UserError, match=f"line {line} has no column {column}; its last one is {column - 1}"):
            offset_of(text, f"{line}:{column}")
    else:
        assert offset_of(text, f"{line}:{column}") == offset


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("0:1", "there is no line 0; the file has 3"),
        ("4:1", "there is no line 4; the file has 3"),
        ("1:0", "line 1 has no column 0; its last one is 4"),
        ("1:5", "line 1 has no column 5; its last one is 4"),
        ("3:2", "line 3 has no column 2; its last one is 1"),
        ("1", "'1' is no position; write LINE:COL, such as 3:1"),
        ("a:b", "'a:b' is no position"),
        ("1:-1", "'1:-1' is no position"),
        ("1:1:1", "'1:1:1' is no position"),
        ("", "'' is no position"),
    ],
)
def test_a_place_that_is_not_there(at: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        offset_of("abc\r\nd\n", at)
    assert said in str(error.value)


def test_a_source_file_keeps_every_character(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    for text in ("a\r\nb\rc\n\f\u2028😀\ufeff", "\ufeffx", ""):
        file.write_bytes(text.encode())
        assert read_source(file) == text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.py cannot be read: No such file"):
        read_source(tmp_path / "missing.py")
    with pytest.raises(UserError, match="cannot be read"):
        read_source(tmp_path)
    (tmp_path / "latin1.py").write_bytes("# café".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin1\.py is not UTF-8 \(byte 5\); convert it first"):
        read_source(tmp_path / "latin1.py")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[InfillRequest]:
    requests: list[InfillRequest] = []

    def remember(model: Model, request: InfillRequest) -> Infill:
        requests.append(request)
        return infilling.infill(model, request)

    monkeypatch.setattr(fill, "infill", remember)
    return requests


def test_what_is_asked_at_a_place(model_directory: Path, asked: list[InfillRequest]) -> None:
    """As an editor asks: anchored at the start of the line, what stands before the place is typed."""
    text = "import math\r\n\r\nx = math.sq\r\ny = 2\r\n"
    options = {"max_tokens": 3, "one_line": True, "sampling": Sampling()}
    parts, (hole,) = fill_at(text, "3:12", Path("some/a.py"), model_directory, **options)
    assert parts == [text[:26], text[26:]]
    assert asked == [
        InfillRequest(
            left="import math\r\n\r\n",
            right="\r\ny = 2\r\n",
            header="<| file ext=.py filename=a.py |>\n",
            typed="x = math.sq",
            one_line=True,
            max_tokens=3,
        )
    ]
    assert hole.tokens <= 3


def test_a_very_long_line_is_anchored_nearer(model_directory: Path, asked: list[InfillRequest]) -> None:
    """Minified code: a line of a megabyte cannot be typed, so most of it is left context."""
    text = "x = 1; " * 200_000
    parts, (hole,) = fill_at(
        text, "1:700001", Path("a.js"), model_directory, max_tokens=3, one_line=False, sampling=Sampling()
    )
    assert "".join(parts) == text
    (request,) = asked
    assert request.left + request.typed == text[:700_000]
    assert 0 < len(request.typed) <= 200
    assert hole.tokens > 0


def test_holes_at_masks(model_directory: Path) -> None:
    text = "a = <mask>\nb = <mask>\n"
    parts, holes = fill_masks(text, Path("a.py"), model_directory, max_tokens=3, sampling=Sampling())
    assert parts == ["a = ", "\nb = ", "\n"]
    assert len(holes) == 2


def test_holes_that_cannot_be_filled(model_directory: Path) -> None:
    def ask(text: str, max_tokens: int = 3) -> None:
        fill_masks(text, Path("a.py"), model_directory, max_tokens=max_tokens, sampling=Sampling())

    with pytest.raises(
        UserError, match=r"a\.py has no <mask> to fill; put one where a hole is, or name a place with --at"
    ):
        ask("a = 1\n")
    with pytest.raises(
        UserError, match=r"2 holes of up to 400 tokens .* and this model reads 512; fill fewer holes at a time"
    ):
        ask("<mask> <mask>", max_tokens=400)
    with pytest.raises(UserError, match="lower max_tokens"):
        fill_at("x", "1:1", Path("a.py"), model_directory, max_tokens=600, one_line=False, sampling=Sampling())
    with pytest.raises(UserError, match="holds no model"):
        fill_masks("<mask>", Path("a.py"), model_directory.parent, max_tokens=3, sampling=Sampling())


@pytest.mark.parametrize(
    ("before", "after", "shares"),
    [
        ("def f():\n    ", "\n", False),
        ("", "", False),
        ("x\r\n", "\r\ny", False),
        ("return ", "\n", True),
        ("\n", ")\n", True),
        ("a\nprint(", ")", True),
    ],
)
def test_a_hole_beside_text_shares_its_line(before: str, after: str, shares: bool) -> None:
    assert shares_line(before, after) is shares


def test_a_hole_that_shares_its_line_stays_within_it(model_directory: Path) -> None:
    text = "a = <mask>\nb = (<mask>)\n"
    _, spans = fill_masks(text, Path("a.py"), model_directory, max_tokens=24, sampling=Sampling(1.0, 1.0, 3))
    assert not any(set(span.text) & {"\n", "\r"} for span in spans)
