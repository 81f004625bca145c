"""Sends the notices in the outbox, which tell patients what happened to their bookings: each at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import UUID

from healthplus.database import Database, PostgresError, Record, load
from healthplus.errors import DatabaseUnreachable, DiskFull, HealthPlusError, NoticeRefused, NoticeUndelivered
from healthplus.metrics import EARLIER_TIMES, REMINDERS
from healthplus.notices.sender import NoSender
from healthplus.notices.senders import Senders
from healthplus.notices.texts import Row, Wording, email_of, push_of, sms_of

queries = load(Path(__file__).with_name("queries.sql"))
logger = logging.getLogger(__name__)

BATCH_MAX = 50
"""Also the most messages of one channel under way at once."""
LEASE = timedelta(seconds=30)
"""How long notices are left to the process that took them: longer than a batch lasts. Doubles with each try."""
AGAIN_AFTER_MAX = timedelta(minutes=10)
TRIES_MAX = 6
"""So often, at most, a patient gets the same message from a relay that accepts messages but does not say so in time."""
BATCHES_MAX = 4
"""Batches of one channel under way at once: a slow message must not hold up an offer."""
IDLE_SECONDS = 0.5
ERROR_SECONDS = 5.0

REMINDER_LATE = timedelta(minutes=10)

Channel: TypeAlias = Literal["sms", "whatsapp", "email", "push"]
Unanswered: TypeAlias = Callable[[Sequence[tuple[int, UUID]]], Awaitable[set[tuple[int, UUID]]]]
_Done: TypeAlias = list[tuple[int, UUID, str]]  # provider, notice, outcome


class Notices:
    """The background task that sends notices; any number of processes may run it.

    The notices of a channel that is not set up stay in the outbox.
    """

    def __init__(
        self, database: Database, senders: Senders, wording: Wording, unanswered: Unanswered | None = None
    ) -> None:
        """`unanswered`: which of some holds, each of a provider, have a bank that has not said if it took money."""
        self._database = database
        self._senders = senders
        self._wording = wording
        self._unanswered = unanswered

    async def run(self) -> None:
        """Run until cancelled. Each channel has its own task, so that a slow mail server does not hold up any SMS."""
        senders = self._senders
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.Event().wait())  # there may be nothing to send by
            if not isinstance(senders.sms, NoSender):
                tasks.create_task(self._send("sms"))
            if not isinstance(senders.whatsapp or senders.sms, NoSender):
                tasks.create_task(self._send("whatsapp"))
            if not isinstance(senders.email, NoSender):
                tasks.create_task(self._send("email"))
            if not isinstance(senders.push, NoSender):
                tasks.create_task(self._send("push"))

    async def send_due(self, channel: Channel) -> int:
        """Send one batch of due notices; return how many were due. Those that failed are due again later."""
        due = await self._database.fetch(queries.take_due, channel, BATCH_MAX, LEASE, AGAIN_AFTER_MAX, TRIES_MAX)
        unanswered = await self._find_unanswered(due)
        done: _Done = []
        failures: list[str] = []
        try:
            await asyncio.gather(
                *(
                    self._deliver({**row, "is_unanswered": row["booking_id"] in unanswered}, channel, done, failures)
                    for row in due
                )
            )
        finally:  # also when cancelled: what was sent should not be sent again
            if done:
                done.sort()  # so that two processes that mark the same, after a lease has run out, cannot deadlock
                await self._database.execute(queries.mark, *map(list, zip(*done, strict=True)))
        if failures:
            logger.warning("%d of %d notices by %s were not sent: %s", len(failures), len(due), channel, failures[-1])
        if given_up := sum(outcome == "failed" for *_, outcome in done):
            logger.warning("gave up %d notices by %s that could not be sent in time", given_up, channel)
        return len(due)

    async def _find_unanswered(self, due: list[Record]) -> set[UUID]:
        """Return the holds among these notices for which nobody knows yet whether money was taken."""
        ended = [(row["provider_id"], row["booking_id"]) for row in due if row["kind"] in ("expired", "withdrawn")]
        return {hold_id for _, hold_id in await self._unanswered(ended)} if ended and self._unanswered else set()

    async def _deliver(self, row: Row, channel: Channel, done: _Done, failures: list[str]) -> None:
        outcome = row["outcome"]
        if outcome is None:
            try:
                await self._send_one(row, channel)
            except NoticeRefused as error:
                failures.append(error.detail)
                done.append((row["provider_id"], row["notice_id"], "failed"))
                _count(row, "failed")
                return
            except NoticeUndelivered as error:
                failures.append(error.detail)
                return
            except Exception as error:  # one that cannot be sent must not stop the others, or have them repeated
                failures.append(type(error).__name__)  # its text may quote the message
                return
            outcome = "sent"
        done.append((row["provider_id"], row["notice_id"], outcome))
        _count(row, outcome)

    async def _send_one(self, row: Row, channel: Channel) -> None:
        match channel:
            case "sms":
                await self._senders.sms.send(sms_of(row, self._wording))
            case "whatsapp":
                await (self._senders.whatsapp or self._senders.sms).send(sms_of(row, self._wording, "whatsapp"))
            case "email":
                await self._senders.email.send(email_of(row, self._wording))
            case "push":
                await self._senders.push.send(push_of(row, self._wording))

    async def _send(self, channel: Channel) -> None:
        batches: set[asyncio.Task[bool]] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                batch = tasks.create_task(self._try_send_due(channel))
                batches.add(batch)
                batch.add_done_callback(batches.discard)
                await asyncio.wait({batch}, timeout=IDLE_SECONDS)
                if batch.done() and not batch.result():
                    await asyncio.sleep(IDLE_SECONDS)
                if len(batches) >= BATCHES_MAX:
                    await asyncio.wait(batches, return_when=asyncio.FIRST_COMPLETED)

    async def _try_send_due(self, channel: Channel) -> bool:
        """Send a batch; return whether there is probably more to send."""
        try:
            self._database.space.require_for_changes()  # or it could not be marked as sent
            return await self.send_due(channel) == BATCH_MAX
        except (DatabaseUnreachable, DiskFull):
            pass  # said once for all, elsewhere
        except (HealthPlusError, PostgresError) as error:
            logger.warning("notices by %s could not be looked up or marked: %s", channel, _name(error))
        await asyncio.sleep(ERROR_SECONDS)
        return False


def _count(row: Row, outcome: str) -> None:
    if row["kind"] == "earlier":
        EARLIER_TIMES.add(outcome)
    if row["kind"] == "reminder" and outcome != "void":
        taken_at: datetime = row["taken_at"]
        is_late = outcome == "sent" and taken_at > row["created_at"] + REMINDER_LATE
        REMINDERS.add("late" if is_late else outcome)


def _name(error: HealthPlusError | PostgresError) -> str:
    return str(getattr(error, "sqlstate", None) or type(error).__name__)
