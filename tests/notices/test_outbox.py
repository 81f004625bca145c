"""What is noted down to be sent: exactly what was committed, for those who can be reached."""

from __future__ import annotations

from datetime import timedelta

import pytest

from healthplus.accounts.actors import Patient, Staff, System
from healthplus.accounts.patients import add_patient
from healthplus.booking.calls import queries
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, Provider, RaceEnvironment, rewrite, stub
from tests.notices.sending import kinds, outbox, reachable


async def booked(race: RaceEnvironment, *, sms: bool = True, email: bool = False) -> tuple[Provider, int]:
    provider = await race.provider(slots=3)
    (patient,) = await reachable(race, 1, sms=sms, email=email)
    await race.booked(provider, patient)
    return provider, patient


@pytest.mark.parametrize(("sms", "email"), [(True, False), (False, True), (True, True), (False, False)])
async def test_one_message_for_each_way_to_reach_the_patient(race: RaceEnvironment, sms: bool, email: bool) -> None:
    await booked(race, sms=sms, email=email)
    rows = await outbox(race.db)
    assert [(row["kind"], row["channel"]) for row in rows] == [("booked", "sms")] * sms + [("booked", "email")] * email


async def test_a_booking_is_told_from_beginning_to_end(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=3)
    (patient,) = await reachable(race, 1)
    held = await race.held(provider, patient)
    assert await kinds(race.db) == []  # who holds is at the page
    moved = await race.book.reschedule(provider.provider_id, held, provider.starts[1], Patient(patient))
    assert (moved.code, await kinds(race.db)) == ("moved", [])
    assert (await race.confirm(provider, held, patient)).code == "booked"
    assert (await race.confirm(provider, held, patient)).code == "wrong_state"  # a repeat makes no notice
    await race.book.reschedule(provider.provider_id, held, provider.starts[2], Patient(patient))
    flagged = await race.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    assert flagged.code == "changed"
    assert (await race.book.cancel(provider.provider_id, held, Patient(patient))).code == "cancelled"
    assert await kinds(race.db) == ["booked", "moved", "needs_rebooking", "cancelled"]


@pytest.mark.parametrize(("sms", "email"), [(True, False), (False, True)])
async def test_a_hold_that_lapsed_and_an_offer_are_told(race: RaceEnvironment, sms: bool, email: bool) -> None:
    provider = await race.provider()
    holder, waiter = await reachable(race, 2, sms=sms, email=email)
    await race.held(provider, holder)
    ticket = await race.waiting(provider, waiter)
    await race.pass_time(HOLD_TIME + timedelta(seconds=1))
    await race.db.execute("UPDATE booking.ticket SET present_at = public.app_now()")
    await race.book.advance(provider.provider_id)
    await race.pass_time(OFFER_TIME + timedelta(seconds=1))
    await race.book.advance(provider.provider_id)
    rows = [(row["kind"], row["patient_id"], row["ticket_id"]) for row in await outbox(race.db)]
    assert rows == [("expired", holder, None), ("offered", waiter, ticket), ("expired", waiter, ticket)]


@pytest.mark.parametrize(("sms", "email"), [(True, False), (False, True)])
async def test_who_is_called_is_told(race: RaceEnvironment, sms: bool, email: bool) -> None:
    """A group offer has no patient of its own, and its event no booking: their tickets say who is told."""
    called = await reachable(race, 2, sms=sms, email=email)
    await race.called(await race.provider(), 2, called)
    rows = [(row["kind"], row["patient_id"]) for row in await outbox(race.db)]
    assert rows == [("called", patient) for patient in called]


async def test_where_nobody_can_be_reached_nothing_more_is_looked_at(race: RaceEnvironment) -> None:
    await stub(race.db, "notices.add", "RAISE EXCEPTION 'it was looked at';")
    await booked(race, sms=False)
    (patient,) = await reachable(race, 1, sms=False)
    await race.db.execute(  # a landline, and an address that nobody confirmed
        """UPDATE accounts.patient SET phone = '+912026123456', takes_sms = false, email = 'a@b.example'
        WHERE patient_id = $1""",
        patient,
    )
    await race.booked(await race.provider(), patient)
    with pytest.raises(Exception, match="it was looked at"):
        await booked(race, sms=False, email=True)


async def test_a_change_that_is_undone_tells_nobody(race: RaceEnvironment) -> None:
    provider = await race.provider()
    (patient,) = await reachable(race, 1)
    held = await race.held(provider, patient)

    async def confirm_and_fail() -> None:
        async with race.db.transaction() as transaction:
            confirm = (provider.provider_id, held, None, str(Patient(patient)), None, None, None)
            await transaction.execute(queries.confirm, *confirm)
            assert await transaction.fetch_value("SELECT count(*) FROM notices.notice") == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await confirm_and_fail()
    assert await kinds(race.db) == []
    assert (await race.confirm(provider, held, patient)).code == "booked"
    assert await kinds(race.db) == ["booked"]


async def test_a_booking_that_cannot_be_noted_down_is_not_made(race: RaceEnvironment) -> None:
    """The other half: no change without its row."""
    provider = await race.provider()
    (patient,) = await reachable(race, 1)
    held = await race.held(provider, patient)
    await rewrite(race.db, "notices.add", ("p_provider_id, way.channel", "NULL, way.channel"))
    with pytest.raises(Exception, match="provider_id"):
        await race.confirm(provider, held, patient)
    state = await race.db.fetch_value("SELECT state::text FROM booking.booking")
    assert (state, await kinds(race.db)) == ("reserved", [])


async def test_no_address_and_no_text_is_kept(race: RaceEnvironment) -> None:
    await booked(race, email=True)
    for row in await outbox(race.db):
        assert not any("98" in value or "@" in value for value in row.values() if isinstance(value, str))


async def test_one_patient_is_sent_so_many_texts_a_day(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=1)
    (patient,) = await reachable(race, 1)
    for _ in range(15):  # each has two notices
        await race.pass_time(timedelta(seconds=70))  # more in a short time would be refused
        booking = await race.held(provider, patient)
        assert (await race.book.confirm(provider.provider_id, booking, None, System("test"))).code == "booked"
        assert (await race.book.cancel(provider.provider_id, booking, System("test"))).code == "cancelled"
    assert len(await outbox(race.db)) == 20
    await race.pass_time(timedelta(days=1))


async def test_a_landline_is_sent_no_texts(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=1)
    patient, _ = await add_patient(race.db, "Asha", "+912026123456")
    booking = await race.held(provider, patient)
    assert (await race.book.confirm(provider.provider_id, booking, None, System("test"))).code == "booked"
    assert await outbox(race.db) == []
