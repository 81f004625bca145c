"""Reminders: each once, at the time that the clinic and the night leave, and never of what is true no longer."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.database import Database
from healthplus.metrics import MEMORY, REMINDERS
from healthplus.notices.reminders import Reminders, queries
from healthplus.notices.texts import link_code
from healthplus.retention.retention import Retention
from tests.fixtures.clock import INDIA, move_clock_to, until
from tests.fixtures.races import Provider, RaceEnvironment
from tests.fixtures.relay import Relay
from tests.notices.sending import LEASE_OVER, SITE, Recorder, notices, outbox, reachable, sweep_all
from tests.notices.test_sending import SENDER

TEN = 24
"""The slot at 10:00."""
HOUR = timedelta(hours=1)


async def booked(race: RaceEnvironment, slot: int = TEN, **ways: bool) -> tuple[Provider, int, UUID]:
    """Book an appointment in three days, and send what is to be said of that."""
    provider = await race.provider(slots=60)
    (patient,) = await reachable(race, 1, **ways)
    booking = await race.booked(provider, patient, slot)
    await sweep_all(notices(race.db, Recorder(), Recorder()))
    await race.db.execute("DELETE FROM notices.notice")
    return provider, patient, booking


async def remind_at(race: RaceEnvironment, at: datetime) -> list[str]:
    """Move the clock to an instant, remind, and return what is in the outbox by now."""
    await move_clock_to(race.db, at)
    await Reminders(race.db).remind()
    return [row["kind"] for row in await outbox(race.db)]


async def set_hours(race: RaceEnvironment, hours: list[int] | None) -> None:
    await race.db.execute("UPDATE directory.clinic SET reminder_hours = $2 WHERE clinic_id = $1", race.clinic_id, hours)


async def test_a_day_and_two_hours_before(race: RaceEnvironment) -> None:
    provider, patient, booking = await booked(race)
    starts = provider.starts[TEN]
    recorder = Recorder()
    said = []
    for before in (25, 24, 23, 3, 2, 1.5):
        await remind_at(race, starts - before * HOUR)
        await sweep_all(notices(race.db, recorder))
        said.append(len(recorder.sent))
    assert said == [0, 1, 1, 1, 2, 2]
    assert recorder.templates == ["reminder"] * 2
    first, second = await race.db.fetch("SELECT * FROM notices.reminder ORDER BY due_at")
    assert (first["due_at"], second["due_at"]) == (starts - 24 * HOUR, starts - 2 * HOUR)
    assert [(one["booking_id"], one["patient_id"]) for one in (first, second)] == [(booking, patient)] * 2
    for message, row in zip(recorder.sent, (first, second), strict=True):
        assert f"{starts.astimezone(INDIA):%a}" in message.text
        assert message.text.endswith(f" {SITE}/a/{link_code(row['reminder_id'])}")


@pytest.mark.parametrize("guarded", [False, True])
async def test_two_processes_remind_once(race: RaceEnvironment, guarded: bool) -> None:
    """The guard is the reminder's key: without it, what both find at once is sent twice."""
    provider, _, _ = await booked(race)
    if not guarded:
        await race.db.execute("ALTER TABLE notices.reminder DROP CONSTRAINT reminder_pkey")
    await move_clock_to(race.db, provider.starts[TEN] - 24 * HOUR)
    async with race.db.transaction() as one, race.db.transaction() as other:
        assert await one.fetch_value("SELECT notices.add_reminders(10)") == 1
        late = asyncio.create_task(other.fetch_value("SELECT notices.add_reminders(10)"))
        if guarded:
            await race.until_locked_out(1, [late])
        else:
            assert await late == 1
        await one.execute("COMMIT AND CHAIN")
        assert await late == (0 if guarded else 1)
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    assert len(recorder.sent) == (1 if guarded else 2)


async def test_a_process_that_dies_between_loses_and_repeats_nothing(race: RaceEnvironment) -> None:
    """Reminder and outbox are one transaction: one that is not committed is due again, and then once."""
    provider, _, _ = await booked(race)
    await move_clock_to(race.db, provider.starts[TEN] - 24 * HOUR)
    with pytest.raises(ZeroDivisionError):
        await remind_and_die(race.db)
    assert await outbox(race.db) == []
    await Reminders(race.db).remind()
    await Reminders(race.db).remind()
    assert [row["kind"] for row in await outbox(race.db)] == ["reminder"]


