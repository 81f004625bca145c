"""What a file names is fetched from the public network alone, whatever names, redirects and servers say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509

from healthplus.errors import BadInput
from healthplus.imports.fetch import Fetcher
from healthplus.network import is_public
from tests.fixtures.certificates import write_certificate

NAME = "pictures.example"
MB = 1024**2
FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.8",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1"),
        *("ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("2001:0:1::1", "::127.0.0.1"),
    ],
)
def test_other_addresses(address: str) -> None:
    assert not is_public(address)


async def test_names_that_lead_to_this_network_are_refused_before_anything_is_sent() -> None:
    connected = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for addresses in (["127.0.0.1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"], []):
            with pytest.raises(BadInput, match="not a public one"):
                await Fetcher(resolve=resolved(addresses), port=port).fetch(f"https://{NAME}/a.jpg", MB)
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"):
            with pytest.raises(BadInput):
                await Fetcher(port=port).fetch(f"https://{host}/a.jpg", MB)
    assert connected == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://pictures.example/a", "ftp://pictures.example/a", "file:///etc/passwd", "data:image/png;base64,AAAA"),
        *("https://", "https:///a", "https://user:secret@pictures.example/a", "https://pictures.example:8443/a"),
        *(
            "https://pictures.example:x/a",
            "//pictures.example/a",
            "a.jpg",
            "https://[::1/a",
            f"https://{'x' * 70}.in/a",
        ),
    ],
)
async def test_other_kinds_of_address_are_refused(url: str) -> None:
    with pytest.raises(BadInput):
        await Fetcher(resolve=resolved(["8.8.8.8"])).fetch(url, MB)


def resolved(addresses: Sequence[str]) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def resolve(_: str) -> Sequence[str]:
        return addresses

    return resolve


class Server:
    """A server with a certificate for one name, which answers by the path; what it was asked is in `asked`."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.pause_seconds = 0.0
        pem = folder / "pem"
        write_certificate(pem, NAME, x509.DNSName(NAME))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(pem)
        self.trusting = ssl.create_default_context(cafile=str(pem))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        await asyncio.sleep(self.pause_seconds)
        writer.write(self.answers[head.split()[1]])
        await writer.drain()
        writer.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Server, Fetcher]]:
    made = Server(tmp_path)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=made.context) as listening:

        async def resolve(host: str) -> list[str]:
            return ["127.0.0.1" if host == NAME else "127.0.0.2" if host == "inside.example" else "10.0.0.1"]

        yield (
            made,
            Fetcher(
                resolve=resolve,  # a server of ours is never on the public network
                is_allowed=lambda address: address in ("127.0.0.1", "127.0.0.2"),
                port=listening.sockets[0].getsockname()[1],
                context=made.trusting,
                seconds_max=2,
            ),
        )


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_what_is_there_is_fetched(server: tuple[Server, Fetcher]) -> None:
    served, fetcher = server
    served.answers = {
        "/a.jpg?x=1&y=%2F": FOUND,
        "/moved": redirect("/moved/again"),
        "/moved/again": redirect(f"https://{NAME}/once/more"),
        "/once/more": redirect("../a.jpg?x=1&y=%2F"),
        "/parts": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "/until-its-end": b"HTTP/1.0 200 OK\r\n\r\nhello",
        "/%E0%A4%86%20%0D%0AX:%20y": FOUND,
    }
    for path in ("a.jpg?x=1&y=%2F#top", "moved", "parts", "until-its-end"):
        assert await fetcher.fetch(f"https://{NAME}/{path}", MB) == b"hello"
    # A name as people write it, and no line of the request that an address could add.
    assert await fetcher.fetch(f"https://{NAME.upper()}:443/आ \r\nX: y".replace("\r\n", "%0D%0A"), MB) == b"hello"
    assert "x: y" not in [line.lower() for line in served.asked[-1].splitlines()]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (redirect("https://127.0.0.1/secret"), "not a public one"),
        (redirect("https://elsewhere.example/a"), "not a public one"),  # its name resolves to 10.0.0.1
        (redirect(f"http://{NAME}/a"), "must be https"),
        (redirect("file:///etc/passwd"), "must be https"),
        (redirect("/a"), "more than 3 times"),
        (
            redirect("https://inside.example/a"),
            "could not be fetched",
        ),  # no server there has a certificate of that name
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the answer was 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "the answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nhello", "larger than 1 MB"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (2 * MB), "larger than 1 MB"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9000 + b"\r\nhello", "could not be fetched"),
        (b"SSH-2.0-OpenSSH\r\n", "could not be fetched"),
        (b"", "could not be fetched"),
    ],
)
async def test_what_is_not_fetched(server: tuple[Server, Fetcher], answer: bytes, reason: str) -> None:
    served, fetcher = server
    served.answers["/a"] = answer
    with pytest.raises(BadInput, match=reason):
        await fetcher.fetch(f"https://{NAME}/a", MB)
    assert len(served.asked) <= 4


async def test_nobody_waits_for_a_slow_server(server: tuple[Server, Fetcher]) -> None:
    served, fetcher = server
    served.answers["/a"], served.pause_seconds = FOUND, 5
    with pytest.raises(BadInput, match="longer than 2 seconds"):
        await fetcher.fetch(f"https://{NAME}/a", MB)


async def test_a_certificate_of_another_name_is_refused(server: tuple[Server, Fetcher]) -> None:
    served, fetcher = server
    with pytest.raises(BadInput, match="could not be fetched"):
        await Fetcher(fetcher.resolve, fetcher.is_allowed, fetcher.port).fetch(f"https://{NAME}/a", MB)
    assert served.asked == []
