"""The ways out, against real servers on loopback; and that no error says whom it concerned, or what was said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from healthplus.database import Database
from healthplus.errors import NoticeUndelivered
from healthplus.notices import sender as sender_module
from healthplus.notices import senders as senders_module
from healthplus.notices.sender import SANDBOX_MESSAGES_MAX, Email, Sms, SmtpSender
from healthplus.notices.senders import open_senders
from healthplus.settings import Settings
from tests.fixtures.relay import Relay

NUMBER, CODE, TOKEN, PASSWORD, MAILBOX = "+919876543210", "482913", "relay-token-canary", "pass/word@canary", "asha.rao"
SMS = Sms(NUMBER, f"HealthPlus: {CODE} is your code.", "code")
EMAIL = Email(f"{MAILBOX}@mail.example", "Your visit is booked", "Your visit is booked for Tue 24 Nov.\n")


def silent(error: pytest.ExceptionInfo[NoticeUndelivered]) -> bool:
    """Say whether neither the error nor one it came from says what must stay secret."""
    assert error.value.__cause__ is None
    assert error.value.__context__ is None or error.value.__suppress_context__
    secrets = (NUMBER[3:], CODE, TOKEN, PASSWORD, MAILBOX)
    return not any(secret in repr(error.value) + error.value.detail for secret in secrets)


def settings(**values: Any) -> Settings:
    return Settings(database_url=None, data_folder=Path(), **values)


async def no_connection() -> Any:
    raise AssertionError("only the sandbox needs a database")


UNUSED = Database(no_connection, 1)


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with Relay() as relay:
        yield relay


async def test_the_relay_gets_what_dlt_asks_for(relay: Relay) -> None:
    names = {"sms_sender": "HLTHPL", "dlt_entity_id": "1101", "dlt_templates": "booked=1107 code=1108"}
    async with open_senders(settings(sms_url=relay.url, sms_token=TOKEN, **names), UNUSED) as senders:
        await senders.sms.send(SMS)
    assert relay.bodies[0].pop("id") == SMS.id
    assert relay.bodies == [
        {"to": NUMBER, "text": SMS.text, "sender": "HLTHPL", "entity_id": "1101", "template_id": "1108"}
    ]
    assert relay.headers[0]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [302, 307, 400, 401, 429, 500, 503])
async def test_what_the_relay_does_not_take_was_not_sent(relay: Relay, status: int) -> None:
    relay.status = status
    async with open_senders(settings(sms_url=relay.url, sms_token=TOKEN), UNUSED) as senders:
        with pytest.raises(NoticeUndelivered, match=str(status)) as error:
            await senders.sms.send(SMS)
    assert silent(error)
    assert len(relay.bodies) == 1  # nor anywhere else that the relay points to


async def test_a_relay_that_is_slow_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders_module, "SECONDS_MAX", 0.2)
    stuck = asyncio.Event()
    async with Relay(stuck) as relay:
        url = f"{relay.url}?key={TOKEN}"
        async with open_senders(settings(sms_url=url), UNUSED) as senders:
            with pytest.raises(NoticeUndelivered, match="Timeout") as slow:
                await senders.sms.send(SMS)
            stuck.set()
            await senders.sms.send(SMS)
    async with open_senders(settings(sms_url=url), UNUSED) as senders:
        with pytest.raises(NoticeUndelivered, match="reached") as gone:
            await senders.sms.send(SMS)
    assert silent(slow)
    assert silent(gone)


async def test_what_is_not_set_up_says_so() -> None:
    async with open_senders(settings(), UNUSED) as senders:
        with pytest.raises(NoticeUndelivered, match="SMS has not been set up"):
            await senders.sms.send(SMS)
        with pytest.raises(NoticeUndelivered, match="E-mail has not been set up"):
            await senders.email.send(EMAIL)


class Mailbox:
    """What a mail server does with mail: keeps it, or says why not, quoting the address as many do."""

    def __init__(self) -> None:
        self.mail: list[Message] = []
        self.recipients: list[str] = []
        self.says = "250 OK"
        self.seconds = 0.0

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.seconds)
        assert isinstance(envelope.content, bytes)
        self.mail.append(BytesParser().parsebytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return self.says.format(*envelope.rcpt_tos)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@contextlib.asynccontextmanager
async def mail_server(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    """Serve on loopback; return the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def port(mailbox: Mailbox) -> AsyncIterator[int]:
    async with mail_server(mailbox) as port:
        yield port