async def remind_and_die(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await transaction.fetch_value("SELECT notices.add_reminders(10)") == 1
        raise ZeroDivisionError


async def test_a_process_that_is_killed_while_it_sends_repeats_it_under_the_same_id(
    race: RaceEnvironment, dsn: str
) -> None:
    provider, _, _ = await booked(race)
    assert await remind_at(race, provider.starts[TEN] - 24 * HOUR) == ["reminder"]
    stuck = asyncio.Event()
    async with Relay(stuck) as relay:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SENDER, dsn, relay.url, stdin=asyncio.subprocess.PIPE
        )
        await until(lambda: relay.bodies)
        sender.send_signal(signal.SIGKILL)
        await sender.communicate()
        stuck.set()
    recorder = Recorder()
    await race.pass_time(LEASE_OVER)
    await sweep_all(notices(race.db, recorder))
    assert [message.id for message in recorder.sent] == [relay.bodies[0]["id"]]


async def test_nobody_is_reminded_of_what_was_cancelled(race: RaceEnvironment) -> None:
    provider, patient, booking = await booked(race)
    starts = provider.starts[TEN]
    await remind_at(race, starts - 24 * HOUR)  # in the outbox, and not sent yet
    await race.book.cancel(provider.provider_id, booking, Patient(patient))
    recorder = Recorder()
    for before in (24, 2):
        await remind_at(race, starts - before * HOUR + timedelta(seconds=40))
        await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["cancelled"]


async def test_a_moved_appointment_has_new_reminders_and_none_of_the_old(race: RaceEnvironment) -> None:
    provider, patient, booking = await booked(race)
    old, new = provider.starts[TEN], provider.starts[TEN + 12]  # an hour later
    await remind_at(race, old - 24 * HOUR)
    moved = await race.book.reschedule(provider.provider_id, booking, new, Patient(patient))
    assert moved.code == "moved"
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["moved"]  # that of the old time was not sent yet, and is dropped
    await remind_at(race, new - 24 * HOUR)
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["moved", "reminder"]
    await remind_at(race, old - 2 * HOUR)
    assert len(await outbox(race.db)) == 3
    await remind_at(race, new - 2 * HOUR)
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["moved", "reminder", "reminder"]


async def test_who_booked_or_moved_just_before_is_not_reminded(race: RaceEnvironment) -> None:
    provider, _, _ = await booked(race)
    starts = provider.starts[TEN]
    await move_clock_to(race.db, starts - 24 * HOUR + timedelta(minutes=1))
    late, mover = await reachable(race, 2)
    await race.booked(provider, late, TEN + 1)
    moving = await race.booked(provider, mover, 0)
    await race.pass_time(timedelta(minutes=1))
    await race.book.reschedule(provider.provider_id, moving, provider.starts[TEN + 2], Patient(mover))
    await move_clock_to(race.db, starts - 24 * HOUR + timedelta(minutes=15))
    await Reminders(race.db).remind()
    assert await race.db.fetch_value("SELECT count(*) FROM notices.reminder") == 1


@pytest.mark.parametrize(("hours", "told"), [([], []), ([6], [6]), ([48, 6, 3], [48, 6, 3]), (None, [24, 2])])
async def test_each_clinic_says_how_long_before(
    race: RaceEnvironment, hours: list[int] | None, told: list[int]
) -> None:
    provider, _, _ = await booked(race, slot=59)  # 12:55
    await set_hours(race, hours)
    starts = provider.starts[59]
    evening = (starts - timedelta(days=1)).astimezone(INDIA).replace(hour=20, minute=0)
    times = {before: evening if before == 6 else starts - before * HOUR for before in (48, 24, 6, 3, 2)}
    for at in times.values():
        await remind_at(race, at)
    rows = await race.db.fetch("SELECT due_at FROM notices.reminder ORDER BY due_at")
    assert [row["due_at"] for row in rows] == [times[before] for before in told]


async def test_nobody_is_woken(race: RaceEnvironment) -> None:
    """What would come at 6:00 comes at 20:00 the evening before, until 21:00 and not at all after that."""
    provider, _, _ = await booked(race, slot=0)
    eight = provider.starts[0]
    evening = (eight - timedelta(days=1)).astimezone(INDIA).replace(hour=20, minute=0)
    await remind_at(race, eight - 24 * HOUR)
    assert len(await remind_at(race, evening - timedelta(seconds=5))) == 1
    assert len(await remind_at(race, evening + timedelta(seconds=5))) == 2
    for row in await outbox(race.db):
        assert row["until"].astimezone(INDIA).hour in (9, 21)
    recorder = Recorder()
    await move_clock_to(race.db, evening + timedelta(hours=1, seconds=1))
    await sweep_all(notices(race.db, recorder))
    assert recorder.sent == []
    assert len(await remind_at(race, eight - 2 * HOUR)) == 2


