"""Everybody's phone: what is sent to it is read by the tests only."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from healthplus.accounts.consent import CURRENT
from healthplus.notices.sender import Email, Sms
from tests.fixtures.clock import until
from tests.web.client import Client

NUMBER = "+919876543210"
CONSENT = CURRENT.version


@dataclass
class Phone:
    """A sender of SMS and e-mail; `slowness`, in seconds, and `fault` are what goes wrong with it."""

    messages: list[Sms] = field(default_factory=list)
    mails: list[Email] = field(default_factory=list)
    slowness: float = 0
    fault: Exception | None = None

    async def send(self, message: Sms | Email, /) -> None:
        await asyncio.sleep(self.slowness)
        if self.fault:
            raise self.fault
        if isinstance(message, Email):
            self.mails.append(message)
        else:
            self.messages.append(message)

    async def link(self, mails: int = 1) -> str:
        """Return the path and query of the link in the last of so many e-mails, once all have come."""
        await until(lambda: len(self.mails) >= mails, 5)
        assert len(self.mails) == mails
        found = re.search(r"https://healthplus\.example(/\S+)", self.mails[-1].text)
        assert found
        return found[1]

    async def code(self, messages: int = 1) -> str:
        """Return the code in the last of so many messages, once all have come."""
        await until(lambda: len(self.messages) >= messages, 5)
        assert len(self.messages) == messages
        found = re.match(r"[0-9]{6} ", self.messages[-1].text)
        assert found
        return found[0].strip()


async def sign_in(client: Client, phone: Phone, number: str = NUMBER, agent: str = "") -> str:
    """Sign in by phone; return the token."""
    sent = await client.post("codes", {"phone": number, "consent": CONSENT})
    assert sent.status_code == 202, sent.text
    code = await phone.code(len(phone.messages) + 1)
    signed_in = await client.post(f"codes/{sent.json()['id']}/verify", {"code": code}, headers={"User-Agent": agent})
    assert signed_in.status_code == 201, signed_in.text
    token: str = signed_in.json()["token"]
    return token
