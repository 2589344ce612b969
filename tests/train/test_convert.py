"""The released layout becomes ours and ours becomes transformers': equal logits, equal bytes after a way there and back, and
nothing half done. What stands for the released weights is written by transformers itself, with random weights."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import assert_one_sentence, incoder
from safetensors.torch import load_file, save_file

from incoder_model.checkpoint import ModelDirectoryError, load_transformer
from incoder_model.config import ModelConfig
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_model.tokenizer import DELIMITER_MERGES, Tokenizer, byte_symbols
from incoder_model.transformer import Transformer
from incoder_model.xglm import xglm_config, xglm_name
from incoder_train.convert import convert
from incoder_train.errors import UserError

TOLERANCE = 1e-5  # of any logit, in float32
VOCABULARY = 4 + 3 + 256 + 2 + 256 + 1
OURS = ["config.json", "model.safetensors", "tokenizer.json"]
THEIRS = [*OURS, "tokenizer_config.json"]


def random_xglm(vocab_size: int) -> Any:
    """An XGLMForCausalLM with random weights, biases and norms too."""
    from transformers import XGLMConfig, XGLMForCausalLM

    config = XGLMConfig(
        vocab_size=vocab_size,
        d_model=16,
        num_layers=2,
        attention_heads=2,
        ffn_dim=64,
        max_position_embeddings=2049,
        dropout=0.0,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = XGLMForCausalLM(config).eval()
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
            else:
                parameter.normal_(mean=float(name.endswith("norm.weight")), std=0.1)
    return model


def write_released(folder: Path, model: Any, tokenizer: str) -> Path:
    """As facebook/incoder-6B: config.json, tokenizer.json with its companion, and one pickle with the head in it."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    inner = Tokenizer.from_str(tokenizer)
    PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<|endoftext|>", model_max_length=2048).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def theirs() -> Any:
    return random_xglm(VOCABULARY)