@pytest.mark.dates
@pytest.mark.parametrize(
    ("zone", "starts", "hours", "due"),
    [
        # In the night to 28 March 2027 clocks in Berlin go from 2:00 to 3:00: 24 hours before 10:00 it was 9:00.
        ("Europe/Berlin", "2027-03-28T10:00+02:00", 24, "2027-03-27T09:00+01:00"),
        ("Europe/Berlin", "2027-03-28T10:00+02:00", 2, "2027-03-28T08:00+02:00"),
        ("Europe/Berlin", "2027-03-28T09:30+02:00", 2, "2027-03-27T20:00+01:00"),
        # In that to 31 October they go back: 24 hours before 20:30 it was 21:30, which is night.
        ("Europe/Berlin", "2027-10-31T20:30+01:00", 24, "2027-10-30T20:00+02:00"),
        ("Asia/Kolkata", "2026-12-02T21:45+05:30", 2, "2026-12-02T19:45+05:30"),
        ("Asia/Kolkata", "2026-12-02T22:00+05:30", 2, "2026-12-02T20:00+05:30"),
        ("Asia/Kolkata", "2026-12-02T07:59+05:30", 24, "2026-11-30T20:00+05:30"),
        ("Asia/Kolkata", "2026-12-02T08:00+05:30", 24, "2026-12-01T08:00+05:30"),
    ],
)
async def test_the_night_is_the_clinics_also_where_clocks_change(
    db: Database, zone: str, starts: str, hours: int, due: str
) -> None:
    found = await db.fetch_value(
        "SELECT notices.reminder_time($1, $2, $3)", datetime.fromisoformat(starts), hours, zone
    )
    assert found == datetime.fromisoformat(due).astimezone(UTC)


@pytest.mark.dates
async def test_the_evening_looks_through_a_night_of_thirteen_hours(race: RaceEnvironment) -> None:
    """Clocks go back: two hours before 9:58 is night still, 13 hours after it began."""
    _, _, booking = await booked(race)
    await race.db.execute("UPDATE directory.city SET time_zone = 'Europe/Berlin'")
    starts = datetime.fromisoformat("2027-10-31T09:58+01:00")
    await race.db.execute(
        "UPDATE booking.booking SET during = tstzrange($2, $3) WHERE booking_id = $1",
        booking,
        starts,
        starts + timedelta(minutes=5),
    )
    assert await remind_at(race, datetime.fromisoformat("2027-10-30T20:00:05+02:00")) == ["reminder"]


async def test_a_clinic_that_cannot_keep_the_time_reminds_nobody(race: RaceEnvironment) -> None:
    provider, _, _ = await booked(race)
    left = await race.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    assert left.code == "changed"
    assert await remind_at(race, provider.starts[TEN] - 24 * HOUR) == ["needs_rebooking"]


async def test_a_patient_chooses_by_what_to_be_reminded(race: RaceEnvironment) -> None:
    provider, patient, _ = await booked(race, email=True)
    await race.db.execute(
        "INSERT INTO notices.preference (patient_id, language, reminds_by_text) VALUES ($1, 'en', false)", patient
    )
    await remind_at(race, provider.starts[TEN] - 24 * HOUR)
    assert [row["channel"] for row in await outbox(race.db)] == ["email"]
    await race.db.execute("UPDATE notices.preference SET reminds_by_email = false")
    await remind_at(race, provider.starts[TEN] - 2 * HOUR)
    assert len(await outbox(race.db)) == 1


async def test_whatsapp_takes_the_place_of_sms(race: RaceEnvironment) -> None:
    provider, patient, _ = await booked(race)
    await race.db.execute(
        "INSERT INTO notices.preference (patient_id, language, text_by) VALUES ($1, 'hi', 'whatsapp')", patient
    )
    await remind_at(race, provider.starts[TEN] - 24 * HOUR)
    sms, whatsapp = Recorder(), Recorder()
    sending = notices(race.db, sms, whatsapp=whatsapp)
    await sweep_all(sending, "sms")
    await sweep_all(sending, "whatsapp")
    assert (sms.sent, whatsapp.templates) == ([], ["reminder"])
    assert whatsapp.sent[0].language == "hi"
    await remind_at(race, provider.starts[TEN] - 2 * HOUR)
    await sweep_all(notices(race.db, sms), "whatsapp")  # where WhatsApp is not set up any more
    assert sms.templates == ["reminder"]


