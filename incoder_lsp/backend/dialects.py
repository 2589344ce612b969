"""What a server speaks: an InfillRequest as the JSON of its question, and the JSON of its answer as text.

    llama    POST /infill           input_prefix, prompt, input_suffix    llama.cpp's server, and our own
    openai   POST /v1/completions   prompt, suffix                        our own, and vLLM where its model's form is known

No server can be made to begin with given characters, except our own: what is typed goes along as the end of the left side, and
only what follows it comes back.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from incoder_lsp.backend.fim import Form
from incoder_lsp.backend.key import KEY_VARIABLE

if TYPE_CHECKING:
    from incoder_model.infill import InfillRequest
    from incoder_model.span import StopReason

Get = Callable[[str], Awaitable[tuple[int, Any]]]  # a path -> status and JSON

OURS = "incoder-lsp"  # how the build_info of our own server begins
FORBIDDEN = (401, 403)
LONGEST_REASON = 200  # characters of a server's own words that are passed on


class NotUnderstood(Exception):  # noqa: N818 - it says what happened at the other end
    """A server says something else than the dialect allows; what, as the end of a sentence."""


@dataclass(frozen=True)
class Said:
    text: str
    tokens: int  # 0 where the server does not tell
    stopped: StopReason


@dataclass(frozen=True)
class Llama:
    ours: bool = False  # it also takes the header, which other models could not make sense of
    path: str = "infill"

    def body(self, request: InfillRequest) -> dict[str, Any]:
        return {
            "input_prefix": request.left,
            "prompt": request.typed,
            "input_suffix": request.right,
            "n_predict": request.max_tokens,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "seed": request.sampling.seed,
            "stop": ["\n"] if request.one_line else [],
            "stream": False,
            "cache_prompt": True,
            **({"header": request.header} if self.ours else {}),
            **({"input_extra": extra} if (extra := _extra(request)) else {}),
        }

    def read(self, answer: Any, request: InfillRequest) -> Said:
        """Raises NotUnderstood."""
        if not isinstance(answer, dict) or not isinstance(answer.get("content"), str):
            raise NotUnderstood("its answer is not that of a llama.cpp server")
        limit = answer.get("stop_type") == "limit" or answer.get("stopped_limit") is True
        return _said(answer["content"], answer.get("tokens_predicted"), limit, request)


def _extra(request: InfillRequest) -> list[dict[str, str]]:
    """Pieces of other files, the best last; by the names of the files, not by where they lie here."""
    return [{"filename": PurePath(one.path).name, "text": f"{one.text}\n"} for one in reversed(request.neighbours)]


@dataclass(frozen=True)
class OpenAI:
    model: str
    form: Form | None = None  # of the model's family, where the server takes no suffix
    path: str = "v1/completions"

    def body(self, request: InfillRequest) -> dict[str, Any]:
        left, right = request.left + request.typed, request.right
        return {
            "model": self.model,
            **({"prompt": self.form.write(left, right)} if self.form else {"prompt": left, "suffix": right}),
            "max_tokens": request.max_tokens,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "seed": request.sampling.seed,
            "stop": ["\n"] if request.one_line else None,
            "stream": False,
        }

    def read(self, answer: Any, request: InfillRequest) -> Said:
        """Raises NotUnderstood."""
        try:
            choice = answer["choices"][0]
            text, limit = choice["text"], choice.get("finish_reason") == "length"
            tokens = (answer.get("usage") or {}).get("completion_tokens")
        except (TypeError, LookupError, AttributeError):
            text, limit, tokens = None, False, 0
        if not isinstance(text, str):
            raise NotUnderstood("its answer is not that of an OpenAI-style server")
        return _said(text, tokens, limit, request)

    def refuses_suffix(self, status: int, answer: Any) -> bool:
        """vLLM and llama.cpp take no suffix at /v1/completions, and say so."""
        return self.form is None and 400 <= status < 500 and "suffix" in str(answer).lower()

    def by_form(self, form: Form | None) -> OpenAI:
        if form is None:
            raise NotUnderstood(f"it takes no suffix, and how to ask {self.model} to fill a hole is not known")
        return replace(self, form=form)


Dialect = Llama | OpenAI


async def detect(get: Get) -> Dialect:
    """Ask a server what it is. Raises NotUnderstood, and what `get` raises."""
    status, props = await get("props")
    if status == 200 and isinstance(props, dict) and "default_generation_settings" in props:
        return Llama(ours=str(props.get("build_info", "")).startswith(OURS))
    if status < 500 and status not in FORBIDDEN:
        status, models = await get("v1/models")
        with suppress(TypeError, LookupError):
            return OpenAI(str(models["data"][0]["id"]))
        props = models
    if status >= 500 or status in FORBIDDEN:
        raise NotUnderstood(refusal(status, props))
    raise NotUnderstood("it answers neither as llama.cpp's server nor as OpenAI's does")


def refusal(status: int, answer: Any) -> str:
    """What a server said instead of an answer, on one line."""
    hint = f"; its key is read from {KEY_VARIABLE}" if status in FORBIDDEN else ""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    if not isinstance(words, str):
        return f"it answers with status {status}{hint}"
    words = " ".join("".join(c if c.isprintable() else " " for c in words).split())[:LONGEST_REASON].rstrip(".")
    return f"it answers with status {status}, {words}{hint}"


def _said(text: str, tokens: Any, limit: bool, request: InfillRequest) -> Said:
    count = tokens if isinstance(tokens, int) and tokens >= 0 else 0
    if request.one_line and (line_end := re.search(r"[\r\n]", text)):
        return Said(text[: line_end.start()], count, "line")
    if limit:
        return Said(text, count, "budget")
    return Said(text, count, "line" if request.one_line else "end-of-mask")
