"""What llama.cpp makes of our GGUF files: its tokens and its probabilities beside ours, and what it ends an answer with.

llama.cpp itself runs, as the server that the xllamacpp wheel has built in, and is asked over its own HTTP routes."""

import importlib
import inspect
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import assert_one_sentence
from gguf import GGUFReader
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from incoder_model.checkpoint import BUNDLED, load_transformer, save_model
from incoder_model.config import ModelConfig
from incoder_model.infill import InfillRequest, Model, infill, prompt_of
from incoder_model.loading import load_model
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.transformer import Transformer
from incoder_train.cli import app
from incoder_train.gguf_layout import convert_to_gguf, prompt
from incoder_train.gguf_vocabulary import vocabulary_of

# Of any log-probability. fp32: llama.cpp's GELU is in its tanh form, from a table in half precision.
SOURCE = Path(__file__).parents[1].joinpath("conftest.py").read_text(encoding="utf-8")
TOLERANCE = {"fp32": 0.01, "fp16": 0.02, "bf16": 0.1}
DIVERGENCE = 0.01  # of q8_0, in nats for each token
LEFT, RIGHT = "def area(self):\n    return ", "\n\n\ndef perimeter(self):\n    return 2 * (self.width + self.height)\n"


class Llama:
    """One file, opened by llama.cpp."""

    def __init__(self, file: Path):
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.n_ctx, parameters.warmup, parameters.verbosity = 512, False, -1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.n_threads_http = 2
        self._server = xllamacpp.Server(parameters)  # stops when nobody holds it any more

    def post(self, route: str, **body: Any) -> Any:
        request = urllib.request.Request(self._server.listening_address + route, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def tokens(self, text: str) -> list[int]:
        return self.post("/tokenize", content=text, parse_special=False)["tokens"]

    def greedy(self, prompt: list[int] | str, n: int, **more: Any) -> dict[str, Any]:
        return self.post("/completion", prompt=prompt, n_predict=n, temperature=0, return_tokens=True, **more)

    def log_probabilities(self, prompt: list[int], vocabulary: int) -> np.ndarray:
        """(vocabulary,): of each token as the next one."""
        said = self.greedy(prompt, 1, n_probs=vocabulary)["completion_probabilities"][0]["top_logprobs"]
        values = np.full(vocabulary, np.nan)
        values[[one["id"] for one in said]] = [one["logprob"] for one in said]
        return values


@contextmanager
def opened(directory: Path, file: Path, dtype: str = "fp32") -> Iterator[Llama]:
    convert_to_gguf(directory, file, dtype)
    yield Llama(file)


@pytest.fixture(scope="module")
def tiny(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    with opened(model_directory, tmp_path_factory.mktemp("gguf") / "tiny.gguf") as llama:
        yield llama


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    with opened(BUNDLED, tmp_path_factory.mktemp("gguf") / "bundled.gguf") as llama:
        yield llama


@pytest.fixture(scope="module")
def ours() -> Model:
    return load_model(BUNDLED, "torch")


# --- scores ------------------------------------------------------------------------------------------------------


def log_probabilities(network: Transformer, prompt: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return torch.log_softmax(network.logits(network(torch.tensor([prompt]))[0, -1]), -1).numpy()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_same_probabilities(model_directory: Path, tmp_path: Path, dtype: str) -> None:
    network, tokenizer = load_transformer(model_directory)
    size = tokenizer.vocab_size
    text = [BOS, *np.random.default_rng(0).integers(4, size, 500).tolist()]
    with opened(model_directory, tmp_path / "model.gguf", dtype) as llama:
        for length in (1, 2, 17, 500):
            expected, found = log_probabilities(network, text[:length]), llama.log_probabilities(text[:length], size)
            assert np.abs(found - expected).max() < TOLERANCE[dtype]


def test_eight_bits_of_a_model_that_was_trained(tmp_path: Path) -> None:
    """q8_0 rounds what goes into a product as well. Of random weights, made loud, not much is left then; so: a real model."""
    network, tokenizer = load_transformer(BUNDLED)
    text = [BOS, *tokenizer.encode(LEFT + RIGHT)]
    with opened(BUNDLED, tmp_path / "model.gguf", "q8_0") as llama:
        for length in (1, 5, len(text)):
            expected = log_probabilities(network, text[:length])
            found = llama.log_probabilities(text[:length], tokenizer.vocab_size)
            assert np.exp(expected) @ (expected - found) < DIVERGENCE


@pytest.mark.parametrize(
    "left, right", [(LEFT, RIGHT), ("import os\nimport re\n\nfor ", " in os.listdir(path):\n    print(name)\n")]
)
def test_the_bundled_model_says_the_same(bundled: Llama, ours: Model, left: str, right: str) -> None:
    request = InfillRequest(left, right, max_tokens=24)
    expected, asked = infill(ours, request), prompt_of(ours, request)
    found = bundled.greedy(asked, 24)
    assert found["content"] == expected.text
    assert len(found["tokens"]) >= expected.tokens > 5
    in_words = prompt(ours.config).replace("LEFT", left).replace("RIGHT", right)
    assert bundled.greedy(in_words, 24)["content"] == expected.text


# --- prompts -----------------------------------------------------------------------------------------------------


def test_infill_asks_as_the_paper_does(tiny: Llama, model: Model) -> None:
    """But for <|mask:1|>, which llama.cpp has no place for."""
    tokenizer, sentinels = model.tokenizer, model.tokenizer.sentinels
    left, right = tokenizer.encode(LEFT), tokenizer.encode(RIGHT)
    expected = [BOS, *left, sentinels[0], *right, sentinels[0]]
    said = tiny.post("/infill", input_prefix=LEFT, input_suffix=RIGHT, n_predict=8, temperature=0, return_tokens=True)
    assert tiny.tokens(said["prompt"]) != expected  # names of special tokens are text there
    assert tiny.post("/tokenize", content=said["prompt"], parse_special=True)["tokens"] == expected
    assert said["tokens"] == tiny.greedy(expected, 8)["tokens"]


def test_the_prompt_in_words_is_ours(tiny: Llama, model: Model) -> None:
    in_words = prompt(model.config).replace("LEFT", LEFT).replace("RIGHT", RIGHT)
    asked = prompt_of(model, InfillRequest(LEFT, RIGHT, max_tokens=1))
    assert tiny.post("/tokenize", content=in_words, parse_special=True)["tokens"] == asked


def test_a_model_of_regions_refuses_infill(bundled: Llama) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        bundled.post("/infill", input_prefix=LEFT, input_suffix=RIGHT)
    assert "Infill is not supported by this model" in error.value.read().decode()


@pytest.mark.parametrize("end", ["<|endofmask|>", "<|endoftext|>", "<|/", "<|"])
def test_what_ends_an_answer(tiny: Llama, tokenizer: Tokenizer, end: str) -> None:
    """Every end of a span that a model can say: it is not written out, and nothing follows."""
    token = tiny.post("/tokenize", content=end, parse_special=True)["tokens"]
    assert len(token) == 1 and token[0] in tokenizer.ends
    said = tiny.greedy([BOS, 50, 60], 8, logit_bias=[[token[0], 1000]])
    assert (said["content"], said["stop_type"], said["tokens_predicted"]) == ("", "eos", 1)


# --- tokens ------------------------------------------------------------------------------------------------------

PIECES = [*SOURCE.split("\n\n\n")[1:3], "import ", "  ", "\n", "<|mask:0|>", "self.", "<bytes:00>"]
ASCII = st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=60)


@settings(max_examples=25)
@given(ASCII | st.lists(st.sampled_from(PIECES)).map("".join))
def test_ascii_is_the_same_tokens(tiny: Llama, tokenizer: Tokenizer, text: str) -> None:
    assert tiny.tokens(text) == tokenizer.encode(text)


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=40))
def test_any_text_comes_back(tiny: Llama, tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tiny.tokens(text)) == text