async def test_mail_arrives(mailbox: Mailbox, port: int) -> None:
    await SmtpSender(f"smtp+plain://127.0.0.1:{port}", "HealthPlus <visits@healthplus.example>").send(EMAIL)
    (mail,) = mailbox.mail
    assert (mail["To"], mail["Subject"], mail["From"]) == (
        EMAIL.to,
        EMAIL.subject,
        "HealthPlus <visits@healthplus.example>",
    )
    assert mail["Message-ID"].endswith("@healthplus.example>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert str(mail.get_payload()).strip() == EMAIL.text.strip()
    assert mailbox.recipients == [EMAIL.to]


@pytest.mark.parametrize("says", ["550 no such user {}", "451 try {} again later"])
async def test_mail_that_is_not_taken(mailbox: Mailbox, port: int, says: str) -> None:
    mailbox.says = says
    with pytest.raises(NoticeUndelivered, match=says[:3]) as error:
        await SmtpSender(f"smtp+plain://127.0.0.1:{port}", "a@b.example").send(EMAIL)
    assert silent(error)


async def test_a_slow_mail_server(mailbox: Mailbox, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "SECONDS_MAX", 0.3)
    mailbox.seconds = 1
    with pytest.raises(NoticeUndelivered, match="Timeout"):
        await SmtpSender(f"smtp+plain://127.0.0.1:{port}", "a@b.example").send(EMAIL)


async def test_mail_does_not_go_in_the_clear_unless_told_to(mailbox: Mailbox, port: int) -> None:
    with pytest.raises(NoticeUndelivered):
        await SmtpSender(f"smtp://127.0.0.1:{port}", "a@b.example").send(EMAIL)
    assert mailbox.mail == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="nothing here to make a certificate with")
async def test_mail_over_starttls_with_a_password(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    maker = await asyncio.create_subprocess_exec(
        *make.split(), "-out", certificate, "-keyout", key, stderr=asyncio.subprocess.DEVNULL
    )
    assert await maker.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    logins = []

    def authenticate(_server: SMTP, _session: object, _envelope: object, _mechanism: str, login: Any) -> AuthResult:
        logins.append((login.login, login.password))
        return AuthResult(success=True)

    async with mail_server(mailbox, tls_context=context, authenticator=authenticate, auth_required=True) as port:
        sender = SmtpSender(f"smtp://asha:pass%2Fword%40canary@localhost:{port}", "a@b.example")
        with pytest.raises(NoticeUndelivered):  # nobody vouches for this server yet
            await sender.send(EMAIL)
        assert (mailbox.mail, logins) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await sender.send(EMAIL)
    assert len(mailbox.mail) == 1
    assert logins[-1] == (b"asha", PASSWORD.encode())


async def test_the_sandbox_shows_the_last_messages_masked(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with open_senders(settings(sandbox_notices=True), db) as senders:
        with caplog.at_level(logging.WARNING):
            await senders.sms.send(SMS)
        for _ in range(SANDBOX_MESSAGES_MAX - 1):
            await senders.email.send(EMAIL)
        rows = await db.fetch(sender_module.queries.sandbox_messages, 1000)
        assert (len(rows), dict(rows[-1])["text"]) == (SANDBOX_MESSAGES_MAX, SMS.text)
        await senders.email.send(EMAIL)
    rows = await db.fetch(sender_module.queries.sandbox_messages, 1000)
    assert len(rows) == SANDBOX_MESSAGES_MAX
    assert {row["channel"] for row in rows} == {"email"}
    assert CODE in caplog.text
    assert "••• 3210" in caplog.text
    assert "76543" not in caplog.text
    assert MAILBOX not in str([dict(row) for row in rows])


def test_no_settings_and_no_message_show_a_secret() -> None:
    shown = settings(sms_url=f"http://relay/?key={TOKEN}", sms_token=TOKEN, smtp_url=f"smtp://u:{PASSWORD}@h")
    assert TOKEN not in repr(shown)
    assert PASSWORD not in repr(shown)
    for text in (repr(SMS), str(SMS), repr(EMAIL), str(EMAIL)):
        assert not any(secret in text for secret in (NUMBER[3:], CODE, MAILBOX))
