"""Many texts at once: what `infill` says to one prompt after the other, for evaluation, where there are thousands.

Prompts wait sorted by length. Some are read together, padded behind, and become rows of a ragged cache; then all rows go on
by a token at a time. A row that ends leaves, and when enough have left the next prompts are read. Equal prompts are read
once. What a row says does not depend on the others: it has its own `Span`, and its own random stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from incoder_model.checkpoint import BUNDLED, WEIGHTS, load_transformer
from incoder_model.ragged_cache import RaggedCache
from incoder_model.sampling import Sampling, choose
from incoder_model.scoring import log_probabilities, padded
from incoder_model.span import Span, StopReason
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import KVCache, Transformer

ROWS = {"cpu": 32, "cuda": 256}  # that go on together, if the memory allows
READ_TOKENS = {"cpu": 8_192, "cuda": 32_768}  # in one pass, padding included; a single text may be longer
CPU_CACHE_BYTES = 2 << 30  # for keys and values; of a GPU, half of what is free. A single row may take more
LIKELY = 1024  # tokens, among which those that hold top_p of the probability are looked for first

Done = Callable[[str], bool]


@dataclass(frozen=True)
class Prompt:
    """The tokens that a span follows, `<|endoftext|>` in front of them, and how the span begins and ends."""

    tokens: list[int]
    max_tokens: int  # beyond what is typed
    typed: str = ""  # forced onto the beginning of the span, as in `infill`
    one_line: bool = False  # end with the line
    seed: int = 0  # of the row's random stream, where tokens are drawn
    done: Done | None = None  # asked after every token about the text so far: whether it is enough


@dataclass(frozen=True)
class Completion:
    tokens: list[int]  # of the span, those of its typed beginning included
    text: str  # what is typed left out
    generated: int  # tokens beyond what is typed
    log_probability: float  # of these under the model, in nats
    stopped: StopReason


class _Row:
    """A prompt on its way."""

    def __init__(self, prompt: Prompt, tokenizer: Tokenizer, context: int, done: Done | None):
        room = context - len(prompt.tokens)
        self.span = Span(tokenizer, prompt.typed, max_tokens=prompt.max_tokens, room=room, one_line=prompt.one_line)
        self.done = prompt.done or done
        self.rng = np.random.default_rng(prompt.seed)
        self.tokens = (*prompt.tokens, *self.span.tokens)  # what is read before the first choice
        if not prompt.tokens or len(self.tokens) > context:
            raise ValueError(f"a prompt has between 1 and {context} tokens, this one has {len(self.tokens)}")
        typed = len(prompt.typed.encode("utf-8", "replace"))
        self.longest = min(context, len(self.tokens) + typed + prompt.max_tokens)  # tokens that may have to be held

    def take(self, token: int, log_probability: float) -> None:
        self.span.take(token, log_probability)
        if not self.span.stopped and self.done is not None and self.done(self.span.text):
            self.span.stopped = "done"

    def completion(self) -> Completion:
        span = self.span
        assert span.stopped
        return Completion(span.tokens, span.text, span.generated, span.log_probability, span.stopped)


class Generator:
    """A network that goes on with many texts at once, on the device and in the precision that its weights are in.

    tokens/s depend on `rows`, the most texts that go on together (None: what suits the device); answers do not.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, rows: int | None = None):
        weight = model.embed_tokens.weight
        self.config, self.tokenizer, self.context = model.config, tokenizer, model.config.context
        self._model, self._device, self._dtype = model, weight.device, weight.dtype
        self._token_bytes = 2 * self.config.layers * self.config.d_model * weight.dtype.itemsize  # its keys and values
        on_gpu = weight.device.type == "cuda"
        self._cache_bytes = torch.cuda.mem_get_info(weight.device)[0] // 2 if on_gpu else CPU_CACHE_BYTES
        self._read_tokens = min(READ_TOKENS[weight.device.type], self._cache_bytes // (2 * self._token_bytes))
        self._rows = rows or ROWS[weight.device.type]

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], *, sampling: Sampling, done: Done | None = None) -> list[Completion]:
        """A completion for each prompt, in their order. `done` is for the prompts that have none of their own.

        Rows draw from their own streams: the seed of `sampling` has no say. Raises ValueError for a prompt that is empty or
        longer than the context.
        """
        rows = [_Row(prompt, self.tokenizer, self.context, done) for prompt in prompts]
        waiting = sorted(rows, key=lambda row: (len(row.tokens), row.tokens))  # from its end, so the longest come first
        cache = self._cache(rows)
        active: list[_Row] = []
        while waiting or active:
            free = cache.rows - len(active)
            if waiting and (not active or free >= cache.rows / 4):
                new = self._next(waiting, free)
                self._choose(new, self._read(new, cache), sampling)
                active += new
            else:
                tokens = torch.tensor([[row.span.tokens[-1]] for row in active], device=self._device)
                hidden = self._model(tokens, cache)  # (rows, 1, d_model)
                self._choose(active, self._model.logits(hidden[:, 0]), sampling)
            for i in reversed(range(len(active))):
                if active[i].span.stopped:
                    cache.drop(i)
                    active[i] = active[-1]
                    active.pop()
        return [row.completion() for row in rows]

    def score(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Of each sequence, the log-probability of every token given those before it: (len - 1,) float32, in nats.

        Raises ValueError for a sequence that is empty or has more than context + 1 tokens.
        """
        return log_probabilities(self._model, sequences, self._read_tokens)

    def _cache(self, rows: Sequence[_Row]) -> RaggedCache:
        """With room for as many of `rows` at a time as is good."""
        longest = max((row.longest for row in rows), default=1)
        fitting = max(1, self._cache_bytes // (self._token_bytes * longest))
        return RaggedCache(self.config, min(len(rows), self._rows, fitting), longest, self._dtype, self._device)

    def _next(self, waiting: list[_Row], free: int) -> list[_Row]:
        """The rows from the end of `waiting` that are read together: at least one, at most `free`. Equal ones count once."""
        new = [waiting.pop()]
        texts, longest = 1, len(new[0].tokens)
        while waiting and len(new) < free:
            texts += waiting[-1].tokens != new[-1].tokens
            if texts * longest > self._read_tokens:
                break
            new.append(waiting.pop())
        return new

    def _read(self, rows: Sequence[_Row], cache: RaggedCache) -> Tensor:
        """Read new rows into the cache; the scores of what comes next, (rows, vocab_size)."""
        texts = {tokens: i for i, tokens in enumerate(dict.fromkeys(row.tokens for row in rows))}
        lengths = [len(tokens) for tokens in texts]
        read = KVCache(self.config, len(texts), self._dtype, self._device, capacity=max(lengths))
        hidden = self._model(padded(list(texts), self._device), read)  # (texts, longest, d_model)
        ends = torch.tensor(lengths, device=self._device) - 1
        scores = self._model.logits(hidden[torch.arange(len(texts), device=self._device), ends])
        which = [texts[row.tokens] for row in rows]
        cache.append(read, which, [len(row.tokens) for row in rows])
        return scores[which]

    def _choose(self, rows: Sequence[_Row], scores: Tensor, sampling: Sampling) -> None:
        """Let each row take its next token. scores: (rows, vocab_size)."""
        allowed = [row.span.allowed for row in rows]
        free = [i for i, ids in enumerate(allowed) if ids is None]
        if free:
            draws = [rows[i].rng.random() for i in free] if sampling.temperature else []
            tokens, log_p = choose_rows(scores if len(free) == len(rows) else scores[free], sampling, draws)
            for i, token, log_probability in zip(free, tokens.tolist(), log_p.tolist(), strict=True):
                rows[i].take(token, log_probability)
        for i, ids in enumerate(allowed):
            if ids is not None:
                rows[i].take(*choose(scores[i].float().cpu().numpy(), sampling, rows[i].rng, ids))


def choose_rows(scores: Tensor, sampling: Sampling, draws: Sequence[float]) -> tuple[Tensor, Tensor]:
    """`sampling.choose` for many rows: tokens and their log-probabilities under the model, both (rows,).

    scores: (rows, vocab_size) logits; draws: for each row, what its random stream gave, in [0, 1); none when greedy.
    """
    log_p = scores.float().log_softmax(-1)
    if sampling.temperature == 0:
        tokens = log_p.argmax(-1)
    else:
        p = (log_p / sampling.temperature).softmax(-1)
        likely, order = p.topk(min(LIKELY, p.shape[1]))
        if likely.sum(-1).min() < sampling.top_p:
            likely, order = p.sort(descending=True)
        before = F.pad(likely.cumsum(-1)[:, :-1], (1, 0))  # the probability of the tokens that are likelier
        reached = likely.where(before < sampling.top_p, 0).double().cumsum(-1)
        drawn = torch.tensor(draws, dtype=torch.float64, device=scores.device)[:, None] * reached[:, -1:]
        tokens = order.gather(1, torch.searchsorted(reached, drawn, right=True))[:, 0]
    return tokens, log_p.gather(1, tokens[:, None])[:, 0]


def load_generator(directory: Path | None = None) -> Generator:
    """The model in `directory` (by default the bundled one): in float32 on the CPU, or, where there is a GPU, there and in the
    precision that its weights are stored in. Raises ModelDirectoryError."""
    directory = directory or BUNDLED
    model, tokenizer = load_transformer(directory)
    if torch.cuda.is_available():
        model.to("cuda", stored_precision(directory))
        model.rebuild_positions(torch.device("cuda"))  # in float32
    return Generator(model, tokenizer)


def stored_precision(directory: Path) -> torch.dtype:
    """Of the weights in a model directory that `load_transformer` has read."""
    with safe_open(directory / WEIGHTS, framework="pt") as file:
        return file.get_tensor("layer_norm.weight").dtype
