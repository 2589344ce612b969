"""llama.cpp's `POST /infill`, as llama.vim and llama.vscode use it: JSON in, a Call out; what was said, as JSON.

`input_prefix`, `prompt` (what is typed of the line) and `input_suffix` are the hole, `input_extra` pieces of other files.
Honoured: n_predict, temperature, top_p, seed, stop, stream, n_indent, t_max_predict_ms, response_fields. Read over, as they ask for
what this engine does anyway or has not: cache_prompt, samplers, top_k, id_slot, t_max_prompt_ms, model. One field is our own,
`header`: the metadata line of the file, which our own `--backend` sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incoder_lsp import version
from incoder_lsp.backend.dialects import OURS
from incoder_lsp.http import fields
from incoder_lsp.http.generation import Said
from incoder_lsp.http.wish import DEFAULT_TOKENS, Wish, wish
from incoder_lsp.infiller import Infiller


@dataclass(frozen=True)
class Call:
    wishes: tuple[
        Wish, ...
    ]  # none where n_predict is 0: such a request only warms a cache up, and ours needs none of it
    stream: bool
    model: str
    response_fields: tuple[str, ...] | None

    def part(self, index: int, text: str) -> dict[str, Any]:
        return {"index": index, "content": text, "tokens": [], "stop": False, "id_slot": 0}

    def last(self, index: int, said: Said) -> dict[str, Any]:
        return self._shown({**self._all(said), "index": index, "content": ""})

    def closing(self, saids: Sequence[Said]) -> list[Any]:
        return []

    def whole(self, saids: Sequence[Said]) -> dict[str, Any]:
        return self._shown(self._all(saids[0] if saids else NOTHING))

    def _all(self, said: Said) -> dict[str, Any]:
        return {
            "index": 0,
            "content": said.text,
            "tokens": [],
            "id_slot": 0,
            "stop": True,
            "model": self.model,
            "tokens_predicted": said.tokens,
            "tokens_evaluated": said.prompt_tokens,
            "tokens_cached": said.prompt_tokens + said.tokens,
            "has_new_line": "\n" in said.text,
            "truncated": said.truncated,
            "stop_type": said.reason,
            "stopping_word": said.word,
            **{f"stopped_{reason}": said.reason == reason for reason in ("eos", "word", "limit")},
            "timings": {
                **_rates("prompt", said.prompt_tokens, said.prompt_ms),
                **_rates("predicted", said.tokens, said.predicted_ms),
            },
        }

    def _shown(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The fields that were asked for; `timings/prompt_n` is a field of an object, shown under that name."""
        if self.response_fields is None:
            return answer
        shown: dict[str, Any] = {}
        for name in self.response_fields:
            value: Any = answer
            for key in name.split("/"):
                value = value.get(key) if isinstance(value, Mapping) else None
            if value is not None:
                shown[name] = value
        return shown


NOTHING = Said("", "limit", "", 0, 0, 0.0, 0.0, False)


def read_call(body: Mapping[str, Any], model: Infiller) -> Call:
    """Raises Problem."""
    left = fields.require(body, "input_prefix", fields.TEXT) + fields.read(body, "prompt", fields.TEXT, "")
    right = fields.require(body, "input_suffix", fields.TEXT)
    extras = fields.read(body, "input_extra", fields.EXTRAS, [])
    tokens = fields.read(body, "n_predict", fields.whole(-1), -1)
    tokens = DEFAULT_TOKENS if tokens < 0 else tokens
    asked = wish(body, left, right, tokens, model.context, extras)
    shown = fields.read(body, "response_fields", fields.NAMES, None)
    stream = fields.read(body, "stream", fields.FLAG, False)
    return Call((asked,) if tokens else (), stream, model.name, None if shown is None else tuple(shown))


def props(model: Infiller) -> dict[str, Any]:
    """`GET /props`: what a client may want to know beforehand."""
    params = {"n_predict": DEFAULT_TOKENS, "temperature": 0.0, "top_p": 0.95, "stop": [], "stream": False}
    return {
        "default_generation_settings": {"id": 0, "n_ctx": model.context, "params": params},
        "total_slots": 1,
        "model_path": model.name,
        "model_alias": model.name,
        "modalities": {"vision": False, "audio": False},
        "chat_template": "",
        "build_info": f"{OURS} {version()}",
    }


def _rates(name: str, tokens: int, milliseconds: float) -> dict[str, Any]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": round(milliseconds, 3),
        f"{name}_per_token_ms": round(milliseconds / max(tokens, 1), 3),
        f"{name}_per_second": round(1000 * tokens / max(milliseconds, 0.001), 3),
    }
