"""The sandbox bank's HTTP server, with the faults it plays.

It shares the machine with what is measured against it, so it is small: HTTP/1.1 with whole bodies, a fifth of the
processor time that a general server takes. What plays a fault, or waits, gets a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import signal
import socket
from http import HTTPStatus
from typing import NamedTuple, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from healthplus.settings import has_own_host
from healthplus_sandbox.bank import PATIENT_SECONDS, STEPS, Bank, PaymentRequest
from healthplus_sandbox.page import POLICY, STYLE, STYLE_PATH, bank_page

_KEEP_SECONDS = 75
_END_SECONDS_MAX = 1
_HEAD_BYTES_MAX = 16 << 10
_BODY_BYTES_MAX = 64 << 10
_HEADER_END = b"\r\n\r\n"

_is_own_host = functools.lru_cache(maxsize=64)(has_own_host)
_read_request = msgspec.json.Decoder(PaymentRequest).decode


class _StepRequest(msgspec.Struct):
    amount_minor: int | None = None
    currency: str | None = None
    key: str = ""


_read_step = msgspec.json.Decoder(_StepRequest).decode


class _Request(NamedTuple):
    method: str
    path: str
    host: str
    body: bytes
    closes: bool


class _Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    more: str = ""
    """Whole lines of headers."""


_NOT_FOUND = _Answer(404, b"The sandbox bank has no such address.")
_BROKEN = _Answer(500, b"")


def _document(answer: object) -> _Answer:
    match answer:
        case (int() as status, str() as why):
            return _Answer(status, why.encode())
        case _:
            return _Answer(200, msgspec.json.encode(answer), "application/json")


def _page(bank: Bank, key: str) -> _Answer:
    return_url = bank.return_urls.get(key, "")
    said = bank_page(key, bank.ask_patient(key), return_url, PATIENT_SECONDS + 1)
    return _Answer(200, said.encode(), "text/html; charset=utf-8", f"Content-Security-Policy: {POLICY}\r\n")


def _answered(bank: Bank, key: str, *, is_approved: bool) -> _Answer:
    """Do what the patient answers, and lead them back; of what waits for none, or no longer, nothing changes."""
    bank.answer(key, is_approved=is_approved)
    back = bank.return_urls.get(key) or f"/pay/{quote(key, safe='')}"
    if not is_approved:
        back = urlsplit(back)._replace(query="bank=declined").geturl()
    return _Answer(303, b"", more=f"Location: {back}\r\n")


def _listed(bank: Bank, words: list[str]) -> object:
    """Return one payment, by its name; or a page of those made from one second until before another, after a name."""
    if len(words) == 1:
        return bank.find(words[0])
    since, until, after = msgspec.convert(words, tuple[float, float, str], strict=False)
    return bank.listed(since, until, after)


def _stepped(bank: Bank, name: str, step: str, asked: _StepRequest) -> object:
    if step == "refund":
        return bank.refund(name, asked.key, asked.amount_minor, asked.currency)
    return bank.step(name, step, asked.amount_minor, asked.currency)


def _answer(bank: Bank, request: _Request) -> _Answer:
    if not _is_own_host(request.host):
        return _Answer(421, b"The sandbox bank is reached by its own address only.")
    answer = _NOT_FOUND
    try:
        match request.method, *request.path.split("/")[1:]:
            case "POST", "payments":
                answer = _document(bank.authorise(_read_request(request.body)))
            case "POST", "payments", name, step if step in (*STEPS, "refund"):
                answer = _document(_stepped(bank, name, step, _read_step(request.body)))
            case "GET", ("payments" | "listed") as what, *words:
                answer = _document(bank.payments(words[0]) if what == "payments" else _listed(bank, words))
            case "GET", "pay", name if name == STYLE_PATH:
                answer = _Answer(200, STYLE.encode(), "text/css; charset=utf-8")
            case "POST", "pay", key, ("approve" | "decline") as said:
                answer = _answered(bank, key, is_approved=said == "approve")
            case "GET", "pay", key:
                answer = _page(bank, key)
            case "POST", "fault-plan":
                answer = _document(bank.faults.play_from_now(request.body))
    except msgspec.MsgspecError as error:
        answer = _Answer(400, str(error).encode())
    return answer


class _Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, bank: Bank, connections: set[_Connection]) -> None:
        self._bank = bank
        self._connections = connections
        self._received = b""
        self._task: asyncio.Task[None] | None = None
        self._used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(_KEEP_SECONDS, self._close_if_idle)

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._connections.discard(self)

    def _close_if_idle(self) -> None:
        if not self._used:
            self._transport.close()
        self._used = False
        self._timer = asyncio.get_running_loop().call_later(_KEEP_SECONDS, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._used = True
        while self._task is None and not self._transport.is_closing():
            request = self._next_request()
            if request is None:
                return
            if request.path.startswith("/payments") and self._bank.faults.plan.is_faulty:
                # The client may hang up before this is done.
                self._task = asyncio.create_task(self._play_faults(request))
            else:
                self._write(request, _answer(self._bank, request))

    def _next_request(self) -> _Request | None:
        end = self._received.find(_HEADER_END)
        if end < 0:
            if len(self._received) > _HEAD_BYTES_MAX:
                self._transport.abort()
            return None
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            method, target, _ = first.split(" ")
            size = int(headers.get("content-length", 0))
        except ValueError:
            size = -1
        if not 0 <= size <= _BODY_BYTES_MAX or "transfer-encoding" in headers:
            self._transport.abort()
            return None
        body_at = end + len(_HEADER_END)
        if len(self._received) < body_at + size:
            return None
        body, self._received = self._received[body_at : body_at + size], self._received[body_at + size :]
        path = unquote(target.partition("?")[0])
        return _Request(method, path, headers.get("host", ""), body, headers.get("connection", "").lower() == "close")

    async def _play_faults(self, request: _Request) -> None:
        try:
            answer = await self._bank.faults.around(lambda: _answer(self._bank, request))
            if answer is None:
                self._break(request)
            else:
                self._write(request, answer)
        finally:
            self._task = None
            if self._received:
                self.data_received(b"")

    def _break(self, request: _Request) -> None:
        if random.random() < 0.5:  # noqa: S311
            self._transport.abort()
        else:
            self._write(request, _BROKEN)

    def _write(self, request: _Request, answer: _Answer) -> None:
        if self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\n{answer.more}"
            f"Connection: {'close' if request.closes else 'keep-alive'}\r\n\r\n"
        )
        self._transport.write(head.encode() + answer.body)
        if request.closes:
            self._transport.close()

    async def end(self) -> None:
        """Close the connection, after what is under way unless that takes long."""
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, _END_SECONDS_MAX)
        self._transport.close()


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


async def serve_bank(bank: Bank, listening: socket.socket) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM; then close the bank."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT, too, where a shell has this in the background
        loop.add_signal_handler(number, ended.set)
    connections: set[_Connection] = set()
    running = asyncio.create_task(bank.run())
    server = await loop.create_server(lambda: _Connection(bank, connections), sock=listening)
    try:
        await ended.wait()
    finally:
        server.close()
        await asyncio.gather(*(connection.end() for connection in tuple(connections)), return_exceptions=True)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        bank.close()
