"""What every emulated gateway has: keys, a ledger, faults, webhooks; and what a server asks of it."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import msgspec

from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.ledger import Ledger
from healthplus_sandbox.faults import Faults
from healthplus_sandbox.outbox import TIMEOUT, Outbox

_POLL_SECONDS = 0.05


class Keys(msgspec.Struct, frozen=True):
    """What requests must come with, and what webhooks are signed with: as the product has them for an account."""

    secret: str
    webhook_secret: str
    key_id: str = ""


class Request(msgspec.Struct, frozen=True):
    """An HTTP request. `headers` have small letters; `url` is where the emulator itself is, without a path.

    `query`: by name; of those with one name, the first. `query_string`: as it was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def words(self) -> tuple[str, ...]:
        """Return the parts of the path."""
        return tuple(self.path.split("/")[1:])

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of a form; of those with one name, the last."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = {}


def document(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Return an answer with JSON."""
    return Answer(status, msgspec.json.encode(body), headers=headers or {})


def page(text: str, status: int = 200) -> Answer:
    """Return an answer with HTML."""
    return Answer(status, text.encode(), "text/html; charset=utf-8")


def see_other(url: str) -> Answer:
    """Return an answer that leads to another page."""
    return Answer(303, b"", "text/plain", {"Location": url})


class Emulator(ABC):
    """One account at an emulated gateway."""

    name: str
    """As in the command that runs it, and in its ledger's file."""

    def __init__(self, folder: Path, keys: Keys, webhook_url: str | None) -> None:
        self.keys = keys
        self.ledger = Ledger(folder / f"{self.name}.sqlite3")
        self.faults = Faults(FaultPlan(webhook_url=webhook_url))
        self.outbox = Outbox(self.ledger.connection, self.faults, self.webhook_headers)

    @abstractmethod
    def webhook_headers(self, body: bytes) -> Mapping[str, str]:
        """Return what a webhook is sent with: its signature, just now."""

    @abstractmethod
    def is_api(self, path: str) -> bool:
        """Return whether faults are played at this path; a patient's pages have none."""

    @abstractmethod
    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request to the API or for a page; None where there is nothing."""

    @abstractmethod
    def control(self, step: str, asked: dict[str, str]) -> object:
        """Do what a test asks for, such as to pay as a patient would; return what is said to it.

        Raises KeyError for a step or object that is not known.
        """

    @abstractmethod
    def take(self, step: str, name: str) -> None:
        """Take a step that was planned in the ledger."""

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Close the ledger after this block."""
        try:
            yield
        finally:
            self.ledger.close()

    def take_due(self) -> None:
        """Take the steps that are to be taken by now."""
        for step, name in self.ledger.take_due():
            self.take(step, name)

    async def run(self) -> None:
        """Take what was planned, and send webhooks, as each is due; until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                self.take_due()
                await asyncio.sleep(0 if await self.outbox.send_due(session) else _POLL_SECONDS)
