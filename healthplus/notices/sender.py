"""Messages, and senders of SMS and e-mail: to the operator's relay and mail server, or to a sandbox that shows them."""

from __future__ import annotations

import asyncio
import logging
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
from healthplus.setting_checks import registered_texts
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

SECONDS_MAX = 10.0
"""How long a relay may take over one message."""
SANDBOX_MESSAGES_MAX = 200

_NOT_NOW = (401, 403, 404, 408, 425, 429)


def error_of_status(who: str, status: int) -> NoticeUndelivered | NoticeRefused:
    """Return the error for an HTTP status that is no success."""
    # 4xx means that this message is refused, except for those that mean "not now" or that an operator can mend.
    kind = NoticeRefused if 400 <= status < 500 and status not in _NOT_NOW else NoticeUndelivered
    return kind(f"{who} answered {status}.")


async def post_message(
    who: str, session: aiohttp.ClientSession, url: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    """Post a message as JSON to a relay, which errors call `who`. Raises NoticeUndelivered or NoticeRefused."""
    try:
        # A redirect could send number, text and token to another server.
        async with session.post(url, json=body, headers=headers, allow_redirects=False) as answer:
            status = answer.status
    except (aiohttp.ClientError, OSError) as error:  # OSError includes TimeoutError
        raise NoticeUndelivered(f"{who} could not be reached ({type(error).__name__}).") from None
    if not 200 <= status < 300:
        raise error_of_status(who, status)


class Sms(msgspec.Struct, frozen=True):
    """`to` is in E.164; `template_id` is our own name for the text, such as `code` or `booked`.

    `id` stays the same however often the message is sent, so that a relay can recognise a repeat. `values` are what
    stands in the text's places, in order, where it is sent as a template of WhatsApp.
    """

    to: str
    text: str
    template_id: str
    id: str = msgspec.field(default_factory=lambda: uuid4().hex)
    language: str = "en"
    values: tuple[str, ...] = ()

    @property
    def registered_name(self) -> str:
        """Return the name under which the text is registered in its language: `booked`, `booked.hi`."""
        return self.template_id if self.language == "en" else f"{self.template_id}.{self.language}"

    def __repr__(self) -> str:
        return f"Sms({self.template_id})"  # neither number nor code: this may be logged


class Email(msgspec.Struct, frozen=True):
    """`html`, where there is one, says the same as `text`."""

    to: str
    subject: str
    text: str
    id: str = msgspec.field(default_factory=lambda: uuid4().hex)
    html: str = ""

    def __repr__(self) -> str:
        return "Email()"


class Push(msgspec.Struct, frozen=True):
    """What a patient's devices show; `path` is the page that opens. A repeat with the same `id` takes its place."""

    patient_id: int
    text: str
    path: str
    language: str
    id: str

    def __repr__(self) -> str:
        return "Push()"


class SmsSender(Protocol):
    """Sends text messages, by SMS or WhatsApp.

    Raises NoticeUndelivered when the message was not handed over, or possibly not; NoticeRefused when it never can be.
    """

    async def send(self, message: Sms, /) -> None: ...


class EmailSender(Protocol):
    """Sends e-mail. Raises NoticeUndelivered and NoticeRefused as SmsSender does."""

    async def send(self, message: Email, /) -> None: ...


class PushSender(Protocol):
    """Has devices show messages. Raises NoticeUndelivered and NoticeRefused as SmsSender does."""

    async def send(self, message: Push, /) -> None: ...


class NoSender:
    """Stands in for a channel that is not set up. `channel` is its name in the error, which every message raises."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    async def send(self, _message: Sms | Email | Push, /) -> None:
        raise NoticeUndelivered(f"{self._channel} has not been set up here.")


class SandboxSender:
    """Shows messages on the demo page and in the log instead of sending them: the one place where a code is logged."""

    def __init__(self, database: Database, texts_by: str = "sms") -> None:
        self._database = database
        self._texts_by = texts_by

    async def send(self, message: Sms | Email, /) -> None:
        masked = f"••• {message.to[-4:]}" if isinstance(message, Sms) else f"••• @{message.to.rpartition('@')[2]}"
        channel = self._texts_by if isinstance(message, Sms) else "email"
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
        self._templates = registered_texts(settings.dlt_templates)

    async def send(self, message: Sms, /) -> None:
        body = {
            "to": message.to,
            "text": message.text,
            "sender": self._sender,
            "entity_id": self._entity_id,
            "template_id": self._templates.get(message.registered_name),
            "id": message.id,
        }
        await post_message("The SMS relay", self._session, self._url, body, self._headers)


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
        if message.html:
            mail.add_alternative(message.html, subtype="html")
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
