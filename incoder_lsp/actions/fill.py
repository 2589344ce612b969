"""Fill the holes: those selected, those of a function or a file, those at all cursors, in one pass.

Each hole sees those before it filled. What does not fit the model's context at once is filled in several passes, and so it is
for a model that was trained on regions: it hardly knows prompts of many holes, so each of them is a pass. A hole that the model
fills with nothing or with rubbish (see `judge`) stays as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from incoder_lsp.actions.action import Action, Edit, Offer, Outcome, Stop, View, applied
from incoder_lsp.actions.holes import Hole, function_around, placeholders, selected
from incoder_lsp.actions.judge import judged, situation
from incoder_lsp.actions.source import parse
from incoder_lsp.filters import Drop

if TYPE_CHECKING:
    from incoder_model.infill import Infill, Model


def offers(view: View) -> Sequence[Offer]:
    found = {scope: holes_of(view, scope) for scope in ("selection", "selected", "function", "file")}
    counts = {scope: len(holes) for scope, holes in found.items()}
    shown = []
    if counts["selection"]:
        shown.append(Offer("Fill the selection", "selection"))
    if counts["selected"]:
        shown.append(Offer(f"Fill {_count(counts['selected'])} in the selection", "selected"))
    if counts["function"]:
        shown.append(Offer(f"Fill {_count(counts['function'])} in this function", "function"))
    if counts["file"] > counts["function"]:
        shown.append(Offer(f"Fill {_count(counts['file'])} in this file", "file"))
    return shown


def perform(model: Model, view: View, scope: str, stop: Stop) -> Outcome:
    return fill_holes(model, view, holes_of(view, scope), stop)


def holes_of(view: View, scope: str) -> list[Hole]:
    source, (start, end) = view.source, view.ranges[0]
    match scope:
        case "selection":
            hole = selected(source, start, end) if view.text[start:end].strip() else None
            return [hole] if hole else []
        case "selected":
            return placeholders(source, (start, end)) if start < end else []
        case "function":
            function = function_around(source, start)
            return placeholders(source, function) if function else []
        case "cursors":
            holes = (selected(source, *one) for one in view.ranges)
            return sorted((hole for hole in holes if hole), key=lambda hole: hole.start)
    return placeholders(source, (0, len(view.text)))


def fill_holes(model: Model, view: View, holes: Sequence[Hole], stop: Stop) -> Outcome:
    """`holes` in order. Raises Stopped."""
    edits: list[Edit] = []
    left_out: Counter[str] = Counter()
    parses = view.source.tree is not None
    position = 0
    while position < len(holes):
        group, infills = _next_pass(model, view, edits, holes[position:], stop)
        for hole, infill in zip(group, infills, strict=True):
            edit = _judged_edit(view, edits, hole, infill, f"Hole {position + 1} of {len(holes)}")
            if isinstance(edit, Edit) and parses and parse(applied(view.text, [*edits, edit])) is None:
                edit = Drop("would not parse")
            if isinstance(edit, Drop):
                left_out[edit.reason] += 1
            else:
                edits.append(edit)
            position += 1
    return Outcome(tuple(edits), _sentence(len(edits), len(holes), left_out), len(edits) == len(holes))


def _next_pass(
    model: Model, view: View, edits: Sequence[Edit], holes: Sequence[Hole], stop: Stop
) -> tuple[Sequence[Hole], list[Infill]]:
    """As many of the next `holes` as fit a pass, at least one, and what the model says to them. One hole is asked about as a
    cursor is; several are asked about in one prompt."""
    from incoder_model.infill import InfillRequest, infill, infill_holes, typed_part

    most = min(view.settings.max_tokens, model.context // 4)
    count = 1 if model.config.region else min(len(holes), model.tokenizer.sentinels.count - 1)
    while True:
        group = holes[:count]
        first, *others = _parts(view.text, edits, group)
        if count == 1:
            typed = typed_part(first[first.rfind("\n") + 1 :])
            left, one_line = first[: len(first) - len(typed)], not group[0].block
            request = InfillRequest(left, others[0], view.header, typed, one_line, most)
            return group, _unless_stopped([infill(model, request, stop)])
        lines = {k for k, hole in enumerate(group) if not hole.block}
        parts = [first, *others]
        try:
            said = infill_holes(model, parts, header=view.header, max_tokens=most, one_line=lines, stop=stop)
        except ValueError:  # they do not fit
            count = (count + 1) // 2
        else:
            return group, _unless_stopped(said)


def _unless_stopped(said: list[Infill]) -> list[Infill]:
    from incoder_model.engine import Stopped

    if any(one.stopped == "cancelled" for one in said):
        raise Stopped
    return said


def _parts(text: str, edits: Sequence[Edit], holes: Sequence[Hole]) -> list[str]:
    """The texts between holes, what was filled before them filled."""
    borders = [0, *(place for hole in holes for place in (hole.start, hole.end)), len(text)]
    parts = [text[a:b] for a, b in zip(borders[::2], borders[1::2], strict=True)]
    parts[0] = applied(parts[0], edits)
    return [part + before for part, before in zip(parts, [*(hole.before for hole in holes), ""], strict=True)]


def _judged_edit(view: View, edits: Sequence[Edit], hole: Hole, infill: Infill, label: str) -> Edit | Drop:
    left = applied(view.text[: hole.start], edits) + hole.before
    kept = judged(infill, situation(left, view.text[hole.end :], view.source.path), block=hole.block)
    if isinstance(kept, Drop):
        return kept
    if kept.text == view.text[hole.start : hole.end]:
        return Drop("what stands there")
    return Edit(hole.start, hole.end + kept.covers, hole.before + kept.text, label)


def _sentence(filled: int, holes: int, left_out: Counter[str]) -> str:
    if filled == holes == 1:
        return "The hole was filled."
    if filled == holes:
        return f"All {holes} holes were filled."
    reasons = ", ".join(f"{count} {reason}" if count > 1 else reason for reason, count in left_out.items())
    if holes == 1:
        return f"The hole was left as it was; the model's answer: {reasons}."
    return f"{filled} of {holes} holes were filled; the model's answers to the others: {reasons}."


def _count(holes: int) -> str:
    return "the hole" if holes == 1 else f"all {holes} holes"


ACTION = Action("fill", offers, perform, confirm=True)
