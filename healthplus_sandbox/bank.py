"""The sandbox bank: a server with a ledger of its own and no money.

It is not the product, and knows nothing of its database: what happens here is what would happen at a bank, whatever
becomes of us. For trials it can be told to misbehave (`POST /trial`).
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import math
import os
import random
import socket
import sqlite3
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec
from aiohttp import web

from healthplus.payments.gateway import Fact, Money
from healthplus.payments.gateways.sandbox import METHODS, SIGNATURE, Authorised, Told, sign

_STEPS: dict[str, tuple[Money, Money]] = {
    "capture": ("authorised", "captured"),
    "void": ("authorised", "voided"),
    "refund": ("captured", "refunded"),
}
_LOOK_SECONDS = 0.05
_TRIES_MAX = 12
_KEEP_SECONDS = 75

_LEDGER = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;  -- a power cut may cost the bank its memory: there is no money in it
CREATE TABLE IF NOT EXISTS payment (
    authorisation TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN ('pending', 'authorised', 'captured', 'voided', 'refunded')),
    due_at REAL  -- when what is pending will be authorised
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payment_key ON payment (key);
CREATE INDEX IF NOT EXISTS payment_due_at ON payment (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS moved (authorisation TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS webhook (body BLOB NOT NULL, due_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS webhook_due_at ON webhook (due_at);
"""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """How the bank is to behave. Chances are between 0 and 1, each of one request or one webhook."""

    fail_before: float = 0.0
    fail_after: float = 0.0
    never_answer: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.0
    later: float = 0.0  # a good card makes the patient go on at the bank
    later_seconds: float = 4.0
    pay_twice: float = 0.0  # the patient pays a second time under the same key
    webhook_url: str | None = None
    webhooks: Literal["all", "news", "none"] = "news"  # news: what no answer has told
    webhook_lost: float = 0.0
    webhook_repeated: float = 0.0
    webhook_seconds_max: float = 0.0  # each is sent within so long: in any order


class Wanted(msgspec.Struct):
    """Money to be set aside."""

    key: str
    amount_minor: int
    method: str
    back_to: str = ""


class _Amount(msgspec.Struct):
    amount_minor: int | None = None


