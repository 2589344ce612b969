"""The graph and its evaluator say what the network in torch says, however a text is cut, and whatever does not fit is told.

A float32 graph is exact but for the order of sums. In an int8 graph activations are rounded to eight bits as well, which moves
the logits: by at most 3 % of their standard deviation in the root mean square over all tokens, as asserted here, and 3.5 % in the
graph for exact products, which has one scale for a token where the other has one for a block.
"""

import dataclasses
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from incoder_model import onnx_evaluator, processor
from incoder_model.checkpoint import (
    BUNDLED,
    GRAPH,
    GRAPH_VNNI,
    WEIGHTS,
    ModelDirectoryError,
    graph_files,
    load_transformer,
    read_config,
    save_model,
)
from incoder_model.config import ModelConfig
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_model.onnx_evaluator import OnnxEvaluator
from incoder_model.onnx_graph import build_graph
from incoder_model.processor import exact_products
from incoder_model.quantise import SCALE
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import Transformer, initialise
from incoder_model.weight_layout import fingerprint, read_layout

EXACT = 1e-4  # of float32 logits whose standard deviation is about 1
ROUNDED = {GRAPH: 0.03, GRAPH_VNNI: 0.035}  # of the standard deviation, for int8
FORMS = [
    GRAPH,
    pytest.param(GRAPH_VNNI, marks=pytest.mark.skipif(not exact_products(), reason="its products overflow here")),
]
SHAPES = {
    "one head": ModelConfig(vocab_size=920, d_model=32, layers=1, heads=1, d_ffn=128, context=96),
    "three heads": ModelConfig(vocab_size=920, d_model=192, layers=3, heads=3, d_ffn=768, context=96),
    "no blocks of 16": ModelConfig(vocab_size=920, d_model=40, layers=2, heads=1, d_ffn=72, context=96),
}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
TOKENS = np.random.default_rng(0).integers(300, 900, 90).tolist()


def add_graphs(directory: Path) -> Path:
    """Both, also where the network is too narrow to gain by the second."""
    with (directory / WEIGHTS).open("rb") as file:
        layout = read_layout(file)
    for name in (GRAPH, GRAPH_VNNI):
        graph = build_graph(read_config(directory), layout, WEIGHTS, exact_products=name == GRAPH_VNNI)
        (directory / name).write_bytes(graph)
    return directory


def evaluator(directory: Path, threads: int = 1, graph: str = GRAPH) -> OnnxEvaluator:
    config = read_config(directory)
    with (directory / WEIGHTS).open("rb") as file:
        return OnnxEvaluator(directory / graph, config, fingerprint(config, read_layout(file)), threads)


def logits_in_torch(directory: Path, tokens: list[int]) -> np.ndarray:
    network, _ = load_transformer(directory)
    with torch.inference_mode():
        return network.logits(network(torch.tensor([tokens])))[0].numpy()


def off(a: np.ndarray, b: np.ndarray) -> float:
    """The root of the mean squared difference, in standard deviations of `b`."""
    return float(np.sqrt(np.square(a - b).mean()) / b.std())


