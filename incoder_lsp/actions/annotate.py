"""Return and argument types of Python functions: of the one at the cursor, or of all in the file.

    imports of the file, a blank line, the function up to the hole   |   the function behind the hole, "def " two lines below

is what the model is asked (paper section 4.2): hole after hole, arguments first, each seeing the hints before it. A function that
returns no value gets None by the paper's rule. Every other hint must pass `annotation` and be surer than the thresholds below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from incoder_lsp.actions.action import Action, Edit, Offer, Outcome, Stop, View, applied
from incoder_lsp.actions.annotation import hint_of, is_stub, names_for, returns_nothing
from incoder_lsp.actions.source import Function, Source, parse, top_level

if TYPE_CHECKING:
    from incoder_model.infill import Model

# The mean token probability from which a hint is written, so that four of five are likely to be what people write.
# `python benchmarks/type_hints.py` prints how many are, in packages that the model was not trained on. The bundled model: of what
# is returned, from 0.7 on 17 of 17 in the packages that the threshold was chosen on and 17 of 18 in the others, which is one in
# sixteen of the types that are asked for; of arguments half at most at any threshold, so it says none of them.
SURE_OF_RETURN = 0.7
SURE_OF_ARGUMENT = 0.9
MAX_TOKENS = 20
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True)
class Place:
    """Where a hint is missing: it goes to `offset`, and what stands there until `end` (an `=`) is written anew behind it."""

    offset: int
    end: int
    before: str  # ": " or " -> "
    after: str
    argument: str  # "" for what is returned


@dataclass(frozen=True)
class Hint:
    place: Place
    text: str
    probability: float  # 1 by the rule

    @property
    def edit(self) -> Edit:
        label = f"Type of {self.place.argument or 'the result'}: {self.text} ({self.probability:.0%})"
        return Edit(self.place.offset, self.place.end, f"{self.place.before}{self.text}{self.place.after}", label)


def offers(view: View) -> Sequence[Offer]:
    bare = [function for function in view.source.functions if places(view.source, function)]
    here = view.source.function_at(view.ranges[0][0])
    found = [Offer("Annotate this function", "function")] if here in bare else []
    if len(bare) > len(found):
        found.append(Offer(f"Annotate the functions of this file ({len(bare)})", "file"))
    return found


def perform(model: Model, view: View, scope: str, stop: Stop) -> Outcome:
    here = view.source.function_at(view.ranges[0][0])
    functions = view.source.functions if scope == "file" else [here] if here else []
    asked = sum(len(places(view.source, function)) for function in functions)
    hints = [hint for function in functions for hint in hints_of(model, view, function, stop) if is_sure(hint)]
    edits = sorted((hint.edit for hint in hints), key=lambda edit: edit.start)
    if edits and parse(applied(view.text, edits)) is None:
        return Outcome((), "The file would not parse with the hints that the model writes.", complete=False)
    if len(edits) == asked:
        return Outcome(tuple(edits), "Every missing type has a hint.")
    return Outcome(
        tuple(edits), f"{len(edits)} of {asked} missing types have a hint; of the others the model is not sure.", False
    )


def moved(hint: Hint, by: int) -> Hint:
    """The same where the text begins elsewhere."""
    place = hint.place
    return replace(hint, place=replace(place, offset=place.offset + by, end=place.end + by))


def is_sure(hint: Hint) -> bool:
    return hint.probability >= (SURE_OF_ARGUMENT if hint.place.argument else SURE_OF_RETURN)


def hints_of(model: Model, view: View, function: Function, stop: Stop) -> Iterator[Hint]:
    """A hint for each place where one can be said, however sure. Raises Stopped."""
    names = names_for(view.source, function)
    so_far: list[Hint] = []
    for place in places(view.source, function):
        nothing = not place.argument and returns_nothing(function.node)
        if nothing:
            said, probability = "None", 1.0
        else:
            said, probability = _ask(model, view, function, place, so_far, stop)
        text = hint_of(said, names)
        if text is not None and (nothing or text != "None"):  # what returns a value does not return None
            hint = Hint(place, text, probability)
            so_far += [hint] if is_sure(hint) else []
            yield hint


def _ask(
    model: Model, view: View, function: Function, place: Place, so_far: Sequence[Hint], stop: Stop
) -> tuple[str, float]:
    from incoder_model.answer import answer
    from incoder_model.infill import InfillRequest, prompt_of, typed_part

    source, (start, end) = view.source, function.range
    before = [Edit(e.start - start, e.end - start, e.text, "") for e in (hint.edit for hint in so_far)]
    left = f"{imports(source)}\n\n{applied(source.text[start : place.offset], before)}{place.before}"
    indent = " " * function.node.col_offset
    rest = source.text[place.offset : end]
    rest = rest if place.argument else rest.partition(":")[2]  # the body without its colon, as in the paper's prompts
    right = f"{rest}\n\n{indent}def "
    typed = typed_part(left[left.rfind("\n") + 1 :])
    request = InfillRequest(left[: len(left) - len(typed)], right, view.header, typed, max_tokens=MAX_TOKENS)
    stops = ",)=\n" if place.argument else ":\n"
    prompt = prompt_of(model, request)
    said = answer(
        model, prompt, typed=typed, max_tokens=MAX_TOKENS, enough=lambda text: _end(text, stops) < len(text), stop=stop
    )
    return said.text[: _end(said.text, stops)].strip(), said.probability


def places(source: Source, function: Function) -> list[Place]:
    """Where `function` lacks hints, arguments first; none where nothing in it tells its types, and none for `self` and `cls`."""
    node = function.node
    if is_stub(node) or "# type:" in source.text[slice(*function.range)]:
        return []
    arguments = [*node.args.posonlyargs, *node.args.args]
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
    if function.in_class and not static:
        arguments = arguments[1:]
    found = []
    for argument in (*arguments, *node.args.kwonlyargs):
        if argument.annotation is None:
            end = source.range(argument)[1]
            bare = source.text[end : end + 1] == "="  # a default gets its spaces
            found.append(Place(end, end + bare, ": ", " = " if bare else "", argument.arg))
    signature = source.signature_end(node) if node.returns is None else None
    if signature:
        found.append(Place(signature[0], signature[0], " -> ", "", ""))
    return found


def imports(source: Source) -> str:
    """The import statements of the file, whatever they stand under; those in functions are not for all."""
    assert source.tree is not None
    found = (node for node, _ in top_level(source.tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return "\n".join(source.text[slice(*source.range(node))] for node in found)


def _end(text: str, stops: str) -> int:
    """Where the first of `stops` stands in `text` that is in no bracket; its length where none does."""
    depth = 0
    for i, character in enumerate(text):
        if depth == 0 and character in stops:
            return i
        depth += BRACKETS.get(character, 0)
    return len(text)


ACTION = Action("annotate", offers, perform, confirm=True)
