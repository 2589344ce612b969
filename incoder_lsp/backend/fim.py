"""The forms in which other models are asked to fill a hole, written into one prompt: known here both ways.

An OpenAI-style server that takes no `suffix` (vLLM) is asked by the form of its model's family. And clients that write such a
form themselves (Zed, Continue, llama.vscode's OpenAI mode) are understood: what they mean are the two sides of a hole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """`before` left `between` right `behind`; with `right_first`, the sides are the other way round."""

    family: str  # a pattern that model names of the family match
    before: str
    between: str
    behind: str
    right_first: bool = False

    def write(self, left: str, right: str) -> str:
        """The prompt. A marker that stands in the user's text is left out, so that the server does not read it as one."""
        for marker in (self.before, self.between, self.behind):
            left, right = left.replace(marker.strip(), ""), right.replace(marker.strip(), "")
        first, second = (right, left) if self.right_first else (left, right)
        return f"{self.before}{first}{self.between}{second}{self.behind}"

    def read(self, prompt: str) -> tuple[str, str] | None:
        """(left, right) of a prompt in this form."""
        if not prompt.startswith(self.before) or not prompt.endswith(self.behind):
            return None
        first, between, second = prompt[len(self.before) : len(prompt) - len(self.behind)].partition(self.between)
        if not between:
            return None
        return (second, first) if self.right_first else (first, second)


FORMS = (
    Form(r"deepseek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    Form(r"star-?coder|santa-?coder|stable-?code|refact", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    Form(r"code-?llama", "<PRE> ", " <SUF>", " <MID>"),
    Form(r"codestral|mistral", "[SUFFIX]", "[PREFIX]", "", right_first=True),
    Form(r"qwen|code-?gemma|granite", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
)


def form_of(model: str) -> Form | None:
    """The form of a model's family, by the model's name."""
    return next((form for form in FORMS if re.search(form.family, model, re.IGNORECASE)), None)


def read_prompt(prompt: str) -> tuple[str, str] | None:
    """(left, right) of a prompt in any of the forms."""
    return next((sides for form in FORMS if (sides := form.read(prompt))), None)
