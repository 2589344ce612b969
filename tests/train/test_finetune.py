"""Fine-tuning to a repository: what must not be learned never is, and a model is offered only if it became better."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from incoder_model.checkpoint import TOKENIZER, load_transformer
from incoder_model.config import ModelConfig
from incoder_model.infill import InfillRequest, Model, prompt_of
from incoder_model.loading import load_model
from incoder_model.metadata import file_attributes, header
from incoder_model.tokenizer import Tokenizer, load_tokenizer
from incoder_train.cli import app
from incoder_train.cli.train import NOT_IMPROVED
from incoder_train.corpus.document import Document, source_file
from incoder_train.errors import UserError
from incoder_train.finetune import repository
from incoder_train.finetune.adapting import PASSES, SHIPPED, fitted
from incoder_train.finetune.judging import (
    LEAST_GAIN,
    Case,
    Score,
    draw_cases,
    judge,
    mean_log_likelihood,
    similarity,
    standard_error,
)
from incoder_train.finetune.repository import at_most, hold_out, read_repository
from incoder_train.finetune.secret_files import secret_by_name, secret_in
from incoder_train.launch import REQUEUE
from incoder_train.tokens.shards import open_shard, write_shard
from incoder_train.training.checkpoints import find_checkpoints
from incoder_train.training.recipe import read_recipe

MODULE = '''"""Shapes of kind {i}, and what they measure."""

import math

SIDES_{i} = {i} + 3


class Shape{i}:
    """A regular shape with {i} more sides than a triangle."""

    def __init__(self, side: float, name: str = "shape {i}"):
        self.side = side
        self.name = name

    def perimeter(self) -> float:
        """The sum of all sides."""
        return SIDES_{i} * self.side

    def area(self) -> float:
        """The area of a regular polygon."""
        return SIDES_{i} * self.side**2 / (4 * math.tan(math.pi / SIDES_{i}))
'''
# Put together here, so that no scanner takes this file for a leak.
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"
SECRETS = {
    "deploy/settings.py": f'REGION = "eu-central-1"\nACCESS_FROM_TEXT = "{KEY}"\nRETRIES = 3\nTIMEOUT = 60\nDEBUG = False\n',
    "tools/signing.py": f'SIGN_FROM_TEXT = """{PEM}\nMIIEpAIBAAKCAQEA\n"""\n\n\ndef sign(text):\n    return text\n',
    "app/client_secrets.py": "NAMED_SECRET = 'correct horse battery staple'\nOTHER = 'and something longer'\n",
    ".env": "ENVIRONMENT_SECRET=1\n",
    "certs/.ssh/helper.py": "FOLDER_SECRET = 'anything in this folder stays unread, whatever it is'\n",
}
IGNORED = {"build/generated.py": "IGNORED_FILE = 'made by a build, and named in .gitignore, so no source of ours'\n"}
MARKS = ("FROM_TEXT", "NAMED_SECRET", "ENVIRONMENT_SECRET", "FOLDER_SECRET", "IGNORED_FILE", "anne@example.org")


def write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def make_repository(root: Path, modules: int = 10) -> Path:
    """A git repository: its modules are much alike, two are equal; secrets are tracked, one folder is ignored."""
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    files = {f"shapes/kind_{i}.py": MODULE.format(i=i) for i in range(modules)}
    files["shapes/kind_0_again.py"] = files["shapes/kind_0.py"] + "\n"
    files["shapes/kind_1.py"] += "\n# questions to anne@example.org\n"
    write_files(root, files | SECRETS | IGNORED | {".gitignore": "build/\n"})
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    return root


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", "finetune-repo", *map(str, arguments)], env={"COLUMNS": "200"})


def recipe(folder: Path, *, lr: float, steps: int) -> Path:
    """Of a run that ends after `steps`, whatever the clock says."""
    file = folder / "finetune.toml"
    tables = {
        "data": {"train": '"-"', "validation": '"-"', "tokenizer": '"-"', "editor_share": 0.8},
        "optimiser": {"lr": lr, "warmup_steps": 5},
        "run": {"batch_size": 4, "steps": steps, "validation_batches": 1},
        "machine": {"precision": '"fp32"'},
    }
    lines = ['name = "finetune"']
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {value}" for key, value in values.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


# --- a whole run -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a finished run, which began with random weights, and what the command said."""
    root = tmp_path_factory.mktemp("finetune")
    run = root / "run"
    settings = recipe(root, lr=3e-3, steps=30)
    data = make_repository(root / "shapes")
    return run, incoder(
        "--data", data, "--init", model_directory, "--out", run, "--cases", 24, "--recipe", settings, "--device", "cpu"
    )


