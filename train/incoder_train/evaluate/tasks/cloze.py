"""Max/min cloze (CodeXGLUE; paper section 4.4 and appendix A.2): is `max` or `min` the word that was taken out of a function?

A model is asked for no text, only how likely the function is with either word in it. Each format of `scoring` that belongs to a
method is a measure, the share of items in which the right word is the likelier one:

| method | measures | the paper's main table (3) shows |
|---|---|---|
| causal-mask | infill-break, infill-token, infill-region | infill-region |
| left-to-right | left-break, left-token, left-region | left-token |
| rerank | left-right-break, left-right | left-right |

So `rerank` is what it is elsewhere, the choice between finished documents, with both words as its candidates.

The items are not ours to ship. The text of one is its description, the words of which are joined by spaces, and its code, whose
tokens are joined by a space only where two would become one word. (The released script forgets that for names that begin with an
underscore, and for what stands before the word in question.)
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incoder_model import metadata
from incoder_model.tokenizer import BOS
from incoder_train.errors import UserError
from incoder_train.evaluate import scoring
from incoder_train.evaluate.benchmarks import brought
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Limits, Scores, Settings, Task

if TYPE_CHECKING:
    from incoder_model.batch import Generator

WORDS = ("max", "min")
SOURCE = "ClozeTesting-maxmin of microsoft/CodeXGLUE"  # where the items and, apart from them, the right words are
MASK = "<mask>"
SEPARATOR = "<CODESPLIT>"  # between an item's name and the right word
EXTENSIONS = {"python": ".py", "javascript": ".js", "ruby": ".rb", "go": ".go", "java": ".java", "php": ".php"}
FORMATS = {
    CAUSAL_MASK: ("infill-break", "infill-token", "infill-region"),
    LEFT_TO_RIGHT: ("left-break", "left-token", "left-region"),
    RERANK: ("left-right-break", "left-right"),
}
CHOICE = {CAUSAL_MASK: "infill-region", LEFT_TO_RIGHT: "left-token", RERANK: "left-right"}


def cases(settings: Settings) -> list[Case]:
    language = settings.split or next(iter(EXTENSIONS))
    items = _items(brought(settings, f"cloze-maxmin/{language}/clozeTest.json.gz", f"data/cloze-maxmin in {SOURCE}"))
    answers = brought(settings, f"cloze-maxmin/{language}/answers.txt", f"evaluator/answers/{language} in {SOURCE}")
    words = _words(answers)
    if unknown := [name for name, _, _ in items if words.get(name) not in WORDS]:
        raise UserError(f"{answers} does not say whether {unknown[0]} is max or min; it does not belong to these items")
    header = metadata.header({"ext": EXTENSIONS[language]})
    return [
        Case(name, left, right, words[name], Limits(1), header=header, lang=language, kind="cloze")
        for name, left, right in items
    ]


def answer(cases: Sequence[Case], settings: Settings, generator: Generator | None) -> list[Answer]:
    if generator is None:
        raise ValueError("no method of this task does without a model")
    asked = [_sequences(case, FORMATS[settings.method], generator) for case in cases]
    flat = [tokens for one in asked for by_word in one.values() for tokens in by_word.values()]
    sums = iter([float(log_p.sum(dtype=float)) for log_p in generator.score(flat)])
    answers = []
    for one in asked:
        found = {name: {word: next(sums) for word in by_word} for name, by_word in one.items()}
        answers.append(Answer([likeliest(found[CHOICE[settings.method]])], {"log_probability": found}))
    return answers


def score(case: Case, answer: Answer) -> Scores:
    found: dict[str, dict[str, float]] = answer.detail["log_probability"]
    return {name: float(likeliest(by_word) == case.answer) for name, by_word in found.items()}


def likeliest(log_probability: dict[str, float]) -> str:
    """The first of equals."""
    return max(log_probability, key=lambda word: log_probability[word])


def _sequences(case: Case, formats: Sequence[str], generator: Generator) -> scoring.Sequences:
    front = [BOS, *generator.tokenizer.encode(case.header)]
    return scoring.sequences(
        case.left, WORDS, case.right, formats, generator.tokenizer, front=front, context=generator.context
    )


# --- the data ----------------------------------------------------------------------------------------------------


def _items(path: Path) -> list[tuple[str, str, str]]:
    """Name, text before the word and text after it, of each item."""
    try:
        items: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
        return [(item["idx"], *_sides(item["nl_tokens"], item["pl_tokens"])) for item in items]
    except (ValueError, TypeError, KeyError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is no gzipped list of items with idx, nl_tokens and pl_tokens ({error})") from None


def _words(path: Path) -> dict[str, str]:
    """The right word by the item's name, from lines like maxmin-1<CODESPLIT>max."""
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    return {name: word for name, _, word in (line.partition(SEPARATOR) for line in lines)}


def _sides(description: list[str], code: list[str]) -> tuple[str, str]:
    hole, word = code.index(MASK), WORDS[0]
    left = joined([*code[:hole], word]).removesuffix(word)
    right = joined([word, *code[hole + 1 :]]).removeprefix(word)
    return f"{' '.join(description)} {left}", right


def joined(tokens: Sequence[str]) -> str:
    text = ""
    for token in tokens:
        if text and token and _wordlike(text[-1]) and _wordlike(token[0]):
            text += " "
        text += token or " "
    return text


def _wordlike(character: str) -> bool:
    return character.isalnum() or character == "_"


TASK = Task(
    name="cloze",
    about="max or min? The likelier word of two, scored in all ways of the paper's Table 9",
    methods=tuple(FORMATS),
    splits=tuple(EXTENSIONS),
    cases=cases,
    answer=answer,
    score=score,
)
