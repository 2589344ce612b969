"""The front for other clients: llama.cpp's and OpenAI's completions over HTTP, on a loopback address, by the worker's model.

A browser is kept out: a page of somewhere else names that place in Origin, and one that had its name resolved to this machine
names itself in Host. Both are refused, and no page is allowed to read an answer. Who hangs up stops the model.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from incoder_lsp.http import llama, openai
from incoder_lsp.http.fields import Problem, parse
from incoder_lsp.http.generation import Said, loaded, say
from incoder_lsp.infiller import Infiller, Source
from incoder_lsp.logs import describe, log
from incoder_lsp.transport import LOOPBACK
from incoder_lsp.worker import Worker

LARGEST_BODY = 4 << 20  # bytes
BODY_SECONDS = 10.0  # that a client may take to send its body
MOST_CONNECTIONS = 64  # more are answered with status 503 at once
LAST_MOMENT = 1.0  # seconds that answers on their way get when the server ends

Call = llama.Call | openai.Call
T = TypeVar("T")


class Gone(Exception):  # noqa: N818 - the client's right
    """The client hung up."""


def listen(host: str, port: int) -> socket.socket:
    """`host` must be a key of LOOPBACK. Raises OSError."""
    family = socket.AF_INET6 if ":" in LOOPBACK[host] else socket.AF_INET
    return socket.create_server((LOOPBACK[host], port), family=family)


def serve_http(source: Source, listener: socket.socket) -> int:
    """Serve until Ctrl-C, and return the exit code of the process. Raises what loading the model raises."""

    async def session() -> None:
        worker = Worker()
        server = _server(worker)
        serving = asyncio.create_task(server.serve([listener]))
        _say_where(listener)
        try:
            await worker.load(source)
        except BaseException:
            server.should_exit = True
            await serving
            raise
        await serving

    with suppress(KeyboardInterrupt):  # uvicorn has ended in order by then, and passes the signal on
        asyncio.run(session())
    return 0


@asynccontextmanager
async def serving_http(worker: Worker, listener: socket.socket) -> AsyncIterator[None]:
    """Serve beside an editor's session, by its worker's model, for as long as the block runs."""
    server = _Beside(_server(worker).config)
    serving = asyncio.create_task(server.serve([listener]))
    _say_where(listener)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Beside(uvicorn.Server):
    """The process' signals belong to the session that it stands beside."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(worker: Worker) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            application(worker),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(LAST_MOMENT),
        )
    )


def _say_where(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr, flush=True)


def application(worker: Worker) -> Starlette:
    started = int(time.time())

    async def health(_: Request) -> Response:
        loaded(worker)
        return JSONResponse({"status": "ok"})

    async def props(_: Request) -> Response:
        return JSONResponse(llama.props(loaded(worker)))

    async def models(_: Request) -> Response:
        return JSONResponse(openai.models(loaded(worker), started))

    async def infill(request: Request) -> Response:
        return await complete(request, llama.read_call)

    async def completions(request: Request) -> Response:
        return await complete(request, openai.read_call)

    async def complete(request: Request, read: Callable[[Mapping[str, Any], Infiller], Call]) -> Response:
        body = parse(await _body(request))
        call = read(body, loaded(worker))
        if not call.wishes:
            return JSONResponse(call.whole([]))
        events = _events(worker, call)
        first = await _unless_gone(request, anext(events))  # before the status is sent: most failures come by then
        if call.stream:
            return StreamingResponse(_stream(first, events), media_type="text/event-stream")
        saids = [said for said in [first, *await _unless_gone(request, _rest(events))] if isinstance(said, Said)]
        return JSONResponse(call.whole(saids))

    routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/health", health),
        ("GET", "/props", props),
        ("GET", "/v1/models", models),
        ("POST", "/infill", infill),
        ("POST", "/v1/completions", completions),
    ]
    return Starlette(
        routes=[Route(path, _guarded(handler), methods=[method]) for method, path, handler in routes],
        exception_handlers={HTTPException: _no_such_thing},
    )


async def _events(worker: Worker, call: Call) -> AsyncGenerator[Any, None]:
    """The events of a stream, as JSON, and each Said after those of its choice."""
    saids: list[Said] = []
    for index, wish in enumerate(call.wishes):
        async with aclosing(say(worker, wish)) as parts:
            async for part in parts:
                if isinstance(part, Said):
                    saids.append(part)
                    yield call.last(index, part)
                    yield part
                else:
                    yield call.part(index, part)
    for event in call.closing(saids):
        yield event


async def _rest(events: AsyncGenerator[Any, None]) -> list[Any]:
    return [event async for event in events]


async def _stream(first: Any, events: AsyncGenerator[Any, None]) -> AsyncIterator[bytes]:
    """Server-sent events. A failure on the way is the last of them."""
    try:
        yield _event(first)
        async for event in events:
            if not isinstance(event, Said):
                yield _event(event)
    except Problem as problem:
        yield _event(problem.body)
    except Exception as error:
        log.error("no answer over HTTP because of %s", describe(error))
        yield _event(_failure().body)
    finally:
        await events.aclose()


def _event(event: Any) -> bytes:
    return f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            _refuse_strangers(request)
            return await handler(request)
        except Problem as problem:
            return JSONResponse(problem.body, problem.status)
        except (Gone, ClientDisconnect):
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            log.error("no answer over HTTP because of %s", describe(error))
            return JSONResponse(_failure().body, 500)

    return endpoint


def _refuse_strangers(request: Request) -> None:
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not _is_loopback(f"//{host}"):
        raise Problem(403, f"This server answers to {', '.join(LOOPBACK)} only; the request's Host is another.")
    if origin is not None and not _is_loopback(origin):
        raise Problem(403, "Web pages of other places may not use this server.")


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


async def _body(request: Request) -> bytes:
    async def read() -> bytes:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_BODY:
                raise Problem(413, f"The body is larger than {LARGEST_BODY >> 20} MiB; send less of the file.")
        return bytes(content)

    try:
        return await asyncio.wait_for(read(), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise Problem(408, f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is broken off when the client hangs up: then Gone is raised."""
    task, gone = asyncio.ensure_future(work), asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.wait({task})


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _failure() -> Problem:
    return Problem(500, "The completion failed; the server's log says where.")


async def _no_such_thing(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = (
        "This path takes another method."
        if status == 405
        else "There is nothing here; see /v1/completions and /infill."
    )
    return JSONResponse(Problem(status, sentence).body, status)