@pytest.fixture(scope="module")
def released(theirs: Any, released_layout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the released layout but the size of the vocabulary."""
    names = ["<|", "<|/", "|>", *byte_symbols(), "im", "imp"]
    merges = [*DELIMITER_MERGES, ("i", "m"), ("im", "p")]
    tokenizer = released_layout({name: i for i, name in enumerate(names)}, merges)
    return write_released(tmp_path_factory.mktemp("released") / "incoder", theirs, tokenizer)


@pytest.fixture(scope="module")
def converted(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(released, tmp_path_factory.mktemp("converted") / "ours")


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    """The released folder, to be changed."""
    return shutil.copytree(released, tmp_path / "source")


def some_tokens(vocab_size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.cat([torch.full((2, 1), 2), torch.randint(4, vocab_size, (2, 60), generator=generator)], dim=1)


@torch.inference_mode()
def assert_equal_logits(
    directory: Path, theirs: Any, dtype: torch.dtype = torch.float32, atol: float = TOLERANCE
) -> None:
    ours, _ = load_transformer(directory, dtype)
    tokens = some_tokens(ours.config.vocab_size)
    expected = theirs(tokens, use_cache=False).logits
    assert (expected.dtype, ours.embed_tokens.weight.dtype) == (dtype, dtype)
    assert expected.float().std() > 0.1  # there is something to compare
    torch.testing.assert_close(ours.logits(ours(tokens)), expected, atol=atol, rtol=0)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


# --- from the released layout ------------------------------------------------------------------------------------


def test_a_released_folder_becomes_a_model_directory(converted: Path, theirs: Any) -> None:
    assert list(files(converted)) == OURS
    assert json.loads((converted / "config.json").read_text()) == {
        "format": "incoder-model-1",
        "vocab_size": VOCABULARY,
        "d_model": 16,
        "layers": 2,
        "heads": 2,
        "d_ffn": 64,
        "context": 2048,
        "dropout": 0.0,
        "attention_dropout": 0.1,
        "region": False,
    }
    assert_equal_logits(converted, theirs)
    stored, expected = load_file(converted / "model.safetensors"), theirs.state_dict()
    assert len(stored) == len(expected) - 1  # the head
    assert all(torch.equal(weight, expected[f"model.{name}"]) for name, weight in stored.items())
    model = load_model(converted)
    assert model.tokenizer.sentinels[0] == 265
    assert infill(model, InfillRequest("import math\n", "\n", max_tokens=3)).tokens == 3


def test_all_rows_of_the_released_vocabulary(released_tokenizer: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs = random_xglm(50518)
    ours = convert(write_released(tmp_path / "released", theirs, released_tokenizer), tmp_path / "ours")
    assert_equal_logits(ours, theirs)
    assert load_transformer(ours)[1].sentinels[0] == 50261
    folder = convert(ours, tmp_path / "theirs", to="xglm")
    assert_equal_logits(ours, AutoModelForCausalLM.from_pretrained(folder).eval())
    before, after = (AutoTokenizer.from_pretrained(path) for path in (tmp_path / "released", folder))
    text = "import numpy as np<|mask:0|>\r\n\tx = 'naïve 😀'<|endofmask|>"
    assert after(text)["input_ids"] == before(text)["input_ids"]
    assert files(convert(folder, tmp_path / "again")) == files(ours)


def as_safetensors(folder: Path, theirs: Any) -> None:
    (folder / "pytorch_model.bin").unlink()
    theirs.save_pretrained(folder)


def as_safetensors_in_shards(folder: Path, theirs: Any) -> None:
    (folder / "pytorch_model.bin").unlink()
    theirs.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").exists()


def as_pickles_in_shards(folder: Path, theirs: Any) -> None:
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    places = {name: f"pytorch_model-{i % 3 + 1:05d}-of-00003.bin" for i, name in enumerate(weights)}
    for file in set(places.values()):
        torch.save({name: weight for name, weight in weights.items() if places[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (folder / "pytorch_model.bin").unlink()


def edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path, Any], None]:
    def edit(folder: Path, _: Any) -> None:
        weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
        change(weights)
        torch.save(weights, folder / "pytorch_model.bin")

    return edit


SAME = {
    "safetensors": as_safetensors,
    "safetensors in shards": as_safetensors_in_shards,
    "pickles in shards": as_pickles_in_shards,
    "no head": edit_weights(lambda w: w.pop("lm_head.weight")),
    "the head alone": edit_weights(lambda w: w.pop("model.embed_tokens.weight")),
    "a head beside the embedding": edit_weights(lambda w: w.update({"lm_head.weight": w["lm_head.weight"].clone()})),
    "positions": edit_weights(lambda w: w.update({"model.embed_positions.weights": torch.ones(2051, 16)})),
}


@pytest.mark.parametrize("layout", SAME)
def test_however_the_weights_are_stored(copy: Path, theirs: Any, converted: Path, tmp_path: Path, layout: str) -> None:
    SAME[layout](copy, theirs)
    assert files(convert(copy, tmp_path / "ours")) == files(converted)


def test_the_branch_in_half_precision(copy: Path, theirs: Any, tmp_path: Path) -> None:
    """It stays what it is, and both networks compute the same with it, in its precision and in float32."""
    from transformers import AutoModelForCausalLM

    edit_weights(lambda w: w.update({name: weight.half() for name, weight in w.items()}))(copy, theirs)
    ours = convert(copy, tmp_path / "ours")
    assert {weight.dtype for weight in load_file(ours / "model.safetensors").values()} == {torch.float16}
    shutil.copy(ours / "model.safetensors", tmp_path / "kept")
    half = convert(ours, tmp_path / "theirs", to="xglm")
    assert json.loads((half / "config.json").read_text())["torch_dtype"] == "float16"
    for dtype, atol in ((torch.float32, TOLERANCE), (torch.float16, 1e-2)):
        assert_equal_logits(ours, AutoModelForCausalLM.from_pretrained(half, torch_dtype=dtype).eval(), dtype, atol)
    back = convert(half, tmp_path / "again")
    assert files(back) == files(ours)


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_another_precision(released: Path, theirs: Any, tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    assert incoder("convert", released, tmp_path / "ours", "--dtype", name).exit_code == 0
    expected = theirs.state_dict()
    stored = load_file(tmp_path / "ours" / "model.safetensors")
    assert all(torch.equal(weight, expected[f"model.{key}"].to(dtype)) for key, weight in stored.items())


# --- to transformers ---------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_transformers_opens_what_is_written_for_it(converted: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = convert(converted, tmp_path / "theirs", to="xglm")
    assert list(files(folder)) == THEIRS
    model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(model).__name__ == "XGLMForCausalLM"
    assert_equal_logits(converted, model.eval())
    tokenizer, (_, ours) = AutoTokenizer.from_pretrained(folder), load_transformer(converted)
    text = "import numpy as np\r\n\tx = 'naïve 😀'\n"
    assert tokenizer(text)["input_ids"] == [2, *ours.encode(text)]
    assert tokenizer.convert_tokens_to_ids("<|mask:7|>") == ours.sentinels[7]
    prompt = tokenizer(["def area(self):\n", "x"], padding=True, return_tensors="pt")
    generated = model.generate(**prompt, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert generated.shape[1] == prompt["input_ids"].shape[1] + 4


def test_there_and_back_changes_no_byte(model_directory: Path, converted: Path, tmp_path: Path) -> None:
    for i, ours in enumerate((model_directory, converted)):
        folder = convert(ours, tmp_path / f"theirs-{i}", to="xglm")
        assert files(convert(folder, tmp_path / f"ours-{i}")) == files(ours)
        again = convert(tmp_path / f"ours-{i}", tmp_path / f"again-{i}", to="xglm")
        assert files(again) == files(folder)


# --- what is no InCoder ------------------------------------------------------------------------------------------


def edit_config(**changes: object) -> Callable[[Path, Any], None]:
    def edit(folder: Path, _: Any) -> None:
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**values, **changes}))

    return edit


def edit_tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, Any], None]:
    def edit(folder: Path, _: Any) -> None:
        values = json.loads((folder / "tokenizer.json").read_text())
        change(values)
        (folder / "tokenizer.json").write_text(json.dumps(values))

    return edit


def remove_token(name: str) -> Callable[[Path, Any], None]:
    return edit_tokenizer(
        lambda values: values.update(
            added_tokens=[token for token in values["added_tokens"] if token["content"] != name]
        )
    )


def write(name: str, content: bytes) -> Callable[[Path, Any], object]:
    return lambda folder, _: (folder / name).write_bytes(content)


def remove(name: str) -> Callable[[Path, Any], object]:
    return lambda folder, _: (folder / name).unlink()


UNFIT: dict[str, tuple[Callable[[Path, Any], object], str]] = {
    "no config": (remove("config.json"), "holds no model: config.json is missing"),
    "a config that is text": (write("config.json", b"hello"), "config.json cannot be read"),
    "a config that is a list": (write("config.json", b"[]"), "config.json describes no InCoder: it is no table"),
    "another network": (edit_config(model_type="opt"), 'describes no InCoder: model_type is "opt"'),
    "another activation": (edit_config(activation_function="relu"), 'activation_function is "relu"'),
    "no scale": (edit_config(scale_embedding=False), "scale_embedding is false"),
    "a size that is text": (edit_config(d_model="16"), 'd_model is "16"'),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer.json; copy the whole folder"),
    "a tokenizer cut short": (write("tokenizer.json", b"{"), "tokenizer.json is no InCoder tokenizer"),
    "a tokenizer not UTF-8": (write("tokenizer.json", b"\xff"), "tokenizer.json is no InCoder tokenizer"),
    "a sentinel missing": (remove_token("<|mask:200|>"), "it has no <|mask:200|> at id 465"),
    "the last sentinel missing": (
        remove_token("<|mask:255|>"),
        "it has 521 tokens, vocab_size in config.json is 522",
    ),
    "no weights": (remove("pytorch_model.bin"), "has no weights"),
    "a head of its own": (
        edit_weights(lambda w: w.update({"lm_head.weight": w["lm_head.weight"] + 1})),
        "has a lm_head.weight of its own; InCoder's is the embedding again",
    ),
    "a weight missing": (
        edit_weights(lambda w: w.pop("model.layers.1.fc1.bias")),
        "lacks the weight layers.1.fc1.bias",
    ),
    "a weight too many": (
        edit_weights(lambda w: w.update({"model.layers.0.encoder_attn.k_proj.bias": torch.ones(16)})),
        "has a weight model.layers.0.encoder_attn.k_proj.bias, which",
    ),
    "a weight of another shape": (
        edit_weights(lambda w: w.update({"model.layer_norm.bias": torch.ones(17)})),
        "has model.layer_norm.bias as (17,), its config.json asks for (16,)",
    ),
    "more layers than weights": (edit_config(num_layers=3), "lacks the weight layers.2.fc1.bias"),
    "one of ours": (write("config.json", b'{"format": "incoder-model-1"}'), "is a model directory of ours already"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_what_is_no_incoder(copy: Path, theirs: Any, tmp_path: Path, fault: str) -> None:
    change, said = UNFIT[fault]
    change(copy, theirs)
    assert_one_sentence(incoder("convert", copy, tmp_path / "ours"), said)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_code_in_a_pickle_does_not_run(copy: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "mark",))

    weights = torch.load(copy / "pytorch_model.bin", weights_only=True)
    torch.save(weights | {"model.layer_norm.bias": Trap()}, copy / "pytorch_model.bin")
    assert_one_sentence(
        incoder("convert", copy, tmp_path / "ours"), "or holds more than tensors; nothing of it was run"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_go_to_transformers(released: Path, model_directory: Path, tmp_path: Path) -> None:
    said = (
        "config.json does not describe an InCoder model: it is in Hugging Face's layout; turn it into a model directory"
    )
    assert_one_sentence(incoder("convert", released, tmp_path / "theirs", "--to", "xglm"), said)
    with pytest.raises(ModelDirectoryError, match="with `incoder convert`"):
        load_model(released)
    ours = shutil.copytree(model_directory, tmp_path / "ours")
    weights = load_file(ours / "model.safetensors")
    save_file({name: weight.char() for name, weight in weights.items()}, ours / "model.safetensors")
    said = "in fp32, fp16 or bf16; take the weights before they were quantised"
    assert_one_sentence(incoder("convert", ours, tmp_path / "theirs", "--to", "xglm"), said)
    (ours / "tokenizer.json").unlink()
    assert_one_sentence(incoder("convert", ours, tmp_path / "theirs", "--to", "xglm"), "tokenizer.json is missing")
    assert_one_sentence(incoder("convert", tmp_path / "none", tmp_path / "theirs"), "none is not a folder")
    assert_one_sentence(incoder("convert", tmp_path / "none", tmp_path / "theirs", "--to=xglm"), "none is not a folder")
    assert not (tmp_path / "theirs").exists()


# --- whole or not at all -----------------------------------------------------------------------------------------


def test_an_empty_folder_and_an_earlier_result_are_replaced(model_directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "parent" / "theirs"
    out.mkdir(parents=True)
    convert(model_directory, out, to="xglm")
    before = (out / "model.safetensors").stat().st_ino
    convert(model_directory, out, to="xglm", dtype=torch.float16)
    assert (out / "model.safetensors").stat().st_ino != before
    assert [path.name for path in out.parent.iterdir()] == ["theirs"]


PRECIOUS: dict[str, Callable[[Path, Path], object]] = {
    "a file": lambda out, _: out.write_text("three years of work"),
    "a folder": lambda out, _: (out.mkdir(), (out / "thesis.tex").write_text("three years of work")),
    "a model and more": lambda out, ours: (shutil.copytree(ours, out), (out / "notes.txt").write_text("mine")),
    "a model of the other layout": lambda out, ours: shutil.copytree(ours, out),
    "the same names, other things": lambda out, _: (out.mkdir(), [(out / name).write_text("?") for name in THEIRS]),
}


@pytest.mark.parametrize("kind", PRECIOUS)
def test_nothing_else_is_replaced(model_directory: Path, tmp_path: Path, kind: str) -> None:
    PRECIOUS[kind](tmp_path / "out", model_directory)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = "out holds something else than a model in this layout; name another folder to write"
    assert_one_sentence(incoder("convert", model_directory, tmp_path / "out", "--to", "xglm"), said)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_source_is_not_replaced(model_directory: Path, tmp_path: Path) -> None:
    source = convert(model_directory, tmp_path / "theirs", to="xglm")
    (tmp_path / "link").symlink_to(source)
    for out in (source, tmp_path / "link", source / ".." / "theirs"):
        assert_one_sentence(incoder("convert", source, out), "is the source itself; name another folder to write")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and limits on file size")
def test_a_full_disk_leaves_nothing(model_directory: Path, tmp_path: Path) -> None:
    """No file may grow beyond 100 kB in the process that writes: the weights do not fit."""
    import resource

    if not (child := os.fork()):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            with pytest.raises(UserError, match="theirs could not be written: File too large"):
                convert(model_directory, tmp_path / "theirs", to="xglm")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing_new(model_directory: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    old = files(convert(model_directory, tmp_path / "theirs", to="xglm"))
    with pytest.raises(KeyboardInterrupt):
        convert(model_directory, tmp_path / "theirs", to="xglm", dtype=torch.float16, progress=interrupt)
    assert files(tmp_path / "theirs") == old
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_value_that_fp16_has_not(copy: Path, theirs: Any, tmp_path: Path) -> None:
    edit_weights(lambda w: w["model.layer_norm.bias"].fill_(1e5))(copy, theirs)
    said = "layer_norm.bias has values beyond the range of fp16; say --dtype bf16"
    assert_one_sentence(incoder("convert", copy, tmp_path / "ours", "--dtype", "fp16"), said)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_wrote(released: Path, tmp_path: Path) -> None:
    result = incoder("convert", released, tmp_path / "ours")
    *lines, last = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    written = [(int(size.replace(",", "")), Path(file)) for size, file in map(str.split, lines)]
    assert written == [((tmp_path / "ours" / name).stat().st_size, tmp_path / "ours" / name) for name in OURS]
    assert last == f"Use it: incoder-lsp serve --model {tmp_path / 'ours'}"


# A process of its own, so that its peak is its own.
MEASURE = """
import re, sys
from pathlib import Path
from incoder_train.convert import convert
from incoder_train.training.precision import DTYPES
source, out, to, dtype = sys.argv[1:]
convert(Path(source), Path(out), to=to, dtype=DTYPES.get(dtype))
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def peak(folder: Path, config: ModelConfig, layout: str, tokenizer: str) -> int:
    """Bytes of memory that the conversion of a model of this size takes at most."""
    folder.mkdir()
    ours = layout == "back"
    weights = {name if ours else xglm_name(name): w for name, w in Transformer(config).state_dict().items()}
    values = {"format": "incoder-model-1", **config.to_dict()} if ours else xglm_config(config)
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "tokenizer.json").write_text(tokenizer)
    if layout.startswith("pickle"):
        torch.save(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]}, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors")
    arguments = [folder, folder / "out", "xglm" if ours else "incoder", layout.rsplit(maxsplit=1)[-1]]
    result = subprocess.run([sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True)
    shutil.rmtree(folder)
    return int(result.stdout)


@pytest.mark.proof
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("layout", ["pickle", "pickle as fp16", "safetensors", "back"])
def test_memory_holds_a_tensor_and_not_the_model(tokenizer: Tokenizer, tmp_path: Path, layout: str) -> None:
    """A model of 286 MB, whose largest tensor has 9 MB, beside the smallest one."""
    small = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=4, layers=1, heads=1, d_ffn=4)
    large = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=768, layers=10, heads=12, d_ffn=3072)
    text = tokenizer.to_json()
    added = peak(tmp_path / "large", large, layout, text) - peak(tmp_path / "small", small, layout, text)
    size = 4 * large.parameters
    print(f"{layout}: {added / 1e6:.0f} MB for {size / 1e6:.0f} MB of weights")
    assert size > 280_000_000
    assert added < size / 3
