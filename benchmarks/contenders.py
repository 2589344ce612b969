"""The engines behind one interface, each at its best settings for one person who types.

    python benchmarks/contenders.py ENGINE DIRECTORY THREADS        (a worker of `turns`; the benchmarks start it)

A contender is given a prompt and says when each greedy token was there. Whoever can, keeps the keys and values of the longest
beginning that a prompt shares with the one before: ours by itself, llama.cpp by cache_prompt, transformers by cutting back the
cache that generate() takes. CTranslate2 keeps only a beginning that is announced (static_prompt).

What is on a path is timed with it: nothing is subtracted. llama.cpp is called in its process through the fastest door that
xllamacpp has, its server's queue without HTTP; `path_ms` is what that adds to the times llama.cpp gives itself.
Light imports only at the top: how long an engine takes to load is measured from the start of this process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from turns import answer

if TYPE_CHECKING:
    from weights import Form

Said = Callable[[int], bool]  # called with a token when it is there (llama.cpp does not tell which, -1); True stops


class Contender(Protocol):
    def generate(self, prompt: list[int], count: int, said: Said) -> None:
        """Greedily `count` tokens after `prompt`, whatever they are."""
        ...

    def scores(self, prompt: list[int]) -> np.ndarray:
        """(vocab_size,) log-probabilities after `prompt`, to see that it is the same model."""
        ...


class Ours:
    def __init__(self, directory: Path, threads: int, engine: Any, vnni: bool = True):
        """`vnni`: False loads what a processor without VNNI is given."""
        from incoder_model import processor
        from incoder_model.loading import load_model

        if not vnni:
            processor.exact_products = lambda: False

        # One sequence, as the others have: a prompt that was timed before must not be there still.
        self._engine = load_model(directory, engine=engine, sequences=1).engine

    def generate(self, prompt: list[int], count: int, said: Said) -> None:
        scores = self._engine.prefill(prompt)
        for left in range(count, 0, -1):
            token = int(scores.argmax())
            if said(token) or left == 1:
                return
            scores = self._engine.step(token)

    def scores(self, prompt: list[int]) -> np.ndarray:
        return log_softmax(self._engine.prefill(prompt))


class Transformers:
    def __init__(self, directory: Path, threads: int, dtype: str):
        import torch
        from transformers import DynamicCache, GenerationConfig, XGLMConfig, XGLMForCausalLM

        from incoder_model.checkpoint import load_transformer
        from incoder_model.xglm import HEAD, xglm_config, xglm_name

        torch.set_num_threads(threads)
        ours, _ = load_transformer(directory)
        with torch.device("meta"):
            model = XGLMForCausalLM(XGLMConfig.from_dict(xglm_config(ours.config)))
        weights = {xglm_name(name): weight for name, weight in ours.state_dict().items()}
        model.load_state_dict(weights | {HEAD: ours.embed_tokens.weight}, assign=True)
        model.tie_weights()
        model.get_submodule("model.embed_positions").weights = ours.positions.clone()
        self._model: Any = model.to(getattr(torch, dtype)).eval()
        self._cache, self._held = DynamicCache(config=model.config), []
        self._tensor, self._config = torch.tensor, GenerationConfig

    def generate(self, prompt: list[int], count: int, said: Said) -> None:
        from incoder_model.engine import common_prefix

        shared = min(common_prefix(self._held, prompt), len(prompt) - 1, self._cache.get_seq_length())
        if surplus := self._cache.get_seq_length() - shared:
            self._cache.crop(-surplus)
        greedy = self._config(max_new_tokens=count, do_sample=False, pad_token_id=1, eos_token_id=None)
        given = self._tensor([prompt])
        said_by = [lambda ids, scores, **_: self._tensor([said(int(ids[0, -1]))])]
        self._held = self._model.generate(
            given, past_key_values=self._cache, generation_config=greedy, stopping_criteria=said_by
        )[0].tolist()

    def scores(self, prompt: list[int]) -> np.ndarray:
        return log_softmax(self._model(self._tensor([prompt])).logits[0, -1].detach().float().numpy())


class CTranslate2:
    STATIC = 512  # tokens, of a prompt that has more, that are announced as staying the same

    def __init__(self, directory: Path, threads: int, compute_type: str):
        import ctranslate2

        self._generator = ctranslate2.Generator(
            str(directory), compute_type=compute_type, intra_threads=threads, inter_threads=1
        )

    def generate(self, prompt: list[int], count: int, said: Said) -> None:
        names = [str(token) for token in prompt]
        # A prompt of another length is one that nobody has read before: nothing of it is worth keeping.
        static = names[: self.STATIC] if self.STATIC < len(names) <= self.STATIC + 64 else None
        self._generator.generate_batch(
            [names[self.STATIC :] if static else names],
            static_prompt=static,
            include_prompt_in_result=False,
            max_length=count,
            min_length=count,
            callback=lambda step: said(step.token_id),
        )

    def scores(self, prompt: list[int]) -> np.ndarray:
        logits = self._generator.forward_batch([[str(token) for token in prompt]])
        return log_softmax(np.array(logits)[0, -1])


GREEDY = {"temperature": 0, "samplers": ["top_k"], "top_k": 1, "cache_prompt": True, "ignore_eos": True}


class LlamaCpp:
    def __init__(self, path: Path, threads: int):
        self._server = llama_server(path, threads)
        self.path_ms: list[float] = []

    def generate(self, prompt: list[int], count: int, said: Said) -> None:
        started = time.perf_counter()
        own: list[dict[str, float]] = []

        def take(chunk: Any) -> bool:
            for one in chunk if isinstance(chunk, list) else [chunk]:
                if one.get("timings"):
                    own.append(one["timings"])
                elif said(-1):
                    return True
            return False

        self._server.handle_completions({**GREEDY, "prompt": prompt, "n_predict": count, "stream": True}, take)
        if own:
            spent = (time.perf_counter() - started) * 1000
            self.path_ms.append(spent - own[-1]["prompt_ms"] - own[-1]["predicted_ms"])

    def scores(self, prompt: list[int]) -> np.ndarray:
        """Over HTTP: the other door does not give the ids."""
        from urllib.request import Request, urlopen

        body = {**GREEDY, "prompt": prompt, "n_predict": 1, "n_probs": 1_000_000, "ignore_eos": False}
        asked = Request(f"{self._server.listening_address}/completion", json.dumps(body).encode())
        asked.add_header("Content-Type", "application/json")
        with urlopen(asked) as reply:
            ranking = json.load(reply)["completion_probabilities"][0]["top_logprobs"]
        scores = np.full(len(ranking), -np.inf, np.float32)
        for one in ranking:
            scores[one["id"]] = one["logprob"]
        return scores


def llama_server(path: Path, threads: int, batch: int | None = None) -> Any:
    """With the model's own context and one slot, whose cache is kept and never copied aside; the rest as llama.cpp chooses."""
    xllamacpp: Any = import_module("xllamacpp")  # its types do not say what is in it
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.port = 0, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    params.fit_params = params.ui = False
    params.endpoint_metrics = True
    params.n_batch = batch or params.n_batch
    params.verbosity = -1
    return xllamacpp.Server(params)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores.astype(np.float64) - scores.max()
    return (shifted - np.log(np.exp(shifted).sum())).astype(np.float32)


