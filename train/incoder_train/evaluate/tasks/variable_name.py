"""Variable names of held-out functions (paper section 4.5, Table 5).

One parameter or local variable of a function, with a name of at least 4 characters (not `self`, which nobody chose) and at least
two occurrences, loses its name:

| method | asked | answer |
|---|---|---|
| causal-mask | every occurrence is a hole, filled in sight of those before it | the name said most often |
| left-to-right | what goes on after the text up to the first occurrence | the first name in it |
| rerank | the same, 25 times, and how likely the function is with each name said everywhere | the likeliest |

Where the model says more than a name, its first name counts; a later hole sees that alone. Attributes, keywords and words of
comments that happen to be spelled as the variable stay, as they do when a person renames one. `exact_unseen` counts the cases in
which the name stands nowhere else in the text. Holes that do not fit the context fall away from the end, with the text after them.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import TYPE_CHECKING

from incoder_model import causal_mask
from incoder_model.infill import fit
from incoder_model.sampling import Sampling
from incoder_model.tokenizer import BOS
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Limits, Scores, Settings, Task
from incoder_train.evaluate.cutting import Function, cut_cases
from incoder_train.evaluate.scopes import variables
from incoder_train.evaluate.sources import load_sources

if TYPE_CHECKING:
    from incoder_model.batch import Generator

LENGTH = 4  # characters of a name, at least
OCCURRENCES = 2  # at least
HOLES = causal_mask.MAX_SENTINELS - 1  # at most: one sentinel says that text follows the last hole
CANDIDATES = 25
LIMITS = Limits(max_tokens=12, one_line=True)
HOLE_TOKENS = LIMITS.max_tokens + 3  # in the context: two sentinels, the end of the mask and what is said
NAME = re.compile(r"\b[^\W\d]\w*")


def cases(_: Settings) -> list[Case]:
    return cut_cases(load_sources(), cut)


def cut(function: Function, rng: random.Random) -> Case | None:
    """None for a function without such a variable."""
    fitting = {
        name: places
        for name, places in variables(function).items()
        if len(name) >= LENGTH and name != "self" and OCCURRENCES <= len(places) <= HOLES
    }
    if not fitting:
        return None
    name = rng.choice(sorted(fitting))
    text, (start, end) = function.file.text, function.range
    borders = [start, *(place for range_ in fitting[name] for place in range_), end]
    parts = [text[a:b] for a, b in zip(borders[::2], borders[1::2], strict=True)]
    return Case(
        id=f"{function.id}:{name}",
        left=parts[0],
        right=name.join(parts[1:]),
        answer=name,
        limits=LIMITS,
        path=function.file.source.path,
        kind="variable-name",
        extra={"parts": parts},  # between the occurrences
    )


def score(case: Case, answer: Answer) -> Scores:
    scores = {"exact": float(answer.samples[0] == case.answer)}
    elsewhere = any(case.answer in part for part in case.extra["parts"])
    return scores if elsewhere else {**scores, "exact_unseen": scores["exact"]}


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    if generator is None:
        raise ValueError("no method of this task does without a model")
    return WAYS[settings.method](cases, settings, generator)


def first_name(text: str) -> str:
    """The first identifier in `text` that can be a variable; "" if it has none."""
    found = _first_name(text)
    return found.group() if found else ""


def name_ended(text: str) -> bool:
    """Does something stand behind the first of them?"""
    found = _first_name(text)
    return found is not None and found.end() < len(text)


def _first_name(text: str) -> re.Match[str] | None:
    return next((found for found in NAME.finditer(text) if not iskeyword(found.group())), None)


# --- the methods -------------------------------------------------------------------------------------------------


def _fill_all(cases: Sequence[Case], settings: Settings, generator: Generator) -> list[Answer]:
    """Hole k of all cases that have one, for each k."""
    from incoder_model.batch import Prompt  # brings torch
    from incoder_train.evaluate.methods import seed_of

    encode, sentinels = generator.tokenizer.encode, generator.tokenizer.sentinels
    sampling = Sampling(temperature=settings.temperature or 0.0, top_p=settings.top_p)
    parts = [_fitting(case, generator) for case in cases]
    prompts = [
        [*_front(case, generator), *causal_mask.prompt(one, sentinels)] for case, one in zip(cases, parts, strict=True)
    ]
    said: list[list[str]] = [[] for _ in cases]
    for k in range(max(map(len, parts), default=1) - 1):
        asked = [i for i, one in enumerate(parts) if k < len(one) - 1]
        for i in asked:
            prompts[i].append(sentinels[k])
        holes = [
            Prompt(prompts[i], LIMITS.max_tokens, one_line=LIMITS.one_line, seed=seed_of(settings.seed, cases[i].id, k))
            for i in asked
        ]
        for i, span in zip(asked, generator.generate(holes, sampling=sampling, done=name_ended), strict=True):
            said[i].append(first_name(span.text))
            prompts[i] = [*prompts[i], *encode(said[i][-1])[: LIMITS.max_tokens], sentinels.end]
    return [Answer([most_said(names)], {"said": names}) for names in said]


def _go_on(cases: Sequence[Case], settings: Settings, generator: Generator) -> list[Answer]:
    from incoder_train.evaluate.methods import fill

    answers = fill(cases, replace(settings, method=LEFT_TO_RIGHT), generator)
    return [Answer([first_name(text) for text in answer.samples], answer.detail) for answer in answers]


def _choose(cases: Sequence[Case], settings: Settings, generator: Generator) -> list[Answer]:
    drawn = _go_on(cases, replace(settings, samples=CANDIDATES), generator)
    candidates = [list(dict.fromkeys(filter(None, one.samples))) for one in drawn]
    documents = [
        [_document(case, name, generator) for name in names] for case, names in zip(cases, candidates, strict=True)
    ]
    scores = iter(generator.score([tokens for one in documents for tokens in one]))
    answers = []
    for names in candidates:
        log_p = {name: float(next(scores).sum(dtype=float)) for name in names}
        answers.append(Answer([max(log_p, key=lambda name: log_p[name], default="")], {"log_probability": log_p}))
    return answers


WAYS = {CAUSAL_MASK: _fill_all, LEFT_TO_RIGHT: _go_on, RERANK: _choose}


def most_said(names: Sequence[str]) -> str:
    """The first of equals; "" only where no hole got a name."""
    return next((name for name, _ in Counter(filter(None, names)).most_common(1)), "")


def _front(case: Case, generator: Generator) -> list[int]:
    return [BOS, *generator.tokenizer.encode(case.header)]


def _fitting(case: Case, generator: Generator) -> list[list[int]]:
    """The tokens between the holes, of as many holes as fit the context with what is said for them."""
    first, *others = (generator.tokenizer.encode(part) for part in case.extra["parts"])
    room = generator.context - len(_front(case, generator)) - 1 - HOLE_TOKENS
    most = min(len(others), generator.tokenizer.sentinels.count - 1)
    holes = 1
    while holes < most and room >= len(others[holes - 1]) + HOLE_TOKENS:
        room -= len(others[holes - 1]) + HOLE_TOKENS
        holes += 1
    first, last = fit(first, others[holes - 1], room)  # what stands behind the last hole may be cut
    return [first, *others[: holes - 1], last]


def _document(case: Case, name: str, generator: Generator) -> list[int]:
    """The function with `name` for the variable, as much of it as with holes."""
    parts = [generator.tokenizer.decode_bytes(part).decode("utf-8", "ignore") for part in _fitting(case, generator)]
    tokens = [*_front(case, generator), *generator.tokenizer.encode(name.join(parts))]
    return tokens[: generator.context + 1]


TASK = Task(
    name="variable-name",
    about="the names of parameters and variables of held-out functions, from all the places where they stand",
    methods=(CAUSAL_MASK, LEFT_TO_RIGHT, RERANK),
    cases=cases,
    answer=answer,
    score=score,
)
