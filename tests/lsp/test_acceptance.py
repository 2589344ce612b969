"""What becomes of suggestions, from edits alone: an editor is played, with its own clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SCRIPTED, Start
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, RawClient, inline, span

from incoder_lsp.acceptance import SAVE_EVERY, Acceptance
from incoder_lsp.edits import Kind, edit_between
from incoder_lsp.filters.suggestion import Suggestion
from incoder_lsp.question import Answer, Question
from incoder_lsp.settings import Settings
from incoder_lsp.tally import (
    COUNTS,
    Tally,
    add_statistics,
    language_of,
    read_statistics,
    reset_statistics,
    statistics_path,
)
from incoder_lsp.type_along import Known

URI = "file:///a.py"


class Editor:
    """One document, and the cursor at a bar."""

    def __init__(self, text: str, **settings: Any):
        self.settings = Settings(**settings)
        self.now = 0.0
        self.acceptance = Acceptance(lambda: self.now)
        self.cursor, self.text = text.index("|"), text.replace("|", "")

    def suggested(self, *texts: str, covers: int = 0) -> None:
        asked = Question(URI, "/a.py", self.text, self.cursor, "\n", False, self.settings)
        self.acceptance.give(Known(asked, Answer(tuple(Suggestion(text, covers) for text in texts))))

    def insert(self, new: str, covers: int = 0) -> Kind | None:
        return self.change(self.text[: self.cursor] + new + self.text[self.cursor + covers :], self.cursor + len(new))

    def change(self, text: str, cursor: int = 0) -> Kind | None:
        edit = edit_between(self.text, text)
        self.text, self.cursor = text, cursor
        return self.acceptance.edited(URI, edit, text)

    def counts(self) -> dict[str, int]:
        self.acceptance.settle()
        return {name: number for name, number in self.acceptance.tally.total.items() if number}


def test_accepted_at_once():
    editor = Editor("x = |\ny")
    editor.suggested("first(second)")
    assert editor.insert("first(second)") is Kind.ACCEPTED
    assert editor.counts() == {"shown": 1, "accepted": 1, "whole": 1, "characters": 13}


def test_accepted_by_word_by_line_and_whole():
    editor = Editor("def f():|\n")
    editor.suggested("\n    a = one(two)\n    b = 3\n    return a")
    assert [editor.insert(part) for part in ("\n    a = ", "one(two)", "\n    b = 3\n", "    return a")] == [
        Kind.ACCEPTED_IN_PART,
        Kind.ACCEPTED_IN_PART,
        Kind.ACCEPTED_IN_PART,
        Kind.ACCEPTED,
    ]
    assert editor.counts() == {"shown": 1, "accepted": 1, "word": 1, "line": 2, "whole": 1, "characters": 40}


def test_typed_along():
    editor = Editor("x = |")
    editor.suggested("ab()")
    assert [editor.insert(key) for key in "ab()"] == [None] * 4
    assert editor.counts() == {"shown": 1, "typed": 1}


def test_several_keys_at_once_are_not_taken_for_a_word():
    editor = Editor("x = |")
    editor.suggested("number_of(cities)")
    assert editor.insert("num") is None
    assert editor.insert("ber_") is None
    assert editor.insert("of(") is Kind.ACCEPTED_IN_PART


def test_something_else_typed_and_an_undo_take_nothing_over():
    editor = Editor("x = |")
    editor.suggested("first(second)")
    assert editor.insert("other words") is None
    editor.change("x = ", 4)
    assert editor.insert("first(second)") is Kind.ACCEPTED
    editor.change("x = ", 4)
    assert editor.insert("first(second)") is None  # done again
    assert editor.counts() == {"shown": 1, "accepted": 1, "whole": 1, "characters": 13}


def test_another_candidate_and_one_that_covers():
    editor = Editor("f(|)")
    editor.suggested("a)", "bc, de)", covers=1)
    assert editor.insert("bc, de)", covers=1) is Kind.ACCEPTED
    assert editor.counts()["whole"] == 1


def test_one_suggestion_given_again_and_again_was_shown_once():
    editor = Editor("f(|)")
    asked = Question(URI, "/a.py", editor.text, editor.cursor, "\n", False, Settings())
    known = Known(asked, Answer((Suggestion("abc"),)))
    for _ in range(3):
        editor.acceptance.give(known)
    assert editor.counts() == {"shown": 1}


def test_what_is_kept_is_looked_at_after_30_seconds_and_5_minutes():
    editor = Editor("x = |\n")
    editor.suggested("first(second)")
    editor.insert("first(second)")
    editor.now = 20
    editor.change("x = first(third)\n")
    editor.now = 31
    editor.change("# a line above\nx = first(third)\n")
    assert editor.counts()["measured30s"] == 13
    after_30 = editor.counts()["kept30s"]
    assert 7 <= after_30 < 13
    editor.now = 299
    editor.change("# a line above\n\n")
    editor.now = 301
    assert {"measured5min": 13}.items() <= editor.counts().items()
    assert "kept5min" not in editor.counts()
    assert editor.counts()["kept30s"] == after_30
    assert not editor.acceptance._pages[URI].accepted


@given(st.text("ab(\n ", min_size=2, max_size=12), st.lists(st.text("ab(\n x", max_size=12), max_size=6))
def test_whatever_is_typed_no_more_is_taken_or_kept_than_there_was(suggested: str, texts: list[str]):
    editor = Editor("ab|a")
    editor.suggested(suggested)
    editor.insert(suggested)
    for text in texts:
        editor.now += 30
        editor.change(text)
    editor.now += 300
    counts = {**dict.fromkeys(COUNTS, 0), **editor.counts()}
    assert counts["accepted"] <= counts["shown"] == 1
    assert counts["characters"] <= len(suggested)
    assert counts["kept30s"] <= counts["measured30s"] == counts["measured5min"] == counts["characters"]
    assert counts["kept5min"] <= counts["kept30s"]


def test_a_client_that_says_itself_what_it_shows():
    editor = Editor("x = |")
    editor.suggested("one")
    editor.acceptance.told_shown("unheard of")
    editor.acceptance.told_shown("one")  # it was counted before we knew
    editor.suggested("two")  # computed, and perhaps never seen
    assert editor.counts() == {"shown": 1}
    editor.acceptance.told_shown("wo")  # what is left of it after a key
    editor.acceptance.told_shown("o")
    assert editor.counts() == {"shown": 2}
    editor.acceptance.told_part("wo", 1)
    editor.acceptance.told_part("wo", 1)
    assert editor.counts() == {"shown": 2, "accepted": 1, "word": 1, "characters": 1}


# --- the file ----------------------------------------------------------------------------------------------------


def counted(**counts: int) -> Tally:
    tally = Tally()
    for name, number in counts.items():
        tally.add("py", name, number)
    return tally


@given(st.lists(st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 10**9)), max_size=4))
def test_the_file_adds_up(tmp_path_factory: pytest.TempPathFactory, sessions: list[dict[str, int]]):
    path = tmp_path_factory.mktemp("state") / "incoder" / "statistics.json"
    for session in sessions:
        add_statistics(path, counted(**session))
    _, languages = read_statistics(path)
    for name in COUNTS:
        assert languages.get("py", {}).get(name, 0) == sum(session.get(name, 0) for session in sessions)
    reset_statistics(path)
    assert read_statistics(path) == ("", {})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"since": "2020-01-01"}', '{"since": 1, "languages": {"py": {"shown": "x"}}}']
)
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: str):
    path = tmp_path / "statistics.json"
    path.write_text(content)
    assert read_statistics(path) == ("", {})
    add_statistics(path, counted(shown=2))
    assert read_statistics(path)[1] == {"py": {"shown": 2}}


def test_counts_of_a_later_version_are_kept(tmp_path: Path):
    path = tmp_path / "statistics.json"
    path.write_text('{"format": 2, "since": "2020-01-01", "languages": {"py": {"dreamed": 3}}}')
    add_statistics(path, counted(shown=2))
    assert read_statistics(path) == ("2020-01-01", {"py": {"dreamed": 3, "shown": 2}})


def test_processes_lose_nothing_of_each_others(tmp_path: Path):
    path = tmp_path / "statistics.json"
    program = (
        "import sys; from pathlib import Path; from incoder_lsp.tally import Tally, add_statistics\n"
        "for _ in range(50):\n"
        "    tally = Tally(); tally.add('py', 'shown'); add_statistics(Path(sys.argv[1]), tally)\n"
    )
    line = [sys.executable, "-c", program, str(path)]
    processes = [subprocess.Popen(line) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert read_statistics(path)[1] == {"py": {"shown": 150}}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["statistics.json", "statistics.lock"]


def test_it_is_saved_now_and_then_and_only_if_the_user_lets_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for keep, saved in ((False, {}), (True, {"py": {"shown": 1}})):
        editor = Editor("x = |", statistics=keep)
        editor.suggested("one")
        editor.now = SAVE_EVERY - 1
        editor.insert("x")
        assert read_statistics(statistics_path()) == ("", {})
        editor.now = SAVE_EVERY + 1
        editor.insert("y")
        assert read_statistics(statistics_path())[1] == saved
    editor.acceptance.save()
    assert read_statistics(statistics_path())[1] == {"py": {"shown": 1}}


def test_a_place_that_cannot_be_written_costs_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
):
    (tmp_path / "incoder").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    editor = Editor("x = |")
    editor.suggested("one")
    editor.acceptance.save()
    assert "cannot be kept in" in caplog.text


@pytest.mark.parametrize(
    ("path", "language"),
    [("/a/b.py", "py"), ("/a/B.CPP", "cpp"), ("/a/Makefile", "other"), ("/a/b.my secret", "other"), ("", "other")],
)
def test_languages(path: str, language: str):
    assert language_of(path) == language


# --- through the server ------------------------------------------------------------------------------------------


def stats(state: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "COLUMNS": "120"}
    line = [sys.executable, "-m", "incoder_lsp", "stats", *options]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_an_editors_session_is_counted_and_shown(launch: Start, tmp_path: Path):
    assert "Nothing has been suggested yet" in stats(tmp_path).stdout
    client = launch(SCRIPTED, XDG_STATE_HOME=str(tmp_path))
    client.start_and_load()
    client.open(URI, "lines")
    assert client.ask(INLINE, inline(URI, 0, 5))["result"]["items"][0]["insertText"] == "one\ntwo"
    client.notify("textDocument/didShowCompletion", {"item": {"insertText": "one\ntwo"}})
    client.notify("textDocument/didPartiallyAcceptCompletion", {"item": 3, "acceptedLength": "x"})
    client.notify("textDocument/didFocus", {})
    change(client, 1, "one\ntwo", 0, 5)
    assert client.ask(INLINE, {**inline(URI, 1, 3), "context": {"triggerKind": 2}})["result"] is None  # just accepted
    told = client.ask("incoder/statistics")["result"]
    assert {"shown": 1, "accepted": 1, "whole": 1, "characters": 7}.items() <= told.items()
    assert client.end() == 0
    found = json.loads(stats(tmp_path, "--json").stdout)
    assert found["languages"] == {"py": {"shown": 1, "accepted": 1, "whole": 1, "characters": 7}}
    assert "lines" not in Path(found["file"]).read_text()
    table = stats(tmp_path, "--reset").stdout
    assert ["py", "1", "1", "100%", "1", "0", "0", "0", "7", "–", "–"] in [line.split() for line in table.splitlines()]
    assert json.loads(stats(tmp_path, "--json").stdout)["languages"] == {}


def change(client: RawClient, version: int, text: str, line: int, column: int) -> None:
    document = {"uri": URI, "version": version}
    edit = {"range": span((line, column), (line, column)), "text": text}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [edit]})
