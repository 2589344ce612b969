"""Reading a request's JSON: a value of the kind that was expected, or a Problem with one sentence that names the field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

TYPES = {403: "permission_error", 404: "not_found_error", 500: "server_error", 503: "unavailable_error"}


class Problem(Exception):  # noqa: N818 - most are the client's
    """Why a request is not answered, in the form that both OpenAI's and llama.cpp's clients read."""

    def __init__(self, status: int, sentence: str, field: str | None = None):
        super().__init__(sentence)
        self.status, self.field = status, field

    @property
    def body(self) -> dict[str, Any]:
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.field, "code": self.status}}


@dataclass(frozen=True)
class Kind:
    accepts: str
    test: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) <= MOST_STOPS and all(isinstance(item, str) for item in value)
    )


def _is_extra(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("text"), str) and isinstance(item.get("filename") or "", str)
        for item in value
    )


def whole(low: int, high: int | None = None) -> Kind:
    range_ = f"of at least {low}" if high is None else f"from {low} to {high}"
    return Kind(
        f"a whole number {range_}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v and (high is None or v <= high),
    )


MOST_STOPS = 64
LARGEST = 2**63

TEXT = Kind("a string", lambda v: isinstance(v, str))
FLAG = Kind("true or false", lambda v: isinstance(v, bool))
TEMPERATURE = Kind("a number of at least 0", lambda v: _is_number(v) and v >= 0)
SHARE = Kind("a number above 0 and at most 1", lambda v: _is_number(v) and 0 < v <= 1)
SEED = Kind("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool) and -LARGEST <= v < 2 * LARGEST)
MILLISECONDS = Kind("a number of at least 0", TEMPERATURE.test)
STOPS = Kind(f"a string or a list of up to {MOST_STOPS} strings", _is_stop)
EXTRAS = Kind('a list of objects with "text" and "filename"', _is_extra)
NAMES = Kind("a list of strings", lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v))
OBJECT = Kind("an object", lambda v: isinstance(v, dict))


def parse(content: bytes) -> dict[str, Any]:
    """A request's body. Raises Problem."""
    try:
        body = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Problem(400, "The body is not JSON; send one JSON object, in UTF-8.") from None
    if not isinstance(body, dict):
        raise Problem(400, "The body must be one JSON object.")
    return body


def read(body: Mapping[str, Any], name: str, kind: Kind, default: Any) -> Any:
    """The field's value; `default` where it is missing or null. Raises Problem."""
    value = body.get(name)
    if value is None:
        return default
    if not kind.test(value):
        raise Problem(400, f'"{name}" must be {kind.accepts}.', name)
    return value


def require(body: Mapping[str, Any], name: str, kind: Kind) -> Any:
    value = read(body, name, kind, None)
    if value is None:
        raise Problem(400, f'"{name}" is missing; it must be {kind.accepts}.', name)
    return value


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = read(body, "stop", STOPS, [])
    return tuple(filter(None, [value] if isinstance(value, str) else value))


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)
