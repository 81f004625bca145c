"""Bookings for services: whose time is whose, what they ask together, and why they cannot be waited for."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.booking.outcomes import Refused
from healthplus.database import Database, PostgresError
from healthplus.ops.check import all_violations
from tests.fixtures.clock import INDIA
from tests.fixtures.directory import make_service
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment

SLOTS_OF_A_DAY = 1440


async def hold(environment: Environment, service: int, start: datetime, provider: int = PROVIDER) -> Any:
    patient, actor = environment.ids["asha"], environment.actor("asha")
    return await environment.book.hold(provider, ONLINE, start, 1, patient, actor, service_ids=[service])


async def join(environment: Environment, service: int, start: datetime, end: datetime, clinic: int | None) -> Any:
    patient, actor = environment.ids["bina"], environment.actor("bina")
    return await environment.book.join_queue(PROVIDER, clinic, start, end, 1, patient, actor, service_ids=[service])


async def test_time_kept_free_after_a_visit_is_not_the_patients(environment: Environment) -> None:
    db, book, asha = environment.db, environment.book, environment.actor("asha")
    cleaning = await make_service(db, PROVIDER, 30, (100, "clinic"), buffer_minutes=15)
    other = await make_service(db, OTHER_PROVIDER, 30, (100, "clinic"), buffer_minutes=15)
    held = await hold(environment, cleaning, environment.instant(9, 30))
    assert (held.code, held.ends_at) == ("reserved", environment.instant(10))
    assert (await book.confirm(PROVIDER, held.booking_id, None, asha)).code == "booked"
    during = await hold(environment, other, environment.instant(9, 30), OTHER_PROVIDER)
    assert during.code == "overlap"
    # The visit before it may end as it begins, and the one after it begin as it ends.
    for minutes in (-30, 30):
        start = environment.instant(9, 30) + timedelta(minutes=minutes)
        near = await hold(environment, other, start, OTHER_PROVIDER)
        assert near.code == "reserved"
        assert await all_violations(db) == []
        assert (await book.release(OTHER_PROVIDER, near.booking_id, asha)).code == "released"
    # It is kept free for the provider all the same, and is nobody's on the patient's own chart.
    assert (await environment.hold(environment.instant(10), name="bina")).code == "slot_full"
    day = environment.instant(9), environment.instant(12)
    chart = await book.chart(PROVIDER, ONLINE, *day, 1, environment.ids["asha"])
    assert [row["state"] for row in chart[:4]] == ["free", "mine", "booked", "free"]


async def test_what_is_kept_free_after_a_visit_is_not_ahead_of_the_patient(environment: Environment) -> None:
    person = await environment.person()
    service = await make_service(environment.db, PROVIDER, 30, (100, "clinic"), buffer_minutes=90)
    patient, actor = environment.ids["asha"], environment.actor("asha")
    held = await environment.book.hold(
        PROVIDER, ONLINE, environment.instant(9), 1, patient, actor, person_id=person, service_ids=[service]
    )
    assert held.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, held.booking_id, None, actor)).code == "booked"
    remove = "SELECT booking.remove_person($1, $2)"
    await environment.pass_until(environment.instant(9, 29))
    assert await environment.db.fetch_value(remove, patient, person) == "expected"
    await environment.pass_until(environment.instant(9, 30))
    assert await environment.db.fetch_value(remove, patient, person) == "removed"
    assert await all_violations(environment.db) == []


@given(each=st.lists(st.integers(1, 144), min_size=1, max_size=50))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_tests_begin_where_each_of_them_may(db: Database, each: list[int]) -> None:
    together = await db.fetch_value("SELECT directory.starts_together($1)", each)
    assert together == min(math.lcm(*each), SLOTS_OF_A_DAY)


async def test_all_that_there_can_be_begin_with_the_shift(environment: Environment) -> None:
    """Fifty tests of which each begins on other slots."""
    db = environment.db
    await db.execute("UPDATE schedule.shift SET slot_minutes = 5 WHERE provider_id = $1", PROVIDER)
    tests = [
        await make_service(db, PROVIDER, 0, (100, "clinic"), is_test=True, starts_every=every)
        for every in (2, 3, *range(97, 145))
    ]
    patient, actor = environment.ids["asha"], environment.actor("asha")

    async def starts(chosen: list[int]) -> list[datetime]:
        day = environment.instant(0), environment.instant(24)
        rows = await environment.book.chart(PROVIDER, ONLINE, *day, 1, patient, chosen)
        for minutes in (5, 10, 15):
            start = environment.instant(9, minutes)
            held = await environment.book.hold(PROVIDER, ONLINE, start, 1, patient, actor, service_ids=chosen)
            assert isinstance(held, Refused)
            assert held.reason == "off_grid"
        return [row["starts_at"] for row in rows]

    assert await starts(tests[:2]) == [environment.instant(9, 30 * n) for n in range(6)]
    assert await starts(tests) == [environment.instant(9)]


async def test_what_takes_no_time_has_none_kept_free_after_it(environment: Environment) -> None:
    with pytest.raises(PostgresError, match="service_check"):
        await make_service(environment.db, PROVIDER, 0, (100, "clinic"), is_test=True, buffer_minutes=5)


@pytest.mark.parametrize("clinic", [FREE, None])
async def test_what_is_too_long_for_a_shift_cannot_be_waited_for(environment: Environment, clinic: int | None) -> None:
    """The evening has half an hour; the mornings have room."""
    service = await make_service(environment.db, PROVIDER, 60, (100, "clinic"))
    await environment.held(FREE, 18)
    refused = await join(environment, service, environment.instant(17), environment.instant(20), clinic)
    assert (refused.code, refused.reason) == ("no_such_slot", "too_long")
    first = await environment.db.fetch_value(
        "SELECT booking.first_free($1, $2, now_at, NULL, now_at, booking.need_of(1, $1, $3)) FROM app_now() AS now_at",
        PROVIDER,
        clinic,
        [service],
    )
    assert refused.alternatives == [at for at in [first] if at]
    assert (first is None) == (clinic == FREE)


async def test_what_is_not_done_on_a_day_cannot_be_waited_for_then(environment: Environment) -> None:
    day = environment.instant(9).astimezone(INDIA).isoweekday()
    service = await make_service(environment.db, PROVIDER, 30, (100, "clinic"), weekdays=[day % 7 + 1])
    await environment.held()
    morning = environment.instant(9), environment.instant(12)
    refused = await join(environment, service, *morning, ONLINE)
    assert (refused.code, refused.reason) == ("no_such_slot", "not_that_day")
    tomorrow = environment.instant(9) + timedelta(days=1)
    assert refused.alternatives == [tomorrow]
    closed = await join(environment, service, environment.instant(21), environment.instant(22), ONLINE)
    assert (closed.code, closed.reason) == ("no_such_slot", "closed")


async def test_all_that_is_long_enough_being_booked_is_full(environment: Environment) -> None:
    service = await make_service(environment.db, PROVIDER, 60, (100, "clinic"))
    patient, actor = environment.ids["asha"], environment.actor("asha")
    held = await environment.book.hold(PROVIDER, AT_CLINIC, environment.instant(14), 2, patient, actor)
    assert held.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, held.booking_id, None, actor)).code == "booked"
    full = await join(environment, service, environment.instant(14), environment.instant(15), AT_CLINIC)
    assert (full.code, full.reason) == ("slot_full", None)


async def test_tests_that_ask_the_same_of_the_schedule_are_waited_for_alike(environment: Environment) -> None:
    """Or a laboratory's queue has a window for each patient, all of which every verb of its book looks through."""
    db = environment.db
    short = [await make_service(db, PROVIDER, 10, (100, "clinic"), is_test=True) for _ in range(2)]
    long = await make_service(db, PROVIDER, 90, (100, "clinic"), is_test=True)
    day = environment.instant(9), environment.instant(12)
    keys = [
        await db.fetch_value("SELECT booking.need_key($1, $2)", PROVIDER, ids)
        for ids in ([short[0]], [short[1]], [long], short, [*short, long])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert await db.fetch_value("SELECT booking.need_key($1, NULL)", PROVIDER) is None
    joined = await join(environment, short[1], *day, ONLINE)
    assert joined.code == "offered"
    assert await db.fetch_value("SELECT need_key FROM booking.ticket") == keys[0]
