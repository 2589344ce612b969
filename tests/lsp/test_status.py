"""What an editor's status line is told: how the session is, on change only."""

from __future__ import annotations

from typing import Any

from conftest import SCRIPTED, SERVE, Start
from raw_client import INLINE, RawClient, inline

from incoder_lsp.status import Status

STATUS = "incoder/status"
WANTED = {"experimental": {"incoder": {"status": True}}}
URI, SECRET = "file:///status.py", "file:///.env"


def told(client: RawClient) -> list[tuple[str, str]]:
    return [(one["params"]["state"], one["params"]["message"]) for one in statuses(client)]


def statuses(client: RawClient) -> list[dict[str, Any]]:
    return [message for message in client.received if message.get("method") == STATUS]


def wait_for(client: RawClient, state: str, message: str = "") -> dict[str, Any]:
    """Wait until the newest status is that one."""

    def is_it(one: dict[str, Any]) -> bool:
        newest = statuses(client)[-1:] == [one]
        return newest and one["params"]["state"] == state and message in one["params"]["message"]

    client.wait(is_it)
    return statuses(client)[-1]["params"]


def test_nobody_is_told_who_does_not_want_to_know(scripted: RawClient):
    scripted.start_and_load(capabilities={"experimental": {"incoder": {"status": "yes"}, "other": True}})
    scripted.notify("textDocument/didFocus", {})
    scripted.open(URI, "fast")
    scripted.ask(INLINE, inline(URI, 0, 4))
    assert statuses(scripted) == []


def test_loading_ready_busy_and_ready(scripted: RawClient):
    scripted.start_and_load(capabilities=WANTED)
    ready = wait_for(scripted, "ready")
    assert ready == {"state": "ready", "message": "", "model": "incoder-bundled", "latencyMs": None}
    assert [state for state, _ in told(scripted)] == ["loading", "ready"]
    scripted.open(URI, "slow")
    request = scripted.request(INLINE, inline(URI, 0, 4))
    wait_for(scripted, "busy")
    scripted.change(URI, {"text": "fast"})
    scripted.reply(request)
    wait_for(scripted, "ready")
    assert [state for state, _ in told(scripted)] == ["loading", "ready", "busy", "ready"]
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    assert wait_for(scripted, "ready")["latencyMs"] is not None


def test_keys_that_stop_an_answer_do_not_make_it_flicker(scripted: RawClient):
    scripted.start_and_load(capabilities=WANTED)
    scripted.open(URI, "slow")
    scripted.request(INLINE, inline(URI, 0, 4))
    wait_for(scripted, "busy")
    for _ in range(5):
        scripted.change(URI, {"text": "slow "})
        scripted.change(URI, {"text": "slow"})
        scripted.request(INLINE, inline(URI, 0, 4))
    scripted.change(URI, {"text": "fast"})
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    wait_for(scripted, "ready")
    assert [state for state, _ in told(scripted)] == ["loading", "ready", "busy", "ready"]


def test_off_is_about_the_document_that_has_the_focus_or_was_asked_about(scripted: RawClient):
    scripted.start_and_load(capabilities=WANTED)
    scripted.open(URI, "fast")
    scripted.open(SECRET, "A=")
    wait_for(scripted, "ready")
    scripted.notify("textDocument/didFocus", {"textDocument": {"uri": SECRET}})
    wait_for(scripted, "off", "may hold secrets")
    scripted.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
    wait_for(scripted, "ready")
    scripted.ask(INLINE, inline(SECRET, 0, 2))
    wait_for(scripted, "off", "may hold secrets")
    scripted.notify("textDocument/didFocus", {})
    wait_for(scripted, "ready")
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"enabled": False}}})
    wait_for(scripted, "off", "incoder.enabled")
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"enabled": True, "mode": "manual"}}})
    wait_for(scripted, "ready", "when you ask")


def test_a_document_may_have_the_focus_before_it_is_open(scripted: RawClient):
    scripted.start_and_load(capabilities=WANTED)
    scripted.notify("textDocument/didFocus", {"textDocument": {"uri": SECRET}})
    scripted.open(SECRET, "A=")
    wait_for(scripted, "off", "may hold secrets")


def test_a_model_that_is_missing_is_an_error_until_there_is_one(launch: Start, tmp_path: Any, model_directory: Any):
    client = launch([*SERVE, "--no-daemon"])
    client.start(capabilities=WANTED, initializationOptions={"model": str(tmp_path / "nothing")})
    status = wait_for(client, "error", str(tmp_path / "nothing"))
    assert status["model"] == "nothing"
    client.open(URI, "x")
    why = client.ask("incoder/whyNot", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 1}})
    assert why["result"] == {"code": "noModel", "message": status["message"]}
    client.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"model": str(model_directory)}}})
    assert wait_for(client, "ready")["model"] == "tiny"
    assert client.end() == 0


def test_a_backend_that_is_away_is_an_error(launch: Start):
    client = launch([*SERVE, "--backend", "http://127.0.0.1:9"])
    client.start(capabilities=WANTED)
    wait_for(client, "ready")
    client.open(URI, "x = ")
    assert client.ask(INLINE, inline(URI, 0, 4))["result"] is None
    assert wait_for(client, "error", "127.0.0.1:9")["model"] == "http://127.0.0.1:9"
    why = client.ask("incoder/whyNot", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}})
    assert why["result"]["code"] == "backendAway"


def test_a_slow_start_is_told_as_loading(launch: Start):
    client = launch([*SCRIPTED, "--load", "1"])
    client.start(capabilities=WANTED)
    wait_for(client, "loading")
    client.open(URI, "fast")
    why = client.ask("incoder/whyNot", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}})
    assert why["result"]["code"] == "loading"
    wait_for(client, "ready")


def test_a_latency_is_news_where_it_has_changed_a_good_deal():
    told = Status("ready", "", "model", 0.1)
    assert told.is_news(None)
    assert not Status("ready", "", "model", 0.12).is_news(told)
    assert Status("ready", "", "model", 0.2).is_news(told)
    assert Status("busy", "", "model", 0.1).is_news(told)
    assert Status("ready", "", "model", None).is_news(told)
    assert told.as_json() == {"state": "ready", "message": "", "model": "model", "latencyMs": 100}
