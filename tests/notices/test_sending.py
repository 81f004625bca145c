"""What is noted down is sent: at least once, in time or not at all, and never while it is no longer true."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from datetime import timedelta

import pytest

from healthplus.accounts.actors import Patient
from healthplus.notices import notices as notices_module
from healthplus.notices.notices import TRIES_MAX
from healthplus.retention.retention import Retention
from tests.fixtures.clock import until
from tests.fixtures.races import OFFER_TIME, RaceEnvironment
from tests.fixtures.relay import Relay
from tests.notices.sending import (
    LEASE_OVER,
    Recorder,
    kinds,
    notices,
    outbox,
    phone,
    reachable,
    sweep_all,
)


async def bookings(race: RaceEnvironment, count: int) -> list[int]:
    provider = await race.provider(slots=count)
    patients = await reachable(race, count)
    for slot, patient in enumerate(patients):
        await race.booked(provider, patient, slot)
    return patients


async def offer(race: RaceEnvironment) -> int:
    """Have something offered to somebody; return the patient."""
    provider = await race.provider()
    holder, waiter = await reachable(race, 2)
    held = await race.held(provider, holder)
    await race.waiting(provider, waiter)
    await race.release(provider, held, holder)
    return waiter


async def test_each_is_sent_once(race: RaceEnvironment) -> None:
    patients = await bookings(race, 3)
    recorder = Recorder()
    sending = notices(race.db, recorder)
    await sweep_all(sending)
    await race.pass_time(timedelta(hours=2))
    await sweep_all(sending)
    assert sorted(message.to for message in recorder.sent) == [phone(patient) for patient in patients]
    assert all(row["sent_at"] and not row["due_at"] for row in await outbox(race.db))


async def test_a_channel_that_fails_keeps_the_other_not(race: RaceEnvironment) -> None:
    provider = await race.provider()
    (patient,) = await reachable(race, 1, email=True)
    await race.booked(provider, patient)
    sms, email = Recorder(), Recorder()
    email.fails = True
    sending = notices(race.db, sms, email)
    running = asyncio.create_task(sending.run())

    async def sms_sent_and_email_tried() -> bool:
        rows = {row["channel"]: row for row in await outbox(race.db)}
        return rows["sms"]["sent_at"] is not None and rows["email"]["tries"] == 1

    await until(sms_sent_and_email_tried)
    email.fails = False
    await race.pass_time(LEASE_OVER)

    async def email_sent() -> bool:
        return bool(email.sent)

    await until(email_sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (len(sms.sent), len(email.sent)) == (1, 1)


async def test_what_fails_is_tried_ever_later_a_few_times(
    race: RaceEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    (patient,) = await bookings(race, 1)
    recorder = Recorder()
    recorder.fails = True
    sending = notices(race.db, recorder)
    waits = []
    with caplog.at_level(logging.WARNING):
        for _ in range(300):
            now = await race.now()
            await sending.send_due("sms")
            (row,) = await outbox(race.db)
            if row["due_at"] is None:
                break
            waits.append(row["due_at"] - now)
            await race.pass_time(row["due_at"] - now)
    assert [round(wait.total_seconds()) for wait in waits] == [30, 60, 120, 240, 480, 600]
    assert len(waits) == TRIES_MAX
    assert (row["sent_at"], row["failed_at"] is None) == (None, False)
    assert "gave up" in caplog.text
    assert phone(patient)[1:] not in caplog.text


async def test_an_offer_is_announced_while_it_stands_only(race: RaceEnvironment) -> None:
    recorder = Recorder()
    await offer(race)
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["offered"]
    taken = await offer(race)
    ticket = await race.db.fetch_row("SELECT * FROM booking.ticket WHERE patient_id = $1", taken)
    assert ticket
    accepted = await race.book.accept(ticket["provider_id"], ticket["ticket_id"], Patient(taken))
    assert accepted.code == "accepted"
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["offered"]
    await offer(race)
    await race.pass_time(OFFER_TIME)
    await notices(race.db, recorder).send_due("sms")
    assert recorder.templates == ["offered"]


async def test_an_offer_goes_before_what_has_more_time(race: RaceEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    await bookings(race, 3)
    await offer(race)
    monkeypatch.setattr(notices_module, "BATCH_MAX", 1)
    recorder = Recorder()
    await notices(race.db, recorder).send_due("sms")
    assert recorder.templates == ["offered"]


async def test_the_end_of_a_hold_is_no_notice_after_an_hour(race: RaceEnvironment) -> None:
    (patient,) = await reachable(race, 1)
    recorder = Recorder()
    for late, count in ((timedelta(minutes=59), 1), (timedelta(minutes=61), 1)):
        provider = await race.provider()
        await race.held(provider, patient)
        await race.pass_time(timedelta(minutes=6))
        await race.book.advance(provider.provider_id)
        await race.pass_time(late)
        await sweep_all(notices(race.db, recorder))
        assert recorder.templates == ["expired"] * count


async def test_what_is_true_no_longer_is_not_said(race: RaceEnvironment) -> None:
    provider = await race.provider()
    (patient,) = await reachable(race, 1)
    booked = await race.booked(provider, patient)
    await race.book.cancel(provider.provider_id, booked, Patient(patient))
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["cancelled"]
    assert [(row["kind"], row["failed_at"]) for row in await outbox(race.db)] == [
        ("booked", None),
        ("cancelled", None),
    ]


@pytest.mark.parametrize("fetched", [True, False])
async def test_an_offer_nobody_took_is_told_by_what_became_of_the_ticket(race: RaceEnvironment, fetched: bool) -> None:
    await offer(race)
    if fetched:
        await race.db.execute(
            "INSERT INTO booking.presence (provider_id, ticket_id, seen_at, fetched_offer_id) "
            "SELECT provider_id, ticket_id, app_now(), offer_id FROM booking.ticket WHERE state = 'offered'"
        )
    recorder = Recorder()
    await race.pass_time(OFFER_TIME)
    await race.book.advance(await race.db.fetch_value("SELECT max(provider_id) FROM directory.provider"))
    await sweep_all(notices(race.db, recorder))
    assert recorder.templates == ["offer_lapsed" if fetched else "offer_missed"]


async def test_who_can_no_longer_be_reached_is_not_told(race: RaceEnvironment) -> None:
    await bookings(race, 1)
    await race.db.execute("UPDATE accounts.patient SET phone = NULL")
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    (row,) = await outbox(race.db)
    assert (recorder.sent, row["due_at"], row["sent_at"]) == ([], None, None)


@pytest.mark.parametrize("guarded", [False, True])
async def test_two_senders_send_once(race: RaceEnvironment, monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    """The guard is the lease: without it, a process that looks while a message is under way sends it too."""
    await bookings(race, 20)
    if not guarded:
        lease = "+ least($3::interval * 2.0 ^ least(tries, 30), $4::interval)"
        unguarded = notices_module.queries.take_due
        assert lease in unguarded
        unguarded = unguarded.replace(lease, "+ 0 * ($3::interval + $4::interval)")
        monkeypatch.setitem(notices_module.queries, "take_due", unguarded)
    recorder = Recorder()
    recorder.may_go_on.clear()
    sweeps = [asyncio.create_task(notices(race.db, recorder).send_due("sms"))]
    await until(lambda: recorder.under_way == 20)
    sweeps += [asyncio.create_task(notices(race.db, recorder).send_due("sms")) for _ in range(3)]
    await asyncio.sleep(0.3)
    recorder.may_go_on.set()
    taken = await asyncio.gather(*sweeps)
    assert len(recorder.sent) == sum(taken)
    if guarded:
        assert taken == [20, 0, 0, 0]
    else:
        assert len(recorder.sent) > 20


async def test_two_senders_share_the_work(race: RaceEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for what the other has just taken."""
    await bookings(race, 6)
    monkeypatch.setattr(notices_module, "BATCH_MAX", 3)
    recorder = Recorder()
    sending = notices(race.db, recorder)
    async with race.db.transaction() as transaction:
        await transaction.execute("SELECT FROM notices.notice ORDER BY until LIMIT 3 FOR UPDATE")
        assert await sending.send_due("sms") == 3
    assert await sending.send_due("sms") == 3
    assert len(recorder.sent) == 6


