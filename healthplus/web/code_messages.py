"""Sends what shows that a phone or an e-mail address is somebody's: codes, and links."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from healthplus.accounts.codes import Sent
from healthplus.accounts.emails import EmailCheck
from healthplus.errors import SignInUnavailable
from healthplus.notices.mail import mail_html
from healthplus.notices.sender import Email, EmailSender, NoSender, Sms, SmsSender
from healthplus.notices.texts import LANGUAGES

logger = logging.getLogger(__name__)

_DRAIN_SECONDS_MAX = 5.0

_CODE = {
    "en": "{code} is your HealthPlus code. It works for 5 minutes. We never ask for it by phone.",
    "hi": "{code} आपका HealthPlus कोड है। 5 मिनट तक चलेगा। हम इसे फ़ोन पर कभी नहीं पूछते।",
}


class _LinkTexts(NamedTuple):
    subject: str
    lines: tuple[str, ...]
    action: str
    footer: str


_LINK = {
    "en": _LinkTexts(
        "Confirm your e-mail address",
        (
            "This address was given at HealthPlus. If that was you, confirm it, and we will write to it about your "
            "appointments.",
            "The link works for a day, and only where you are signed in.",
        ),
        "Confirm this address",
        "If it was not you, do nothing.",
    ),
    "hi": _LinkTexts(
        "अपना ईमेल पता पक्का करें",
        (
            "यह पता HealthPlus पर दिया गया। अगर आपने दिया है तो इसे पक्का करें; फिर हम आपकी अपॉइंटमेंट के बारे में इस पर लिखेंगे।",
            "लिंक एक दिन चलता है, और वहीं जहाँ आप साइन इन हैं।",
        ),
        "यह पता पक्का करें",
        "अगर आपने नहीं दिया, तो कुछ न करें।",
    ),
}


class CodeMessages:
    """Sends codes and links in the background, so that the time an answer takes does not depend on the sending.

    A code is sent at most once and is in no outbox: a patient who gets none requests another.
    """

    def __init__(self, sender: SmsSender, public_url: str | None, email: EmailSender, site_url: str) -> None:
        self.sender = sender
        self._email = email
        self._site_url = site_url
        # Browsers offer to fill in a code from a message whose last line names the site (WebOTP).
        host = urlsplit(public_url or "").hostname
        self._last_line = f"\n\n@{host} #" if host else None
        self._under_way: set[asyncio.Task[None]] = set()

    def require_sender(self) -> None:
        """Raise SignInUnavailable where no sender is set up."""
        if isinstance(self.sender, NoSender):
            raise SignInUnavailable

    @property
    def can_mail(self) -> bool:
        """Return whether a sender of e-mail is set up."""
        return not isinstance(self._email, NoSender)

    def send(self, sent: Sent, language: str = "en") -> None:
        """Start sending a code, unless it was sent already."""
        if sent.code is not None:
            text = _CODE[language].format(code=sent.code)
            if self._last_line:
                text += self._last_line + sent.code
            self._start(
                self.sender.send(Sms(to=sent.phone, text=text, template_id="code", language=language)),
                "a sign-in code",
            )

    def send_link(self, check: EmailCheck, language: str = "en") -> None:
        """Start sending the link by which an e-mail address is verified."""
        texts = _LINK[language]
        prefix = LANGUAGES[language].prefix
        link = f"{self._site_url}{prefix}/email?{urlencode({'token': check.token})}"
        lines = (*texts.lines, f"{texts.action}: {link}", texts.footer, "HealthPlus")
        message = Email(
            check.address,
            f"HealthPlus: {texts.subject}",
            "\n\n".join(lines) + "\n",
            uuid4().hex,
            mail_html(language, texts.subject, texts.lines, (texts.action, link), footer=texts.footer),
        )
        self._start(self._email.send(message), "a link to verify an e-mail address")

    def _start(self, sending: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(self._send(sending, what))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, sending: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await sending
        except Exception as error:  # the request was answered already
            # The error's text and traceback are not logged: either may carry the number.
            logger.warning("%s could not be sent: %s", what, type(error).__name__)

    async def drain(self) -> None:
        """Wait a few seconds for messages under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_DRAIN_SECONDS_MAX)
