"""What patients choose of how we tell them things, and what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from healthplus.accounts.phone_numbers import phone_number
from healthplus.accounts.sessions import hash_token
from healthplus.database import Database, Record, load
from healthplus.errors import BadInput, BadSignature
from healthplus.notices.push import DEVICES_MAX, Subscription, WebPushSender
from healthplus.notices.sender import NoSender
from healthplus.notices.senders import Senders
from healthplus.notices.texts import id_of_code
from healthplus.signatures import is_signed
from healthplus.text import comparable

queries = load(Path(__file__).with_name("queries.sql"))

LanguageCode: TypeAlias = Literal["en", "hi"]
TextBy: TypeAlias = Literal["sms", "whatsapp"]

_YES = {"yes", "y", "ok", "haan", "haa", "han", "ha", "हाँ", "हां", "हा", "जी", "जी हाँ", "जी हां"}
_NO = {"no", "n", "cancel", "nahin", "nahi", "nahee", "नहीं", "नही", "ना", "रद्द"}
_STOP = {"stop", "बंद"}


class Preference(msgspec.Struct, frozen=True):
    """How a patient chose to be told things: texts come by SMS or WhatsApp; the last three are about reminders."""

    language: LanguageCode
    text_by: TextBy
    reminds_by_text: bool
    reminds_by_email: bool
    reminds_by_push: bool


class Reach(NamedTuple):
    """Which addresses of a patient are known, so that messages can reach them."""

    has_phone: bool
    has_email: bool


class Preferences:
    """Keeps what patients choose, the devices that show notices, and who says that they are coming.

    `push_key` is what browsers ask for; None where web push is not set up.
    """

    def __init__(self, database: Database, senders: Senders, reply_secret: str | None) -> None:
        self._database = database
        self._reply_secret = reply_secret
        self.push_key = senders.push.public_key if isinstance(senders.push, WebPushSender) else None
        self.has_whatsapp = senders.whatsapp is not None
        self.has_email = not isinstance(senders.email, NoSender)

    async def of(self, patient_id: int) -> tuple[Preference, Reach]:
        """Return how a patient is told things, chosen or by default, and by what they can be reached."""
        row = await self._database.fetch_row(queries.preference, patient_id)
        assert row is not None
        return msgspec.convert(dict(row), Preference), Reach(row["has_phone"], row["has_email"])

    async def choose(self, patient_id: int, chosen: Preference) -> None:
        """Keep what a patient chose. Raises BadInput for WhatsApp where it is not set up."""
        if chosen.text_by == "whatsapp" and not self.has_whatsapp:
            raise BadInput("text_by: WhatsApp is not set up here.")
        await self._database.execute(queries.choose, patient_id, *msgspec.structs.astuple(chosen))

    async def note_language(self, patient_id: int, language: str) -> None:
        """Write to a patient in the language of their pages, unless they chose one."""
        await self._database.execute(queries.note_language, patient_id, language)

    async def add_device(self, patient_id: int, token: str, subscription: Subscription) -> None:
        """Have a device show the patient's notices as long as they are signed in there with this token."""
        keys = msgspec.structs.astuple(subscription)
        await self._database.execute(queries.add_push_subscription, patient_id, hash_token(token), *keys, DEVICES_MAX)

    async def devices(self, patient_id: int, token: str) -> list[str]:
        """Return the endpoints that show the patient's notices, and were added with this token."""
        rows = await self._database.fetch(queries.own_endpoints, patient_id, hash_token(token))
        return [row["endpoint"] for row in rows]

    async def remove_device(self, patient_id: int, endpoint: str) -> None:
        """Stop a device from showing the patient's notices."""
        await self._database.execute(queries.remove_push_subscription, patient_id, endpoint)

    async def booking_of(self, code: str, patient_id: int) -> Record | None:
        """Return the booking that a message's link leads to; None where it is not this patient's.

        `is_appointment` is whether it was ever booked, `offered_to` the ticket of one that the queue only offered.
        """
        link_id = id_of_code(code)
        return await self._database.fetch_row(queries.booking_of, link_id, patient_id) if link_id else None

    async def note_coming(self, provider_id: int, booking_id: UUID, patient_id: int) -> bool:
        """Note that a patient is coming; return False where the appointment is not theirs, or has begun."""
        noted: bool = await self._database.fetch_value(queries.note_coming, provider_id, booking_id, patient_id)
        return noted

    async def coming(self, patient_id: int) -> set[tuple[int, UUID]]:
        """Return the appointments that a patient has said they are coming to."""
        rows = await self._database.fetch(queries.coming, patient_id)
        return {(row["provider_id"], row["booking_id"]) for row in rows}

    async def take_reply(self, signature: str, body: bytes) -> None:
        """Do what a patient's reply by SMS says; one that is no answer does nothing. Raises BadSignature."""
        if not is_signed(self._reply_secret, signature, body):
            raise BadSignature
        try:
            reply = msgspec.json.decode(body, type=Reply)
            phone = phone_number(reply.sender)
        except (msgspec.DecodeError, UnicodeDecodeError, BadInput):
            return  # signed, so meant for someone; not for us
        if (answer := answer_of(reply.text)) is not None:
            await self._database.fetch_value(queries.take_reply, phone, answer)


class Reply(msgspec.Struct, rename={"sender": "from"}):
    """What the relay passes on: `from` in E.164, and what was written."""

    sender: str
    text: str


def answer_of(text: str) -> Literal["yes", "no", "stop"] | None:
    """Return what a reply says; None where it says anything else."""
    word = comparable(text).strip(" .!,।\"'")
    if word in _YES:
        return "yes"
    if word in _NO:
        return "no"
    return "stop" if word in _STOP else None