def test_real_code_is_the_same_tokens(bundled: Llama, ours: Model) -> None:
    for module in ("textwrap", "heapq", "shlex"):
        text = inspect.getsource(importlib.import_module(module))
        assert bundled.tokens(text) == ours.tokenizer.encode(text)


def test_tokens_are_written_as_their_bytes(tiny: Llama, tokenizer: Tokenizer) -> None:
    """Those that end within a character, too: together they make it again."""
    naive = "naïve “😀”"
    assert tiny.post("/detokenize", tokens=tokenizer.encode(naive))["content"] == naive
    single = [token for token in range(7, 263) if tokenizer.token_bytes[token].isascii()]
    assert tiny.post("/detokenize", tokens=single)["content"].encode() == tokenizer.decode_bytes(single)


def test_a_vocabulary_has_no_name_twice(released_tokenizer: str) -> None:
    tokenizer = Tokenizer.from_json(released_tokenizer)
    vocabulary = vocabulary_of(tokenizer)
    assert len(set(vocabulary.texts)) == len(vocabulary.texts) == len(vocabulary.kinds) == 50518
    assert not any(b"\0" in text for text in vocabulary.texts)


# --- the file and the command ------------------------------------------------------------------------------------


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments), "--to", "gguf"])


def test_the_command_says_how_to_use_what_it_wrote(model_directory: Path, tmp_path: Path) -> None:
    result = incoder(model_directory, tmp_path / "new" / "model.gguf", "--dtype", "fp32")
    assert (result.exit_code, result.stderr) == (0, "")
    size, file = result.stdout.splitlines()[0].split()
    assert (int(size.replace(",", "")), Path(file)) == ((tmp_path / "new" / "model.gguf").stat().st_size, Path(file))
    assert "Prompt: <|endoftext|>LEFT<|mask:0|>RIGHT<|mask:1|><|mask:0|>" in result.stdout
    fields = GGUFReader(tmp_path / "new" / "model.gguf").fields
    assert fields["general.architecture"].contents() == "gpt2"
    assert fields["incoder.prompt"].contents() == "<|endoftext|>LEFT<|mask:0|>RIGHT<|mask:1|><|mask:0|>"