async def test_only_what_was_sent_late_counts_as_late(race: RaceEnvironment) -> None:
    provider, _, _ = await booked(race)
    counted = counts()
    await remind_at(race, provider.starts[TEN] - 24 * HOUR)
    await sweep_all(notices(race.db, Recorder()))
    await remind_at(race, provider.starts[TEN] - 2 * HOUR)
    await race.pass_time(timedelta(minutes=11))
    await sweep_all(notices(race.db, Recorder()))
    assert [after - before for before, after in zip(counted, counts(), strict=True)] == [1, 1, 0]


def counts() -> list[float]:
    return [MEMORY.values[REMINDERS._places[outcome,]] for outcome in ("sent", "late", "failed")]


REPLIES = [
    ("yes", "coming", 1, 0),
    ("no", "answered", 0, 1),
    ("stop", "stopped", 0, 0),
]


@pytest.mark.parametrize(("answer", "done", "coming", "answers"), REPLIES)
async def test_a_reply_cancels_nothing(
    race: RaceEnvironment, answer: str, done: str, coming: int, answers: int
) -> None:
    provider, patient, booking = await booked(race)
    await remind_at(race, provider.starts[TEN] - 24 * HOUR)
    await sweep_all(notices(race.db, Recorder()))
    phone = await race.db.fetch_value("SELECT phone FROM accounts.patient WHERE patient_id = $1", patient)
    for _ in range(2):  # a relay repeats what it got no answer to
        assert await race.db.fetch_value("SELECT notices.take_reply($1, $2)", phone, answer) == done
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["not_cancelled"] * answers
    assert await race.db.fetch_value("SELECT count(*) FROM notices.coming") == coming
    state = await race.db.fetch_value("SELECT state::text FROM booking.booking WHERE booking_id = $1", booking)
    assert state == "booked"
    await remind_at(race, provider.starts[TEN] - 2 * HOUR)
    assert [row["kind"] for row in await outbox(race.db)][1 + answers :] == ["reminder"] * (answer != "stop")


async def test_yes_is_forgotten_when_the_appointment_moves_or_no_follows(race: RaceEnvironment) -> None:
    provider, patient, booking = await booked(race)
    note = "SELECT notices.note_coming($1, $2, $3)"
    assert await race.db.fetch_value(note, provider.provider_id, booking, patient)
    assert not await race.db.fetch_value(note, provider.provider_id, booking, patient + 1)
    assert len(await race.db.fetch(queries.coming, patient)) == 1
    await race.book.reschedule(provider.provider_id, booking, provider.starts[TEN + 1], Patient(patient))
    assert await race.db.fetch(queries.coming, patient) == []
    assert await race.db.fetch_value(note, provider.provider_id, booking, patient)
    assert len(await race.db.fetch(queries.coming, patient)) == 1
    await race.book.cancel(provider.provider_id, booking, Patient(patient))
    assert await race.db.fetch(queries.coming, patient) == []
    assert not await race.db.fetch_value(note, provider.provider_id, booking, patient)


async def test_a_stranger_and_a_patient_without_reminders_answer_for_nothing(race: RaceEnvironment) -> None:
    _, patient, _ = await booked(race)
    phone = await race.db.fetch_value("SELECT phone FROM accounts.patient WHERE patient_id = $1", patient)
    assert await race.db.fetch_value("SELECT notices.take_reply($1, 'yes')", phone) == "nothing"
    assert await race.db.fetch_value("SELECT notices.take_reply('+919999999999', 'no')") == "unknown"
    assert await outbox(race.db) == []


async def test_reminders_are_forgotten(race: RaceEnvironment) -> None:
    provider, patient, booking = await booked(race)
    await race.db.fetch_value("SELECT notices.note_coming($1, $2, $3)", provider.provider_id, booking, patient)
    await remind_at(race, provider.starts[TEN] - 24 * HOUR)
    kept = "SELECT (SELECT count(*) FROM notices.reminder) + (SELECT count(*) FROM notices.coming)"
    for days, left in ((89, 2), (91, 0)):
        await move_clock_to(race.db, provider.starts[TEN] + timedelta(days=days))
        await Retention(race.db).forget()
        assert await race.db.fetch_value(kept) == left


async def test_the_loop_goes_through_more_than_a_batch(race: RaceEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = await race.provider(slots=60)
    patients = await reachable(race, 3)
    for slot, patient in enumerate(patients):
        await race.booked(provider, patient, TEN + slot)
    monkeypatch.setattr("healthplus.notices.reminders.BATCH_MAX", 1)
    await move_clock_to(race.db, provider.starts[TEN + 3] - 24 * HOUR)
    await Reminders(race.db).remind()
    assert await race.db.fetch_value("SELECT count(*) FROM notices.reminder") == 3
