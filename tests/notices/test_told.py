"""What is sent of everything that happens: it names no provider, clinic, city or speciality."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.replacements import cancel_replaced
from healthplus.notices.delays import Delays
from healthplus.notices.earlier import EarlierTimes
from healthplus.notices.sender import Email, Sms
from tests.fixtures.clock import move_clock_to
from tests.fixtures.directory import make_city, make_clinic
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, UNDO_TIME, RaceEnvironment
from tests.fixtures.terms import set_terms
from tests.notices.sending import Recorder, notices, phone, reachable, sweep_all
from tests.notices.test_texts import TEXTS


@pytest.mark.parametrize(
    ("kept", "text", "rest"),
    [
        (None, "replaced_refund", "IST is replaced. You get Rs 500 back."),
        ("20%", "replaced_kept", "IST is replaced: Rs 100 kept, Rs 400 back."),
    ],
)
async def test_who_moves_to_another_provider_is_not_told_to_book_again(
    race: RaceEnvironment, kept: str | None, text: str, rest: str
) -> None:
    (patient,) = await reachable(race, 1, email=True)
    texts, mails = Recorder(), Recorder()
    await replace_one(race, patient, kept)
    told = notices(race.db, texts, mails)
    await sweep_all(told, "sms")
    await sweep_all(told, "email")
    assert texts.templates == ["booked", text]  # that of the first is dropped, as it is cancelled
    for sent in (texts.sent, mails.sent):
        (cancelled,) = [one.text for one in sent if "replace" in one.text]
        assert rest in cancelled
        assert "Book again" not in "".join(one.text for one in sent)
    subjects = [one.subject for one in mails.sent if isinstance(one, Email)]
    assert subjects.count("HealthPlus: Your earlier appointment is cancelled") == 1


async def replace_one(race: RaceEnvironment, patient: int, kept: str | None = None) -> None:
    """Book a visit, of whose fee such a part is kept, and one with another provider instead of it."""
    first, second = await race.providers(2)
    if kept:
        await race.db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
        await set_terms(race.db, race.clinic_id, {8784: kept})
    old = await race.held(first, patient)
    await race.db.execute("UPDATE directory.clinic SET terms_id = NULL WHERE clinic_id = $1", race.clinic_id)
    await race.book.confirm(first.provider_id, old, f"set aside {old}", Patient(patient))
    new = await race.book.hold(
        second.provider_id, race.clinic_id, second.starts[0], 1, patient, Patient(patient),
        instead_of=(first.provider_id, old),
    )  # fmt: skip
    assert new.code == "reserved"
    await race.book.confirm(second.provider_id, new.booking_id, "set aside for the new one", Patient(patient))
    await cancel_replaced(race.db, race.book)


async def cancel_by_terms(race: RaceEnvironment, patient: int) -> None:
    """Book a visit of whose fee something is kept, and cancel it."""
    provider = await race.provider()
    await race.db.execute(
        "UPDATE directory.provider_clinic SET funding = 'online' WHERE provider_id = $1", provider.provider_id
    )
    await set_terms(race.db, race.clinic_id, {8784: "20%"})
    held = await race.held(provider, patient)
    await race.db.execute("UPDATE directory.clinic SET terms_id = NULL WHERE clinic_id = $1", race.clinic_id)
    await race.book.confirm(provider.provider_id, held, f"set aside {held}", Patient(patient))
    assert (await race.book.cancel(provider.provider_id, held, Patient(patient))).code == "cancelled"
    await race.db.execute("SELECT notices.add($1, $2, NULL, 'refunded', public.app_now())", provider.provider_id, held)


def words(chance: random.Random) -> str:
    """Draw a name of two or three words; letters that people's names have, and no other text would."""
    letters = "abdeiklmnoprstuvzäéñकखगघ"
    return " ".join(
        "".join(chance.choices(letters, k=chance.randint(7, 10))).title() for _ in range(chance.randint(2, 3))
    )


async def test_no_name_of_provider_clinic_city_or_speciality_is_told(race: RaceEnvironment) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    sms, email = Recorder(), Recorder()
    told = notices(race.db, sms, email)
    for round_ in range(10):
        if round_:
            race.clinic_id = await make_clinic(race.db, await make_city(race.db))
        provider = await race.provider(slots=2)
        await name_all(race, provider.provider_id, chance)
        await send_everything(race, provider, told)
    names = await race.db.fetch(NAMES)
    forbidden = {word.lower() for row in names for word in re.split(r"[\s-]+", row["name"])}
    said = [one.text for one in (*sms.sent, *email.sent)] + [
        one.subject for one in email.sent if isinstance(one, Email)
    ]
    kinds = {one.template_id for one in sms.sent if isinstance(one, Sms)}
    assert kinds == set(TEXTS) - NOT_TOLD, seed
    assert len(forbidden) > 100
    assert not [(word, text) for text in said for word in forbidden if word in text.lower()], seed


NOT_TOLD = {
    *("offer_lapsed", "reminder_reply", "withdrawn_paid", "expired_unanswered", "withdrawn_unanswered"),
    *("refunded_twice", "refund_started", "refund_failed", "cancelled_refund", "replaced", "token"),
    *("person_added", "booked_by_clinic", "choose_time", "pay_link"),
}
"""What cannot come of what send_everything does, but of the bank's silence and the like."""

