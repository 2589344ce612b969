"""The runner: finished tasks are not done again, and neither kills nor the number of workers change a byte."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from incoder_train.corpus import build_corpus, read_documents
from incoder_train.corpus.options import Options
from incoder_train.corpus.runner import merge
from incoder_train.errors import UserError

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def build(manifest: Path, out: Path, cache: Path, **settings):
    return build_corpus(manifest, out, cache=cache, benchmarks=None, without_decontamination=True, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def first_progress(manifest: Path, out: Path, cache: Path, **settings) -> dict[str, tuple[int, int]]:
    """How many tasks of each step a build finds done."""
    told: dict[str, tuple[int, int]] = {}
    build(manifest, out, cache, progress=lambda step, done, world: told.setdefault(step, (done, world)), **settings)
    return told


def test_finished_tasks_are_done_again_only_if_their_inputs_change(
    archives, write_manifest, make_wheel, manifest: Path, cache: Path, tmp_path: Path, source
) -> None:
    out = tmp_path / "out"
    build(manifest, out, cache, keep_work=True)
    before = contents(out)
    told = first_progress(manifest, out, cache, keep_work=True)
    assert (told["read"], told["dedup"], told["finish"]) == ((2, 2), (2, 2), (2, 2))
    assert contents(out) == before

    third = make_wheel("three", {"three/area.py": source(0), "three/other.py": source(3000)})
    longer = write_manifest("longer", [*archives, third], partitions=2)
    told = first_progress(longer, out, cache, keep_work=True)
    assert (told["read"], told["dedup"], told["finish"]) == ((2, 3), (0, 2), (0, 3))
    build(longer, tmp_path / "fresh", cache)
    assert contents(out) == contents(tmp_path / "fresh")

    told = first_progress(longer, out, cache, keep_work=True, options=Options(partitions=2, copyleft_notice=False))
    assert (told["read"], told["dedup"], told["finish"]) == ((0, 3), (0, 2), (0, 3))
    build(manifest, out, cache, keep_work=True)  # the third archive's files are still there, and do no harm
    assert contents(out) == before


def test_a_finished_task_whose_file_was_cut_short_is_done_again(manifest: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(manifest, out, cache, keep_work=True)
    before = (out / "documents.jsonl.zst").read_bytes()
    for file in ("read/000001.jsonl.zst", "read/000000.keys.npy", "dedup/000001.equals.npy", "finish/000000.jsonl.zst"):
        path = out / ".work" / file
        path.write_bytes(path.read_bytes()[:-5])
        step = file.partition("/")[0]
        done, world = first_progress(manifest, out, cache, keep_work=True)[step]
        assert done == world - 1
        assert (out / "documents.jsonl.zst").read_bytes() == before


@pytest.mark.parametrize("file", ["read/000001.jsonl.zst", "dedup/000001.equals.npy", "read/000001.keys.npy"])
def test_a_partition_damaged_while_the_build_runs(manifest: Path, cache: Path, tmp_path: Path, file: str) -> None:
    def damage(step: str, done: int, world: int) -> None:
        path = tmp_path / "out/.work" / file
        if step == file.partition("/")[0] and done == world:
            path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(UserError, match=rf"{re.escape(file)} is cut short or damaged .*delete it and build again"):
        build(manifest, tmp_path / "out", cache, progress=damage)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/.work"]
    assert not list((tmp_path / "out/.work").rglob(".unfinished*"))
    build(manifest, tmp_path / "out", cache)


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_number_of_partitions_changes_no_document(
    manifest: Path, cache: Path, tmp_path: Path, partitions: int
) -> None:
    two = build(manifest, tmp_path / "two", cache)
    other = build(manifest, tmp_path / "other", cache, options=Options(partitions=partitions))
    assert (two.sha256, two.stages, two.duplicates) == (other.sha256, other.stages, other.duplicates)


def test_statistics_add_up() -> None:
    one = {"documents": 1, "stages": {"filter": {"empty": 1}}, "names": ["a"]}
    two = {"documents": 2, "stages": {"filter": {"empty": 2, "huge": 1}, "redact": {}}, "names": ["b"]}
    both = {"documents": 3, "stages": {"filter": {"empty": 3, "huge": 1}, "redact": {}}, "names": ["a", "b"]}
    assert merge([one, two]) == both
    assert (one["documents"], one["stages"], one["names"]) == (1, {"filter": {"empty": 1}}, ["a"])


# A build that writes too much for its limit: the only way to a full disk that needs no privileges.
FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from incoder_train.cli import app
app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no limit on file sizes")
@pytest.mark.parametrize(
    ("keep_work", "file", "workers"),
    [
        pytest.param(False, r"\d+.jsonl.zst", 1),
        pytest.param(True, "documents.jsonl.zst", 1, id="only the last file is missing", marks=pytest.mark.proof),
        pytest.param(False, r"\d+.jsonl.zst", 2, marks=pytest.mark.proof),
    ],
)
def test_a_full_disk(manifest: Path, cache: Path, tmp_path: Path, keep_work: bool, file: str, workers: int) -> None:
    out = tmp_path / "out"
    build(manifest, out, cache, keep_work=keep_work)
    before = contents(out)
    limit = len(before["documents.jsonl.zst"]) - 1 if keep_work else 500
    arguments = ["data", "build", str(manifest), "--out", str(out), "--cache", str(cache), "--workers", str(workers)]
    command = [sys.executable, "-c", FULL, str(limit), *arguments, "--without-decontamination"]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert re.fullmatch(rf"incoder: \S+{file} could not be read or written: File too large\n", ended.stderr)
    assert contents(out) == before
    assert not list(out.rglob(".unfinished*"))


KILL = """
import os, signal, sys
from pathlib import Path
from incoder_train.corpus import build_corpus