# What an engine is given: which form of the weights (`weights.Weights`), and what opens it.
ENGINES: dict[str, tuple[Form, Callable[[Path, int], Contender]]] = {
    "ours, ONNX Runtime": ("directory", lambda path, threads: Ours(path, threads, "onnx")),
    "ours, without VNNI": ("directory", lambda path, threads: Ours(path, threads, "onnx", vnni=False)),
    "ours, torch": ("directory", lambda path, threads: Ours(path, threads, "torch")),
    "transformers fp32": ("directory", lambda path, threads: Transformers(path, threads, "float32")),
    "transformers bf16": ("directory", lambda path, threads: Transformers(path, threads, "bfloat16")),
    "CTranslate2 fp32": ("ctranslate2", lambda path, threads: CTranslate2(path, threads, "float32")),
    "CTranslate2 int8": ("ctranslate2", lambda path, threads: CTranslate2(path, threads, "int8")),
    **{f"llama.cpp {kind}": (kind, LlamaCpp) for kind in ("f16", "q8_0", "q4_0")},
}


class Examined:
    """Answers the questions of a benchmark about one contender: a dict of one method's name and its arguments."""

    def __init__(self, contender: Contender):
        self._contender = contender

    def answer(self, question: dict[str, list[Any]]) -> Any:
        ((name, values),) = question.items()
        return getattr(self, name)(*values)

    def ready(self) -> bool:
        return True

    def same_model(self, prompts: Sequence[list[int]], file: str) -> dict[str, float] | None:
        """The first contender writes its scores; of every other the worst cosine to them and the share of equal best tokens."""
        scores = np.stack([self._contender.scores(prompt) for prompt in prompts])
        if not Path(file).exists():
            np.save(file, scores)
            return None
        right = np.load(file)
        centred = [array - array.mean(axis=1, keepdims=True) for array in (scores, right)]
        lengths = np.linalg.norm(centred, axis=2).prod(axis=0)
        cosines = (centred[0] * centred[1]).sum(axis=1) / lengths
        return {"cosine": float(cosines.min()), "same_best": float((scores.argmax(1) == right.argmax(1)).mean())}

    def moments(self, warm: list[int], prompts: Sequence[list[int]], count: int) -> list[list[float]]:
        """For each prompt, asked after `warm` was read, the milliseconds until each of `count` tokens."""
        rows = []
        for prompt in prompts:
            self._contender.generate(warm, 1, lambda _: False)
            moments: list[float] = []

            def take(_: int, moments: list[float] = moments) -> bool:
                moments.append(time.perf_counter())
                return False

            started = time.perf_counter()
            self._contender.generate(prompt, count, take)
            rows.append([(moment - started) * 1000 for moment in moments])
        return rows

    def path_ms(self) -> list[float]:
        """What the path to the engine cost each call so far, where that is known."""
        return getattr(self._contender, "path_ms", [])


if __name__ == "__main__":
    engine, path, threads = sys.argv[1:]
    answer(Examined(ENGINES[engine][1](Path(path), int(threads))).answer)
