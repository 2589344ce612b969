"""The HTTP front over real sockets: with a tiny random model, and with one that does what it is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import SERVE, Start
from http_place import http_server
from raw_client import INLINE, PATIENCE, inline

from incoder_lsp.http import server as front
from incoder_lsp.infiller import LocalModel
from incoder_model.infill import Infill, InfillRequest, Model, infill
from incoder_model.loading import load_model
from incoder_model.metadata import header
from incoder_model.sampling import Sampling

LEFT, RIGHT = "import math\n\n\ndef area(radius):\n    ", "\n\n\nprint(area(2))\n"
HOLE = {"input_prefix": LEFT, "input_suffix": RIGHT, "n_predict": 24}


class Scripted:
    """Says `text` a character at a time. Where `slow` is typed, it goes on until it is stopped."""

    name, context = "scripted", 512

    def __init__(self, text: str = "abc") -> None:
        self.text = text
        self.requests: list[InfillRequest] = []
        self.begun, self.stopped = threading.Event(), threading.Event()

    def prompt_tokens(self, request: InfillRequest) -> int:
        return len(request.left)

    def infill(self, request: InfillRequest, stop: Any, done: Any = None) -> Infill:
        self.requests.append(request)
        if request.typed == "fails":
            raise RuntimeError(f"cannot cope with {request.typed}")
        if request.typed == "slow":
            self.begun.set()
            done("a")
            deadline = time.monotonic() + PATIENCE
            while not stop() and time.monotonic() < deadline:
                time.sleep(0.005)
            if stop():
                self.stopped.set()
            return Infill("a", 1, 0.0, "cancelled", 0.0)
        for length in range(1, len(self.text) + 1):
            if done(self.text[:length]):
                return Infill(self.text[:length], length, 0.0, "done", 0.0)
        return Infill(self.text, len(self.text), 0.0, "end-of-mask", 0.0)


@pytest.fixture(scope="module")
def tiny(model_directory: Path) -> Iterator[httpx2.Client]:
    with (
        http_server(lambda _: LocalModel(load_model(model_directory), "tiny")) as url,
        httpx2.Client(base_url=url, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def model_for_parity(model_directory: Path) -> Model:
    return load_model(model_directory)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def client(scripted: Scripted) -> Iterator[httpx2.Client]:
    with http_server(lambda _: scripted) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as client:
        yield client


def events(text: str) -> list[Any]:
    datas = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


@pytest.mark.parametrize("typed", ["", "return ", "return mat", "x = '<|mask:0|>'", "é = '😀"])
@pytest.mark.parametrize("one_line", [False, True])
def test_an_infill_says_what_the_model_says(tiny: httpx2.Client, model_for_parity: Model, typed: str, one_line: bool):
    stop = ["\n"] if one_line else []
    answer = tiny.post("/infill", json={**HOLE, "prompt": typed, "stop": stop}).json()
    left = LEFT[: LEFT.rindex("\n") + 1]
    request = InfillRequest(left, RIGHT, header({}), f"    {typed}", one_line, 24)
    direct = infill(model_for_parity, request)
    assert answer["content"] == direct.text
    assert answer["tokens_predicted"] == direct.tokens == answer["timings"]["predicted_n"]
    assert answer["tokens_evaluated"] == answer["timings"]["prompt_n"] > 20
    assert answer["stop_type"] == {"budget": "limit", "line": "word"}.get(direct.stopped, "eos")
    assert [answer[f"stopped_{kind}"] for kind in ("eos", "word", "limit")].count(True) == 1
    assert (answer["stop"], answer["model"]) == (True, "tiny")


def test_where_a_client_cuts_the_text_makes_no_difference(tiny: httpx2.Client):
    """llama.vim sends the line's beginning as `prompt`, others as the end of the prefix."""
    one = tiny.post("/infill", json={**HOLE, "prompt": "return "}).json()
    other = tiny.post("/infill", json={**HOLE, "input_prefix": f"{LEFT}return "}).json()
    openai = tiny.post("/v1/completions", json={"prompt": f"{LEFT}return ", "suffix": RIGHT, "max_tokens": 24}).json()
    windows = tiny.post(
        "/infill", json={**HOLE, "input_prefix": LEFT.replace("\n", "\r\n"), "prompt": "return "}
    ).json()
    assert one["content"] == other["content"] == openai["choices"][0]["text"] == windows["content"]


