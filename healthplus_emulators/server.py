"""The HTTP server of an emulated gateway, with the faults it plays and what tests ask of it.

`POST /fault-plan` plays other faults, and answers how often each was played. `POST /control/pass-time` puts its clock
forward by `seconds`; `POST /control/STEP` is the emulator's own, with a JSON object of texts.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import signal
import socket

import msgspec
from aiohttp import web

from healthplus.settings import has_own_host
from healthplus_emulators.emulator import Answer, Emulator, Request, document

_BROKEN = Answer(500, b"", "text/plain")
_NOT_FOUND = Answer(404, b"There is nothing here.", "text/plain")
_ELSEWHERE = Answer(421, b"This emulator is reached by its own address only.", "text/plain")
_END_SECONDS_MAX = 1.0

_is_own_host = functools.lru_cache(maxsize=64)(has_own_host)


async def serve(emulator: Emulator, listening: socket.socket) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM."""
    logging.getLogger("aiohttp").setLevel(logging.ERROR)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    app = web.Application(client_max_size=64 << 10)
    app.router.add_route("*", "/{path:.*}", functools.partial(_handle, emulator))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_END_SECONDS_MAX)
    await runner.setup()
    running = asyncio.create_task(emulator.run())
    try:
        await web.SockSite(runner, listening).start()
        await ended.wait()
    finally:
        await runner.cleanup()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _handle(emulator: Emulator, raw: web.Request) -> web.Response:
    headers = {name.lower(): value for name, value in raw.headers.items()}
    url = f"http://{raw.host}"
    query = {name: raw.query[name] for name in raw.query}
    request = Request(raw.method, raw.path, query, raw.query_string, headers, await raw.read(), url)
    if not _is_own_host(raw.host):
        return _response(_ELSEWHERE)
    if request.words[0] in ("fault-plan", "control"):
        return _response(_controlled(emulator, request))
    if not (emulator.is_api(request.path) and emulator.faults.plan.is_faulty):
        return _response(emulator.answer(request) or _NOT_FOUND)
    answer = await emulator.faults.around(lambda: emulator.answer(request) or _NOT_FOUND)
    if answer is None and random.random() < 0.5 and raw.transport:  # noqa: S311
        raw.transport.abort()
    return _response(answer or _BROKEN)


def _controlled(emulator: Emulator, request: Request) -> Answer:
    try:
        match request.method, *request.words:
            case "POST", "fault-plan":
                return document(emulator.faults.play_from_now(request.body))
            case "POST", "control", step:
                asked = msgspec.json.decode(request.body or b"{}", type=dict[str, str])
                if step != "pass-time":
                    return document(emulator.control(step, asked))
                emulator.ledger.ahead_seconds += float(asked["seconds"])
                emulator.take_due()
                return document({})
    except msgspec.MsgspecError as error:
        return Answer(400, str(error).encode(), "text/plain")
    except KeyError as error:
        return Answer(404, f"not known: {error}".encode(), "text/plain")
    return _NOT_FOUND


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store", **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
