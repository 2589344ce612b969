"""What a person's keys are sent to: a language server over stdio, llama.cpp's server over HTTP, an engine behind a pipe.

Each is told of a key when it is pressed and is asked for a suggestion, and the question is taken back when the next key comes.
Peers are asked after the wait that `incoder-lsp serve` has by default, and only where it would ask its model. What they need
to know about a key (its prompt, cut and tokenised) is ready before the key: that costs them nothing here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from machine import Marked
from typist import Key

HERE = Path(__file__).parent
URI = "file:///benchmark/"
LINE_ENDS = ["\n"]
LONGEST_ANSWER = 64  # tokens


@dataclass(frozen=True)
class Prompt:
    """What a peer is asked at a key."""

    tokens: list[int]  # our prompt, what is typed in it
    left: str
    typed: str
    right: str
    most: int  # tokens of the answer


class Suggester(Protocol):
    marked: Marked  # the processes behind it

    async def start(self) -> None:
        """Until it can be asked."""
        ...

    def open(self, name: str, text: str) -> None:
        """A file whose keys come next."""
        ...

    def press(self, key: Key) -> None: ...
    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        """The suggestion. Cancelled when it comes too late."""
        ...

    async def evaluated(self) -> dict[str, float]:
        """What is known of the work so far."""
        ...

    async def close(self) -> None: ...


class LanguageServer:
    """`command` speaks the language server protocol over its stdin and stdout."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any], environment: dict[str, str] | None = None):
        self._command, self._settings = command, settings
        self.marked = Marked(environment)
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ready = asyncio.Event()
        self._version = 0

    async def start(self) -> None:
        await self.initialize()
        await self._ready.wait()

    async def initialize(self) -> None:
        """Until the reply is there; the model may not be."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self.marked.environment},
        )
        self._reading = asyncio.create_task(self._read())
        capabilities = {"window": {"workDoneProgress": True}, "textDocument": {"inlineCompletion": {}}}
        params = {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities}
        await self.request("initialize", {**params, "initializationOptions": self._settings})
        self.notify("initialized", {})

    def open(self, name: str, text: str) -> None:
        self._uri = URI + name
        document = {"uri": self._uri, "languageId": "python", "version": 0, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def press(self, key: Key) -> None:
        self._version += 1
        where = {"start": _position(key.before, key.start), "end": _position(key.before, key.end)}
        document = {"uri": self._uri, "version": self._version}
        changes = [{"range": where, "text": key.text}]
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        return await self.suggestion(_position(key.after, key.cursor), invoked=False)

    async def suggestion(self, position: dict[str, int], invoked: bool) -> str | None:
        params = {"textDocument": {"uri": self._uri}, "position": position}
        context = {"triggerKind": 1 if invoked else 2}
        reply = await self.request("textDocument/inlineCompletion", {**params, "context": context})
        items = reply["items"] if isinstance(reply, dict) else reply or []
        return items[0]["insertText"] if items else None

    async def evaluated(self) -> dict[str, float]:
        return await self.request("incoder/statistics", None)

    async def request(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self._replies[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            return await self._replies[number]
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            del self._replies[number]

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    async def close(self) -> None:
        """As an editor does; a daemon lives on."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        await self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        assert self._process.stdout
        length = 0
        while line := await self._process.stdout.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line.strip():
                self._take(json.loads(await self._process.stdout.readexactly(length)))
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(RuntimeError("the server has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "window/workDoneProgress/create":
            self._send({"id": message["id"], "result": None})
        elif message.get("method") == "$/progress" and message["params"]["value"]["kind"] == "end":
            self._ready.set()
        elif "method" not in message and (reply := self._replies.get(message.get("id", 0))) and not reply.done():
            if "error" in message:
                reply.set_exception(RuntimeError(message["error"]["message"]))
            else:
                reply.set_result(message["result"])


class LlamaServer:
    """llama.cpp's server in a process of its own, with its cache of the prompt. `route`: /infill as llama.vim asks, or
    /completion with our own prompt. Answers are streamed, since it notices within a token only then that nobody listens."""

    def __init__(self, model: Path, threads: int, route: str, wait: float, context: int):
        # /infill cuts its texts to what fits into a batch, and then needs room for the answer in the context.
        batch = context - LONGEST_ANSWER
        self._command = [sys.executable, str(HERE / "suggesters.py"), "llama", str(model), str(threads), str(batch)]
        self._route, self._wait = route, wait
        self.marked = Marked({"OMP_NUM_THREADS": str(threads)})

    async def start(self) -> None:
        self._process = await _start(self._command, self.marked)
        assert self._process.stdout
        address = json.loads(await self._process.stdout.readline())
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._port = int(port)

    def open(self, name: str, text: str) -> None:
        pass

    def press(self, key: Key) -> None:
        pass

    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        if prompt is None:
            return None
        await asyncio.sleep(self._wait)
        asked: dict[str, Any] = {"n_predict": prompt.most, "stop": LINE_ENDS, "temperature": 0, "samplers": ["top_k"]}
        asked |= {"top_k": 1, "cache_prompt": True, "stream": True}
        if self._route == "/infill":
            asked |= {"input_prefix": prompt.left, "prompt": prompt.typed, "input_suffix": prompt.right}
        else:
            asked["prompt"] = prompt.tokens
        reader, writer = await self._http("POST", self._route, json.dumps(asked).encode())
        try:
            said, status = "", await reader.readline()
            if b" 200 " not in status:
                raise RuntimeError(f"llama.cpp answered {status.decode().strip()} at {self._route}")
            async for line in reader:
                if line.startswith(b"data: "):
                    said += json.loads(line[6:]).get("content", "")
            return said or None
        finally:
            writer.close()

    async def close(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def evaluated(self) -> dict[str, float]:
        reader, writer = await self._http("GET", "/metrics")
        text = (await reader.read()).decode()
        writer.close()
        names = {"llamacpp:prompt_tokens_total": "prompt", "llamacpp:tokens_predicted_total": "generated"}
        found = (line.split() for line in text.splitlines() if line.startswith(tuple(names)))
        return {names[name]: float(value) for name, value in found}

    async def _http(
        self, method: str, route: str, body: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        head = f"{method} {route} HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return reader, writer


class Engine:
    """One of `contenders` in a process of its own, asked with our prompt."""

    def __init__(self, name: str, path: Path, threads: int, wait: float, environment: dict[str, str]):
        self._command = [sys.executable, str(HERE / "suggesters.py"), "engine", name, str(path), str(threads)]
        self._wait = wait
        self.marked = Marked({"OMP_NUM_THREADS": str(threads), **environment})

    async def start(self) -> None:
        self._process = await _start(self._command, self.marked)
        assert self._process.stdout
        await self._process.stdout.readline()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._reading = asyncio.create_task(self._read())

    def open(self, name: str, text: str) -> None:
        pass

    def press(self, key: Key) -> None:
        pass

    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        if prompt is None:
            return None
        await asyncio.sleep(self._wait)
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._send([number, prompt.tokens, prompt.most])
        try:
            return await self._answers[number]
        except asyncio.CancelledError:
            self._send(None)
            raise

    async def close(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def evaluated(self) -> dict[str, float]:
        return {}

    def _send(self, question: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            number, text = json.loads(line)
            if not (answer := self._answers.pop(number)).done():
                answer.set_result(text)


async def _start(command: list[str], marked: Marked) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **marked.environment}
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=quiet, env=environment)


def _position(text: str, offset: int) -> dict[str, int]:
    start = text.rfind("\n", 0, offset) + 1
    return {"line": text.count("\n", 0, start), "character": offset - start}


def serve_engine(name: str, path: Path, threads: int) -> None:
    """The process of `Engine`: [number, prompt, most] a line, or null to stop. Any line stops the answer before it."""
    from contenders import ENGINES

    from incoder_model.tokenizer import load_tokenizer

    questions: queue.Queue[Any] = queue.Queue()
    newer = threading.Event()

    def read() -> None:
        for line in sys.stdin:
            newer.set()
            questions.put(json.loads(line))
        questions.put(False)

    contender = ENGINES[name][1](path, threads)
    tokenizer = load_tokenizer(path / "tokenizer.json")
    ends = tokenizer.newlines | tokenizer.ends
    print(json.dumps("ready"), flush=True)
    threading.Thread(target=read, daemon=True).start()
    while (question := questions.get()) is not False:
        newer.clear()
        if question is not None and questions.empty():
            number, prompt, most = question
            said: list[int] = []

            def take(token: int, said: list[int] = said) -> bool:
                said.append(token)
                return newer.is_set() or token in ends

            contender.generate(prompt, most, take)
            print(json.dumps([number, tokenizer.decode(said).rstrip("\n") or None]), flush=True)


def serve_llama(model: Path, threads: int, batch: int) -> None:
    from contenders import llama_server

    server = llama_server(model, threads, batch)
    print(json.dumps(server.listening_address), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    what, path, *numbers = sys.argv[1:]
    if what == "llama":
        serve_llama(Path(path), *map(int, numbers))
    else:
        serve_engine(path, Path(numbers[0]), int(numbers[1]))
