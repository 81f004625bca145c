"""A clinic closes while many book there: who came too late has nothing, and who came before is to be rebooked."""

from __future__ import annotations

import asyncio

import pytest

from healthplus.booking.calls import queries
from tests.fixtures.directory import make_provider
from tests.fixtures.races import Provider, RaceEnvironment, rewrite, switch_lock_off

_LEFT = """
SELECT count(*) FROM booking.booking JOIN directory.provider_clinic USING (provider_id, clinic_id)
WHERE closed_since IS NOT NULL AND (state = 'reserved' OR state = 'booked' AND NOT needs_rebooking)"""
_WAIT = """
SELECT count(*) FROM booking.ticket JOIN directory.provider_clinic USING (provider_id, clinic_id)
WHERE closed_since IS NOT NULL AND ticket.state = 'waiting'"""


async def close(race: RaceEnvironment, *, closes: bool = True) -> str:
    row = await race.db.fetch_row(queries.set_place_closed, race.clinic_id, None, closes, True, "system:operator", "")
    assert row is not None
    return str(row["code"])


async def book_while_it_closes(race: RaceEnvironment, provider: Provider) -> None:
    """Have each of many book a slot of their own, or queue, while the clinic closes."""

    async def book(patient_id: int, slot: int) -> None:
        held = await race.hold(provider, patient_id, slot)
        if held.code == "reserved" and held.booking_id:
            await race.confirm(provider, held.booking_id, patient_id)
        else:
            await race.join(provider, patient_id)

    patients = await race.patients(2 * len(provider.starts))
    calls = [book(patient, number % len(provider.starts)) for number, patient in enumerate(patients)]
    await race.at_once(provider, [*calls[: len(patients) // 2], close(race), *calls[len(patients) // 2 :]])


@pytest.mark.breaks_invariants
async def test_without_the_lock_a_hold_is_left_at_a_closed_clinic(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=8)
    await switch_lock_off(race.db)
    await rewrite(
        race.db,
        "booking.hold_in_book",
        ("held.booking_id := booking.new_id(", "PERFORM pg_sleep(0.5); held.booking_id := booking.new_id("),
    )
    holding = [asyncio.ensure_future(race.hold(provider, one, n)) for n, one in enumerate(await race.patients(8))]
    async with race.gate(provider):
        await race.until_locked_out(8, holding)
    await close(race)
    await asyncio.gather(*holding)
    assert await race.db.fetch_value(_LEFT) > 0


async def test_nothing_is_held_or_waited_for_where_a_clinic_closed(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=8)
    await book_while_it_closes(race, provider)
    assert await race.db.fetch_value(_LEFT) == 0
    assert await race.db.fetch_value(_WAIT) == 0
    late = await race.patient()
    assert (await race.hold(provider, late)).code == "no_such_slot"
    assert (await race.join(provider, late)).code == "no_such_slot"
    assert await close(race) == "unchanged"
    assert await close(race, closes=False) == "changed"
    assert await race.db.fetch_value("SELECT count(*) FROM booking.booking WHERE needs_rebooking") == 0


async def test_who_is_added_while_a_clinic_closes_is_closed_with_it(race: RaceEnvironment) -> None:
    await race.provider()
    async with race.db.transaction() as adding:
        await adding.execute(
            """WITH added AS (
                INSERT INTO directory.provider (identifier, type, name) VALUES ('late', 'doctor', 'Late')
                RETURNING provider_id)
            INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
            SELECT provider_id, $1, 0, 'clinic' FROM added""",
            race.clinic_id,
        )
        closing = asyncio.ensure_future(close(race))
        await race.until_locked_out(1, [closing])
        assert not closing.done()
    assert await closing == "changed"
    await make_provider(race.db, {race.clinic_id: (0, "clinic")}, name="Later")
    assert await race.db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NULL") == 0
