"""StackOverflow's threads as training text (paper section 3 and Figure 6; the released pipeline has the numbers). A question
with its answers and comments comes in; one text with a header and a closing tag around each piece comes out:

    <| q tags=regex,html |>
    Title

    Body
    <|/ q dscore=3 |>
    <| c |>
    a comment
    <|/ c |>
    <| a dscore=4 |>
    ...
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from incoder_model.metadata import footer, header, wrap
from incoder_train.corpus.markup import html_to_text, without_mentions
from incoder_train.corpus.sources.stars import bucket

QUESTION_BOUNDS = (0, 1, 2, 3, 6, 11)  # lower bounds of dscore 0 to 5
ANSWER_BOUNDS = (0, 1, 2, 4, 7, 14)
COMMENT, END = header({}, "c"), footer({}, "c")


@dataclass(frozen=True)
class ThreadRules:
    """What of a dump becomes text. The defaults are the released pipeline's."""

    answered_only: bool = True  # only questions with an answer that is kept
    answers: int = 10  # at most so many to a question; 0 for all
    comments: int = 5  # at most so many on each post, the first ones; 0 for all
    negative_answers: bool = False  # also answers with a score below 0 that were not accepted
    front_probability: float = 0.5  # of each attribute to stand in the header and not in the closing tag
    seed: int = 0


# The paper's text takes all questions, answers and comments.
PAPER_RULES = ThreadRules(answered_only=False, answers=0, comments=0, negative_answers=True)


@dataclass
class Post:
    """A question or an answer as the dump has it, and the texts of its comments in posting order."""

    id: int
    score: int
    body: str  # HTML
    title: str = ""
    tags: Sequence[str] = ()
    accepted: int = 0  # of a question: the id of the accepted answer, or 0
    comments: list[str] = field(default_factory=list)


def kept_answers(question: Post, answers: Sequence[Post], rules: ThreadRules) -> list[Post]:
    """By descending score, the earlier of equals first. If there are too many, the accepted one is among the kept."""
    good = [a for a in answers if rules.negative_answers or a.score >= 0 or a.id == question.accepted]
    good.sort(key=lambda a: (a.id != question.accepted, -a.score, a.id))
    return sorted(good[: rules.answers or None], key=lambda a: (-a.score, a.id))


def thread_text(question: Post, answers: Sequence[Post], rules: ThreadRules) -> str | None:
    """The thread; None if the rules want an answer and there is none. What goes in front and what behind, and the order of
    the tags, are functions of (seed, question id)."""
    kept = kept_answers(question, answers, rules)
    if rules.answered_only and not kept:
        return None
    rng = np.random.Generator(np.random.Philox(key=[rules.seed, question.id]))
    tags = ",".join(str(tag) for tag in rng.permutation(list(question.tags)))
    pieces = []
    for post, tag, bounds in [(question, "q", QUESTION_BOUNDS), *((answer, "a", ANSWER_BOUNDS) for answer in kept)]:
        attributes = {"dscore": str(bucket(max(post.score, 0), bounds))} | ({"tags": tags} if tags else {})
        body = post_text(post.body)
        pieces.append(
            wrap(
                f"{post.title.strip()}\n\n{body}" if tag == "q" else body, attributes, rng, tag, rules.front_probability
            )
        )
        pieces += [f"{COMMENT}{comment_text(text)}\n{END}" for text in post.comments[: rules.comments or None]]
    return "\n".join(pieces)


def post_text(body: str) -> str:
    return _squeezed(html_to_text(body, keep_code=True, prose=without_mentions))


def comment_text(text: str) -> str:
    """Comments are not HTML in a dump but what was typed: `vector<int>` is no tag."""
    return _squeezed(without_mentions(text))


def _squeezed(text: str) -> str:
    return (re.sub(r"\n{3,}", "\n\n", text) if "\n\n\n" in text else text).strip()
