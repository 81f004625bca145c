"""The client that asks the sandbox bank, and the bank's server: small, so each of their promises is tried."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from healthplus.payments.gateways.loopback import Answer, LoopbackClient
from healthplus.settings import Settings

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


class Server:
    """Answers each request by the next of its scripts, the last one again and again; keeps what it was asked."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.tasks: list[Any] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
                self.asked.append(head + body)
                await (self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0])(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    *scripts: Script, seconds: float = 5, keep: float = 5
) -> AsyncIterator[tuple[Server, LoopbackClient]]:
    server = Server(*scripts)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    client = LoopbackClient(server.url, seconds, keep)
    try:
        yield server, client
    finally:
        await client.close()
        listening.close()
        await asyncio.gather(*server.tasks)


def says(*pieces: bytes) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    return script


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def says_nothing(_: asyncio.StreamWriter) -> None:
    pass


async def test_one_connection_is_kept() -> None:
    async with serving(says(OK)) as (server, client):
        assert await client.ask("POST", "/payments/1:a b", b"body") == Answer(200, b"good")
        assert await client.ask("GET", "/payments") == Answer(200, b"good")
        assert server.connections == 1
        host = server.url.removeprefix("http://").encode()
        assert server.asked[0].startswith(b"POST /payments/1:a%20b HTTP/1.1\r\nHost: " + host + b"\r\n")
        assert server.asked[0].endswith(b"Content-Length: 4\r\n\r\nbody")


async def test_those_at_once_have_connections_of_their_own() -> None:
    async with serving(says(OK)) as (server, client):
        assert await asyncio.gather(*(client.ask("GET", "/") for _ in range(5))) == [Answer(200, b"good")] * 5
        assert server.connections == 5


@pytest.mark.parametrize("cut", [1, 12, 20, len(OK) - 4, len(OK) - 1])
async def test_an_answer_may_come_in_pieces(cut: int) -> None:
    async with serving(says(OK[:cut], OK[cut:]), says(OK)) as (server, client):
        for _ in range(2):
            assert await client.ask("GET", "/") == Answer(200, b"good")
        assert server.connections == 1


async def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    closing = b"HTTP/1.1 503 Busy\r\nCONNECTION: Close\r\ncontent-length: 0\r\n\r\n"
    async with serving(says(closing), says(OK)) as (server, client):
        assert await client.ask("GET", "/") == Answer(503, b"")
        assert await client.ask("GET", "/") == Answer(200, b"good")
        assert server.connections == 2


async def test_one_that_lay_idle_for_long_is_not_used_again() -> None:
    async with serving(says(OK), keep=0.05) as (server, client):
        await client.ask("GET", "/")
        await asyncio.sleep(0.1)
        await client.ask("GET", "/")
        assert server.connections == 2


@pytest.mark.parametrize(
    "script",
    [
        hangs_up,
        says(b"HTTP/1.1 200 OK\r\n\r\nhow long?"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\n"),
        says(b"nonsense\r\n\r\n"),
    ],
)
async def test_what_breaks_is_sent_once(script: Script) -> None:
    async with serving(says(OK), script, says(OK)) as (server, client):
        await client.ask("GET", "/")
        with pytest.raises((OSError, ValueError)):
            await client.ask("POST", "/", b"pay")
        assert len(server.asked) == 2
        assert await client.ask("GET", "/") == Answer(200, b"good")
        assert server.connections == 2


async def test_who_waits_too_long_or_gives_up_gets_no_answer_and_leaves_none() -> None:
    async with serving(says_nothing, says_nothing, says(OK), seconds=0.2) as (server, client):
        with pytest.raises(TimeoutError):
            await client.ask("GET", "/")
        asking = asyncio.create_task(client.ask("GET", "/"))
        while len(server.asked) < 2:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await client.ask("GET", "/") == Answer(200, b"good")
        assert server.connections == 3


async def test_nobody_there() -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await LoopbackClient("http://127.0.0.1:9", 1, 1).ask("GET", "/")


async def exchange(settings: Settings, *pieces: bytes) -> bytes:
    """Send pieces to the bank on one connection; return all that it says until it closes or is idle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.sandbox_bank_port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.02)
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return said


def asks(target: str, host: str = "127.0.0.1", method: str = "GET", body: bytes = b"", more: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_the_bank_answers_requests_in_order_however_they_come(sandbox_bank: Settings) -> None:
    both = asks("/pay/one") + asks("/nowhere", more="Connection: close\r\n")
    for cut in (1, 40, len(both) // 2, len(both) - 1, len(both)):
        said = await exchange(sandbox_bank, both[:cut], both[cut:])
        statuses = [part.split(b" ", 1)[0] for part in said.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"404"]
    assert b"Sandbox bank" in said


async def test_the_banks_page_asks_the_patient(sandbox_bank: Settings) -> None:
    """With whom is paid and how much; the answer leads back, and a declined payment is as if there had been none."""
    english, hindi = ("Approve", "Decline", ">HealthPlus<"), ("मंज़ूर करें", 'lang="hi"')
    for back, said in (("/doctor/1", english), ("/hi/doctor/1", hindi)):
        for answer, state in (("approve", b'"authorised"'), ("decline", b"[]")):
            key = uuid.uuid4().hex
            payment = {"key": key, "amount_minor": 150_000, "currency": "INR", "method": "sandbox-later"}
            payment["return_url"] = f"http://127.0.0.1{back}?bank=later"
            await exchange(sandbox_bank, asks("/payments", method="POST", body=json.dumps(payment).encode()))
            page = (await exchange(sandbox_bank, asks(f"/pay/{key}"))).decode()
            assert all(one in page for one in (*said, "₹1,500.00", "style-src 'self'", 'href="/pay/style.css"'))
            answered = await exchange(sandbox_bank, asks(f"/pay/{key}/{answer}", method="POST"))
            query = {"approve": "later", "decline": "declined"}[answer]
            assert b"303" in answered
            assert f"Location: http://127.0.0.1{back}?bank={query}\r\n".encode() in answered
            assert state in await exchange(sandbox_bank, asks(f"/payments/{key}"))
            assert b"<form" not in await exchange(sandbox_bank, asks(f"/pay/{key}"))
    assert b"text/css" in await exchange(sandbox_bank, asks("/pay/style.css"))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asks("/pay/one", host="evil.example"), b"421"),
        (asks("/payments", method="POST", body=b"{"), b"400"),
        (asks("/payments", method="POST", body=b'{"key": 1}'), b"400"),
        (asks("/payments/a/steal", method="POST", body=b"{}"), b"404"),
        (asks("/payments/a/void", method="POST", body=b"{}"), b"404"),
        (asks("/payments", method="DELETE"), b"404"),
    ],
)
async def test_the_bank_refuses(sandbox_bank: Settings, request_: bytes, status: bytes) -> None:
    assert (await exchange(sandbox_bank, request_))[9:12] == status


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"A" * 20000,
        b"POST /payments HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /payments HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /payments HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_the_bank_hangs_up_on_nonsense(sandbox_bank: Settings, nonsense: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await exchange(sandbox_bank, nonsense) == b""
    assert b"Sandbox bank" in await exchange(sandbox_bank, asks("/pay/one"))
