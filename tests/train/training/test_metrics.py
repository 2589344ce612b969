"""The metrics of a run: what is written can be read while the run goes on, whatever ended it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.errors import UserError
from incoder_train.training.metrics import EVENTS, METRICS, Metrics, read_metrics

values = st.dictionaries(st.sampled_from(["loss", "lr", "mfu"]), st.floats(allow_nan=False), max_size=3)


@given(st.lists(values, max_size=6), st.integers(0, 7), st.data())
def test_a_run_goes_on_from_a_file_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, float]], kept: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / METRICS
    metrics = Metrics(path, keep_until=0)
    for step, line in enumerate(found, start=1):
        metrics.write(step=step, **line)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = [
        {"step": step} | {name: value for name, value in line.items() if math.isfinite(value)}
        for step, line in enumerate(found, start=1)
    ]
    whole_lines = lines[: whole[:cut].count(b"\n")]
    assert read_metrics(path) == whole_lines
    Metrics(path, keep_until=kept)
    assert read_metrics(path) == whole_lines[:kept]
    assert [file.name for file in path.parent.iterdir()] == [METRICS]


def test_other_programs_can_read_what_is_not_finite(tmp_path: Path) -> None:
    Metrics(tmp_path / METRICS, keep_until=0).write(step=1, loss=math.nan, gradient_norm=math.inf, lr=0.1)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    [line] = (tmp_path / METRICS).read_text().splitlines()
    assert json.loads(line, parse_constant=refuse) == {"step": 1, "loss": None, "gradient_norm": None, "lr": 0.1}


def test_a_line_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    for damage in (b"\xff\xfe\n", b"[1]\n", b'{"loss": 1.0}\n', b'{"step": 1, "lo\n'):
        path.write_bytes(b'{"step": 1, "loss": 2.0}\n' + damage + b'{"step": 3, "loss": 2.0}\n')
        with pytest.raises(UserError, match=r"metrics\.jsonl, line 2, is no line of metrics"):
            read_metrics(path)


# --- TensorBoard -------------------------------------------------------------------------------------------------


def test_tensorboard_has_the_same_numbers(tmp_path: Path) -> None:
    """Also after a resume, which takes back what came after its step."""
    pytest.importorskip("tensorboard", reason="the extra is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = Metrics(tmp_path / METRICS, keep_until=0, tensorboard=True)
    for step in range(1, 5):
        first.write(step=step, tokens=step * 100, loss=1 / step)
    resumed = Metrics(tmp_path / METRICS, keep_until=2, tensorboard=True)
    resumed.write(step=3, tokens=300, loss=9.0)
    events = EventAccumulator(str(tmp_path / EVENTS)).Reload()
    assert events.Tags()["scalars"] == ["loss"]
    written = [(line["step"], line["loss"]) for line in read_metrics(tmp_path / METRICS)]
    assert written == [(1, 1.0), (2, 0.5), (3, 9.0)]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == written


def test_tensorboard_asked_for_and_missing(tmp_path: Path) -> None:
    """In a process of its own, which cannot find the package."""
    code = f"""
import sys
sys.modules["tensorboard"] = None
from pathlib import Path
from incoder_train.errors import UserError
from incoder_train.training.metrics import Metrics
Metrics(Path({str(tmp_path)!r}) / "metrics.jsonl", keep_until=0)
try:
    Metrics(Path({str(tmp_path)!r}) / "metrics.jsonl", keep_until=0, tensorboard=True)
except UserError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert 'pip install "incoder-lsp[tensorboard]"' in result.stdout
