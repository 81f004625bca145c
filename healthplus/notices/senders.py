"""The senders that the settings name: one for each channel, or the sandbox for all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from healthplus.database import Database
from healthplus.notices.push import WebPushSender
from healthplus.notices.sender import (
    SECONDS_MAX,
    EmailSender,
    HttpSmsSender,
    NoSender,
    PushSender,
    SandboxSender,
    SmsSender,
    SmtpSender,
)
from healthplus.notices.whatsapp import WhatsAppSender
from healthplus.settings import Settings


class Senders(msgspec.Struct, frozen=True):
    """One for each channel. What is to go by WhatsApp goes by SMS where WhatsApp is not set up."""

    sms: SmsSender
    email: EmailSender
    whatsapp: SmsSender | None = None
    push: PushSender = NoSender("Web push")


@contextlib.asynccontextmanager
async def open_senders(settings: Settings, database: Database) -> AsyncIterator[Senders]:
    """Yield the senders that the settings name."""
    async with contextlib.AsyncExitStack() as stack:
        push: PushSender = NoSender("Web push")
        if settings.push_key:
            push = await stack.enter_async_context(WebPushSender(database, settings))
        if settings.sandbox_notices:
            sandbox = SandboxSender(database)
            yield Senders(sandbox, sandbox, SandboxSender(database, "whatsapp"), push)
            return
        sms: SmsSender = NoSender("SMS")
        email: EmailSender = NoSender("E-mail")
        whatsapp: SmsSender | None = None
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS_MAX))
        await stack.enter_async_context(session)
        if settings.sms_url:
            sms = HttpSmsSender(session, settings)
        if settings.whatsapp_token:
            whatsapp = WhatsAppSender(session, settings, sms)
        if settings.smtp_url:
            assert settings.mail_from is not None
            email = SmtpSender(settings.smtp_url, settings.mail_from)
        yield Senders(sms, email, whatsapp, push)
