"""What only a connection shows: what the HTTP server makes of odd requests and of slow ones."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from healthplus.web.entrance import BODY_SECONDS_MAX
from healthplus_bench.environment import prepared_environment, running_app

LAST = b"GET /api/v1/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
_POST = b"POST /api/v1/codes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"


async def send(port: int, raw: bytes) -> tuple[int, bytes]:
    """Send bytes, and return the status of the first answer, and all that came until the server hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        async with asyncio.timeout(BODY_SECONDS_MAX + 20):
            answer = await reader.read()
        return int(answer[9:12]), answer
    finally:
        writer.close()


async def statuses_of_late_bodies(port: int, method: str, path: str) -> list[int]:
    """Send two requests on one connection, their bodies after their headers, and return what was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n".encode()
    found = []
    try:
        for _ in range(2):
            writer.write(head)
            await asyncio.sleep(0.2)
            writer.write(b"abcd")
            async with asyncio.timeout(20):
                answer = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: ([0-9]+)", answer)
                assert length, answer
                await reader.readexactly(int(length[1]))
            found.append(int(answer[9:12]))
    finally:
        writer.close()
    return found


async def test_odd_connections(new_server: tuple[str, Path]) -> None:
    dsn, folder = new_server
    async with prepared_environment(dsn, folder, 1, 1) as environment, running_app(environment, 1) as port:
        slow = [
            asyncio.create_task(send(port, _POST + tail))
            for tail in (
                b"Content-Length: 10\r\n\r\n",
                b"Content-Length: 10\r\n\r\nabc",
                b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            )
        ]
        began = asyncio.get_running_loop().time()
        for raw, status in (
            (b"GET /api/v1/live HTTP/1.1\r\nHost: h\r\n\r\n", 200),
            (b"GET /api/v1/live HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET /api/v1/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400),
            (b"GET /api/v1/live HTTP/1.0\r\n\r\n", 200),
        ):
            assert (await send(port, raw + LAST))[0] == status, raw
        for path in (b"/", b"/api/v1/cities", b"/api/v1/nothing"):
            status, answers = await send(port, b"HEAD " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n" + LAST)
            first, second = answers.split(b"\r\n\r\n", 1)
            assert status == (404 if b"nothing" in path else 200)
            assert b"content-length: 0" not in first
            assert second.startswith(b"HTTP/1.1 200"), "a body came that was not to come"
        for method, address, status in (
            ("GET", "/api/v1/live", 200),
            ("GET", "/api/v1/me", 401),
            ("DELETE", "/api/v1/appointments/1", 404),
            ("POST", "/nothing", 404),
            ("PUT", "/", 405),
        ):
            # The server hangs up after an answer to a body that nobody read.
            assert await statuses_of_late_bodies(port, method, address) == [status, status], address
        _, too_long = await send(
            port, b"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + b"x" * 20_000
        )
        assert b"connection: close" in too_long
        for status, answer in await asyncio.gather(*slow):
            assert status == 408, answer
            assert b"connection: close" in answer
        assert asyncio.get_running_loop().time() - began > BODY_SECONDS_MAX - 0.5
    log = (folder / "app.log").read_text()
    assert "Traceback" not in log, log
