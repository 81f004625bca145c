"""Who often did not come pays online at that clinic for a while: counted from what was recorded, and undone with it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Staff
from healthplus.booking.outcomes import Refused
from healthplus.database import Database
from tests.booking.model import add_months
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.races import rewrite

WARD = Staff(1)
_MISSED = """
INSERT INTO booking.no_show (provider_id, booking_id, clinic_id, patient_id, person_id, starts_at)
SELECT 1, gen_random_uuid(), $1, $2, $3, at FROM unnest($4::timestamptz[]) AS at
"""
_UNTIL = "SELECT booking.online_only_until($1, $2, $3)"


def online_until(missed: Sequence[datetime], times: int | None, months: int, now: datetime) -> datetime | None:
    """Return what the rule says, in plain words: each that is at least the times-th within twelve months counts."""
    found = [
        add_months(at, months)
        for at in missed
        if times is not None and sum(add_months(at, -12) <= other <= at for other in missed) >= times
    ]
    return max((until for until in found if until > now), default=None)


async def misses(environment: Environment, count: int, name: str = "asha", clinic: int = AT_CLINIC) -> UUID:
    """Have it be so that a patient did not come so often lately; return who."""
    person: UUID = await environment.db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", environment.ids[name]
    )
    now = await environment.now()
    days = [now - timedelta(days=10 + day) for day in range(count)]
    await environment.db.execute(_MISSED, clinic, environment.ids[name], person, days)
    return person


async def funding_of(environment: Environment, name: str = "asha", clinic: int = AT_CLINIC) -> str | None:
    held = await environment.hold(environment.instant(13 if clinic == AT_CLINIC else 9), clinic, name)
    assert held.code == "reserved", held
    return held.funding


async def test_the_rule_is_what_a_model_says(db: Database, environment: Environment) -> None:
    chance = random.Random(random.randrange(2**32))
    now = await environment.now()
    seen = set()
    for case in range(150):
        person = UUID(int=case + 1)
        near = chance.choice((10, 200, 500))
        missed = [
            (now - timedelta(days=chance.uniform(0, near))).astimezone(UTC) for _ in range(chance.randrange(1, 8))
        ]
        if chance.random() < 0.3:  # to the instant twelve months apart
            missed.append(add_months(missed[0], -12))
        times, months = chance.choice((None, 1, 2, 3, 4)), chance.choice((1, 4, 12))
        await db.execute("UPDATE directory.clinic SET no_shows_max = $1, no_show_months = $2", times, months)
        await db.execute(_MISSED, AT_CLINIC, 1, person, missed)
        expected = online_until(missed, times, months, now)
        assert await db.fetch_value(_UNTIL, person, AT_CLINIC, now) == expected, (missed, times, months)
        assert await db.fetch_value(_UNTIL, person, ONLINE, now) is None
        seen.add(expected is not None)
    assert seen == {True, False}
    await db.execute("DELETE FROM booking.no_show")


@pytest.mark.parametrize("is_plain", [True, False])
async def test_the_third_makes_it_online(environment: Environment, is_plain: bool) -> None:
    if not is_plain:
        await rewrite(environment.db, "booking.hold_plainly", ("\nBEGIN\n", "\nBEGIN\n    RETURN NULL;\n"))
    await misses(environment, 2)
    await misses(environment, 3, "bina")
    assert await funding_of(environment) == "clinic"
    bina = await environment.hold(environment.instant(14), AT_CLINIC, "bina")
    assert (bina.code, bina.funding) == ("reserved", "online")
    # Others of the account, other clinics and what is free are as ever.
    assert bina.booking_id is not None
    assert (await environment.book.release(PROVIDER, bina.booking_id, environment.actor("bina"))).code == "released"
    child = await environment.person("bina")
    other = await environment.hold(environment.instant(14), AT_CLINIC, "bina", person_id=child)
    assert other.funding == "clinic"
    assert other.booking_id is not None
    # Chosen afterwards, it counts, too.
    holder = await environment.db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", environment.ids["bina"]
    )
    named = await environment.book.choose_person(PROVIDER, other.booking_id, holder, environment.actor("bina"))
    assert (named.code, named.funding) == ("named", "online")
    unpaid = await environment.book.confirm(PROVIDER, other.booking_id, None, environment.actor("bina"))
    assert unpaid.code == "payment_required"
    assert (await environment.book.release(PROVIDER, other.booking_id, environment.actor("bina"))).code == "released"
    free = await environment.hold(environment.instant(18), FREE, "bina", OTHER_PROVIDER)
    assert free.funding == "free"
    await environment.db.execute("DELETE FROM booking.no_show")


async def test_the_desk_is_told_until_when(environment: Environment) -> None:
    person = await misses(environment, 3)
    until = await environment.db.fetch_value(_UNTIL, person, AT_CLINIC, await environment.now())
    hold = (PROVIDER, AT_CLINIC, environment.instant(13), 1, environment.ids["asha"], WARD)
    refused = await environment.book.hold(*hold)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retry_at) == ("online_only", until)
    await environment.db.execute("UPDATE directory.clinic SET no_shows_max = NULL")
    assert (await environment.book.hold(*hold)).code == "reserved"
    await environment.db.execute("DELETE FROM booking.no_show")


async def test_an_offer_of_the_queue_follows_the_person(environment: Environment) -> None:
    await misses(environment, 3, "bina", FREE)
    await misses(environment, 3, "bina", AT_CLINIC)
    await environment.db.execute("UPDATE schedule.shift SET ends = starts + interval '30 minutes'")
    held = await environment.hold(environment.instant(13), AT_CLINIC, "asha")
    assert held.booking_id is not None
    joined = await environment.book.join_queue(
        *(PROVIDER, AT_CLINIC, environment.instant(13), environment.instant(16), 1),
        *(environment.ids["bina"], environment.actor("bina")),
    )
    assert joined.code == "waiting"
    assert (await environment.book.release(PROVIDER, held.booking_id, environment.actor("asha"))).code == "released"
    offered = "SELECT funding::text FROM booking.booking WHERE offer"
    assert await environment.db.fetch_value(offered) == "online"
    await environment.db.execute("DELETE FROM booking.no_show")


async def test_whom_the_doctor_left_is_not_missed(db: Database, environment: Environment) -> None:
    """Who was asked to choose another time is not to blame; who came all the same is recorded."""
    booking = await environment.held(AT_CLINIC, 13)
    book = environment.book
    assert (await book.confirm(PROVIDER, booking, None, environment.actor("asha"))).code == "booked"
    day = (environment.day, environment.day + timedelta(days=1))
    assert (await book.add_leave(PROVIDER, None, *day, "", WARD, flag_for_rebooking=True)).code == "changed"
    await environment.pass_until(environment.instant(16, 1))
    record = "SELECT code FROM reception.record(1, $1, 2, $2, 'staff:1')"
    assert await db.fetch_value(record, booking, "miss") == "was_to_rebook"
    assert (await book.attend(PROVIDER, booking, "no_show", WARD)).code == "wrong_state"
    assert await db.fetch_value(record, booking, "arrive") == "recorded"
    correct = "SELECT (booking.correct_attendance(1, $1, 'no_show', 'staff:1')).code"
    assert await db.fetch_value(correct, booking) == "wrong_state"


async def test_who_stands_at_the_desk_pays_there(db: Database, environment: Environment) -> None:
    """The rule is about not coming: of who is there nobody asks it, and of who is overbooked ahead as of any other."""
    await db.execute("UPDATE directory.clinic SET overbook_cap = 3, walk_in_cap = 3")
    taken = await environment.held(AT_CLINIC, 13, "bina")
    assert (await environment.book.confirm(PROVIDER, taken, None, environment.actor("bina"))).code == "booked"
    overbook = "SELECT code, retry_at FROM booking.overbook(1, 2, $1, NULL, $2, NULL, 'fever', 'staff:1', NULL)"
    person = await misses(environment, 3)
    until = await db.fetch_value(_UNTIL, person, AT_CLINIC, await environment.now())
    refused = await db.fetch_row(overbook, environment.instant(13), environment.ids["asha"])
    assert refused is not None
    assert tuple(refused) == ("online_only", until)

    # While a time is free, and when none is any more.
    for name, at, extra in (("asha", (13, 5), None), ("chand", (15, 50), "walk_in")):
        await environment.pass_until(environment.instant(*at))
        here = await misses(environment, 3, name)
        await db.execute("SELECT reception.meet(2, $1, public.app_now())", here)
        row = await db.fetch_row("SELECT * FROM reception.walk_in(1, 2, NULL, $1, '', 'staff:1', NULL)", here)
        assert row is not None
        assert (row["code"], row["funding"], row["fee_minor"]) == ("booked", "clinic", 30000)
        kind = "SELECT extra::text FROM booking.booking WHERE booking_id = $1"
        assert await db.fetch_value(kind, row["booking_id"]) == extra
    await db.execute("DELETE FROM booking.no_show")


async def test_adding_somebody_again_starts_no_new_count(db: Database, environment: Environment) -> None:
    account = environment.ids["asha"]
    child = await environment.person("asha")
    for day in range(3):
        await environment.pass_until(environment.instant(7) + timedelta(days=day))
        held = await environment.hold(environment.instant(13) + timedelta(days=day), AT_CLINIC, person_id=child)
        assert held.booking_id is not None
        confirmed = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor("asha"))
        assert confirmed.code == "booked"
        await environment.pass_until(environment.instant(14) + timedelta(days=day))
        assert (await environment.book.attend(PROVIDER, held.booking_id, "no_show", WARD)).code == "no_show"
    await environment.pass_until(environment.instant(7) + timedelta(days=3))
    assert await db.fetch_value("SELECT booking.remove_person($1, $2)", account, child) == "removed"
    added = "SELECT accounts.add_person($1, $2, $3, NULL, 'unknown')"
    again, other = UUID(int=1), UUID(int=2)
    for person, name in ((again, "CHILD"), (other, "Sibling")):
        assert await db.fetch_value(added, account, person, name) == "added"
    at = environment.instant(13) + timedelta(days=3)
    for person, funding in ((other, "clinic"), (again, "online")):
        held = await environment.hold(at, AT_CLINIC, person_id=person)
        assert held.funding == funding
        assert held.booking_id is not None
        assert (await environment.book.release(PROVIDER, held.booking_id, environment.actor("asha"))).code == "released"
    holder = await environment.hold(at, AT_CLINIC)
    assert holder.funding == "clinic"
    await db.execute("DELETE FROM booking.no_show")


async def test_recording_undoing_and_correcting_keep_count(db: Database, environment: Environment) -> None:
    """At random, by the verbs: what counts is always what is recorded now."""
    chance = random.Random(random.randrange(2**32))
    bookings = []
    for number, name in enumerate(("asha", "bina", "chand")):
        held = await environment.hold(
            environment.instant(13, 30 * (number % 2)) + timedelta(hours=number // 2), 2, name
        )
        assert held.booking_id is not None
        assert (
            await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
        ).code == "booked"
        bookings.append(held.booking_id)
    await environment.pass_until(environment.instant(20))
    done = set()
    for _ in range(60):
        booking, what = chance.choice(bookings), chance.choice(("miss", "undo", "arrive", "booked", "arrived"))
        if what in ("miss", "arrive"):
            code = await db.fetch_value("SELECT code FROM reception.record(1, $1, 2, $2, 'staff:1')", booking, what)
        elif what == "undo":
            code = await db.fetch_value("SELECT code FROM reception.undo(1, $1, 2, 'staff:1')", booking)
        else:
            correct = "SELECT (booking.correct_attendance(1, $1, $2, 'staff:1')).code"
            code = await db.fetch_value(correct, booking, what)
        done.add((what, code))
        counted = await db.fetch("SELECT booking_id FROM booking.no_show")
        recorded = await db.fetch("SELECT booking_id FROM booking.booking WHERE state = 'no_show'")
        assert {row[0] for row in counted} == {row[0] for row in recorded}, (what, code)
    assert ("miss", "recorded") in done
    assert {("undo", "undone"), ("booked", "corrected"), ("arrived", "corrected")} & done
