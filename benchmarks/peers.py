"""The peers of `keystrokes`, in processes of their own: llama.cpp's server over HTTP, an engine of `contenders` behind a pipe.

They are asked after the wait that `incoder-lsp serve` has by default, and only where it would ask its model. What they need
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
from pathlib import Path
from typing import Any

from machine import Marked
from suggesters import Prompt
from typist import Key

HERE = Path(__file__).parent
LINE_ENDS = ["\n"]
LONGEST_ANSWER = 64  # tokens


class LlamaServer:
    """llama.cpp's server in a process of its own, with its cache of the prompt. `route`: /infill as llama.vim asks, or
    /completion with our own prompt. Answers are streamed, since it notices within a token only then that nobody listens."""

    def __init__(self, model: Path, threads: int, route: str, wait: float, context: int):
        # /infill cuts its texts to what fits into a batch, and then needs room for the answer in the context.
        batch = context - LONGEST_ANSWER
        self._command = [sys.executable, str(HERE / "peers.py"), "llama", str(model), str(threads), str(batch)]
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
        self._command = [sys.executable, str(HERE / "peers.py"), "engine", name, str(path), str(threads)]
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