NAMES = """SELECT name FROM directory.provider UNION ALL SELECT name || ' ' || address FROM directory.clinic
UNION ALL SELECT name FROM directory.city UNION ALL SELECT name FROM directory.speciality"""
NAME_ALL = (
    "UPDATE directory.provider SET name = $2 WHERE provider_id = $1",
    "UPDATE directory.clinic SET name = $2 WHERE name = 'Clinic' OR $1 = 0",
    "UPDATE directory.clinic SET address = $2 WHERE address = '' OR $1 = 0",
    "UPDATE directory.city SET name = $2 WHERE name = 'City' OR $1 = 0",
    """WITH new AS (
        INSERT INTO directory.speciality (slug, name) VALUES ('speciality-' || $1::bigint, $2) RETURNING speciality_id)
    INSERT INTO directory.provider_speciality SELECT $1, speciality_id FROM new""",
)


async def name_all(race: RaceEnvironment, provider_id: int, chance: random.Random) -> None:
    for sql in NAME_ALL:
        await race.db.execute(sql, provider_id, words(chance))


async def send_everything(race: RaceEnvironment, provider: Any, told: Any) -> None:
    """Go through all that can happen to a booking, telling each as it happens."""

    async def tell() -> None:
        await sweep_all(told, "sms")
        await sweep_all(told, "email")

    async def pass_by(time: timedelta) -> None:
        await race.pass_time(time + timedelta(seconds=1))
        await race.db.execute("UPDATE booking.ticket SET present_at = public.app_now()")
        await race.book.advance(provider.provider_id)
        await tell()

    one, other, third, *called = await reachable(race, 5, email=True)
    await race.called(await race.provider(), 2, called)
    await tell()
    elsewhere = await race.provider()
    late = await race.held(elsewhere, one)
    await race.pass_time(HOLD_TIME)
    await race.book.confirm(elsewhere.provider_id, late, f"set aside {late}", Patient(one))
    await tell()
    booked = await race.booked(provider, one, 0)
    await tell()
    await race.held(provider, other, 1)
    waiting = await race.waiting(provider, third)
    await race.db.execute("SELECT notices.tell_queued($1, $2, public.app_now())", provider.provider_id, waiting)
    await tell()
    await pass_by(HOLD_TIME)  # expired, and offered to the third
    await pass_by(OFFER_TIME)  # not even looked at
    await race.book.reschedule(provider.provider_id, booked, provider.starts[1], Patient(one))
    await tell()
    provider_id = provider.provider_id
    await race.book.add_leave(
        provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    await pass_by(UNDO_TIME)
    (leave,) = await race.db.fetch("SELECT leave_id FROM schedule.leave WHERE provider_id = $1", provider_id)
    await race.book.remove_leave(provider_id, leave["leave_id"], Staff(1))
    await pass_by(UNDO_TIME)
    await race.book.cancel(provider_id, booked, Patient(one))
    await race.db.execute("SELECT notices.add($1, $2, NULL, 'refunded', public.app_now())", provider_id, booked)
    await cancel_by_terms(race, other)
    await replace_one(race, one)
    await replace_one(race, other, "20%")
    await tell()
    await remind_and_refuse(race, third)
    await tell()
    await free_an_earlier_time(race)
    await tell()
    await take_times_away(race)
    await tell()
    await run_late(race)
    await tell()


async def run_late(race: RaceEnvironment) -> None:
    """Have two patients wait for a doctor who is 29 minutes late and calls the first, and a third be told."""
    provider = await race.provider(slots=6)
    patients = await reachable(race, 3, email=True)
    booked = [await race.booked(provider, patient, slot) for slot, patient in zip((0, 1, 3), patients, strict=True)]

    async def record(booking_id: UUID, act: str) -> None:
        await race.db.execute(
            "SELECT reception.record($1, $2, $3, $4, 'staff:1')", provider.provider_id, booking_id, race.clinic_id, act
        )

    await move_clock_to(race.db, provider.starts[0])
    for booking_id in booked[:2]:
        await record(booking_id, "arrive")
    await move_clock_to(race.db, provider.starts[0] + timedelta(minutes=29))
    await record(booked[0], "call")
    await Delays(race.db).tell()


async def take_times_away(race: RaceEnvironment) -> None:
    """Have leave take what one patient holds, and another waits for."""
    provider = await race.provider()
    holder, waiter = await reachable(race, 2, email=True)
    await race.held(provider, holder)
    await race.waiting(provider, waiter)
    taken = await race.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    assert taken.code == "changed"


async def free_an_earlier_time(race: RaceEnvironment) -> None:
    """Have a patient who asked for it be told of a time before their appointment; it is morning."""
    provider = await race.provider(slots=2)
    first, second = await reachable(race, 2, email=True)
    booked = [await race.booked(provider, patient, slot) for slot, patient in enumerate((first, second))]
    earlier = EarlierTimes(race.db)
    assert await earlier.ask(provider.provider_id, booked[1], second) == "on"
    await race.book.cancel(provider.provider_id, booked[0], Patient(first))
    await earlier.tell()


async def remind_and_refuse(race: RaceEnvironment, patient: int) -> None:
    """Remind a patient of an appointment, and have them say NO."""
    provider = await race.provider()
    await race.booked(provider, patient)
    await move_clock_to(race.db, provider.starts[0] - timedelta(hours=24))
    await race.db.fetch_value("SELECT notices.add_reminders(10)")
    await race.db.fetch_value("SELECT notices.take_reply($1, 'no')", phone(patient))
