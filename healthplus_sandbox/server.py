"""The sandbox bank's HTTP server, with the faults it plays."""

from __future__ import annotations

import asyncio
import html
import math
import random
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import msgspec
from aiohttp import web

from healthplus.settings import has_own_host
from healthplus_sandbox.bank import Bank, FaultPlan, PaymentRequest

_KEEP_SECONDS = 75
_BANK = web.AppKey("bank", Bank)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _StepRequest(msgspec.Struct):
    amount_minor: int | None = None
    currency: str | None = None


def _answer(answer: object) -> web.Response:
    match answer:
        case (int() as status, str() as why):
            return web.Response(status=status, text=why)
        case _:
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def _authorise(request: web.Request) -> web.Response:
    return _answer(request.app[_BANK].authorise(msgspec.json.decode(await request.read(), type=PaymentRequest)))


async def _step(request: web.Request) -> web.Response:
    body = msgspec.json.decode(await request.read(), type=_StepRequest)
    name, step = request.match_info["name"], request.match_info["step"]
    done = request.app[_BANK].step(name, step, body.amount_minor, body.currency)
    return _answer(done if isinstance(done, tuple) else {"state": done})


async def _payments(request: web.Request) -> web.Response:
    return _answer(request.app[_BANK].payments(request.match_info["key"]))


async def _page(request: web.Request) -> web.Response:
    bank = request.app[_BANK]
    return_url = html.escape(bank.return_urls.get(request.match_info["key"], ""))
    wait = math.ceil(bank.plan.later_seconds) + 1
    back = f'<meta http-equiv="refresh" content="{wait};url={return_url}"><p><a href="{return_url}">Go back</a></p>'
    said = "This is the sandbox bank. It will say yes in a few seconds, and no money moves."
    page = f'<!doctype html><html lang="en"><title>Sandbox bank</title><p>{said}</p>{back if return_url else ""}</html>'
    return web.Response(text=page, content_type="text/html")


async def _fault_plan(request: web.Request) -> web.Response:
    """Play other faults from now on; answer how often each was played until now."""
    bank = request.app[_BANK]
    bank.plan = msgspec.json.decode(await request.read(), type=FaultPlan)
    faults, bank.faults = bank.faults, Counter()
    return _answer(dict(faults))


@web.middleware
async def _refuse_foreign_hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not has_own_host(request.headers.get("Host", "")):
        return web.Response(status=421, text="The sandbox bank is reached by its own address only.")
    return await handler(request)


@web.middleware
async def _play_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    bank, plan = request.app[_BANK], request.app[_BANK].plan
    if not request.path.startswith("/payments"):
        return await handler(request)
    if bank.happens("fail_before", plan.fail_before):
        return _broken(request)
    await request.read()  # the client may hang up before we are done
    if bank.happens("slow", plan.slow):
        await asyncio.sleep(plan.slow_seconds)
    response = await handler(request)
    if bank.happens("never_answer", plan.never_answer):
        await asyncio.sleep(60)
    if bank.happens("fail_after", plan.fail_after):
        return _broken(request)
    return response


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None and random.random() < 0.5:  # noqa: S311
        request.transport.abort()
    return web.Response(status=500)


def bank_app(bank: Bank) -> web.Application:
    """Return the bank's server; it closes the bank when it ends."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(bank.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bank.close()

    app = web.Application(middlewares=[_refuse_foreign_hosts, _play_faults])
    app[_BANK] = bank
    app.cleanup_ctx.append(running)
    app.router.add_post("/payments", _authorise)
    app.router.add_get("/payments/{key}", _payments)
    app.router.add_post("/payments/{name}/{step:capture|void|refund}", _step)
    app.router.add_get("/pay/{key}", _page)
    app.router.add_post("/fault-plan", _fault_plan)
    return app


async def serve_bank(bank: Bank, listening: socket.socket) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT, too, where a shell has this in the background
        loop.add_signal_handler(number, ended.set)
    runner = web.AppRunner(bank_app(bank), access_log=None, keepalive_timeout=_KEEP_SECONDS, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        await ended.wait()
    finally:
        await runner.cleanup()
