"""What is noted down to be told: exactly what was committed, for those who can be reached."""

from __future__ import annotations

from datetime import timedelta

import pytest

from healthplus.accounts.actors import Patient, Staff, System
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import queries
from tests.booking.races.scene import HOLD_TIME, OFFER_TIME, Provider, Scene, rewrite
from tests.notices.scene import kinds, outbox, reachable


async def booked(scene: Scene, *, sms: bool = True, email: bool = False) -> tuple[Provider, int]:
    provider = await scene.provider(slots=3)
    (patient,) = await reachable(scene, 1, sms=sms, email=email)
    await scene.booked(provider, patient)
    return provider, patient


@pytest.mark.parametrize(("sms", "email"), [(True, False), (False, True), (True, True), (False, False)])
async def test_one_message_for_each_way_to_reach_the_patient(scene: Scene, sms: bool, email: bool) -> None:
    await booked(scene, sms=sms, email=email)
    rows = await outbox(scene.database)
    assert [(row["kind"], row["channel"]) for row in rows] == [("booked", "sms")] * sms + [("booked", "email")] * email


async def test_a_booking_is_told_from_beginning_to_end(scene: Scene) -> None:
    provider = await scene.provider(slots=3)
    (patient,) = await reachable(scene, 1)
    held = await scene.held(provider, patient)
    assert await kinds(scene.database) == []  # who holds is at the page
    moved = await scene.book.reschedule(provider.provider_id, held, provider.starts[1], Patient(patient))
    assert (moved.code, await kinds(scene.database)) == ("moved", [])
    assert (await scene.confirm(provider, held, patient)).code == "booked"
    assert (await scene.confirm(provider, held, patient)).code == "wrong_state"  # a repeat tells nobody anything
    await scene.book.reschedule(provider.provider_id, held, provider.starts[2], Patient(patient))
    flagged = await scene.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    assert flagged.code == "changed"
    assert (await scene.book.cancel(provider.provider_id, held, Patient(patient))).code == "cancelled"
    assert await kinds(scene.database) == ["booked", "moved", "needs_rebooking", "cancelled"]


async def test_a_hold_that_lapsed_and_an_offer_are_told(scene: Scene) -> None:
    provider = await scene.provider()
    holder, waiter = await reachable(scene, 2)
    await scene.held(provider, holder)
    ticket = await scene.waiting(provider, waiter)
    await scene.forward(HOLD_TIME + timedelta(seconds=1))
    await scene.database.execute("UPDATE booking.ticket SET present_at = public.app_now()")
    await scene.book.advance(provider.provider_id)
    await scene.forward(OFFER_TIME + timedelta(seconds=1))
    await scene.book.advance(provider.provider_id)
    rows = [(row["kind"], row["patient_id"], row["ticket_id"]) for row in await outbox(scene.database)]
    assert rows == [("expired", holder, None), ("offered", waiter, ticket), ("expired", waiter, ticket)]


async def test_a_change_that_is_undone_tells_nobody(scene: Scene) -> None:
    provider = await scene.provider()
    (patient,) = await reachable(scene, 1)
    held = await scene.held(provider, patient)

    async def confirm_and_fail() -> None:
        async with scene.database.transaction() as transaction:
            confirm = (provider.provider_id, held, None, str(Patient(patient)), None, None)
            await transaction.execute(queries.confirm, *confirm)
            assert await transaction.fetch_value("SELECT count(*) FROM notices.notice") == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await confirm_and_fail()
    assert await kinds(scene.database) == []
    assert (await scene.confirm(provider, held, patient)).code == "booked"
    assert await kinds(scene.database) == ["booked"]


async def test_a_booking_that_cannot_be_noted_down_is_not_made(scene: Scene) -> None:
    """The other half: no change without its row."""
    provider = await scene.provider()
    (patient,) = await reachable(scene, 1)
    held = await scene.held(provider, patient)
    await rewrite(scene.database, "notices.add", ("p_provider_id, way.channel", "NULL, way.channel"))
    with pytest.raises(Exception, match="provider_id"):
        await scene.confirm(provider, held, patient)
    state = await scene.database.fetch_value("SELECT state::text FROM booking.booking")
    assert (state, await kinds(scene.database)) == ("reserved", [])


async def test_no_address_and_no_text_is_kept(scene: Scene) -> None:
    await booked(scene, email=True)
    for row in await outbox(scene.database):
        assert not any("98" in value or "@" in value for value in row.values() if isinstance(value, str))


async def test_one_patient_is_sent_so_many_texts_a_day(scene: Scene) -> None:
    provider = await scene.provider(slots=1)
    (patient,) = await reachable(scene, 1)
    for _ in range(15):  # each is told of twice
        booking = await scene.held(provider, patient)
        assert (await scene.book.confirm(provider.provider_id, booking, None, System("test"))).code == "booked"
        assert (await scene.book.cancel(provider.provider_id, booking, System("test"))).code == "cancelled"
    assert len(await outbox(scene.database)) == 20
    await scene.forward(timedelta(days=1))


async def test_a_landline_is_sent_no_texts(scene: Scene) -> None:
    provider = await scene.provider(slots=1)
    patient, _ = await add_patient(scene.database, "Asha", "+912026123456")
    booking = await scene.held(provider, patient)
    assert (await scene.book.confirm(provider.provider_id, booking, None, System("test"))).code == "booked"
    assert await outbox(scene.database) == []
