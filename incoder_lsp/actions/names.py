"""A name for the variable at the cursor, by vote: all its occurrences are holes, and each hole's name counts by how likely it is.

What the paper does with names (section 4.5), and then a rename: of the names that collide with nothing, the one with most votes,
if it has at least half of them. A model of regions is asked about one occurrence after the other; those behind it are a `_`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from keyword import iskeyword, issoftkeyword
from typing import TYPE_CHECKING

from incoder_lsp.actions.action import Action, Edit, Offer, Outcome, Stop, View, applied
from incoder_lsp.actions.source import parse
from incoder_lsp.actions.variables import WORD, Variable, variable_at

if TYPE_CHECKING:
    from incoder_model.answer import Answer
    from incoder_model.infill import Model

MAX_TOKENS = 12  # of a name
MOST_HOLES = 16  # that vote; the others are renamed as well
SHOWN = 5  # names
MAJORITY = 0.5  # of the votes

_ASCII_NAME = re.compile(r"[a-zA-Z]\w+", re.ASCII)


@dataclass(frozen=True)
class Name:
    name: str
    share: float  # of all votes


def offers(view: View) -> Sequence[Offer]:
    variable = variable_at(view.source, view.ranges[0][0])
    return [Offer(f"Suggest a name for {variable.name}", "variable")] if variable else []


def perform(model: Model, view: View, scope: str, stop: Stop) -> Outcome:
    variable = variable_at(view.source, view.ranges[0][0])
    if variable is None:
        return Outcome((), "Here is no variable that can be renamed for sure.", complete=False)
    names = suggested(model, view, variable, stop)
    best = names[0] if names else None
    if best is None or best.share < MAJORITY:
        return Outcome((), f"The model has no better name for {variable.name}.", complete=False)
    if best.name == variable.name:
        return Outcome((), f"The model would call it {variable.name}, too.", complete=False)
    edits = tuple(Edit(start, end, best.name, f"{variable.name} becomes {best.name}") for start, end in variable.places)
    if not is_a_rename(view.text, edits, variable.name, best.name):
        return Outcome((), f"{best.name} for {variable.name} would change the program.", complete=False)
    return Outcome(edits, f"{variable.name} is called {best.name} now.")


def suggested(model: Model, view: View, variable: Variable, stop: Stop) -> list[Name]:
    """The names with most votes, its own among them, without those that collide with others. Raises Stopped."""
    ask = _one_by_one if model.config.region else _together
    votes: dict[str, float] = defaultdict(float)
    for said in ask(model, view, variable, stop):
        votes[first_name(said.text)] += said.probability
    total = sum(votes.values())
    fitting = {name: vote for name, vote in votes.items() if is_free(name, variable)}
    return [Name(name, fitting[name] / total) for name in sorted(fitting, key=lambda name: -fitting[name])[:SHOWN]]


def is_free(name: str, variable: Variable) -> bool:
    """May the variable be called so, or is it already?"""
    if name == variable.name:
        return True
    return (
        bool(_ASCII_NAME.fullmatch(name))
        and not iskeyword(name)
        and not issoftkeyword(name)
        and name not in variable.taken
    )


def first_name(text: str) -> str:
    """The first identifier in `text` that can be a variable; "" if it has none."""
    return next((found.group() for found in WORD.finditer(text) if not iskeyword(found.group())), "")


def name_ended(text: str) -> bool:
    """Does something stand behind the first of them?"""
    return any(found.end() < len(text) for found in WORD.finditer(text) if not iskeyword(found.group()))


def is_a_rename(text: str, edits: Sequence[Edit], old: str, new: str) -> bool:
    """Are both programs the same but for the name? Exactly so many names changed, all of them from the old to the new one."""
    before, after = parse(text), parse(applied(text, edits))
    if before is None or after is None:
        return False
    changed = 0
    for a, b in zip(ast.walk(before), ast.walk(after), strict=False):
        if isinstance(a, ast.Name) and isinstance(b, ast.Name) and a.id != b.id:
            changed += (a.id, b.id) == (old, new)
            b.id = a.id
        elif isinstance(a, ast.arg) and isinstance(b, ast.arg) and a.arg != b.arg:
            changed += (a.arg, b.arg) == (old, new)
            b.arg = a.arg
    return changed == len(edits) and ast.dump(before) == ast.dump(after)


# --- what the model is asked -----------------------------------------------------------------------------------------


def _parts(view: View, variable: Variable) -> list[str]:
    """The function's text between the occurrences that vote."""
    start, end = variable.function.range
    places = variable.places[:MOST_HOLES]
    borders = [start, *(place for one in places for place in one), end]
    return [view.text[a:b] for a, b in zip(borders[::2], borders[1::2], strict=True)]


def _together(model: Model, view: View, variable: Variable, stop: Stop) -> list[Answer]:
    """Holes in one prompt, each in sight of the names before it. Those that do not fit the context fall away from the end."""
    from incoder_model import causal_mask
    from incoder_model.answer import answer
    from incoder_model.infill import fit
    from incoder_model.tokenizer import BOS

    encode, sentinels = model.tokenizer.encode, model.tokenizer.sentinels
    front = [BOS, *encode(view.header)]
    first, *others = (encode(part) for part in _parts(view, variable))
    cost = MAX_TOKENS + 3  # in the context: two sentinels, the end of the mask and what is said
    room = model.context - len(front) - 1 - cost
    holes = 1
    while holes < len(others) and room >= len(others[holes - 1]) + cost:
        room -= len(others[holes - 1]) + cost
        holes += 1
    first, last = fit(first, others[holes - 1], room)
    prompt = [*front, *causal_mask.prompt([first, *others[: holes - 1], last], sentinels)]
    said = []
    for k in range(holes):
        prompt.append(sentinels[k])
        said.append(answer(model, prompt, max_tokens=MAX_TOKENS, enough=name_ended, stop=stop))
        prompt += [*encode(first_name(said[-1].text))[:MAX_TOKENS], sentinels.end]
    return said


def _one_by_one(model: Model, view: View, variable: Variable, stop: Stop) -> list[Answer]:
    from incoder_model.answer import answer
    from incoder_model.infill import InfillRequest, prompt_of, typed_part

    parts = _parts(view, variable)
    left, said = parts[0], []
    for k in range(1, len(parts)):
        typed = typed_part(left[left.rfind("\n") + 1 :])
        right = "_".join(parts[k:])
        request = InfillRequest(left[: len(left) - len(typed)], right, view.header, typed, max_tokens=MAX_TOKENS)
        prompt = prompt_of(model, request)
        said.append(answer(model, prompt, typed=typed, max_tokens=MAX_TOKENS, enough=name_ended, stop=stop))
        left += (first_name(said[-1].text) or "_") + parts[k]
    return said


ACTION = Action("name", offers, perform)
