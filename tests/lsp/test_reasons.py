"""Every reason that the code can give has a sentence: the reasons are read from the code itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import incoder_lsp
from incoder_lsp.reasons import REASONS, reason_of

HOUSE = Path(incoder_lsp.__file__).parent
SAYS_WHY = ("silence", "when", "completer")  # rooms whose functions return a reason, or None
RETURNS = {"str | None"}


def words(node: ast.expr | None) -> str | None:
    """Of a string that stands in the code, with `{}` for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def strings(node: ast.AST) -> set[str]:
    """Those that can be the value of an expression, conditions left out."""
    if isinstance(node, ast.IfExp):
        return strings(node.body) | strings(node.orelse)
    found = words(node) if isinstance(node, ast.expr) else None
    return {found} if found is not None else set()


def given() -> dict[str, str]:
    """Every reason in the code, and the room that gives it."""
    found: dict[str, str] = {}
    rooms = (*HOUSE.glob("*.py"), *(HOUSE / "filters").glob("*.py"), HOUSE / "actions" / "docstring_line.py")
    for room in sorted(rooms):
        tree = ast.parse(room.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            reasons: set[str] = set()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Drop":
                reasons = strings(node.args[0])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Answer":
                reasons = {one for keyword in node.keywords if keyword.arg == "why" for one in strings(keyword.value)}
            elif (
                room.stem in SAYS_WHY
                and isinstance(node, ast.FunctionDef)
                and node.returns is not None
                and ast.unparse(node.returns) in RETURNS
            ):
                returns = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                reasons = {one for value in returns for one in strings(value)}
            found |= dict.fromkeys(reasons, room.stem)
        if room.stem in SAYS_WHY:
            named = {name for name, value in constants.items() if isinstance(value, ast.Constant)}
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            found |= {
                one: room.stem
                for name in named & used
                if (one := words(constants[name])) is not None and " " in one and name.isupper()
            }
            for value in constants.values():
                if isinstance(value, ast.Dict) and all(isinstance(key, ast.Attribute) for key in value.keys):
                    found |= {one: room.stem for item in value.values for one in strings(item)}
    return found


GIVEN = given()


def test_the_reasons_are_found():
    assert {"the file may hold secrets", "after an undo", "inside a word", "superseded", "in doubt"} <= set(GIVEN)
    assert {"switched off for {} by offLanguages", "{} is no name in sight", "shown when asked, in subtle mode"} <= set(
        GIVEN
    )
    assert {"the model is not ready", "switched off", "would not parse", "failed"} <= set(GIVEN)


@pytest.mark.parametrize("why", sorted(GIVEN))
def test_every_reason_has_a_sentence(why: str):
    assert why in REASONS, f"{GIVEN[why]} gives it, and reasons.py does not know it"
    reason = reason_of(why.replace("{}", "name"))
    assert reason.code == REASONS[why][0]
    assert reason.message[0].isupper()
    assert reason.message.endswith(".")
    assert "{}" not in reason.message


def test_no_sentence_is_left_over():
    assert set(REASONS) - {""} == set(GIVEN) - {""}


def test_codes_are_told_apart():
    codes = [code for code, _ in REASONS.values()]
    assert len(set(codes)) == len(codes)


def test_a_name_stands_in_its_sentence_as_it_is():
    assert "{0}|c++" in reason_of("switched off for {0}|c++ by offLanguages").message


def test_words_that_nobody_knows_stand_for_themselves():
    assert (reason_of("it is late").code, reason_of("it is late").message) == ("other", "It is late.")
