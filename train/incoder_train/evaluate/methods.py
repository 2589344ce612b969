"""The ways to answer a case (paper sections 4 and 5), in one table: cases in, an answer to each out.

    causal-mask     the model reads both sides
    region          the right side first: the left side stands in the span (paper appendix A.2)
    anchored        the same, as an editor asks: the beginning of the hole's line is forced onto the span
    left-to-right   the model reads the left side only
    rerank          the likeliest document of ten that have been completed so
    retrieval       no model: what stands elsewhere in view

Whoever is asked, an answer ends by the same rules: the case's limits, see `truncations`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from incoder_model.infill import InfillRequest, fit, left_prompt, prompt_of, typed_part
from incoder_model.sampling import Sampling
from incoder_model.tokenizer import BOS
from incoder_train.errors import UserError
from incoder_train.evaluate.case import (
    ANCHORED,
    CAUSAL_MASK,
    LEFT_TO_RIGHT,
    REGION,
    RERANK,
    RETRIEVAL,
    Answer,
    Case,
    Settings,
)
from incoder_train.evaluate.retrieval import LONGEST, retrieve
from incoder_train.evaluate.truncations import is_enough, shortened

if TYPE_CHECKING:  # no torch where no model is asked
    from incoder_model.batch import Completion, Generator, Prompt

RERANKED = 10  # K of the paper
TEMPERATURE = 0.8  # where several samples are drawn and none is asked for
SPARE = 16  # tokens by which a document may grow when its pieces are tokenised as one


# --- what a model is asked ----------------------------------------------------------------------------------------


def both_sides(case: Case, generator: Generator, *, region: bool) -> Prompt:
    request = InfillRequest(case.left, case.right, case.header, max_tokens=budget(case, generator))
    return _prompt(case, request, generator, region=region)


def anchored(case: Case, generator: Generator) -> Prompt:
    typed = typed_part(case.left[case.left.rfind("\n") + 1 :])
    left = case.left[: len(case.left) - len(typed)]
    request = InfillRequest(left, case.right, case.header, typed, max_tokens=budget(case, generator))
    return _prompt(case, request, generator)


def left_to_right(case: Case, generator: Generator) -> Prompt:
    from incoder_model.batch import Prompt

    most = budget(case, generator)
    tokens = left_prompt(generator, case.left, case.header, most)
    return Prompt(tokens, most, one_line=case.limits.one_line, done=partial(is_enough, case=case))


def _prompt(case: Case, request: InfillRequest, generator: Generator, *, region: bool | None = None) -> Prompt:
    from incoder_model.batch import Prompt

    tokens = prompt_of(generator, request, region=region)
    done = partial(is_enough, case=case)
    return Prompt(tokens, request.max_tokens, request.typed, case.limits.one_line, done=done)


def budget(case: Case, generator: Generator) -> int:
    """Tokens that an answer may have: in a small context, half of it is for what the model reads."""
    return min(case.limits.max_tokens, generator.context // 2)


# --- what comes of it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    text: str
    said: Completion


Ask = Callable[[Case, "Generator"], "Prompt"]


def draw(cases: Sequence[Case], settings: Settings, generator: Generator, ask: Ask, count: int) -> list[list[Sample]]:
    """`count` samples for each case, each from a random stream of its own."""
    try:
        sampling = Sampling(temperature_of(settings, count), settings.top_p)
        prompts = [ask(case, generator) for case in cases]
    except ValueError as error:
        raise UserError(str(error)) from None
    seeded = [
        replace(prompt, seed=seed_of(settings.seed, case.id, k))
        for case, prompt in zip(cases, prompts, strict=True)
        for k in range(count)
    ]
    said = generator.generate(seeded, sampling=sampling)
    return [
        [Sample(shortened(one.text, case), one) for one in said[i * count : (i + 1) * count]]
        for i, case in enumerate(cases)
    ]


def temperature_of(settings: Settings, samples: int) -> float:
    if settings.temperature is None:
        return TEMPERATURE if samples > 1 else 0.0
    if settings.temperature == 0 and samples > 1:
        raise UserError(f"at temperature 0 all {samples} samples are the same; ask for a temperature above 0")
    return settings.temperature


def seed_of(seed: int, case: str, k: int) -> int:
    """Of the random stream of sample `k` of a case."""
    return int.from_bytes(hashlib.sha256(f"{seed} {k} {case}".encode()).digest()[:8], "big")


def answer_of(samples: Sequence[Sample], **detail: object) -> Answer:
    said = samples[0].said
    how = {"tokens": said.generated, "log_probability": said.log_probability, "stopped": said.stopped}
    return Answer([sample.text for sample in samples], {**how, **detail})


# --- the likelihood of whole documents ----------------------------------------------------------------------------


def completed(case: Case, text: str) -> str:
    """The document with `text` in its hole. A hole of whole lines gets the last line end that `text` may lack, as in the paper's
    scripts."""
    ends = case.answer.endswith("\n") and not text.endswith("\n")
    return case.left + text + "\n" * ends + case.right


def in_view(case: Case, generator: Generator) -> Case:
    """The case with so much of both sides that a document with any answer can be read whole, the same for all answers."""
    encode, decode = generator.tokenizer.encode, generator.tokenizer.decode
    room = generator.context - budget(case, generator) - len(encode(case.header)) - SPARE
    left, right = encode(case.left), encode(case.right)
    if len(left) + len(right) <= room:
        return case
    left, right = fit(left, right, room)
    return replace(case, left=decode(left), right=decode(right))


def log_likelihoods(case: Case, texts: Sequence[str], generator: Generator) -> list[float]:
    """Of the document with each of `texts` in the hole, over all its tokens: the sum or, if the task says so, the mean."""
    seen = in_view(case, generator)
    documents = {text: completed(seen, text) for text in texts}
    encode = generator.tokenizer.encode
    sequences = [[BOS, *encode(case.header + one)][: generator.context + 1] for one in documents.values()]
    measure = np.mean if case.extra.get("rerank") == "mean" else np.sum
    by_text = {text: float(measure(log_p)) for text, log_p in zip(documents, generator.score(sequences), strict=True)}
    return [by_text[text] for text in texts]


# --- the methods --------------------------------------------------------------------------------------------------


def asked(cases: Sequence[Case], settings: Settings, generator: Generator, ask: Ask) -> list[Answer]:
    return [answer_of(samples) for samples in draw(cases, settings, generator, ask, settings.samples)]


def reranked(cases: Sequence[Case], settings: Settings, generator: Generator) -> list[Answer]:
    if settings.samples != 1:
        raise UserError(f"{RERANK} draws {RERANKED} samples and orders them; ask it for one, the default")
    answers = []
    for case, samples in zip(cases, draw(cases, settings, generator, left_to_right, RERANKED), strict=True):
        scores = log_likelihoods(case, [sample.text for sample in samples], generator)
        order = sorted(range(RERANKED), key=lambda i: -scores[i])  # of equal ones, the first drawn
        answers.append(answer_of([samples[i] for i in order], scores=[scores[i] for i in order]))
    return answers


def retrieved(cases: Sequence[Case], settings: Settings, generator: None) -> list[Answer]:
    found = [retrieve(case.left, case.right, 1 if case.limits.one_line else LONGEST) for case in cases]
    return [Answer([shortened(text, case)]) for case, text in zip(cases, found, strict=True)]


METHODS: dict[str, Callable[..., list[Answer]]] = {
    CAUSAL_MASK: partial(asked, ask=partial(both_sides, region=False)),
    REGION: partial(asked, ask=partial(both_sides, region=True)),
    ANCHORED: partial(asked, ask=anchored),
    LEFT_TO_RIGHT: partial(asked, ask=left_to_right),
    RERANK: reranked,
    RETRIEVAL: retrieved,
}


def fill(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    """Answers by settings.method, in the order of the cases; only retrieval needs no generator. The same cases, settings and
    model give the same answers, whatever the other cases. Raises UserError for settings that no method can follow."""
    return METHODS[settings.method](cases, settings, generator)
