"""A recipe says everything about a run, and an error in it is one sentence that names the place."""

import json
from pathlib import Path

import pytest

from incoder_model.causal_mask import SpanDistribution
from incoder_model.config import PRESETS
from incoder_train.errors import UserError
from incoder_train.tokens.spans import EditorSpans
from incoder_train.training.recipe import Recipe, read_recipe, shipped

SHORT = """
name = "short"
[data]
train = "data/train"
validation = "data/validation"
tokenizer = "data/tokenizer.json"
[run]
steps = 3
"""


def read(tmp_path: Path, text: str) -> Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    return read_recipe(file)


def test_a_short_recipe_has_the_papers_defaults(tmp_path: Path) -> None:
    recipe = read(tmp_path, SHORT)
    assert recipe.data.train == Path("data/train")
    assert recipe.data.spans == SpanDistribution("clamped", "greedy")
    assert recipe.data.editor == EditorSpans()
    assert recipe.optimiser.betas == (0.9, 0.98)
    assert (recipe.optimiser.clip, recipe.optimiser.warmup_steps, recipe.optimiser.decay_power) == (1.0, 1500, 1.0)
    assert (recipe.run.steps, recipe.run.minutes) == (3, None)


def test_every_value_is_read(tmp_path: Path) -> None:
    text = """
    name = "full"
    model = "tiny"
    [data]
    train = "a"
    validation = "b"
    tokenizer = "c"
    context = 128
    editor_share = 1
    spans = { count = "truncated", overlap = "redraw" }
    [data.editor]
    within_line = 0
    block = 0.3
    truncate_right = 0.5
    [optimiser]
    lr = 1
    betas = [0.8, 0.9]
    [run]
    minutes = 2
    [machine]
    precision = "fp32"
    """
    recipe = read(tmp_path, text)
    assert recipe.data.spans == SpanDistribution("truncated", "redraw")
    assert recipe.data.editor == EditorSpans(within_line=0.0, block=0.3, truncate_right=0.5)
    assert recipe.optimiser.betas == (0.8, 0.9)
    for number in (recipe.data.editor_share, recipe.optimiser.lr, recipe.run.minutes):
        assert isinstance(number, float)  # a whole number is a number too
    assert recipe.model_config(1000).context == 128
    assert recipe.model_config(1000).vocab_size == 1000
    assert recipe.model_config(1000).layers == PRESETS["tiny"].layers
    resolved = json.loads(recipe.to_json())
    assert resolved["data"]["train"] == "a"
    assert resolved["optimiser"]["weight_decay"] == 0.01


@pytest.mark.parametrize("name", shipped())
def test_the_recipes_that_come_along_are_known_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_recipe(Path(name)).name == name
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(SHORT)  # a file of that name goes before
    assert read_recipe(Path(name)).name == "short"


def test_the_papers_runs_come_along() -> None:
    assert {"incoder-6.7b-v100", "incoder-1.3b-v100", "small-cpu", "bundled-60m"} <= set(shipped())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps = 3", "step = 3", "run: unknown key 'step'; did you mean 'steps'?"),
        ("steps = 3", "steps = 3\n[optimizer]\nlr = 1", "unknown key 'optimizer'; did you mean 'optimiser'?"),
        ("steps = 3", "steps = 3\nxyzzy = 1", "run: unknown key 'xyzzy'"),
        ("steps = 3", "steps = 'three'", "run: steps is 'three'; it must be int"),
        ("steps = 3", "steps = true", "run: steps is True; it must be int"),
        ("steps = 3", "steps = 3.5", "run: steps is 3.5; it must be int"),
        ("steps = 3", "steps = 3\n[machine]\nprecision = 'fp8'", "precision is 'fp8'; it must be 'auto' or 'fp32' or 'bf16'"),
        ("steps = 3", "steps = 3\n[optimiser]\nbetas = [0.9]", "optimiser: betas is [0.9]; it must be"),
        ("steps = 3", "steps = 3\n[optimiser]\nbetas = ['a', 'b']", "betas is 'a'; it must be float"),
        ("steps = 3", "", "[run] must say when to end, with steps or minutes"),
        ("steps = 3", "steps = 0", "[run] steps is 0; it must be at least 1"),
        ("steps = 3", "steps = -5", "[run] steps is -5; it must be at least 1"),
        ("steps = 3", "minutes = 0", "[run] minutes is 0.0; it must be more than 0"),
        ("steps = 3", "minutes = nan", "[run] minutes is nan; it must be more than 0"),
        ("steps = 3", "steps = 3\nbatch_size = 0", "[run] batch_size is 0; it must be at least 1"),
        ("steps = 3", "steps = 3\nseed = -1", "[run] seed is -1; it must be at least 0"),
        ("steps = 3", "steps = 3\n[optimiser]\nlr = -1", "[optimiser] lr is -1.0; it must be more than 0"),
        ("steps = 3", "steps = 3\n[optimiser]\nclip = 0", "[optimiser] clip is 0.0; it must be more than 0"),
        ("steps = 3", "steps = 3\n[optimiser]\nweight_decay = -1", "weight_decay is -1.0; it must be at least 0"),
        ("steps = 3", "steps = 3\n[optimiser]\nbetas = [0.9, 1]", "[optimiser] betas are (0.9, 1.0); they must lie in [0, 1)"),
        ('[data]', '[data]\ncontext = 0', "[data] context is 0; it must be at least 16"),
        ('[data]', '[data]\neditor_share = 2', "editor_share is 2.0; it must lie between 0 and 1"),
        ('[data]', '[data]\nspans = { count = "many" }', "data: spans: count is 'many'; it must be 'clamped' or 'truncated'"),
        ('[data]', '[data]\neditor = { block = -1 }', "data: editor: block is -1.0; it must be at least 0"),
        ('[data]', '[data]\neditor = { blocks = 1 }', "data: editor: unknown key 'blocks'; did you mean 'block'?"),
        ('name = "short"', 'name = "short"\nmodel = "huge"', "model 'huge' is not one of incoder-6.7b, incoder-1.3b"),
        ('name = "short"', '', "'name'"),
        ('train = "data/train"', '', "'train'"),
        ('train = "data/train"', 'train = 3', "data: train is 3; it must be Path"),
        ('name = "short"', 'name = "short"\noptimiser = 3', "optimiser is 3; it must be Optimiser"),
        ('name = "short"', 'name = ', "is not valid TOML"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SHORT
    with pytest.raises(UserError) as error:
        read(tmp_path, SHORT.replace(old, new))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "missing.toml")
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path)
    (tmp_path / "latin1.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(UserError, match="is not valid TOML"):
        read_recipe(tmp_path / "latin1.toml")