SENDER = """
import asyncio, sys
from datetime import timedelta
from healthplus.database import Database
from healthplus.lifeline import end_with_stdin
from healthplus.notices.notices import Notices
from healthplus.notices.senders import open_senders
from healthplus.notices.texts import Wording
from healthplus.retention.retention import Retention
from healthplus.settings import Settings

end_with_stdin()

async def main():
    settings = Settings.from_environment({"DATABASE_URL": sys.argv[1], "HEALTHPLUS_SMS_URL": sys.argv[2]})
    async with await Database.connect(sys.argv[1], 1, 2) as database, open_senders(settings, database) as senders:
        await Notices(database, senders, Wording(settings.site_url, timedelta(seconds=5))).run()

asyncio.run(main())
"""


async def test_a_killed_sender_loses_nothing(race: RaceEnvironment, dsn: str) -> None:
    """It dies between handing its messages over and marking them: another sends them once the lease is over."""
    patients = await bookings(race, 3)
    stuck = asyncio.Event()
    async with Relay(stuck) as relay:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SENDER, dsn, relay.url, stdin=asyncio.subprocess.PIPE
        )
        await until(lambda: len(relay.bodies) == 3)
        sender.send_signal(signal.SIGKILL)
        await sender.communicate()
        stuck.set()
    recorder = Recorder()
    sending = notices(race.db, recorder)
    assert await sending.send_due("sms") == 0  # still left to the one that died
    await race.pass_time(LEASE_OVER)
    await sweep_all(sending)
    assert sorted(message.to for message in recorder.sent) == [phone(patient) for patient in patients]