manifest, out, cache, survived = sys.argv[1:]
left = int(survived)

def watch(event, args):
    global left
    writes = event in ("os.rename", "os.remove", "os.mkdir") or event == "open" and "w" in str(args[1])
    if writes and str(args[0]).startswith(out):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(watch)
build_corpus(Path(manifest), Path(out), cache=Path(cache), benchmarks=None, without_decontamination=True)
print(int(survived) - left)
"""


def killed_after(survived: int, manifest: Path, out: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """A build that a kill -9 ends before its next change on disk when it has made `survived`."""
    command = [sys.executable, "-c", KILL, str(manifest), str(out), str(cache), str(survived)]
    return subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=False)


@pytest.fixture
def before(write_manifest, make_wheel, source) -> Path:
    """The manifest of a corpus that was in the folder before."""
    return write_manifest("before", [make_wheel("before", {"before/area.py": source(9)})], partitions=2)


def check_kill(survived: int, manifest: Path, before: Path, cache: Path, tmp_path: Path) -> bool:
    """Kills a build over another corpus and ends it; False if it was over before the kill."""
    reference, out = tmp_path / "reference", tmp_path / f"out-{survived}"
    if not reference.exists():
        build(manifest, reference, cache)
    build(before, out, cache)
    complete = [contents(reference), contents(out)]
    killed = killed_after(survived, manifest, out, cache)
    if (out / "documents.json").exists():
        assert {name: (out / name).read_bytes() for name in complete[0]} in complete
    else:
        with pytest.raises(UserError, match="no finished corpus"):
            read_documents(out)
    build(manifest, out, cache)
    assert contents(out) == contents(reference)
    assert killed.returncode in (0, -signal.SIGKILL)
    return killed.returncode != 0


@needs_kill
def test_a_kill_costs_nothing(manifest: Path, before: Path, cache: Path, tmp_path: Path) -> None:
    assert check_kill(31, manifest, before, cache, tmp_path)


@needs_kill
@pytest.mark.proof
def test_a_kill_before_any_change_on_disk_costs_nothing(
    manifest: Path, before: Path, cache: Path, tmp_path: Path
) -> None:
    survived = 0
    while check_kill(survived, manifest, before, cache, tmp_path):
        survived += 1
    assert survived > 40  # six tasks, each with a file, a marker, and the changes that go with them


def command_of(manifest: Path, out: Path, cache: Path, workers: int) -> list[str]:
    code = "from incoder_train.cli import app; app()"
    arguments = ["data", "build", str(manifest), "--out", str(out), "--cache", str(cache), "--workers", str(workers)]
    return [sys.executable, "-c", code, *arguments, "--without-decontamination"]


@pytest.fixture
def many(make_wheel, write_manifest, source) -> Path:
    """A manifest of twelve archives, each with a copy of a file of its neighbour."""
    names = [f"part{n}" for n in range(12)]
    found = [
        make_wheel(name, {f"{name}/area_{i}.py": source(200 * n + i) for i in range(201)})
        for n, name in enumerate(names)
    ]
    return write_manifest("many", found, partitions=5)


@pytest.mark.proof
def test_the_number_of_workers_changes_nothing(many: Path, cache: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        subprocess.run(command_of(many, tmp_path / f"{workers}", cache, workers), env=ENVIRONMENT, check=True)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.0005)


@pytest.mark.proof
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("markers", [0, 1, 7, 12, 14, 17, 20, 28])
def test_a_kill_of_the_whole_build(many: Path, cache: Path, tmp_path: Path, markers: int) -> None:
    """The process is killed when its workers have finished so many of the 29 tasks; they end by themselves."""
    out, work = tmp_path / "out", tmp_path / "out/.work"
    build(many, tmp_path / "reference", cache)
    with subprocess.Popen(command_of(many, out, cache, 2), env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: len(list(work.glob("*/0*.done.json"))) >= markers and len(children_of(process.pid)) >= 2)
        children = children_of(process.pid)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "documents.json").exists()
    wait_until(lambda: not any(map(is_worker, children)))
    finished = {path: path.stat().st_mtime_ns for path in work.glob("*/0*.done.json")}
    assert len(finished) >= markers
    told = first_progress(many, out, cache, keep_work=True)
    assert sum(told[step][0] for step in ("read", "dedup", "finish")) >= markers
    assert all(path.stat().st_mtime_ns == then for path, then in finished.items())
    assert contents(out) == contents(tmp_path / "reference")


@pytest.mark.proof
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
def test_a_kill_of_one_worker(many: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(many, tmp_path / "reference", cache)
    command = command_of(many, out, cache, 2)
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(list((out / ".work").glob("*/0*.done.json"))) >= 2)
        os.kill(next(filter(is_worker, children_of(process.pid))), signal.SIGKILL)
        assert process.stderr
        said = process.stderr.read().decode()
    assert (process.returncode, said.count("\n")) == (1, 1)
    assert said.startswith("incoder: A worker was killed, perhaps for want of memory; run the same command again")
    subprocess.run(command, env=ENVIRONMENT, check=True)
    assert contents(out) == contents(tmp_path / "reference")