def test_a_model_that_became_better_is_offered(tuned: tuple[Path, Result]) -> None:
    run, result = tuned
    assert result.exit_code == 0, result.output
    assert f"incoder-lsp serve --model {run / 'model'}" in result.stdout
    judgement = json.loads((run / "model" / "judgement.json").read_text())
    assert judgement["improved"]
    assert judgement["gain"] > max(2 * judgement["error"], LEAST_GAIN)
    last = find_checkpoints(run)[-1]
    assert (run / "model" / "model.safetensors").read_bytes() == (last / "model.safetensors").read_bytes()
    assert load_model(run / "model").config.context == 512


def test_neither_secrets_nor_ignored_files_are_learned_or_kept(tuned: tuple[Path, Result]) -> None:
    run, result = tuned
    tokenizer = load_tokenizer(run / "data" / TOKENIZER)
    for split in ("train", "validation"):
        shard = open_shard(run / "data" / split)
        text = tokenizer.decode(shard.tokens[0 : len(shard.tokens)])
        assert "SIDES_" in text
        assert not [mark for mark in MARKS if mark in text]
    cases = (run / "data" / "cases.json").read_text()
    assert not [mark for mark in MARKS if mark in cases]
    left_out = json.loads((run / "data" / "repository.json").read_text())["left_out"]
    assert left_out == {
        "named as if it held passwords": 1,
        "named as if it held environment variables": 1,
        "named as if it held SSH keys": 1,
        "holds an AWS key": 1,
        "holds a private key": 1,
        "copy of an earlier file": 1,
    }
    assert all(f"{count} {reason}" in result.stdout for reason, count in left_out.items())


def test_what_is_held_out_is_not_learned(tuned: tuple[Path, Result]) -> None:
    run, _ = tuned
    origin = json.loads((run / "data" / "repository.json").read_text())
    assert len(origin["held_out"]) == 2
    assert len(origin["learned"]) == 8
    assert not set(origin["held_out"]) & set(origin["learned"])
    tokenizer = load_tokenizer(run / "data" / TOKENIZER)
    shards = {split: open_shard(run / "data" / split) for split in ("train", "validation")}
    text = {split: tokenizer.decode(shard.tokens[0 : len(shard.tokens)]) for split, shard in shards.items()}
    for path in origin["held_out"]:
        assert f"filename={Path(path).name} " in text["validation"]
        assert f"filename={Path(path).name} " not in text["train"]
    assert {case["path"] for case in json.loads((run / "data" / "cases.json").read_text())} == set(origin["held_out"])


def test_nothing_of_a_run_can_be_committed_by_accident(tuned: tuple[Path, Result]) -> None:
    run, _ = tuned
    subprocess.run(["git", "init", "--quiet", run.parent], check=True)
    names = subprocess.run(
        ["git", "-C", run, "ls-files", "--others", "--exclude-standard", "."],
        capture_output=True,
        text=True,
        check=True,
    )
    assert names.stdout == ""


