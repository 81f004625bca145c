"""Senders of SMS and e-mail: to the operator's relay and mail server, or to a sandbox that only shows them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiohttp
import aiosmtplib
import msgspec

from healthplus.database import Database, load
from healthplus.errors import NoticeRefused, NoticeUndelivered
from healthplus.settings import Settings, dlt_templates

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

SECONDS_MAX = 10.0
"""How long a relay may take over one message."""
SANDBOX_MESSAGES_MAX = 200

_NOT_NOW = (401, 403, 404, 408, 425, 429)


class Sms(msgspec.Struct, frozen=True):
    """`to` is in E.164; `template_id` is our own name for the text, such as `code` or `booked`.

    `id` stays the same however often the message is sent, so that a relay can recognise a repeat.
    """

    to: str
    text: str
    template_id: str
    id: str = msgspec.field(default_factory=lambda: uuid4().hex)

    def __repr__(self) -> str:
        return f"Sms({self.template_id})"  # neither number nor code: this may be logged


class Email(msgspec.Struct, frozen=True):
    to: str
    subject: str
    text: str
    id: str = msgspec.field(default_factory=lambda: uuid4().hex)

    def __repr__(self) -> str:
        return "Email()"


class SmsSender(Protocol):
    """Sends text messages.

    Raises NoticeUndelivered when the message was not handed over, or possibly not; NoticeRefused when it never can be.
    """

    async def send(self, message: Sms, /) -> None: ...


class EmailSender(Protocol):
    """Sends e-mail. Raises NoticeUndelivered and NoticeRefused as SmsSender does."""

    async def send(self, message: Email, /) -> None: ...


class NoSender:
    """Stands in for a channel that is not set up. `channel` is its name in the error, which every message raises."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    async def send(self, _message: Sms | Email, /) -> None:
        raise NoticeUndelivered(f"{self._channel} has not been set up here.")


class SandboxSender:
    """Shows messages on the demo page and in the log instead of sending them: the one place where a code is logged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, message: Sms | Email, /) -> None:
        masked = f"••• {message.to[-4:]}" if isinstance(message, Sms) else f"••• @{message.to.rpartition('@')[2]}"
        channel = "sms" if isinstance(message, Sms) else "email"
        await self._database.execute(queries.show_in_sandbox, channel, masked, message.text, SANDBOX_MESSAGES_MAX)
        # A warning, so that it is shown at every log level in use.
        logger.warning("sandbox %s to %s: %s", channel, masked, message.text)


class HttpSmsSender:
    """Sends messages to the operator's relay, with the ids that India's register of senders (DLT) requires."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        assert settings.sms_url is not None
        self._session = session
        self._url = settings.sms_url
        self._headers = {"Authorization": f"Bearer {settings.sms_token}"} if settings.sms_token else {}
        self._sender = settings.sms_sender
        self._entity_id = settings.dlt_entity_id
        self._templates = dlt_templates(settings.dlt_templates)

    async def send(self, message: Sms, /) -> None:
        body = {
            "to": message.to,
            "text": message.text,
            "sender": self._sender,
            "entity_id": self._entity_id,
            "template_id": self._templates.get(message.template_id),
            "id": message.id,
        }
        try:
            # A redirect could send number, text and token to another server.
            async with self._session.post(self._url, json=body, headers=self._headers, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError) as error:  # OSError includes TimeoutError
            raise NoticeUndelivered(f"The SMS relay could not be reached ({type(error).__name__}).") from None
        if not 200 <= status < 300:
            # 4xx means that this message is refused, except for those that mean "not now" or that an operator can mend.
            kind = NoticeRefused if 400 <= status < 500 and status not in _NOT_NOW else NoticeUndelivered
            raise kind(f"The SMS relay answered {status}.")


class SmtpSender:
    """Sends messages to a mail server, each over its own connection.

    smtp:// uses STARTTLS and does not send without it; smtps:// uses TLS from the start; smtp+plain:// uses none and is
    for a server on the same machine.
    """

    def __init__(self, url: str, mail_from: str) -> None:
        parts = urlsplit(url)
        self._from = mail_from
        self._tls = parts.scheme == "smtps"
        self._client: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": parts.port or (465 if self._tls else 587),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": self._tls,
            "start_tls": parts.scheme == "smtp",
        }

    async def send(self, message: Email, /) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._from, message.to, message.subject
        mail["Date"], mail["Message-ID"] = formatdate(), f"<{message.id}@{self._from.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        try:
            async with asyncio.timeout(SECONDS_MAX):  # in all; the library's own limit is for each command
                await aiosmtplib.send(mail, recipients=[message.to], **self._client)
        except (aiosmtplib.SMTPException, OSError) as error:
            # The server's own words may quote the address.
            code = getattr(error, "code", "")
            # Only a permanent refusal of the recipient is final; anything else may be mended within the day.
            gone = isinstance(error, aiosmtplib.SMTPRecipientsRefused) and all(
                one.code >= 500 for one in error.recipients
            )
            kind = NoticeRefused if gone else NoticeUndelivered
            raise kind(f"The mail server did not take it ({type(error).__name__} {code}).") from None


class Senders(msgspec.Struct, frozen=True):
    sms: SmsSender
    email: EmailSender


@contextlib.asynccontextmanager
async def open_senders(settings: Settings, database: Database) -> AsyncIterator[Senders]:
    """Yield the senders that the settings name."""
    if settings.sandbox_notices:
        sandbox = SandboxSender(database)
        yield Senders(sandbox, sandbox)
        return
    async with contextlib.AsyncExitStack() as stack:
        sms: SmsSender = NoSender("SMS")
        email: EmailSender = NoSender("E-mail")
        if settings.sms_url:
            session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS_MAX))
            sms = HttpSmsSender(await stack.enter_async_context(session), settings)
        if settings.smtp_url:
            assert settings.mail_from is not None
            email = SmtpSender(settings.smtp_url, settings.mail_from)
        yield Senders(sms, email)
