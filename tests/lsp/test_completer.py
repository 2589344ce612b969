"""Whose answer counts, and when the model is asked at all; the model's part is played by a function."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp import completer as completer_module
from incoder_lsp.completer import Completer
from incoder_lsp.filters import Suggestion
from incoder_lsp.question import Answer, Question
from incoder_lsp.settings import Settings
from incoder_lsp.worker import Worker


def question(text: str = "a|b", *, uri: str = "file:///a.py", invoked: bool = True, **settings: Any) -> Question:
    """A question whose text has a bar at the cursor."""
    return Question(uri, "/a.py", text.replace("|", ""), text.index("|"), "\n", invoked, Settings(**settings))


def says(text: str, covers: int = 0) -> Answer:
    return Answer((Suggestion(text, covers),))


async def ready(fill: Callable[..., Any], prepare: Callable[..., Any] = lambda *_: None) -> Completer:
    worker = Worker(lambda _: "model")  # type: ignore[arg-type, return-value]
    await worker.load(None)
    return Completer(worker, fill, prepare=prepare)


async def test_a_question_before_the_model_is_there_costs_nothing():
    completer = Completer(Worker(lambda _: pytest.fail("was loaded")))
    assert await completer.ask(question()) == Answer(why="the model is not ready")


async def test_while_a_new_model_loads_there_is_none():
    first, second = threading.Event(), threading.Event()
    loads = iter([first, second])

    def load(_: Any) -> Any:
        assert next(loads).wait(5)
        return "model"

    worker = Worker(load)
    first.set()
    await worker.load(None)
    assert worker.ready
    loading = asyncio.create_task(worker.load(None))
    await asyncio.sleep(0)
    assert not worker.ready
    second.set()
    await loading
    assert worker.ready


async def test_the_newer_question_stops_the_older_one():
    stopped = []

    def fill(_: Any, asked: Question, stop: Callable[[], bool]) -> Answer:
        while asked.offset == 0 and not stop():
            pass
        stopped.append(stop())
        return says(asked.text)

    completer = await ready(fill)
    older = asyncio.create_task(completer.ask(question("|one")))
    await asyncio.sleep(0.01)
    assert await completer.ask(question("two|")) == says("two")
    assert await older == Answer(why="superseded")
    assert stopped == [True, False]


async def test_an_answer_that_comes_with_the_next_edit_is_not_given():
    completer = await ready(lambda *_: says("late"))
    asking = asyncio.create_task(completer.ask(question()))
    await asyncio.sleep(0)
    thinking = completer._in_the_air["file:///a.py"]
    thinking.add_done_callback(lambda _: completer.drop("file:///a.py"))  # done, and not yet seen by who asked
    assert await asking == Answer(why="superseded")
    assert thinking.result() == says("late")


async def test_only_the_last_key_of_a_fast_typist_reaches_the_model():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q.text) or says("x"))
    keys = [
        asyncio.create_task(completer.ask(question("k" * i + "|", invoked=False, debounce_ms=30))) for i in range(1, 6)
    ]
    assert await asyncio.gather(*keys) == [Answer(why="superseded")] * 4 + [says("x")]
    assert asked == ["kkkkk"]


async def test_the_clients_cancel_stops_the_model_and_forgets_the_question():
    entered, left = threading.Event(), threading.Event()

    def fill(_: Any, __: Question, stop: Callable[[], bool]) -> Answer:
        entered.set()
        while not stop():
            pass
        left.set()
        return Answer()

    completer = await ready(fill)
    asking = asyncio.create_task(completer.ask(question()))
    await asyncio.to_thread(entered.wait, 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(left.wait, 5)
    assert completer._in_the_air == {}


async def test_a_failure_is_silence_and_the_next_question_is_answered():
    def fill(_: Any, asked: Question, __: Any) -> Answer:
        if asked.offset == 0:
            raise RuntimeError
        return says("x")

    completer = await ready(fill)
    assert await completer.ask(question("|ab")) == Answer(why="failed")
    assert await completer.ask(question("a|b")) == says("x")


async def test_when_disabled_nobody_asks():
    completer = await ready(lambda *_: pytest.fail("was asked"))
    assert await completer.ask(question(enabled=False)) == Answer(why="switched off")


@given(st.text("ab\n", min_size=1, max_size=6), st.text("ab\n", max_size=8), st.booleans(), st.booleans())
def test_a_known_answer_is_given_again_exactly_when_its_beginning_was_typed(
    suggested: str, typed: str, invoked: bool, invoked_later: bool
):
    async def session() -> None:
        asked = []
        completer = await ready(lambda _, q, stop: asked.append(q) or says(suggested, 1))
        await completer.ask(question("left|)", invoked=invoked, debounce_ms=0))
        again = await completer.ask(question(f"left{typed}|)", invoked=invoked_later, debounce_ms=0))
        along = len(typed) < len(suggested) and suggested.startswith(typed)
        if along and (invoked or not invoked_later):
            assert again == says(suggested[len(typed) :], 1)
            assert len(asked) == 1
        else:
            assert again == says(suggested, 1)
            assert len(asked) == 2

    asyncio.run(session())


@pytest.mark.parametrize(
    "later",
    [
        question("lef|t right"),  # to the left of where it was made
        question("left ri|ght"),
        question("Left| right"),
        question("left| rightly"),
        question("left| right", uri="file:///b.py"),
    ],
    ids=lambda later: f"{later.uri} {later.text} {later.offset}",
)
async def test_a_known_answer_is_not_given_elsewhere(later: Question):
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q) or says("x" * len(asked)))
    assert await completer.ask(question("left| right")) == says("x")
    assert await completer.ask(later) == says("xx")


async def test_that_there_is_nothing_to_suggest_is_known_too():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q) or Answer(why="empty"))
    for _ in range(3):
        assert await completer.ask(question("left|")) == Answer(why="empty")
    assert len(asked) == 1
    assert await completer.ask(question("left(|")) == Answer(why="empty")
    assert len(asked) == 2


async def test_what_was_known_is_forgotten_with_the_file_or_the_settings():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q) or says("x"))
    for forget in (completer.forget, lambda: completer.forget("file:///a.py"), lambda: None):
        await completer.ask(question("left|"))
        forget()
    await completer.ask(dataclasses.replace(question("left|"), invoked=False))
    assert len(asked) == 3


async def test_what_an_earlier_answer_was_is_not_forgotten_by_a_wrong_key():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q.text) or says("right" if q.text == "x = " else "wrong"))
    keys = ["x = |", "x = r|", "x = rq|", "x = rqw|", "x = r|", "x = |"]
    answers = [await completer.ask(question(text, invoked=False, debounce_ms=0)) for text in keys]
    assert [one.best and one.best.text for one in answers] == ["right", "ight", "wrong", "rong", "ight", "right"]
    assert asked == ["x = ", "x = rq"]


# --- the right moment --------------------------------------------------------------------------------------------


class Hands:
    """Of a person at an editor: each key is an edit and a question."""

    def __init__(self, completer: Completer, text: str, **settings: Any):
        self.completer, self.text, self.settings = completer, text, {"debounce_ms": 0, **settings}

    async def press(self, text: str, invoked: bool = False) -> str:
        """The document becomes `text`, with the cursor at a bar; what is suggested there, or why nothing is."""
        before, self.text = self.text, text.replace("|", "")
        self.completer.edited("file:///a.py", before, self.text)
        answer = await self.completer.ask(question(text, invoked=invoked, **self.settings))
        return answer.best.text if answer.best else answer.why


async def test_after_an_accept_an_undo_and_a_deletion_there_is_silence_until_the_next_key():
    completer = await ready(lambda _, q, stop: says("first(second)" if q.text == "x = f" else "other"))
    hands = Hands(completer, "x = ")
    assert await hands.press("x = f|") == "first(second)"
    assert await hands.press("x = ffirst(second)|") == "after an accepted suggestion"
    assert await hands.press("x = ffirst(second).|") == "other"
    assert await hands.press("x = ffirst(second)|") == "after a deletion"
    assert await hands.press("x = f|") == "after an undo"
    assert await hands.press("x = f|", invoked=True) == "first(second)"
    assert await hands.press("x = fo|") == "other"
    assert await hands.press("x = f|") == "first(second)"  # a wrong key taken back
    assert await hands.press("x = |") == "after a deletion"


async def test_what_is_accepted_word_by_word_stays_suggested():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q) or says("first(second, third)"))
    hands = Hands(completer, "x =")
    assert await hands.press("x = |") == "first(second, third)"
    assert await hands.press("x = first(|") == "second, third)"
    assert await hands.press("x = first(second, |") == "third)"
    assert await hands.press("x = first(second, third)|") == "after an accepted suggestion"
    assert len(asked) == 1
    assert completer.acceptance.tally.total["word"] == 2


async def test_subtle_is_computed_and_shown_when_asked():
    asked = []
    completer = await ready(lambda _, q, stop: asked.append(q) or says(f"name{len(asked)}"))
    hands = Hands(completer, "x =", mode="subtle")
    assert await hands.press("x = |") == "shown when asked, in subtle mode"
    assert await hands.press("x = n|") == "shown when asked, in subtle mode"
    assert completer.acceptance.tally.total["shown"] == 0
    assert await hands.press("x = n|", invoked=True) == "ame1"
    assert len(asked) == 1
    assert completer.acceptance.tally.total["shown"] == 1
    assert await hands.press("x = na|") == "me1"  # it is shown now, and does not flicker
    assert await hands.press("x = na|", invoked=True) == "name2"  # once more
    assert await hands.press("x = nab|") == "shown when asked, in subtle mode"


async def test_where_there_was_nothing_in_subtle_mode_who_asks_is_answered_by_the_model():
    completer = await ready(lambda _, q, stop: says("name") if q.invoked else Answer(why="empty"))
    hands = Hands(completer, "x =", mode="subtle")
    await hands.press("x = |")
    assert await hands.press("x = |", invoked=True) == "name"


async def test_manual_asks_nothing_until_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completer_module, "QUIET_SECONDS", 0)
    asked = []
    completer = await ready(
        lambda _, q, stop: asked.append(q) or says("name"), lambda *_: pytest.fail("nobody wanted it prepared")
    )
    hands = Hands(completer, "x =", mode="manual")
    assert await hands.press("x = |") == "only when asked, in manual mode"
    assert asked == []
    assert await hands.press("x = |", invoked=True) == "name"
    assert await hands.press("x = n|") == "ame"
    assert await hands.press("x = nu|") == "only when asked, in manual mode"
    await asyncio.sleep(0.01)
    assert len(asked) == 1


async def test_a_fast_typist_is_waited_for_and_a_slow_one_is_not():
    waits: list[float] = []
    for pause in (0.1, 0.6):
        now = [0.0]
        completer = await ready(lambda *_: says("z"))
        completer._clock = lambda now=now: now[0]
        completer._rhythm = completer._rhythm.answered(0.25)
        hands = Hands(completer, "", debounce_ms=10)
        for i in range(8):
            now[0] += pause
            completer.edited("file:///a.py", "a" * i, "a" * (i + 1))
        hands.text = "a" * 8
        began = asyncio.get_running_loop().time()
        await hands.press("a" * 8 + "|")
        waits.append(asyncio.get_running_loop().time() - began)
    assert waits[0] >= 0.15
    assert waits[1] >= 0.01
    assert completer._rhythm.wait(0.01) == 0.01


async def test_the_wait_counts_from_the_key_and_not_from_the_question():
    now = [0.0]
    completer = await ready(lambda *_: says("z"))
    completer._clock = lambda: now[0]
    completer.edited("file:///a.py", "a", "ab")
    now[0] = 6.0  # as if the client had waited, too
    asking = completer.ask(question("ab|", invoked=False, debounce_ms=5000))
    assert await asyncio.wait_for(asking, 4) == says("z")


async def test_the_last_question_of_a_document_and_what_came_of_it():
    completer = await ready(lambda *_: says("name"))
    assert completer.last("file:///a.py") is None
    for text, from_cache, why in (("x = |", False, ""), ("x = n|", True, ""), ("x|y", False, "inside a word")):
        asked = question(text, invoked=False, debounce_ms=0)
        answer = await completer.ask(asked)
        last = completer.last("file:///a.py")
        assert last
        assert (last.question, last.answer, last.from_cache) == (asked, answer, from_cache)
        assert last.answer.why == why
        assert last.milliseconds >= 0
        assert completer.why_not(asked) == (why or None)
    completer.forget("file:///a.py")
    assert completer.last("file:///a.py") is None


# --- what the model does when the keys pause ---------------------------------------------------------------------


async def test_when_the_keys_pause_the_next_line_is_prepared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completer_module, "QUIET_SECONDS", 0.01)
    prepared: list[Question] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def prepare(_: Any, likely: Question, __: Any) -> None:
        prepared.append(likely)
        loop.call_soon_threadsafe(done.set)

    completer = await ready(lambda *_: says("ght)", 1), prepare)
    await completer.ask(question("x = f(ri|)\ny"))
    await asyncio.wait_for(done.wait(), 5)
    assert (prepared[0].text, prepared[0].offset) == ("x = f(right)\n\ny", 13)
    assert prepared[0].anchor == 0  # the line that was typed is forced, so that nothing behind it is read again


async def test_a_question_stops_the_preparing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completer_module, "QUIET_SECONDS", 0)
    entered, left = threading.Event(), threading.Event()

    def prepare(_: Any, __: Question, stop: Callable[[], bool]) -> None:
        entered.set()
        while not stop():
            pass
        left.set()

    completer = await ready(lambda *_: says("x"), prepare)
    await completer.ask(question("one|"))
    assert await asyncio.to_thread(entered.wait, 5)
    assert await completer.ask(question("two|", uri="file:///b.py")) == says("x")
    assert left.is_set()
    assert await asyncio.to_thread(entered.wait, 5)
    completer.forget()
    assert await asyncio.to_thread(left.wait, 5)


async def test_while_keys_come_nothing_is_prepared():
    completer = await ready(lambda *_: says("x"), lambda *_: pytest.fail("was prepared"))
    for i in range(5):
        await completer.ask(question("k" * i + "|"))
    completer.forget()


async def test_a_failure_to_prepare_is_silence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completer_module, "QUIET_SECONDS", 0)
    failed = threading.Event()

    def prepare(*_: Any) -> None:
        failed.set()
        raise RuntimeError

    completer = await ready(lambda *_: says("x"), prepare)
    assert await completer.ask(question("one|")) == says("x")
    assert await asyncio.to_thread(failed.wait, 5)
    assert await completer.ask(question("two|")) == says("x")


async def test_the_anchor_stays_while_lines_are_typed():
    asked: list[int | None] = []
    completer = await ready(lambda _, q, stop: asked.append(q.anchor))
    for text in ("a\nb|\nz", "a\nb\n|\nz", "a\nb\nc|\nz", "a\nb\nc|\ny", "a\nb\nc\nd|\ny", "a|\nb"):
        await completer.ask(question(text))
    assert asked == [2, 2, 2, 4, 4, 0]