class Bank:
    """The bank's ledger and its manners."""

    def __init__(self, ledger: Path, secret: str, webhook_url: str | None, pages: str) -> None:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        self.trial = Trial(webhook_url=webhook_url)
        self.faults: Counter[str] = Counter()
        self._ledger = sqlite3.connect(ledger, isolation_level=None)
        self._ledger.executescript(_LEDGER)
        self._secret = secret
        self._pages = pages
        self.ways_back: dict[str, str] = {}

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def happens(self, fault: str, chance: float) -> bool:
        """Draw lots."""
        drawn = random.random() < chance  # noqa: S311
        self.faults[fault] += drawn
        return drawn

    def authorise(self, wanted: Wanted) -> Authorised | tuple[int, str]:
        """Set money aside; or give an HTTP status and why not."""
        if wanted.method not in METHODS:
            return 422, f"The sandbox takes these methods of payment: {', '.join(METHODS)}."
        if wanted.method == "sandbox-unreachable":
            return 503, ""
        if wanted.method == "sandbox-declined":
            return Authorised(declined="The bank declined the payment.")
        name = f"sandbox-{wanted.key}"
        later = wanted.method == "sandbox-later" or self.happens("later", self.trial.later)
        row = self._find(name)
        if row is None:
            due_at = time.time() + self.trial.later_seconds if later else None
            self._put(name, wanted, due_at)
        elif row[0] != wanted.amount_minor:
            return 409, f"{row[0]} paise were set aside before, not {wanted.amount_minor}."
        elif row[1] == "pending" and not later:
            self._reach(name, "authorised", news=False)
        later = later and (row is None or row[1] == "pending")
        if later and wanted.back_to.startswith(("http://", "https://")):
            self.ways_back[wanted.key] = wanted.back_to
        return Authorised(url=f"{self._pages}/pay/{wanted.key}") if later else Authorised(authorisation=name)

    def _find(self, name: str) -> tuple[int, Any] | None:
        found = "SELECT amount_minor, state FROM payment WHERE authorisation = ?"
        row: tuple[int, Any] | None = self._ledger.execute(found, (name,)).fetchone()
        return row

    def _put(self, name: str, wanted: Wanted, due_at: float | None) -> None:
        insert = "INSERT INTO payment (authorisation, key, amount_minor, state, due_at) VALUES (?, ?, ?, 'pending', ?)"
        self._ledger.execute(insert, (name, wanted.key, wanted.amount_minor, due_at))
        if due_at is None:
            self._reach(name, "authorised", news=False)
        if self.happens("pay_twice", self.trial.pay_twice):
            again_at = time.time() + random.uniform(0, self.trial.later_seconds)  # noqa: S311
            self._ledger.execute(insert, (f"{name}-again", wanted.key, wanted.amount_minor, again_at))

    def step(self, name: str, step: str, amount_minor: int | None) -> Money | tuple[int, str]:
        """Capture, void or refund, where that can be done; give what is so then."""
        row = self._find(name)
        if row is None or row[1] == "pending":
            return 404, "The sandbox has no such authorisation."
        if amount_minor not in (None, row[0]):
            return 409, f"{row[0]} paise were set aside, not {amount_minor}."
        before, after = _STEPS[step]
        if row[1] != before:
            state: Money = row[1]
            return state
        self._reach(name, after, news=False)
        return after

    def payments(self, key: str) -> list[Fact]:
        """Give what there is under a key."""
        rows = self._ledger.execute(
            "SELECT authorisation, state, amount_minor FROM payment WHERE key = ? AND state <> 'pending'", (key,)
        )
        return [Fact(*row) for row in rows]

    def _reach(self, name: str, state: Money, *, news: bool) -> None:
        reached = "UPDATE payment SET state = ?, due_at = NULL WHERE authorisation = ? RETURNING key, amount_minor"
        key, amount_minor = self._ledger.execute(reached, (state, name)).fetchone()
        self._ledger.execute("INSERT INTO moved VALUES (?, ?, ?)", (name, state, time.time()))
        trial = self.trial
        if trial.webhooks == "none" or (trial.webhooks == "news" and not news) or trial.webhook_url is None:
            return
        if self.happens("webhook_lost", trial.webhook_lost):
            return
        body = msgspec.json.encode(Told(uuid.uuid4().hex, f"payment.{state}", key, name, amount_minor))
        for _ in range(2 if self.happens("webhook_repeated", trial.webhook_repeated) else 1):
            due_at = time.time() + random.uniform(0, trial.webhook_seconds_max)  # noqa: S311
            self._ledger.execute("INSERT INTO webhook (body, due_at) VALUES (?, ?)", (body, due_at))

    async def keep_promises(self) -> None:
        """Authorise what is pending, and send webhooks, as each is due; until cancelled."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                now = time.time()
                pending = "SELECT authorisation FROM payment WHERE due_at <= ?"
                for (name,) in self._ledger.execute(pending, (now,)).fetchall():
                    self._reach(name, "authorised", news=True)
                due = self._ledger.execute(
                    "SELECT rowid, body, tries FROM webhook WHERE due_at <= ? ORDER BY due_at LIMIT 20", (now,)
                ).fetchall()
                await asyncio.gather(*(self._send(session, *row) for row in due))
                await asyncio.sleep(0 if due else _LOOK_SECONDS)

    async def _send(self, session: aiohttp.ClientSession, rowid: int, body: bytes, tries: int) -> None:
        taken = self.trial.webhook_url is None
        if self.trial.webhook_url:
            headers = {SIGNATURE: sign(self._secret, body, time.time()), "Content-Type": "application/json"}
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.post(self.trial.webhook_url, data=body, headers=headers) as response:
                    taken = response.status == 200
        if taken or tries >= _TRIES_MAX:
            self._ledger.execute("DELETE FROM webhook WHERE rowid = ?", (rowid,))
        else:
            again_at = time.time() + 2.0**tries
            self._ledger.execute("UPDATE webhook SET due_at = ?, tries = tries + 1 WHERE rowid = ?", (again_at, rowid))


_BANK = web.AppKey("bank", Bank)


def _answer(answer: object) -> web.Response:
    match answer:
        case (int() as status, str() as why):
            return web.Response(status=status, text=why)
        case _:
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def _authorise(request: web.Request) -> web.Response:
    return _answer(request.app[_BANK].authorise(msgspec.json.decode(await request.read(), type=Wanted)))


async def _step(request: web.Request) -> web.Response:
    amount = msgspec.json.decode(await request.read(), type=_Amount)
    name, step = request.match_info["name"], request.match_info["step"]
    done = request.app[_BANK].step(name, step, amount.amount_minor)
    return _answer(done if isinstance(done, tuple) else {"state": done})


async def _payments(request: web.Request) -> web.Response:
    return _answer(request.app[_BANK].payments(request.match_info["key"]))


async def _page(request: web.Request) -> web.Response:
    bank = request.app[_BANK]
    back_to = html.escape(bank.ways_back.get(request.match_info["key"], ""))
    wait = math.ceil(bank.trial.later_seconds) + 1
    back = f'<meta http-equiv="refresh" content="{wait};url={back_to}"><p><a href="{back_to}">Go back</a></p>'
    said = "This is the sandbox bank. It will say yes in a few seconds, and no money moves."
    page = f'<!doctype html><html lang="en"><title>Sandbox bank</title><p>{said}</p>{back if back_to else ""}</html>'
    return web.Response(text=page, content_type="text/html")


async def _trial(request: web.Request) -> web.Response:
    bank = request.app[_BANK]
    bank.trial = msgspec.json.decode(await request.read(), type=Trial)
    faults, bank.faults = bank.faults, Counter()
    return _answer(dict(faults))


@web.middleware
async def _manners(request: web.Request, handler: Handler) -> web.StreamResponse:
    bank, trial = request.app[_BANK], request.app[_BANK].trial
    if not request.path.startswith("/payments"):
        return await handler(request)
    if bank.happens("fail_before", trial.fail_before):
        return _broken(request)
    await request.read()  # who asks may hang up before we are done
    if bank.happens("slow", trial.slow):
        await asyncio.sleep(trial.slow_seconds)
    response = await handler(request)
    if bank.happens("never_answer", trial.never_answer):
        await asyncio.sleep(60)
    if bank.happens("fail_after", trial.fail_after):
        return _broken(request)
    return response


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None and random.random() < 0.5:  # noqa: S311
        request.transport.abort()
    return web.Response(status=500)


def bank_app(bank: Bank) -> web.Application:
    """Give the bank's server; it closes the bank when it ends."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        promises = asyncio.create_task(bank.keep_promises())
        yield
        promises.cancel()
        await asyncio.gather(promises, return_exceptions=True)
        bank.close()

    app = web.Application(middlewares=[_manners])
    app[_BANK] = bank
    app.cleanup_ctx.append(running)
    app.router.add_post("/payments", _authorise)
    app.router.add_get("/payments/{key}", _payments)
    app.router.add_post("/payments/{name}/{step:capture|void|refund}", _step)
    app.router.add_get("/pay/{key}", _page)
    app.router.add_post("/trial", _trial)
    return app


async def serve_bank(bank: Bank, door: socket.socket, *, until_stdin_ends: bool) -> None:
    """Serve on a listening socket until cancelled; or until whoever started this process is gone."""
    ended = asyncio.Event()
    if until_stdin_ends:
        loop = asyncio.get_running_loop()

        def wait() -> None:
            os.read(sys.stdin.fileno(), 1)
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=wait, daemon=True).start()
    runner = web.AppRunner(bank_app(bank), access_log=None, keepalive_timeout=_KEEP_SECONDS, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, door).start()
        await ended.wait()
    finally:
        await runner.cleanup()