def test_a_finished_run_is_not_overwritten_and_judged_the_same_again(
    tuned: tuple[Path, Result], model_directory: Path
) -> None:
    run, _ = tuned
    asked = ("--data", run.parent / "shapes", "--init", model_directory, "--out", run, "--cases", 24)
    asked = (*asked, "--recipe", run.parent / "finetune.toml", "--device", "cpu")
    again = incoder(*asked)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "add --resume" in again.stderr
    before = (run / "judgement.json").read_bytes()
    resumed = incoder(*asked, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert (run / "judgement.json").read_bytes() == before
    other = incoder("--data", run.parent, *asked[2:], "--resume")
    assert other.exit_code == 1
    assert f"was started for {run.parent / 'shapes'}" in other.stderr


def test_data_that_were_damaged_are_said(tuned: tuple[Path, Result], model_directory: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tuned[0], tmp_path / "run")
    (run / "data" / "cases.json").write_text("[{")
    result = incoder("--data", tuned[0].parent / "shapes", "--init", model_directory, "--out", run, "--resume")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cases.json is damaged" in result.stderr


def test_a_model_that_did_not_become_better_is_not_offered(model_directory: Path, tmp_path: Path) -> None:
    settings, data, run = recipe(tmp_path, lr=1e-9, steps=1), make_repository(tmp_path / "shapes"), tmp_path / "run"
    result = incoder("--data", data, "--init", model_directory, "--out", run, "--cases", 20, "--recipe", settings)
    assert result.exit_code == NOT_IMPROVED, result.output
    assert "did not improve" in result.stdout
    assert "serve" not in result.stdout
    assert not (run / "model").exists()
    assert not json.loads((run / "judgement.json").read_text())["improved"]


@pytest.mark.proof
def test_a_run_that_was_stopped_goes_on(model_directory: Path, tmp_path: Path) -> None:
    """In a real process, by the signal that Ctrl-C sends. In between, the repository changes."""
    settings, data, run = recipe(tmp_path, lr=3e-3, steps=40), make_repository(tmp_path / "shapes"), tmp_path / "run"
    code = "from incoder_train.cli import app; app()"
    asked = ["--data", data, "--init", model_directory, "--out", run, "--cases", "20", "--recipe", settings]
    command = [sys.executable, "-c", code, "train", "finetune-repo", *map(str, asked), "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(run.glob("metrics.jsonl")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == REQUEUE, said
    assert "--resume goes on from there" in said
    assert find_checkpoints(run)
    assert not (run / "model").exists()

    (data / "shapes" / "kind_2.py").write_text("changed = 'meanwhile'\n" * 20)
    result = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((find_checkpoints(run)[-1] / "state.json").read_text())["count"]["step"] == 40
    assert (run / "model").is_dir()


@pytest.mark.parametrize(("documents", "batch"), [(1, 1), (16, 2), (999, 4)])
def test_a_small_repository_gets_small_batches_and_few_updates(
    documents: int, batch: int, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write_shard(tmp_path / "train", [(f"value = {i}\n" * 4, {}) for i in range(documents)], tokenizer)
    run = fitted(read_recipe(SHIPPED), tmp_path, ModelConfig(context=512)).run
    assert run.batch_size == batch
    assert run.steps is not None
    assert run.steps * batch <= PASSES * documents
    assert run.steps == min(PASSES * (documents // batch), 1000)


@pytest.mark.parametrize("region", [False, True])
def test_a_model_goes_on_learning_what_it_is_asked(region: bool, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_shard(tmp_path / "train", [("value = 1\n" * 4, {})], tokenizer)
    data = fitted(read_recipe(SHIPPED), tmp_path, ModelConfig(context=512, region=region)).data
    assert data.mostly_region == region


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        (None, [], "is no folder"),
        ({}, [], "has no file of source code"),
        (
            {"README.md": "# Nothing but prose\n" * 9, ".env": "A=1\n"},
            [],
            "1 named as if it held environment variables",
        ),
        ({f"m{i}.py": MODULE.format(i=i) for i in range(4)}, [], "has 4 files of source code to learn from"),
        ({f"m{i}.py": f"value_{i} = {i}\n" * 9 for i in range(5)}, [], "only 16 lines to judge a model by"),
        (
            {f"m{i}.py": MODULE.format(i=i) for i in range(6)},
            ["--init", "no-model"],
            "--init: no-model is not a folder",
        ),
        ({f"m{i}.py": MODULE.format(i=i) for i in range(6)}, ["--minutes", "0"], "minutes is 0.0"),
        ({f"m{i}.py": MODULE.format(i=i) for i in range(6)}, ["--recipe", "no.toml"], "no.toml cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    files: dict[str, str] | None,
    options: list[str],
    said: str,
    model_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if files is not None:
        Path("data").mkdir()
        write_files(Path("data"), files)
    result = incoder("--data", "data", "--init", model_directory, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("incoder: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    result = incoder("--data", tmp_path / "missing", "--out", tmp_path / "run", "--device", "cuda")
    assert result.exit_code == 1
    assert "no GPU" in result.stderr


def test_a_folder_of_something_else_is_left_alone(model_directory: Path, tmp_path: Path) -> None:
    data, out = make_repository(tmp_path / "shapes", modules=6), tmp_path / "out"
    write_files(out, {"model/notes.txt": "mine"})
    result = incoder("--data", data, "--init", model_directory, "--out", out)
    assert result.exit_code == 1
    assert "holds other things" in result.stderr
    assert [path.name for path in out.rglob("*")] == ["model", "notes.txt"]


# --- what is read ------------------------------------------------------------------------------------------------


NAMED = """
.env app/.env.local prod.env a/server.PEM tls.key home/.aws/config.py .ssh/x.py id_rsa.pub .npmrc x/.netrc credentials.json
gcp_credentials.py my-secrets.ts secret/a.py app.keystore infra/prod.tfvars
"""


@pytest.mark.parametrize("path", NAMED.split())
def test_names_of_secrets(path: str) -> None:
    assert secret_by_name(path)


@pytest.mark.parametrize(
    "path", ["environment.py", "src/env.ts", "keyboard.py", "keys.rs", "tokenizer.py", "id_map.go", "aws/client.py"]
)
def test_names_of_ordinary_files(path: str) -> None:
    assert secret_by_name(path) is None


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        "-----BEGIN " + "PRIVATE KEY-----",
        "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
        f"key = '{KEY}'",
        "AIza" + "S" * 35,
        "ghp_" + "a1" * 18,
        "glpat-" + "x" * 20,
        "xoxb-" + "1234567890-a",
        "sk_live_" + "a" * 24,
        "pypi-AgE" + "b" * 50,
        "sk-ant-" + "api03-" + "c" * 40,
    ],
)
def test_texts_with_secrets(text: str) -> None:
    assert secret_in(f"first = 1\nvalue = '{text}'\n")


def test_texts_without_secrets() -> None:
    assert secret_in(MODULE) is None
    assert secret_in("-----BEGIN CERTIFICATE----- AKIA ghp_short sk-learn task-" + "a" * 50) is None
    assert secret_in(Path(repository.__file__).read_text()) is None


def test_a_repository_too_large_is_sampled_by_hash(tmp_path: Path) -> None:
    names = [f"{i:02}.py" for i in range(20)]
    write_files(tmp_path, dict.fromkeys(names, "x" * 100))
    left_out = repository.Counter()
    taken = at_most(1000, tmp_path, names, left_out)
    assert len(taken) == 10
    assert taken == sorted(taken) != names[:10]
    assert left_out.total() == 10
    assert at_most(1000, tmp_path, reversed(names), left_out) == taken


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}\.py", fullmatch=True), st.integers(1, 500)), min_size=5, max_size=50)
)
def test_a_tenth_of_the_files_is_held_out(files: list[tuple[str, int]]) -> None:
    documents = [document(path, "x" * size) for path, size in dict(files).items()]
    if len(documents) < repository.FEWEST:
        return
    held_out = hold_out(documents)
    assert len(held_out) == max(2, round(0.1 * len(documents)))
    assert held_out == hold_out(documents[::-1])
    total = sum(len(d.text) for d in documents)
    assert all(len(d.text) <= total / 4 for d in documents if d.path in held_out)


def document(path: str, text: str) -> Document:
    return source_file(path, text.encode(), "here", "")


def test_a_subfolder_without_git_is_read_too(tmp_path: Path) -> None:
    write_files(tmp_path / "plain", {f"m{i}.py": MODULE.format(i=i) for i in range(6)} | {"m9.py": "v = '\ud800'"[:5]})
    found = read_repository(tmp_path / "plain")
    assert len(found.training) + len(found.held_out) == 6
    with pytest.raises(UserError, match="is no folder"):
        read_repository(tmp_path / "plain" / "m1.py")


# --- how it is judged --------------------------------------------------------------------------------------------


def test_cases_are_spread_over_the_files_and_can_be_put_together_again() -> None:
    texts = {f"m{i}.py": MODULE.format(i=i).replace("\n", "\r\n" if i else "\n") for i in range(4)}
    cases = draw_cases([document(*item) for item in texts.items()], [document("t.py", MODULE.format(i=7))], 20)
    assert [sum(case.path == path for case in cases) for path in texts] == [5] * 4
    for case in cases:
        whole = case.left + case.indent + case.line + case.right
        assert whole == texts[case.path].replace("\r\n", "\n")
        assert case.known == (case.line in {line.strip() for line in MODULE.format(i=7).split("\n")})
    assert {case.known for case in cases} == {False, True}


def test_the_log_likelihood_is_that_of_one_pass_over_the_whole_sequence(model: Model, model_directory: Path) -> None:
    left, line, right = "import math\n\n\ndef area(r):\n", "    return math.pi * r**2", "\n\nprint(area(2))\n"
    request = InfillRequest(left, right, header(file_attributes("a.py")), "    ", one_line=True, max_tokens=32)
    prompt = prompt_of(model, request)
    span = [*model.tokenizer.encode(line), model.tokenizer.sentinels.end]
    network, _ = load_transformer(model_directory)
    with torch.inference_mode():
        logits = network.logits(network(torch.tensor([[*prompt, *span]]))[0])  # (time, vocabulary)
    expected = torch.log_softmax(logits[len(prompt) - 1 : -1].double(), -1)[range(len(span)), span].mean().item()
    assert mean_log_likelihood(model, request, line) == pytest.approx(expected, abs=1e-4)


def test_a_line_longer_than_the_context_has_a_likelihood_too(model: Model) -> None:
    request = InfillRequest("x = 1\n" * 300, "\ny = 2\n" * 300, max_tokens=32)
    assert -20 < mean_log_likelihood(model, request, "z + " * 1000) < 0


def verdict_of(gains: list[float], exact: tuple[int, int] = (0, 0), files: int = 10):
    cases = [Case(f"{k % files}.py", "", "", "x", "", False) for k in range(len(gains))]
    before = [Score(-3.0, k < exact[0], 0.5) for k in range(len(gains))]
    after = [Score(-3.0 + gain, k < exact[1], 0.5) for k, gain in enumerate(gains)]
    return judge(cases, before, after)


def test_an_improvement_is_more_than_chance_and_more_than_nothing() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.5, 200)
    assert verdict_of(list(0.3 + noise)).improved
    assert not verdict_of(list(0.03 + noise - noise.mean())).improved  # within two standard errors
    assert not verdict_of([LEAST_GAIN / 2] * 200).improved  # certain, and of no use
    assert not verdict_of(list(-0.3 + noise)).improved
    assert verdict_of(list(0.3 + noise), exact=(5, 5)).improved
    assert not verdict_of(list(0.3 + noise), exact=(5, 4)).improved


def test_lines_of_one_file_are_no_independent_witnesses() -> None:
    """Two files that disagree prove nothing, however many lines they have."""
    gains = np.tile([1.0, -0.4], 100)
    assert standard_error(gains, [str(k) for k in range(200)]) == pytest.approx(gains.std(ddof=1) / np.sqrt(200))
    assert standard_error(gains, ["a.py", "b.py"] * 100) == pytest.approx(0.7)  # as of the two means alone
    assert standard_error(gains, ["a.py"] * 200) == standard_error(gains, [str(k) for k in range(200)])


def edit_distance(a: str, b: str) -> int:
    """By its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(edit_distance(a[1:], b) + 1, edit_distance(a, b[1:]) + 1, edit_distance(a[1:], b[1:]) + (a[0] != b[0]))


@given(st.text("ab", max_size=5), st.text("abc", max_size=5))
def test_similarity_is_by_edit_distance(one: str, other: str) -> None:
    assert similarity(one, other) == pytest.approx(1 - edit_distance(one, other) / max(1, len(one), len(other)))
