"""Looking inside: why nothing is suggested at a place, and what the model was shown last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from action_client import Speaking, ready
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, RawClient, inline

from incoder_lsp.context import situation_at
from incoder_lsp.filters import Suggestion
from incoder_lsp.page import Record
from incoder_lsp.prompt_page import Heard, fenced, page_of, pieces_of
from incoder_lsp.prompt_page import inline as on_a_line
from incoder_lsp.question import Answer, Question, Thought
from incoder_lsp.settings import Settings
from incoder_model.infill import Infill

INVALID_PARAMS = -32602
CONTENT, REFRESH = "workspace/textDocumentContent", "workspace/textDocumentContent/refresh"
PAGE = "incoder:/last-prompt.md"
URI = "file:///inside.py"


def why(client: RawClient, uri: str, line: int, character: int) -> dict[str, Any]:
    place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
    reply = client.ask("incoder/whyNot", place)
    assert "result" in reply, reply
    return reply["result"]


def test_why_not(client: RawClient):
    uri = "file:///why.py"
    assert why(client, uri, 0, 0)["code"] == "notOpen"
    client.open(uri, "fast word\nnothing\n")
    assert why(client, uri, 0, 9)["code"] == "notAsked"
    assert why(client, uri, 0, 6)["code"] == "insideWord"
    assert client.ask(INLINE, inline(uri, 0, 9))["result"]
    assert why(client, uri, 0, 9)["code"] == "suggested"
    assert client.ask(INLINE, inline(uri, 1, 7))["result"] is None
    assert why(client, uri, 1, 7) == {
        "code": "empty",
        "message": "The model thinks that nothing is missing here; type a little more.",
    }
    client.change(uri, {"text": "fast wor\nnothing\n"})
    assert why(client, uri, 0, 8)["code"] == "afterDeletion"
    client.open("file:///.env", "A=")
    assert why(client, "file:///.env", 0, 2)["code"] == "secrets"
    client.open("file:///fails.py", "fails")
    client.ask(INLINE, inline("file:///fails.py", 0, 5))
    assert why(client, "file:///fails.py", 0, 5)["code"] == "failed"


@pytest.mark.parametrize("params", [{}, None, 5, {"textDocument": {"uri": 3}, "position": {"line": 0, "character": 0}}])
def test_a_question_that_cannot_be_read(client: RawClient, params: Any):
    assert client.ask("incoder/whyNot", params)["error"]["code"] == INVALID_PARAMS


def test_settings_count_at_once(scripted: RawClient):
    scripted.start_and_load()
    scripted.open(URI, "fast")
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"offLanguages": ["python"]}}})
    assert why(scripted, URI, 0, 4)["code"] == "language"


@pytest.fixture
def speaking(tmp_path: Path) -> Iterator[Speaking]:
    client = Speaking(tmp_path)
    yield client
    client.close()


def page(client: RawClient) -> str:
    return client.ask(CONTENT, {"uri": PAGE})["result"]["text"]


def test_the_last_prompt(speaking: Speaking):
    ready(speaking, rootUri="file:///")
    assert "Nothing was asked yet." in page(speaking)
    text = "LIMIT = 3  # ``` and more\n\n\ndef add(a, b):\n    return "
    speaking.open(URI, f"{text}\n\n\nprint(add(1, 2))\n")
    speaking.say("a + b")
    assert speaking.ask(INLINE, inline(URI, 4, 11, kind=2))["result"]
    shown = page(speaking)
    assert "` inside.py `, line 5, column 12" in shown
    assert "- Why: a key was pressed\n- From: the model" in shown
    assert "Suggested:\n\n```\na + b\n```" in shown
    chances = re.findall(r"^ *([\d.]+)%  (\".*\")$", shown, re.MULTILINE)
    assert "".join(json.loads(token) for _, token in chances) == "a + b"
    assert all(float(chance) > 99 for chance, _ in chances)
    assert "until_doubt: as it was" in shown
    assert "````\nLIMIT = 3  # ``` and more\n" in shown, "a fence is longer than what it holds"
    sizes = {name: int(size) for name, size in re.findall(r"^\| (.+) \| (\d+) \|$", shown, re.MULTILINE)}
    assert sizes["Other files"] == 0
    assert min(sizes[name] for name in ("Header", "Left of the cursor", "Right of the cursor", "Typed since")) > 0
    assert sizes.pop("Together") == sum(sizes.values())
    speaking.ask(INLINE, inline(URI, 4, 11, kind=2))
    assert "- From: an earlier answer" in page(speaking)
    assert "## When the model was asked last" in page(speaking)


def test_what_a_filter_did(speaking: Speaking):
    ready(speaking)
    speaking.open(URI, "def add(a, b):\n    return \n")
    speaking.say("a + sum_of_all")
    assert speaking.ask(INLINE, inline(URI, 1, 11, kind=2))["result"] is None
    shown = page(speaking)
    assert "Nothing was suggested. The suggestion used sum_of_all, which is defined nowhere in sight." in shown
    assert "drop_unknown_names: dropped, sum_of_all is no name in sight\n```" in shown


def test_who_has_looked_is_told_once_until_it_looks_again(speaking: Speaking):
    speaking.start_and_load(capabilities={"workspace": {"textDocumentContent": {}}})
    speaking.open(URI, "x = \n")
    told = lambda: [one for one in speaking.received if one.get("method") == REFRESH]  # noqa: E731
    speaking.ask(INLINE, inline(URI, 0, 4))
    page(speaking)
    speaking.ask(INLINE, inline(URI, 0, 3))
    request = speaking.wait(lambda one: one.get("method") == REFRESH)
    assert request["params"] == {"uri": PAGE}
    speaking.send(id=request["id"], result=None)
    speaking.ask(INLINE, inline(URI, 0, 2))
    assert len(told()) == 1


def test_the_document_is_announced_and_there_is_one(client: RawClient, speaking: Speaking):
    capabilities = speaking.start()["capabilities"]
    assert capabilities["workspace"]["textDocumentContent"] == {"schemes": ["incoder"]}
    assert client.ask(CONTENT, {"uri": "incoder:/other.md"})["error"]["code"] == INVALID_PARAMS


def test_a_prompt_that_a_server_completed():
    """What is known of it: the request, and nothing in tokens."""
    situation = situation_at("x = ", 4, "a.py", invoked=False, settings=Settings())
    assert situation
    thought = Thought(situation, (Infill("1", 1, 0.0, "line", 5.0),), None, None, 5.0)
    question = Question("file:///a.py", "/a.py", "x = ", 4, "\n", False, Settings())
    heard = Heard(0.0, Record(question, Answer((Suggestion("1"),), thought=thought), False, 7.0))
    shown = page_of(heard, heard, pieces_of(None, situation.request))
    assert "| Piece | Characters |" in shown
    assert "only the server knows that completed" in shown
    assert "likely as a whole" not in shown


@given(st.text(alphabet="`ab\n"))
def test_text_stays_between_its_fences(text: str):
    fence, *lines, last = fenced(text).split("\n")
    assert fence == last
    assert "\n".join(lines) == text
    assert all(not line.startswith(fence) for line in lines)


@given(st.text(alphabet="`a\n "))
def test_a_path_stays_on_its_line(text: str):
    shown = on_a_line(text)
    ticks = re.match("`+", shown)[0]  # type: ignore[index]
    assert "\n" not in shown
    assert ticks not in shown[len(ticks) : -len(ticks)]