async def test_a_sender_that_is_stopped_repeats_nothing_that_went_out(race: RaceEnvironment) -> None:
    patients = await bookings(race, 2)

    class OneIsStuck(Recorder):
        async def send(self, message: object, /) -> None:
            if self.sent:
                await asyncio.Event().wait()
            self.sent.append(message)

    stuck = OneIsStuck()
    sweeping = asyncio.create_task(notices(race.db, stuck).send_due("sms"))
    await until(lambda: stuck.sent)
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping
    await race.pass_time(LEASE_OVER)
    recorder = Recorder()
    await sweep_all(notices(race.db, recorder))
    assert sorted(message.to for message in stuck.sent + recorder.sent) == [phone(patient) for patient in patients]


async def test_one_that_cannot_be_sent_keeps_no_other_back(
    race: RaceEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    patients = await bookings(race, 3)

    class Fault(Recorder):
        async def send(self, message: object, /) -> None:
            if message.to == phone(patients[1]):  # type: ignore[attr-defined]
                raise UnicodeError(message.text)  # type: ignore[attr-defined]
            self.sent.append(message)

    fault = Fault()
    await sweep_all(notices(race.db, fault))
    assert sorted(message.to for message in fault.sent) == [phone(patients[0]), phone(patients[2])]
    assert "UnicodeError" in caplog.text
    assert "appointment" not in caplog.text


async def test_what_was_told_is_forgotten_after_90_days(race: RaceEnvironment) -> None:
    await bookings(race, 2)
    sending = notices(race.db, Recorder())
    await sweep_all(sending)
    for passed, left in ((timedelta(days=90, hours=-1), 2), (timedelta(hours=2), 0)):
        await race.pass_time(passed)
        await Retention(race.db).forget()
        assert len(await kinds(race.db)) == left