def change(weights: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        weights(tensors)
        save_file(tensors, folder / "model.safetensors")

    return edit


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no model": (lambda folder: (folder / "config.json").unlink(), "holds no model: config.json is missing"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
    "weights cut short": (lambda folder: os.truncate(folder / "model.safetensors", 1000), "is damaged"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no usable tokenizer.json"),
    "a weight missing": (change(lambda w: w.pop("layers.1.fc1.bias")), "lacks the weight layers.1.fc1.bias"),
    "int8 without its scale": (
        change(lambda w: w.update({"layers.0.fc1.weight": w["layers.0.fc1.weight"].char()})),
        "layers.0.fc1.weight.scale is missing",
    ),
    "beyond fp16": (
        change(lambda w: w["layers.0.fc1.weight"].fill_(1e5)),
        "blk.0.ffn_up.weight has values beyond the range of fp16; say --dtype bf16",
    ),
    "not a number": (
        change(lambda w: w["layer_norm.bias"].fill_(torch.nan)),
        "output_norm.bias has a weight that is no finite number",
    ),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_what_cannot_be_written(model_directory: Path, tmp_path: Path, fault: str) -> None:
    source = shutil.copytree(model_directory, tmp_path / "source")
    break_it, said = UNFIT[fault]
    break_it(source)
    assert_one_sentence(incoder(source, tmp_path / "model.gguf"), said)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_be_asked_for(model_directory: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("three years of work")
    assert_one_sentence(incoder(model_directory, tmp_path / "thesis"), "thesis is there already; remove it, or name")
    assert (tmp_path / "thesis").read_text() == "three years of work"
    assert_one_sentence(incoder(tmp_path / "none", tmp_path / "out"), "none is not a folder")
    result = CliRunner().invoke(app, ["convert", str(model_directory), str(tmp_path / "out"), "--dtype", "q8_0"])
    assert_one_sentence(result, "q8_0 is a type of GGUF files; say --to gguf, or another --dtype")
    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=48, layers=1, heads=1, d_ffn=64)
    save_model(tmp_path / "narrow", Transformer(config), tokenizer)
    said = "q8_0 takes 32 weights of a row at a time, and d_model is 48; say --dtype fp16"
    assert_one_sentence(incoder(tmp_path / "narrow", tmp_path / "out", "--dtype", "q8_0"), said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["narrow", "thesis"]


def test_an_interrupt_leaves_nothing(model_directory: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_to_gguf(model_directory, tmp_path / "model.gguf", progress=interrupt)
    assert not list(tmp_path.iterdir())
