"""Tables, intervals, the paper's numbers and the picture."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from incoder_train.errors import UserError
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, METHODS, RERANK, Task, means
from incoder_train.evaluate.groups import GROUPS, QUALITY, TABLE_1, Group, Measured, Paper, Ratio, Row, Run
from incoder_train.evaluate.picture import draw, points, require_drawable
from incoder_train.evaluate.published import PUBLISHED
from incoder_train.evaluate.report import interval, tabulate, tabulate_group, title_of, value_of, wilson
from incoder_train.evaluate.run import Result
from incoder_train.evaluate.tasks import TASKS


def task(name: str = "humaneval-infill", **changes: object) -> Task:
    plain = Task(name, "", METHODS, lambda s: [], lambda c, s, g: [], lambda c, a: {})
    return replace(plain, **changes)


def result(method: str, right: int, of: int = 100, split: str = "single-line", **scores: float) -> Result:
    """`right` of the cases are; in Python and Go in turn, and the holes at ten different heights."""
    cases = [
        {
            "id": str(i),
            "lang": ("python", "go")[i % 2],
            "kind": split,
            "share_right": (i % 10) / 9,
            "samples": [],
            "detail": {},
        }
        | {"scores": {"pass": float(i < right), "exact": float(i < right / 2), **scores}}
        for i in range(of)
    ]
    model = {"path": "models/ours", "sha256": "0" * 64, "parameters": 60_000_000}
    measures = means([case["scores"] for case in cases])
    return Result("humaneval-infill", split, method, model, {}, {}, measures, cases, 12.0)


def printed(table: object) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


# --- intervals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],  # the last: Newcombe 1998
)
def test_wilson(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_holds_the_mean_and_stays_a_share(values: list[float]) -> None:
    low, high = interval(values)
    assert -1e-9 <= low <= sum(values) / len(values) + 1e-9
    assert sum(values) / len(values) - 1e-9 <= high <= 1 + 1e-9
    assert interval(values) == (low, high)


def test_a_bootstrap_is_as_wide_as_the_normal_distribution_says() -> None:
    values = [i / 399 for i in range(400)]
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(1 / 12 / 400), rel=0.1)


# --- a run --------------------------------------------------------------------------------------------------------


def test_a_table_has_ours_beside_the_paper() -> None:
    shown = printed(tabulate(result(CAUSAL_MASK, 40), task()))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert rows[0] == ["all", "100", "pass", "40.0 %", "30.9 - 49.8", "69.0 %, Table 1"]
    assert rows[1] == ["all", "100", "exact", "20.0 %", "13.3 - 28.9", "56.3 %, Table 1"]
    assert [row[:4] for row in rows[2:]] == [
        ["python", "50", "pass", "40.0 %"],
        ["python", "50", "exact", "20.0 %"],
        ["go", "50", "pass", "40.0 %"],
        ["go", "50", "exact", "20.0 %"],
    ]
    assert all(row[5] == "" for row in rows[2:])
    assert title_of(result(CAUSAL_MASK, 1)) == "humaneval-infill single-line, causal-mask: models/ours (60.0M), 12 s"
    assert "no model" in title_of(replace(result(CAUSAL_MASK, 1), model=None))


def test_what_is_no_share_has_no_interval() -> None:
    other = replace(result(LEFT_TO_RIGHT, 5, bits=2.0), task="bits")
    shown = printed(tabulate(other, task("bits", percent=False, summary=lambda scores: {"bits": 1.2345})))
    assert "1.234" in shown or "1.235" in shown
    assert "95 %" not in shown
    assert "6.7B" not in shown


def test_a_measure_that_few_cases_have() -> None:
    some = result(CAUSAL_MASK, 3, of=10)
    some.cases[7]["scores"]["rare"] = 1.0
    shown = printed(tabulate(replace(some, cases=[case | {"lang": "go"} for case in some.cases]), task()))
    row = next(line for line in shown.splitlines() if "rare" in line)
    assert [cell.strip() for cell in row.split("│")[1:5]] == ["all", "1", "rare", "100.0 %"]


# --- the paper's numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("humaneval-infill", "single-line", CAUSAL_MASK, "pass"), 69.0),
        (("humaneval-infill", "multi-line", RERANK, "exact"), 17.6),
        (("cloze", "php", LEFT_TO_RIGHT, "left-token"), 77.1),
        (("cloze", "ruby", CAUSAL_MASK, "infill-region"), 78.9),
        (("humaneval", "", LEFT_TO_RIGHT, "pass@100"), 47.0),
        (("variable-name", "", CAUSAL_MASK, "exact"), 30.6),
    ],
)
def test_numbers_of_the_paper(key: tuple[str, str, str, str], value: float) -> None:
    assert PUBLISHED[key].value == value


def test_published_numbers_are_of_tasks_splits_and_methods_that_exist() -> None:
    for name, split, method, _ in PUBLISHED:
        if name in TASKS:
            assert method in TASKS[name].methods
            assert split in TASKS[name].splits


# --- groups -------------------------------------------------------------------------------------------------------


def test_groups_are_of_tasks_splits_and_methods_that_exist() -> None:
    for group in GROUPS.values():
        assert all(len(row.figures) == len(group.columns) for row in group.rows)
        for run in group.runs:
            if run.task in TASKS:
                assert run.method in TASKS[run.task].methods
                assert run.split in (*TASKS[run.task].splits, "")


def test_table_1_is_the_papers() -> None:
    assert [(run.split, run.method, run.temperature) for run in TABLE_1.runs] == [
        (split, method, temperature)
        for split in ("single-line", "multi-line")
        for method, temperature in ((LEFT_TO_RIGHT, 0.2), (RERANK, 0.8), (CAUSAL_MASK, 0.2))
    ]
    results = {run: result(run.method, 40, split=run.split) for run in TABLE_1.runs}
    shown = printed(tabulate_group(TABLE_1, results, {"humaneval-infill": task()}))
    last = [cell.strip() for cell in shown.splitlines()[-2].split("│")[1:-1]]
    assert last == ["multi-line, causal masking", "40.0 (30.9 - 49.8)", "38.6", "20.0 (13.3 - 28.9)", "20.6"]


def test_ratios_and_cells_that_stay_empty() -> None:
    infilled, continued = Run("humaneval-infill", "single-line"), Run("humaneval-infill", "single-line", LEFT_TO_RIGHT)
    results = {infilled: result(CAUSAL_MASK, 30), continued: result(LEFT_TO_RIGHT, 20)}
    tasks = {"humaneval-infill": task()}
    ours = Ratio(Measured(infilled, "pass"), Measured(continued, "pass"))
    paper = Ratio(Paper(infilled, "exact"), Paper(continued, "exact"))
    nothing = Ratio(Measured(infilled, "pass", "zig"), Measured(continued, "pass"))
    assert value_of(ours, results, tasks) == pytest.approx(1.5)
    assert value_of(paper, results, tasks) == pytest.approx(56.3 / 38.7)
    assert value_of(nothing, results, tasks) is None
    zero = {infilled: results[infilled], continued: result(LEFT_TO_RIGHT, 0)}
    assert value_of(ours, zero, tasks) is None
    group = Group("g", "", ("a", "b", "c", "d"), (Row("row", (ours, paper, nothing, None)),))
    assert group.runs == (infilled, continued)
    row = printed(tabulate_group(group, results, tasks)).splitlines()[-2]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["row", "1.50x", "1.45x", "", ""]


def test_quality_asks_each_run_once() -> None:
    assert len(set(QUALITY.runs)) == len(QUALITY.runs) == 19


# --- the picture --------------------------------------------------------------------------------------------------


def test_points_are_means_of_bins() -> None:
    found = points(result(CAUSAL_MASK, 50), "pass")
    assert [round(share, 3) for share, *_ in found] == [0.056, 0.278, 0.5, 0.722, 0.944]
    assert all(mean == 0.5 and low < mean < high for _, mean, low, high in found)
    assert points(result(CAUSAL_MASK, 50), "bleu") == []


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    results = [
        result(method, 40, split=split)
        for split in ("single-line", "multi-line")
        for method in (LEFT_TO_RIGHT, CAUSAL_MASK)
    ]
    require_drawable(tmp_path / "new" / "figure.png")
    draw(results, tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figure.png"]


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure\.xyz ends in none of .*png"):
        require_drawable(tmp_path / "figure.xyz")
    flat = result(CAUSAL_MASK, 4)
    flat = replace(flat, cases=[{key: case[key] for key in case if key != "share_right"} for case in flat.cases])
    with pytest.raises(UserError, match="only of infilling there is a picture"):
        draw([flat], tmp_path / "figure.png")
