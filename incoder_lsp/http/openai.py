"""OpenAI's `POST /v1/completions`: JSON in, a Call out; what was said, as JSON. `prompt` and `suffix` are the hole's two sides.

A prompt without a suffix that is written in another model's form of filling a hole (see `backend.fim`) is taken for its two sides.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incoder_lsp.backend.fim import read_prompt
from incoder_lsp.http import fields
from incoder_lsp.http.fields import Problem
from incoder_lsp.http.generation import Said
from incoder_lsp.http.wish import DEFAULT_TOKENS, Wish, wish
from incoder_lsp.infiller import Infiller

MOST_CHOICES = 16
REFUSED = {
    "echo": (None, False),
    "logprobs": (None, 0, False),
    "logit_bias": (None, {}),
}  # and the values that ask for nothing


@dataclass(frozen=True)
class Call:
    wishes: tuple[Wish, ...]
    stream: bool
    model: str
    usage: bool  # at the end of a stream
    name: str  # of this completion
    created: int  # seconds since 1970

    def part(self, index: int, text: str) -> dict[str, Any]:
        return self._object([_choice(index, text, None)])

    def last(self, index: int, said: Said) -> dict[str, Any]:
        return self._object([_choice(index, "", said)])

    def closing(self, saids: Sequence[Said]) -> list[Any]:
        return [*([{**self._object([]), "usage": _usage(saids)}] if self.usage else []), "[DONE]"]

    def whole(self, saids: Sequence[Said]) -> dict[str, Any]:
        choices = [_choice(index, said.text, said) for index, said in enumerate(saids)]
        return {**self._object(choices), "usage": _usage(saids)}

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def read_call(body: Mapping[str, Any], model: Infiller) -> Call:
    """Raises Problem."""
    for name, nothing in REFUSED.items():
        if body.get(name) not in nothing:
            raise Problem(400, f'"{name}" is not supported here; leave it out.', name)
    left = body.get("prompt")
    left = left[0] if isinstance(left, list) and len(left) == 1 else left
    if not isinstance(left, str):
        raise Problem(400, '"prompt" must be one string.', "prompt")
    right = fields.read(body, "suffix", fields.TEXT, "")
    if not right:
        left, right = read_prompt(left) or (left, right)
    tokens = fields.read(body, "max_tokens", fields.whole(1), DEFAULT_TOKENS)
    asked = wish(body, left, right, tokens, model.context)
    count = fields.read(body, "n", fields.whole(1, MOST_CHOICES), 1)
    options = fields.read(body, "stream_options", fields.OBJECT, {})
    return Call(
        tuple(_again(asked, i) for i in range(count)),
        fields.read(body, "stream", fields.FLAG, False),
        model.name,
        fields.read(options, "include_usage", fields.FLAG, False),
        f"cmpl-{secrets.token_hex(12)}",
        int(time.time()),
    )


def models(model: Infiller, created: int) -> dict[str, Any]:
    """`GET /v1/models`."""
    one = {"id": model.name, "object": "model", "created": created, "owned_by": "incoder-lsp"}
    return {"object": "list", "data": [{**one, "max_model_len": model.context}]}


def _again(asked: Wish, number: int) -> Wish:
    """The same wish, its random numbers others."""
    sampling = dataclasses.replace(asked.request.sampling, seed=asked.request.sampling.seed + number)
    return dataclasses.replace(asked, request=dataclasses.replace(asked.request, sampling=sampling))


def _choice(index: int, text: str, said: Said | None) -> dict[str, Any]:
    reason = said and ("length" if said.reason == "limit" else "stop")
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _usage(saids: Sequence[Said]) -> dict[str, int]:
    prompt, completion = saids[0].prompt_tokens, sum(said.tokens for said in saids)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