def test_a_drawn_answer_depends_on_the_seed_alone(tiny: httpx2.Client, model_for_parity: Model):
    drawn = {**HOLE, "temperature": 1.5, "top_p": 0.9}
    texts = [tiny.post("/infill", json={**drawn, "seed": seed}).json()["content"] for seed in (1, 1, 2)]
    request = InfillRequest(
        LEFT[:-4], RIGHT, header({}), "    ", max_tokens=24, sampling=Sampling(temperature=1.5, top_p=0.9, seed=1)
    )
    assert texts[0] == texts[1] == infill(model_for_parity, request).text
    assert texts[2] != texts[0]


def test_sentinels_in_the_users_text_stay_text(tiny: httpx2.Client, model_for_parity: Model):
    left = "s = '<|mask:0|><|endofmask|><|endoftext|>'\n"
    answer = tiny.post("/infill", json={**HOLE, "input_prefix": left, "input_suffix": "<|mask:1|>\n"}).json()
    request = InfillRequest(left, "<|mask:1|>\n", header({}), "", max_tokens=24)
    direct = infill(model_for_parity, request)
    special = set(range(4)) | set(
        range(model_for_parity.tokenizer.sentinels.first, model_for_parity.tokenizer.vocab_size)
    )
    encoded = [token for text in (left, "<|mask:1|>\n") for token in model_for_parity.tokenizer.encode(text)]
    assert not special & set(encoded)
    assert answer["tokens_evaluated"] == len(encoded) + len(model_for_parity.tokenizer.encode(header({}))) + 4
    assert answer["content"] == direct.text


LLAMA_VIM = {
    "id_slot": 0,
    "input_prefix": "def area(width, height):\n",
    "input_suffix": "\n\nprint(area(1, 2))\n",
    "input_extra": [{"text": "def volume(a):\n    return a\n", "time": [1, 2], "filename": "volume.py"}],
    "prompt": "    return ",
    "n_predict": 12,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 250,
    "response_fields": [
        "content",
        *(
            f"timings/{phase}_{what}"
            for phase in ("prompt", "predicted")
            for what in ("n", "ms", "per_token_ms", "per_second")
        ),
        "truncated",
        "tokens_cached",
    ],
}


