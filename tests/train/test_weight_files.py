"""Weights on disk: what is written is what safetensors' own library writes, and what is read is plain tensors or one sentence."""

import json
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from incoder_train import weight_files
from incoder_train.errors import UserError
from incoder_train.weight_files import each, find_weights, open_weights, same, write_safetensors

Weights = dict[str, torch.Tensor]


@st.composite
def some_weights(draw: st.DrawFn) -> Weights:
    """Names as they come, shapes down to no value at all, one small type and float32 beside each other."""
    small = draw(st.sampled_from([torch.float16, torch.bfloat16]))
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, unique=True))
    types, shapes = st.sampled_from([torch.float32, small]), st.lists(st.integers(0, 5), max_size=3)
    return {name: torch.randn(draw(shapes)).to(draw(types)) for name in names if name != "__metadata__"}


@given(weights=some_weights(), metadata=st.none() | st.just({"format": "pt"}))
@settings(max_examples=25)
def test_the_file_is_what_the_library_writes(weights: Weights, metadata: dict[str, str] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.save(weights, Path(folder) / "pytorch_model.bin")
        out = Path(folder) / "out.safetensors"
        write_safetensors(out, find_weights(Path(folder)), metadata=metadata)
        assert out.read_bytes() == save(weights, metadata)


@pytest.fixture
def weights() -> Weights:
    generator = torch.Generator().manual_seed(0)
    return {f"w{i}": torch.randn(3, 40, generator=generator) for i in range(5)}


LAYOUTS: dict[str, Callable[[Weights, Path], object]] = {
    "safetensors": lambda w, d: save_file(w, d / "model.safetensors"),
    "pickle": lambda w, d: torch.save(OrderedDict(w), d / "pytorch_model.bin"),
    "a pickle of torch before 1.6": lambda w, d: torch.save(
        w, d / "pytorch_model.bin", _use_new_zipfile_serialization=False
    ),
    "parameters": lambda w, d: torch.save(
        {name: torch.nn.Parameter(value) for name, value in w.items()}, d / "pytorch_model.bin"
    ),
    "views": lambda w, d: torch.save(
        {name: value.t().contiguous().t() for name, value in w.items()}, d / "pytorch_model.bin"
    ),
    "shards": lambda w, d: in_shards(w, d, "pytorch_model", "bin", torch.save),
    "safetensors in shards": lambda w, d: in_shards(w, d, "model", "safetensors", save_file),
}


def in_shards(weights: Weights, folder: Path, stem: str, suffix: str, write: Callable[[Weights, Path], object]) -> None:
    """Neighbours lie in different files."""
    places = {name: f"{stem}-{i % 2 + 1:05d}-of-00002.{suffix}" for i, name in enumerate(weights)}
    for file in set(places.values()):
        write({name: weight for name, weight in weights.items() if places[name] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("held", [0, 500, 1 << 24])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(
    weights: Weights, tmp_path: Path, layout: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "HELD", held)
    monkeypatch.setattr(weight_files, "PIECE", 7)
    LAYOUTS[layout](weights, tmp_path)
    stored = find_weights(tmp_path)
    assert {name: (where.shape, where.dtype) for name, where in stored.items()} == dict.fromkeys(
        weights, ((3, 40), torch.float32)
    )
    assert all(torch.equal(tensor, weights[name]) for name, tensor in each(stored))
    told: list[tuple[int, int]] = []
    write_safetensors(tmp_path / "out", stored, progress=lambda done, total: told.append((done, total)))
    assert (tmp_path / "out").read_bytes() == save(weights)
    assert (told[-1], sorted(told)) == ((5 * 480, 5 * 480), told)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_another_type(weights: Weights, tmp_path: Path, dtype: torch.dtype) -> None:
    save_file(weights, tmp_path / "model.safetensors")
    write_safetensors(tmp_path / "out", find_weights(tmp_path), dtype)
    found = load_file(tmp_path / "out")
    assert all(torch.equal(found[name], weight.to(dtype)) for name, weight in weights.items())


def test_a_value_that_does_not_fit(tmp_path: Path) -> None:
    save_file({"fits": torch.tensor([65504.0, float("inf")])}, tmp_path / "model.safetensors")
    write_safetensors(tmp_path / "out", find_weights(tmp_path), torch.float16)
    save_file({"large": torch.tensor([1.0, 70000.0])}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="large has values beyond the range of fp16; say --dtype bf16"):
        write_safetensors(tmp_path / "out", find_weights(tmp_path), torch.float16)
    write_safetensors(tmp_path / "out", find_weights(tmp_path), torch.bfloat16)


def test_whether_two_tensors_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "PIECE", 4)
    a = torch.arange(10.0)
    differs = a.clone()
    differs[9] = torch.nan
    torch.save({"a": a, "tied": a, "equal": a.clone(), "differs": differs, "half": a.half()}, tmp_path / "a.bin")
    save_file({"nan": differs}, tmp_path / "b.safetensors")
    stored = open_weights(tmp_path / "a.bin").tensors
    assert [same(stored["a"], stored[name]) for name in stored] == [True, True, True, False, False]
    assert same(stored["differs"], open_weights(tmp_path / "b.safetensors").tensors["nan"])


# --- what is wrong is said in one sentence -----------------------------------------------------------------------


class Trap:
    """A pickle of it makes a file when it is opened by pickle itself."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> object:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("whole", [True, False], ids=["a table of it", "one among tensors"])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, whole: bool, new: bool) -> None:
    mark, file = tmp_path / "mark", tmp_path / "pytorch_model.bin"
    trap: object = Trap(mark) if whole else {"w": torch.ones(3), "v": Trap(mark)}
    torch.save(trap, file, _use_new_zipfile_serialization=new)
    torch.load(file, weights_only=False)
    assert mark.exists()  # the trap works
    mark.unlink()
    with pytest.raises(
        UserError, match=r"pytorch_model\.bin is damaged, or holds more than tensors; nothing of it was"
    ):
        find_weights(tmp_path)
    assert not mark.exists()


def spoil(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 26604347293\n"
DAMAGES = {
    "cut": (lambda content: content[: len(content) // 2], "is damaged"),
    "cut at the beginning": (lambda content: content[:5], "is damaged"),
    "empty": (lambda content: b"", "is damaged"),
    "text": (lambda content: b"<html>not found</html>\n", "is damaged"),
    "a pointer": (lambda content: POINTER, "is a pointer to the weights, not the weights; run `git lfs pull`"),
}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(weights: Weights, tmp_path: Path, damage: str, name: str) -> None:
    LAYOUTS["pickle" if name.endswith("bin") else "safetensors"](weights, tmp_path)
    change, said = DAMAGES[damage]
    spoil(tmp_path / name, change)
    assert_one_sentence(tmp_path, said, name)


CONTENTS = {
    "a list": [torch.ones(2)],
    "a tensor": torch.ones(2),
    "more than tensors": {"w": torch.ones(2), "epoch": 3},
    "a sparse tensor": {"w": torch.eye(3).to_sparse()},
    "a tensor without contents": {"w": torch.ones(3, device="meta")},
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_pickle_of_something_else(tmp_path: Path, content: str) -> None:
    torch.save(CONTENTS[content], tmp_path / "pytorch_model.bin")
    assert_one_sentence(tmp_path, "it is no table of tensors by name", "pytorch_model.bin")


def test_quantised_weights(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3, dtype=torch.int8)}, tmp_path / "pytorch_model.bin")
    assert_one_sentence(tmp_path, "does not hold w in fp32, fp16 or bf16", "pytorch_model.bin")
    save_file({"v": torch.ones(3, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    assert_one_sentence(tmp_path, "does not hold v in fp32, fp16 or bf16", "model.safetensors")


def test_no_weights(tmp_path: Path) -> None:
    assert_one_sentence(tmp_path, "has no weights: neither model.safetensors nor pytorch_model.bin", "")
    (tmp_path / "pytorch_model.bin").mkdir()
    assert_one_sentence(tmp_path, "cannot be read (Is a directory); copy the file again", "pytorch_model.bin")


INDEXES = {
    "no table": ("[]", "cannot be read"),
    "cut": ('{"weight_map": {"w0": ', "cannot be read"),
    "another folder's file": ('{"weight_map": {"w0": "../model.safetensors"}}', "it names files outside of the folder"),
    "no weights": ('{"weight_map": {"w0": "config.json"}}', "config.json is of an unknown kind"),
    "a shard that is missing": ('{"weight_map": {"w0": "other.bin"}}', "other.bin cannot be read (No such file"),
    "a weight that is missing": ('{"weight_map": {"x": "pytorch_model-00001-of-00002.bin"}}', "lacks x, which"),
}


@pytest.mark.parametrize("index", INDEXES)
def test_a_damaged_index(weights: Weights, tmp_path: Path, index: str) -> None:
    LAYOUTS["shards"](weights, tmp_path)
    text, said = INDEXES[index]
    (tmp_path / "pytorch_model.bin.index.json").write_text(text)
    assert_one_sentence(tmp_path, said, "")


def assert_one_sentence(folder: Path, said: str, name: str) -> None:
    with pytest.raises(UserError) as error:
        find_weights(folder)
    assert said in str(error.value)
    assert str(folder / name) in str(error.value)
    assert "\n" not in str(error.value)
