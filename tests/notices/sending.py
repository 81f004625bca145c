"""People who can be reached, and a sender that remembers what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Database, Record
from healthplus.errors import NoticeUndelivered
from healthplus.notices.notices import Channel, Notices, Unanswered
from healthplus.notices.sender import Email, NoSender, Push, Sms, SmsSender
from healthplus.notices.senders import Senders
from healthplus.notices.texts import Wording
from tests.fixtures.races import RaceEnvironment

SITE = "https://healthplus.example"
LEASE_OVER = timedelta(seconds=31)


class Recorder:
    """Takes what it is given, unless it is to fail or to wait."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.fails = False
        self.under_way = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def send(self, message: Sms | Email | Push, /) -> None:
        self.under_way += 1
        await self.may_go_on.wait()
        if self.fails:
            raise NoticeUndelivered("It was to fail.")
        self.sent.append(message)

    @property
    def templates(self) -> list[str]:
        return sorted(message.template_id for message in self.sent if isinstance(message, Sms))


def phone(patient_id: int) -> str:
    return f"+9198{patient_id:08}"


async def give_addresses(database: Database, patients: Sequence[int], *, sms: bool = True, email: bool = False) -> None:
    await database.execute_many(
        "UPDATE accounts.patient SET phone = $2, email = $3 WHERE patient_id = $1",
        [(one, phone(one) if sms else None, f"p{one}@mail.example" if email else None) for one in patients],
    )
    await database.execute(
        "UPDATE accounts.patient SET email_verified_at = (SELECT public.app_now()) WHERE email <> ''"
    )


async def reachable(race: RaceEnvironment, count: int, *, sms: bool = True, email: bool = False) -> list[int]:
    patients = await race.patients(count)
    await give_addresses(race.db, patients, sms=sms, email=email)
    return patients


async def outbox(database: Database) -> list[Record]:
    return await database.fetch("SELECT * FROM notices.notice ORDER BY created_at, notice.channel")


async def kinds(database: Database) -> list[str]:
    return [row["kind"] for row in await outbox(database)]


def notices(
    database: Database,
    sms: SmsSender,
    email: Recorder | None = None,
    whatsapp: Recorder | None = None,
    push: Recorder | None = None,
    unanswered: Unanswered | None = None,
) -> Notices:
    senders = Senders(sms, email or NoSender("E-mail"), whatsapp, push or NoSender("Web push"))
    return Notices(database, senders, Wording(SITE, CLIENT_MARGIN), unanswered)


async def sweep_all(sending: Notices, channel: Channel = "sms") -> None:
    while await sending.send_due(channel):
        pass
