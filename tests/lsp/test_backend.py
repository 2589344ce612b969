"""Completions from a server: our own, stand-ins for llama.cpp's and vLLM, and servers at their worst, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import SERVE, Start
from http_place import http_server
from hypothesis import given
from hypothesis import strategies as st
from raw_client import INLINE, RawClient, inline

from incoder_lsp.backend import client as room
from incoder_lsp.backend.address import Address, parse_backend
from incoder_lsp.backend.client import Backend
from incoder_lsp.backend.fim import FORMS, form_of, read_prompt
from incoder_lsp.completer import Completer
from incoder_lsp.filling import fill
from incoder_lsp.infiller import LocalModel, Unavailable
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings, read_values
from incoder_lsp.worker import Worker
from incoder_model.infill import InfillRequest
from incoder_model.loading import load_model

REQUEST = InfillRequest("a = 1\n", "\nc", header="<| file |>\n", typed="b = ", one_line=True, max_tokens=9)
PROPS = {
    "default_generation_settings": {"n_ctx": 4096, "params": {}},
    "total_slots": 1,
    "build_info": "b9549-6f4f53f2b",
}
# What llama.cpp's server answers to /infill, shortened where it repeats the request.
LLAMA = {
    "index": 0, "content": "a + 1", "tokens": [], "id_slot": 0, "stop": True, "model": "tiny.gguf", "tokens_predicted": 4,
    "tokens_evaluated": 21, "generation_settings": {"seed": 0, "temperature": 0.0}, "prompt": "", "has_new_line": True,
    "truncated": False, "stop_type": "word", "stopping_word": "\n", "tokens_cached": 24,
    "timings": {"prompt_n": 21, "prompt_ms": 8.1, "predicted_n": 4, "predicted_ms": 12.9},
}  # fmt: skip
VLLM = {
    "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "Qwen/Qwen2.5-Coder-7B",
    "choices": [{"index": 0, "text": "a + 1", "logprobs": None, "finish_reason": "stop", "stop_reason": "\n"}],
    "usage": {"prompt_tokens": 21, "total_tokens": 25, "completion_tokens": 4},
}  # fmt: skip
NO_SUFFIX = {"error": {"message": "suffix is not currently supported", "type": "BadRequestError", "code": 400}}

Reply = Callable[[str, Any], tuple[int, Any]]  # path, body -> status, JSON or bytes


@contextmanager
def stand_in(reply: Reply) -> Iterator[tuple[str, list[tuple[str, Any, dict[str, str]]]]]:
    """A server's address, and what it is asked: path, body, headers."""
    asked: list[tuple[str, Any, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
            status, answer = reply(self.path, body)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def never() -> bool:
    return False


def llama(path: str, _: Any) -> tuple[int, Any]:
    return (200, PROPS) if path == "/props" else (200, LLAMA)


def vllm(path: str, body: Any) -> tuple[int, Any]:
    if path == "/v1/models":
        return 200, {"object": "list", "data": [{"id": "Qwen/Qwen2.5-Coder-7B", "object": "model"}]}
    if path == "/v1/completions":
        return (400, NO_SUFFIX) if "suffix" in body else (200, VLLM)
    return 404, {"detail": "Not Found"}


@pytest.mark.parametrize("typed", ["", "return ", "x = np"])
@pytest.mark.parametrize("one_line", [False, True])
def test_our_own_server_says_what_the_model_says_here(model_directory: Path, typed: str, one_line: bool):
    local = LocalModel(load_model(model_directory), "tiny")
    request = InfillRequest(
        "def area(a):\n", "\n\nprint()\n", "<| file ext=.py filename=a.py |>\n", typed, one_line, max_tokens=16
    )
    with http_server(lambda _: LocalModel(load_model(model_directory), "tiny")) as url:
        here, there = local.infill(request, never), Backend(Address(url)).infill(request, never)
    assert (there.text, there.tokens, there.stopped in ("budget", "line")) == (
        here.text,
        here.tokens,
        here.stopped in ("budget", "line"),
    )


def test_a_suggestion_is_the_same_from_both(model_directory: Path):
    text = "import math\n\n\ndef area(radius):\n    return \n\n\nprint(area(2))\n"
    question = Question("file:///a.py", "/a.py", text, text.index("return ") + 7, "\n", True, Settings(max_tokens=12))
    local = LocalModel(load_model(model_directory), "tiny")
    with http_server(lambda _: LocalModel(load_model(model_directory), "tiny")) as url:
        assert fill(local, question, never) == fill(Backend(Address(url)), question, never)


def test_llama_cpp_is_asked_as_its_own_clients_ask():
    with stand_in(llama) as (url, asked):
        said = Backend(Address(url)).infill(REQUEST, never)
        assert (said.text, said.tokens, said.stopped) == ("a + 1", 4, "line")
        assert [path for path, _, _ in asked] == ["/props", "/infill"]
        body = asked[1][1]
        assert (body["input_prefix"], body["prompt"], body["input_suffix"]) == ("a = 1\n", "b = ", "\nc")
        assert (body["n_predict"], body["stop"], body["temperature"]) == (9, ["\n"], 0.0)
        assert "header" not in body, "the metadata line would be read as code"


def test_the_real_llama_cpp_answers(tmp_path: Path):
    """Its tiny model says the same whether its cache holds the prompt or not, and on one line where one is wanted."""
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    command = [sys.executable, str(Path(__file__).parent / "tiny_llama.py"), str(tmp_path / "tiny.gguf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = next(line.split()[1] for line in server.stdout if line.startswith("at http"))
            backend = Backend(parse_backend(url))
            first, again = (backend.infill(replace(REQUEST, one_line=False), never) for _ in range(2))
            assert (first.text, first.tokens, first.stopped) == (again.text, again.tokens, again.stopped)
            assert 0 < first.tokens <= REQUEST.max_tokens
            assert backend.infill(REQUEST, never).text == first.text.split("\n", maxsplit=1)[0]
        finally:
            server.kill()


def test_a_server_without_suffix_is_asked_in_its_models_form():
    with stand_in(vllm) as (url, asked):
        backend = Backend(Address(url))
        assert [backend.infill(REQUEST, never).text for _ in range(2)] == ["a + 1"] * 2
        assert [path for path, _, _ in asked] == ["/props", "/v1/models"] + ["/v1/completions"] * 3, (
            "it is asked once what it is"
        )
        assert asked[-1][1]["prompt"] == "<|fim_prefix|>a = 1\nb = <|fim_suffix|>\nc<|fim_middle|>"
        assert asked[-1][1]["model"] == "Qwen/Qwen2.5-Coder-7B"


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("INCODER_BACKEND_KEY", "geheim")
    refusal = {"error": {"message": "Invalid API\nKey", "code": 401}}
    with stand_in(lambda *_: (401, refusal)) as (url, asked), pytest.raises(Unavailable) as told, caplog.at_level(0):
        Backend(parse_backend(url)).infill(REQUEST, never)
    assert asked[0][2]["authorization"] == "Bearer geheim"
    assert "status 401, Invalid API Key; its key is read from INCODER_BACKEND_KEY." in str(told.value)
    assert "geheim" not in str(told.value) + caplog.text


@pytest.mark.proof
@pytest.mark.skipif(sys.platform == "win32", reason="there is no daemon on Windows yet")
def test_each_editor_of_a_daemon_has_a_key_of_its_own(launch: Start, runtime: Path):
    text, keys = "import math\n\nx = ", ("geheim", "secret", "")
    with stand_in(llama) as (url, asked):
        for key in keys:
            client = launch(SERVE, XDG_RUNTIME_DIR=str(runtime), INCODER_BACKEND_KEY=key)
            client.start_and_load(initializationOptions={"backend": url})
            client.open("file:///a.py", text)
            client.ask(INLINE, inline("file:///a.py", 2, 4))
    assert list(dict.fromkeys(headers.get("authorization") for _, _, headers in asked)) == [
        "Bearer geheim",
        "Bearer secret",
        None,
    ]


def props_and(status: int, answer: Any) -> Reply:
    """A llama.cpp server whose completions are this."""
    return lambda path, _: (200, PROPS) if path == "/props" else (status, answer)


AWAY: dict[str, tuple[Reply, str]] = {
    "500": (props_and(500, {"error": {"message": "out of memory"}}), "status 500, out of memory"),
    "500 at once": (lambda *_: (500, b"<html>"), "status 500"),
    "garbage": (props_and(200, b"\x00garbage"), "is not that of a llama.cpp server"),
    "another kind of JSON": (props_and(200, {"content": 5}), "is not that of a llama.cpp server"),
    "something else": (lambda *_: (200, b"<html>Router</html>"), "neither as llama.cpp's server nor as OpenAI's"),
    "elsewhere": (lambda *_: (302, {}), "neither as llama.cpp's server nor as OpenAI's"),
    "endless": (lambda *_: (200, b" " * (room.LARGEST_ANSWER + 1)), "its answer does not end"),
    "no form": (
        lambda path, _: (200, {"data": [{"id": "mystery"}]}) if path == "/v1/models" else (400, NO_SUFFIX),
        "how to ask mystery to fill a hole is not known",
    ),
}


@pytest.mark.parametrize("how", AWAY)
def test_a_server_that_fails_is_one_sentence(how: str):
    reply, words = AWAY[how]
    with stand_in(reply) as (url, _), pytest.raises(Unavailable) as told:
        Backend(Address(url)).infill(REQUEST, never)
    sentence = str(told.value)
    assert sentence.startswith(f"the backend at {url} gives no completions: ")
    assert words in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


@contextmanager
def raw_server(speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> Iterator[str]:
    """A server that does with a connection whatever it likes."""
    loop, ports, over = asyncio.new_event_loop(), [], asyncio.Event()
    ready = threading.Event()

    async def session() -> None:
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(session(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(over.set)
    thread.join(20)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other side closes
    hang_up.set()


async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(
        b"\r\n\r\n"
    )  # what is left unread when a connection is closed would break it at the other end
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
    writer.close()


hang_up = threading.Event()


@pytest.mark.parametrize(
    ("speak", "words"),
    [(hang, "answer"), (trickle, "it has not answered within"), (gibberish, "is not HTTP")],
    ids=["hang", "trickle", "gibberish"],
)
def test_a_server_that_does_not_come_to_an_end_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, speak: Callable[..., Any], words: str
):
    monkeypatch.setattr(room, "ANSWER", 0.2)
    with raw_server(speak) as url, pytest.raises(Unavailable, match=words):
        Backend(Address(url)).infill(REQUEST, never)


def test_the_stop_flag_closes_the_connection():
    hang_up.clear()
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with raw_server(hang) as url:
        assert Backend(Address(url)).infill(REQUEST, stop.is_set).stopped == "cancelled"
        assert hang_up.wait(5)


def test_the_user_is_told_once_and_the_log_once_each_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    healthy, told = [False], []

    def reply(path: str, body: Any) -> tuple[int, Any]:
        return llama(path, body) if healthy[0] else (503, {"error": {"message": "Loading model", "code": 503}})

    async def session(url: str, asked: list[Any]) -> None:
        worker = Worker()
        await worker.load(Address(url))
        completer = Completer(worker, tell=told.append)

        async def key(number: int) -> Any:
            text = f"value = {'x' * number}"
            return await completer.ask(Question("file:///a.txt", "/a.txt", text, len(text), "\n", True, Settings()))

        for number in range(5):
            assert not (await key(number)).suggestions
        assert len(asked) == 1, "it is left in peace"
        for pause in (1, 2, 4, 8):
            now[0] += pause + 0.001
            assert not (await key(pause)).suggestions
            assert not (await key(pause)).suggestions
        assert len(asked) == 5, "and longer each time"
        healthy[0] = True
        assert not (await key(9)).suggestions
        now[0] += 17
        assert (await key(9)).best.text == "a + 1"
        healthy[0] = False
        assert not (await key(10)).suggestions

    with caplog.at_level(logging.INFO, "incoder_lsp"), stand_in(reply) as (url, asked):
        asyncio.run(session(url, asked))
    away = f"the backend at {url} gives no completions: it answers with status 503, Loading model."
    assert told == [away, away]
    assert [record.message for record in caplog.records] == [away, f"the backend at {url} answers again", away]


def test_pieces_of_other_files_go_there_only_where_the_user_says_so(launch: Start):
    secret, other, mine = "file:///w/.env", "file:///w/other.py", "file:///w/mine.py"

    def extra(client: RawClient) -> Any:
        client.change(mine, {"text": "side = perimeter("})
        client.ask(INLINE, inline(mine, 0, 17))
        return asked[-1][1].get("input_extra")

    with stand_in(llama) as (url, asked):
        client = launch([*SERVE, "--no-daemon"])
        client.start_and_load(initializationOptions={"backend": url, "neighbourFiles": True})
        client.open(secret, "perimeter=1")
        client.open(other, "def perimeter():\n    return 1\n")
        client.open(mine, "")
        assert extra(client) is None
        client.notify("workspace/didChangeConfiguration", {"settings": {"neighboursToBackend": True}})
        assert extra(client) == [{"filename": "other.py", "text": "def perimeter():\n    return 1\n\n"}]
        client.notify("workspace/didChangeConfiguration", {"settings": {"neighbourFiles": False}})
        assert extra(client) is None
    assert "perimeter=1" not in json.dumps([body for _, body, _ in asked])


@pytest.mark.parametrize("told", ["rootUri", "workspaceFolders"])
def test_imported_files_are_read_from_the_workspace(launch: Start, tmp_path: Path, told: str):
    (tmp_path / "shapes.py").write_text("def perimeter():\n    return 1\n")
    uri, place = tmp_path.as_uri(), (tmp_path / "mine.py").as_uri()
    workspace = {"rootUri": uri} if told == "rootUri" else {"workspaceFolders": [{"uri": uri, "name": "w"}]}
    settings = {"neighbourImports": True, "neighboursToBackend": True}
    with stand_in(llama) as (url, asked):
        client = launch([*SERVE, "--no-daemon"])
        client.start_and_load(initializationOptions={"backend": url, **settings}, **workspace)
        client.open(place, "import shapes\nside = shapes.perimeter(")
        client.ask(INLINE, inline(place, 1, 24))
    assert [one["filename"] for one in asked[-1][1]["input_extra"]] == ["shapes.py"]


def test_a_refused_connection_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "HTTP_PROXY", "http://127.0.0.1:1"
    )  # never used: code goes to the place that was named, and nowhere else
    with stand_in(llama) as (url, _):
        assert Backend(Address(url)).infill(REQUEST, never).text == "a + 1"
    with pytest.raises(Unavailable, match="nobody answers there"):
        Backend(Address(url)).infill(REQUEST, never)


def test_a_server_and_http_together_pass_on_what_is_wrong():
    import httpx2

    with stand_in(lambda *_: (500, {})) as (there, _), http_server(lambda _: Backend(Address(there))) as url:
        response = httpx2.post(f"{url}/infill", json={"input_prefix": "", "input_suffix": ""})
        assert response.status_code == 503
        assert response.json()["error"]["message"].startswith(f"The backend at {there} gives no completions: ")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8012", "http://127.0.0.1:8012"),
        (" http://127.0.0.1:8012/infill ", "http://127.0.0.1:8012"),
        ("https://team.example/llm/v1/completions", "https://team.example/llm"),
        ("http://[::1]:80/v1/", "http://[::1]:80"),
    ],
)
def test_addresses_that_are_taken(text: str, url: str):
    assert parse_backend(text) == Address(url)
    assert read_values({"backend": text}) == ({"backend": text}, [])


@pytest.mark.parametrize(
    "text",
    ["", "team:8000", "ftp://a", "http://", "http://a b", "http://a:x", "http://u:p@a", "http://a/?k=1", "http://[::1"],
)
def test_addresses_that_are_refused(text: str):
    with pytest.raises(ValueError, match="backend"):
        parse_backend(text)
    assert read_values({"backend": text})[1]


MARKERS = {marker.strip() for form in FORMS for marker in (form.before, form.between, form.behind) if marker}
sides = st.text().filter(lambda text: not any(marker in text for marker in MARKERS))


@given(st.sampled_from(FORMS), sides, sides)
def test_what_a_form_writes_it_reads(form: Any, left: str, right: str):
    assert form.read(form.write(left, right)) == (left, right)
    assert read_prompt(form.write(left, right)) is not None


@given(st.sampled_from(FORMS), st.lists(st.sampled_from([*MARKERS, "x"])).map("".join))
def test_markers_in_the_users_text_are_left_out(form: Any, left: str):
    written = form.write(left, left)
    for marker in (form.before, form.between, form.behind):
        assert not marker or written.count(marker.strip()) == 1


def test_names_of_models_tell_their_family():
    names = [
        "deepseek-ai/deepseek-coder-6.7b-base",
        "bigcode/starcoder2-3b",
        "codellama/CodeLlama-7b-hf",
        "mistralai/Codestral-22B-v0.1",
    ]
    assert [FORMS.index(form_of(name)) for name in [*names, "Qwen/Qwen2.5-Coder-1.5B"]] == [0, 1, 2, 3, 4]  # type: ignore[arg-type]
    assert form_of("gpt-2") is None
    assert read_prompt("def f():\n    return 1\n") is None