@pytest.fixture(scope="module")
def directories(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    root = tmp_path_factory.mktemp("onnx")

    def directory(shape: str, dtype: str) -> Path:
        path = root / f"{shape} {dtype}"
        if not path.exists():
            torch.manual_seed(3)
            config = dataclasses.replace(SHAPES[shape], vocab_size=tokenizer.vocab_size)
            network = initialise(Transformer(config))
            with torch.no_grad():
                for weight in network.parameters():  # biases and norms that matter
                    weight.add_(torch.randn_like(weight) * 0.05)
            save_model(path, network, tokenizer, dtype=TYPES[dtype])
            add_graphs(path)
        return path

    return directory


# --- the same as torch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("graph", FORMS)
def test_scores_are_those_of_the_network(
    directories: Callable[[str, str], Path], shape: str, dtype: str, graph: str
) -> None:
    directory = directories(shape, dtype)
    expected = logits_in_torch(directory, TOKENS)
    scores = evaluator(directory, graph=graph).evaluate_each(TOKENS)
    assert (scores.shape, scores.dtype) == (expected.shape, np.float32)
    if dtype == "int8" and (graph == GRAPH_VNNI or shape != "no blocks of 16"):
        assert off(scores, expected) < ROUNDED[graph]
    else:
        assert np.abs(scores - expected).max() < EXACT


def test_products_of_small_numbers_are_right_on_every_processor(
    directories: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """Weights of seven bits: then the graph for exact products needs none."""
    directory = shutil.copytree(directories("three heads", "int8"), tmp_path / "m")
    weights = load_file(directory / WEIGHTS)
    for name in [name for name in weights if name + SCALE in weights]:
        weights[name] = (weights[name] / 2).round().to(torch.int8)
        weights[name + SCALE] = weights[name + SCALE] * 2
    save_file(weights, directory / WEIGHTS)
    scores = evaluator(add_graphs(directory), graph=GRAPH_VNNI).evaluate_each(TOKENS)
    assert off(scores, logits_in_torch(directory, TOKENS)) < ROUNDED[GRAPH_VNNI]


@pytest.mark.parametrize("graph", FORMS)
def test_a_layer_that_says_nothing(directories: Callable[[str, str], Path], tmp_path: Path, graph: str) -> None:
    """Its zeros have no largest one to be scaled by."""
    network, tokenizer = load_transformer(directories("one head", "fp32"))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "v_proj" in name or "fc1" in name:
                weight.zero_()
    save_model(tmp_path / "m", network, tokenizer, dtype=torch.int8)
    scores = evaluator(add_graphs(tmp_path / "m"), graph=graph).evaluate_each(TOKENS)
    assert off(scores, logits_in_torch(tmp_path / "m", TOKENS)) < ROUNDED[graph]


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
@pytest.mark.parametrize("graph", FORMS)
def test_a_text_in_pieces_is_the_text(directories: Callable[[str, str], Path], dtype: str, graph: str) -> None:
    """Whole, in pieces, token by token, and after tokens were taken back: the scores are the same."""
    found = evaluator(directories("three heads", dtype), graph=graph)
    whole = found.evaluate_each(TOKENS)

    def same(scores: np.ndarray, start: int, end: int) -> bool:
        if dtype == "int8":
            return off(scores, whole[start:end]) < ROUNDED[graph]
        return bool(np.abs(scores - whole[start:end]).max() < EXACT)

    found.truncate(0)
    assert same(np.concatenate([found.evaluate_each(TOKENS[i : i + 17]) for i in range(0, 90, 17)]), 0, 90)
    found.truncate(0)
    assert same(np.stack([found.evaluate([token]) for token in TOKENS]), 0, 90)
    found.truncate(40)
    found.evaluate(TOKENS[:20])  # others than those that belong there
    found.truncate(40)
    assert same(found.evaluate_each(TOKENS[40:]), 40, 90)
    found.truncate(85)
    assert same(found.evaluate(TOKENS[85:])[None], 89, 90)


def test_scores_are_the_callers_to_keep(directories: Callable[[str, str], Path]) -> None:
    found = evaluator(directories("one head", "int8"))
    first = found.evaluate(TOKENS[:5])
    kept = first.copy()
    found.evaluate(TOKENS[5:6])
    assert np.array_equal(first, kept)


def test_many_threads_say_the_same(directories: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_evaluator, "WORK_PER_THREAD", 1)
    monkeypatch.setattr(onnx_evaluator, "busy", lambda threads: False)
    directory = directories("three heads", "fp32")
    wide = evaluator(directory, threads=2)
    assert np.abs(wide.evaluate_each(TOKENS) - evaluator(directory).evaluate_each(TOKENS)).max() < EXACT


def test_sequences_do_not_know_each_other(directories: Callable[[str, str], Path]) -> None:
    one = evaluator(directories("three heads", "fp32"))
    before = one.evaluate(TOKENS[:40])
    other = one.another()
    assert off(other.evaluate(TOKENS[:40]), before) < EXACT
    other.evaluate(TOKENS[40:60])
    one.truncate(39)
    assert off(one.evaluate(TOKENS[39:40]), before) < EXACT


def test_branches_go_on_by_themselves(directories: Callable[[str, str], Path]) -> None:
    found = evaluator(directories("three heads", "fp32"))
    found.evaluate(TOKENS[:30])
    texts = np.array([[400, 401, 402], [500, 501, 502], [600, 601, 602]])
    branches = found.branch(rows=3, room=3)
    together = np.stack([branches.step(column.tolist()) for column in texts.T], axis=1)  # (rows, time, vocab_size)
    for row, text in enumerate(texts):
        found.truncate(30)
        assert np.abs(found.evaluate_each(text.tolist()) - together[row]).max() < EXACT


# --- the bundled model -------------------------------------------------------------------------------------------

PROMPTS = [
    InfillRequest("import numpy as np\n\n\ndef mean(values):\n    return ", "\n", one_line=True),
    InfillRequest(
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n", "\n"
    ),
    InfillRequest("for i in range(10):\n    ", "\n", typed="pri", one_line=True),
    InfillRequest("def read(path):\n    with open(path) as ", "\n        return file.read()\n", one_line=True),
    InfillRequest("const names = items.map((item) => ", ");\n", "<| file ext=.js |>\n", one_line=True),
    InfillRequest("if __name__ == ", ":\n    main()\n", one_line=True),
]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with both graphs, as they are built today."""
    return add_graphs(shutil.copytree(BUNDLED, tmp_path_factory.mktemp("bundled") / "m"))


@pytest.mark.parametrize("graph", FORMS)
def test_the_bundled_model_speaks_the_same_in_both(bundled: Path, graph: str) -> None:
    """Token for token, wherever torch's first choice is ahead of its second by more than rounding moves them."""
    _, tokenizer = load_transformer(bundled)
    tokens = tokenizer.encode(Path(infill.__code__.co_filename).read_text(encoding="utf-8"))[:300]
    expected = logits_in_torch(bundled, tokens)
    found = evaluator(bundled, graph=graph)
    scores = np.stack([found.evaluate([token]) for token in tokens])
    assert off(scores, expected) < ROUNDED[graph]
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second > 4 * ROUNDED[graph] * expected.std()
    assert clear.mean() > 0.6
    assert (scores.argmax(1) == expected.argmax(1))[clear].all()


@pytest.mark.parametrize("graph", FORMS)
def test_the_bundled_model_fills_the_same_in_both(bundled: Path, monkeypatch: pytest.MonkeyPatch, graph: str) -> None:
    monkeypatch.setattr(processor, "exact_products", lambda: graph == GRAPH_VNNI)
    models = load_model(bundled, engine="onnx"), load_model(bundled, engine="torch")
    same = [len({infill(model, prompt).text for model in models}) == 1 for prompt in PROMPTS]
    assert sum(same) >= len(PROMPTS) - 1  # of two words that are equally likely either may be first


def test_the_bundled_graphs_are_what_is_built_today() -> None:
    with (BUNDLED / WEIGHTS).open("rb") as file:
        graphs = graph_files(read_config(BUNDLED), file)
    assert {name: content for name in (GRAPH, GRAPH_VNNI) if (content := _content(BUNDLED / name))} == graphs
    assert max(map(len, graphs.values())) < 100_000


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def test_torch_is_not_needed() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; import incoder_lsp.worker, incoder_lsp.completer, incoder_lsp.server\n"
        "from incoder_model.infill import InfillRequest, infill\n"
        "model = incoder_lsp.infiller.open_source(None).model\n"
        "print(infill(model, InfillRequest('import math\\n', '\\n', max_tokens=3)).tokens, 'onnx' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "3 False\n"


# --- two graphs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d_model, dtype, names", [
    (512, torch.int8, {GRAPH, GRAPH_VNNI}), (512, torch.float16, {GRAPH}), (64, torch.int8, {GRAPH})
])  # fmt: skip
def test_who_gains_by_a_second_graph_has_one(
    tokenizer: Tokenizer, tmp_path: Path, d_model: int, dtype: torch.dtype, names: set[str]
) -> None:
    """Both are small, and both find their weights in the same bytes of the same file."""
    config = ModelConfig(tokenizer.vocab_size, d_model=d_model, layers=1, heads=d_model // 64, d_ffn=64, context=32)
    save_model(tmp_path / "m", initialise(Transformer(config)), tokenizer, dtype=dtype, graph=True)
    graphs = {path.name: onnx.load(path, load_external_data=False) for path in (tmp_path / "m").glob("*.onnx")}
    assert graphs.keys() == names
    places = [
        {tuple((entry.key, entry.value) for entry in tensor.external_data) for tensor in graph.graph.initializer}
        for graph in graphs.values()
    ]
    assert all(place == places[0] for place in places)
    assert load_model(tmp_path / "m", engine="onnx").engine.prefill(TOKENS[:5]).shape == (config.vocab_size,)


def test_the_processor_decides_between_them(
    directories: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shutil.copytree(directories("one head", "int8"), tmp_path / "m")
    (directory / GRAPH_VNNI).write_bytes(b"not a graph")
    monkeypatch.setattr(processor, "exact_products", lambda: False)
    assert load_model(directory, engine="onnx")
    monkeypatch.setattr(processor, "exact_products", lambda: True)
    with pytest.raises(ModelDirectoryError, match=rf"{GRAPH_VNNI} does not fit its folder.*convert"):
        load_model(directory, engine="onnx")
    (directory / GRAPH_VNNI).unlink()  # as in a directory that was made before there was a second graph
    assert load_model(directory, engine="onnx")


# --- what does not fit is told -----------------------------------------------------------------------------------


def test_weights_may_lie_anywhere_in_their_file(directories: Callable[[str, str], Path], tmp_path: Path) -> None:
    """A header of any length puts the values at odd places."""
    directory = shutil.copytree(directories("three heads", "int8"), tmp_path / "odd")
    content = (directory / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + size].rstrip()
    header += b" " * (1 - len(header) % 2)
    (directory / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    found = evaluator(add_graphs(directory)).evaluate_each(TOKENS)
    assert np.array_equal(found, evaluator(directories("three heads", "int8")).evaluate_each(TOKENS))


def cut(file: str, share: float) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        content = (directory / file).read_bytes()
        (directory / file).write_bytes(content[: int(len(content) * share)])

    return edit


def replace_weights(directory: Path) -> None:
    """By a model of the same shape whose tensors lie elsewhere."""
    network, tokenizer = load_transformer(directory)
    save_model(directory.with_name("other"), network, tokenizer, dtype=torch.float16)
    shutil.copy(directory.with_name("other") / WEIGHTS, directory / WEIGHTS)


def change_config(directory: Path) -> None:
    values = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**values, "context": 48}))


