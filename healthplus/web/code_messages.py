"""Sends sign-in codes to phones."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from healthplus.accounts.codes import Sent
from healthplus.errors import SignInUnavailable
from healthplus.notices.sender import NoSender, Sms, SmsSender

logger = logging.getLogger(__name__)

_DRAIN_SECONDS_MAX = 5.0


class CodeMessages:
    """Sends codes in the background, so that the time an answer takes does not depend on the sending.

    A code is sent at most once and is in no outbox: a patient who gets none requests another.
    """

    def __init__(self, sender: SmsSender, public_url: str | None) -> None:
        self.sender = sender
        # Browsers offer to fill in a code from a message whose last line names the site (WebOTP).
        host = urlsplit(public_url or "").hostname
        self._last_line = f"\n\n@{host} #" if host else None
        self._under_way: set[asyncio.Task[None]] = set()

    def require_sender(self) -> None:
        """Raise SignInUnavailable where no sender is set up."""
        if isinstance(self.sender, NoSender):
            raise SignInUnavailable

    def send(self, sent: Sent) -> None:
        """Start sending a code, unless it was sent already."""
        if sent.code is not None:
            text = f"{sent.code} is your HealthPlus code. It works for 5 minutes. We never ask for it by phone."
            if self._last_line:
                text += self._last_line + sent.code
            task = asyncio.create_task(self._send(Sms(to=sent.phone, text=text, template_id="code")))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, message: Sms) -> None:
        try:
            await self.sender.send(message)
        except Exception as error:  # the request was answered already
            # The error's text and traceback are not logged: either may carry the number.
            logger.warning("a sign-in code could not be sent: %s", type(error).__name__)

    async def drain(self) -> None:
        """Wait a few seconds for messages under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_DRAIN_SECONDS_MAX)