def test_the_request_of_llama_vim(tiny: httpx2.Client):
    answer = tiny.post("/infill", json=LLAMA_VIM).json()
    assert sorted(answer) == sorted(LLAMA_VIM["response_fields"])
    assert answer["content"]
    assert answer["tokens_cached"] == answer["timings/prompt_n"] + answer["timings/predicted_n"]
    nothing = {"input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0, "response_fields": [""]}
    assert tiny.post("/infill", json={**LLAMA_VIM, **nothing}).json() == {}


def test_pieces_of_other_files_stand_in_front_under_their_names(client: httpx2.Client, scripted: Scripted):
    extras = [{"text": "x" * 600, "filename": "long.py"}, {"text": "a\r\nb", "filename": "dir/near.py"}]
    client.post("/infill", json={**HOLE, "input_extra": extras})
    (request,) = scripted.requests
    assert (
        request.left
        == f"<| file ext=.py filename=long.py |>\n<| file ext=.py filename=near.py |>\na\nb\n<| file |>\n{LEFT[:-4]}"
    )
    assert (request.header, request.typed) == ("", "    ")


@pytest.mark.parametrize("path", ["/infill", "/v1/completions"])
@pytest.mark.parametrize(
    ("text", "stop", "said"), [("one two", [" tw"], "one"), ("on one", ["one", "x"], "on "), ("é😀", [], "é😀")]
)
def test_a_stream_is_the_answer_in_parts(
    client: httpx2.Client, scripted: Scripted, path: str, text: str, stop: list[str], said: str
):
    scripted.text = text
    hole = {"input_prefix": "", "input_suffix": ""} if path == "/infill" else {"prompt": ""}
    whole = client.post(path, json={**hole, "stop": stop}).json()
    response = client.post(path, json={**hole, "stop": stop, "stream": True, "stream_options": {"include_usage": True}})
    assert response.headers["content-type"].startswith("text/event-stream")
    got = events(response.text)
    if path == "/infill":
        assert whole["content"] == "".join(event["content"] for event in got) == said
        assert [event["stop"] for event in got] == [False] * (len(got) - 1) + [True]
        assert {**got[-1], "content": said, "timings": 0} == {**whole, "timings": 0}
        assert whole["stopping_word"] == (stop[0] if stop else "")
    else:
        assert got.pop() == "[DONE]"
        assert got.pop()["usage"] == whole["usage"]
        choices = [event["choices"][0] for event in got]
        assert whole["choices"][0]["text"] == "".join(choice["text"] for choice in choices) == said
        assert [choice["finish_reason"] for choice in choices] == [None] * (len(got) - 1) + ["stop"]
        assert len({event["id"] for event in got}) == 1
    assert len(got) > 1


def test_several_choices(tiny: httpx2.Client):
    asked = {"prompt": LEFT, "suffix": RIGHT, "max_tokens": 8, "n": 3, "temperature": 1.0, "seed": 5}
    whole = tiny.post("/v1/completions", json=asked).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert len({choice["text"] for choice in whole["choices"]}) > 1
    usage = whole["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    streamed = events(tiny.post("/v1/completions", json={**asked, "stream": True}).text)[:-1]
    for choice in whole["choices"]:
        parts = [event["choices"][0] for event in streamed if event["choices"][0]["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]


def test_a_prompt_in_another_models_form_is_understood(client: httpx2.Client, scripted: Scripted):
    client.post("/v1/completions", json={"prompt": "<|fim_prefix|>a = 1\nb<|fim_suffix|>\nc<|fim_middle|>"})
    (request,) = scripted.requests
    assert (request.left, request.typed, request.right) == ("a = 1\n", "b", "\nc")


def test_what_a_client_may_ask_beforehand(tiny: httpx2.Client):
    assert tiny.get("/health").json() == {"status": "ok"}
    assert tiny.get("/v1/models").json()["data"][0]["id"] == "tiny"
    props = tiny.get("/props").json()
    assert props["default_generation_settings"]["n_ctx"] == 512
    assert props["build_info"].startswith("incoder-lsp ")


NO_JSON = "The body is not JSON; send one JSON object, in UTF-8."
NO_EXTRA = '"input_extra" must be a list of objects with "text" and "filename".'
BAD = [
    ("/infill", b"{", 400, NO_JSON, None),
    ("/infill", b"\xff", 400, NO_JSON, None),
    ("/infill", b"[" * 100_000, 400, NO_JSON, None),
    ("/infill", b"[]", 400, "The body must be one JSON object.", None),
    ("/infill", {"input_suffix": ""}, 400, '"input_prefix" is missing; it must be a string.', "input_prefix"),
    ("/infill", {**HOLE, "prompt": 3}, 400, '"prompt" must be a string.', "prompt"),
    ("/infill", {**HOLE, "n_predict": 1.5}, 400, '"n_predict" must be a whole number of at least -1.', "n_predict"),
    ("/infill", {**HOLE, "temperature": -1}, 400, '"temperature" must be a number of at least 0.', "temperature"),
    ("/infill", b'{"input_prefix": "", "input_suffix": "", "top_p": NaN}', 400, NO_JSON, None),
    ("/infill", {**HOLE, "top_p": 0}, 400, '"top_p" must be a number above 0 and at most 1.', "top_p"),
    ("/infill", {**HOLE, "stop": [1]}, 400, '"stop" must be a string or a list of up to 64 strings.', "stop"),
    ("/infill", {**HOLE, "input_extra": ["a"]}, 400, NO_EXTRA, "input_extra"),
    ("/v1/completions", {"prompt": ["a", "b"]}, 400, '"prompt" must be one string.', "prompt"),
    ("/v1/completions", {"prompt": "a", "echo": True}, 400, '"echo" is not supported here; leave it out.', "echo"),
    ("/v1/completions", {"prompt": "a", "n": 99}, 400, '"n" must be a whole number from 1 to 16.', "n"),
    ("/v1/completions", {"prompt": "fails"}, 500, "The completion failed; the server's log says where.", None),
    ("/v1/chat/completions", {}, 404, "There is nothing here; see /v1/completions and /infill.", None),
    ("/health", {}, 405, "This path takes another method.", None),
    ("/infill", b" " * (front.LARGEST_BODY + 1), 413, "The body is larger than 4 MiB; send less of the file.", None),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_bad_input_is_one_sentence(client: httpx2.Client, stream: bool):
    for path, body, status, sentence, field in BAD:
        if isinstance(body, dict):
            body = {**body, "stream": stream} if path != "/health" else body  # noqa: PLW2901
            response = client.post(path, json=body)
        else:
            response = client.post(path, content=body)
        error = response.json()["error"]
        assert (response.status_code, error["message"], error["param"]) == (status, sentence, field)
        assert (error["code"], sorted(error)) == (status, ["code", "message", "param", "type"])


def test_a_window_too_small_for_what_is_typed_is_told(tiny: httpx2.Client):
    response = tiny.post("/infill", json={**HOLE, "header": "x y " * 300, "n_predict": 4000})
    assert response.status_code == 400
    assert "lower max_tokens" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example:80"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1.attacker.example"}, 403),
    ],
)
def test_browsers_are_kept_out(client: httpx2.Client, scripted: Scripted, headers: dict[str, str], status: int):
    for response in (client.get("/props", headers=headers), client.post("/infill", json=HOLE, headers=headers)):
        assert response.status_code == status
        assert "access-control-allow-origin" not in response.headers
    assert len(scripted.requests) == (status == 200)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_stops_the_model(client: httpx2.Client, scripted: Scripted, stream: bool):
    port = client.base_url.port
    body = json.dumps({"prompt": "slow", "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert scripted.begun.wait(PATIENCE)
        if stream:
            assert b"200 OK" in connection.recv(4096)
    assert scripted.stopped.wait(PATIENCE)
    assert client.post("/v1/completions", json={"prompt": ""}).json()["choices"][0]["text"] == "abc"


def test_while_the_model_loads_there_is_a_sentence():
    loading = threading.Event()
    with http_server(lambda _: loading.wait(PATIENCE) and Scripted(), wait=False) as url:
        for path in ("/health", "/props", "/v1/models"):
            response = httpx2.get(f"{url}{path}")
            assert response.status_code == 503
            assert response.json()["error"]["message"] == "The model is not loaded yet; ask again in a moment."
        assert httpx2.post(f"{url}/infill", json=HOLE).status_code == 503
        loading.set()
        deadline = time.monotonic() + PATIENCE
        while httpx2.get(f"{url}/health").status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_body_that_does_not_come(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(front, "BODY_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_an_editor_and_http_share_the_model(launch: Start, model_directory: Path):
    server = launch([*SERVE, "--stdio", "--http", "localhost:0", "--model", str(model_directory)])
    server.wait_logged(b"\n")
    url = server.stderr.decode().split()[-1]
    assert httpx2.post(f"{url}/infill", json=HOLE).status_code == 503
    server.start()
    while httpx2.get(f"{url}/health").status_code == 503:
        time.sleep(0.05)
    assert httpx2.post(f"{url}/infill", json=HOLE, timeout=PATIENCE).json()["content"]
    server.open("file:///a.py", f"{LEFT}{RIGHT}")
    assert "result" in server.ask(INLINE, inline("file:///a.py", 4, 4))
    assert server.end() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_http_alone_ends_in_order_with_control_c(launch: Start, model_directory: Path):
    server = launch([*SERVE, "--http", "127.0.0.1:0", "--model", str(model_directory)])
    server.wait_logged(b"\n")
    url = server.stderr.decode().split()[-1]
    while httpx2.get(f"{url}/health").status_code == 503:
        time.sleep(0.05)
    assert httpx2.post(f"{url}/v1/completions", json={"prompt": LEFT}, timeout=PATIENCE).status_code == 200
    os.kill(server.process.pid, signal.SIGINT)
    assert server.exit_code() == 0
    assert server.stderr.count(b"\n") == 1, "nothing but where it listens"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["--http", "0.0.0.0:80"],
            2,
            "0.0.0.0 is not this machine: the server listens on 127.0.0.1, localhost, ::1 only.",
        ),
        (["--http", "127.0.0.1:0", "--model", "/nowhere"], 1, "/nowhere is not a folder; "),
        (["--backend", "team:8000"], 2, "the backend must be an address like http://127.0.0.1:8012 or "),
        (["--backend", "http://a", "--model", "b"], 2, "--model and --backend exclude each other; give one of them."),
        (
            ["--backend", "http://me:secret@a"],
            2,
            "a backend's key does not belong in its address; put it into INCODER_",
        ),
    ],
)
def test_what_cannot_be_served_is_one_sentence(arguments: list[str], code: int, sentence: str):
    done = subprocess.run([*SERVE, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == code
    assert f"incoder-lsp: {sentence}" in done.stderr
    assert "secret" not in done.stderr


def test_a_taken_http_port_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*SERVE, "--http", address], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    assert (done.returncode, done.stderr) == (
        1,
        f"incoder-lsp: cannot listen on {address}: address already in use; choose another port.\n",
    )