WRONG = {
    "no graph": (lambda directory: (directory / GRAPH).unlink(), rf"has no {GRAPH}.*convert .* --to onnx"),
    "half a graph": (cut(GRAPH, 0.5), r"cannot load it .*convert"),
    "an empty graph": (cut(GRAPH, 0), r"does not fit its folder.*convert"),
    "other weights": (replace_weights, r"built for other weights.*convert"),
    "another shape": (change_config, r"built for other weights.*convert"),
    "half the weights": (cut(WEIGHTS, 0.5), r"model\.safetensors is damaged \(it ends before"),
    "no header": (cut(WEIGHTS, 0.0), r"model\.safetensors is damaged \(it does not begin"),
    "no weights": (lambda directory: (directory / WEIGHTS).unlink(), r"has no model\.safetensors"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(directories: Callable[[str, str], Path], tmp_path: Path, name: str) -> None:
    damage, message = WRONG[name]
    directory = shutil.copytree(directories("one head", "int8"), tmp_path / "m")
    (directory / GRAPH_VNNI).unlink()
    damage(directory)
    with pytest.raises(ModelDirectoryError, match=message) as caught:
        load_model(directory, engine="onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes, message",
    [({"layers": 2}, r"lacks the weight layers\.1\."), ({"heads": 8}, "heads of 4 .* multiple of 8")],
)
def test_no_graph_is_built_for_what_cannot_run(
    directories: Callable[[str, str], Path], changes: dict[str, int], message: str
) -> None:
    directory = directories("one head", "int8")
    config = dataclasses.replace(read_config(directory), **changes)
    with (directory / WEIGHTS).open("rb") as file, pytest.raises(ValueError, match=message):
        graph_files(config, file)
