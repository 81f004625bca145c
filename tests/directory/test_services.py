"""What providers offer, and the terms of clinics: kept by functions that change nothing that is held or booked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Patient
from healthplus.database import Database, PostgresError
from healthplus.directory.known_services import KnownServices
from healthplus.directory.ladder import HOURS_MAX, STEPS_MAX, Step, ladder_text, parse_ladder
from healthplus.directory.service_text import Service
from healthplus.directory.services import put_service
from healthplus.directory.terms import put_terms, set_terms
from healthplus.errors import BadInput, NotFound
from healthplus.money import FEE_MINOR_MAX
from healthplus.ops.check import invariants
from tests.directory.test_service_text import ladders
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.fixtures.races import PAUSE, rewrite, without_plain_case

EXAMPLES = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HELD_UP = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def put(db: Database, fee_minor: int, clinic_id: int | None = ONLINE, **facts: Any) -> tuple[str, int]:
    """Offer a scaling; return what was done, and the id of the service."""
    service = Service(**{"name": "Scaling", "is_test": False, "length_minutes": 60, **facts}, fee_minor=fee_minor)
    did, row = await put_service(db, PROVIDER, clinic_id, service, "INR")
    return did, row["service_id"]


async def hold(environment: Environment, service_id: int, hour: int = 9, name: str = "asha") -> Any:
    patient_id, at = environment.ids[name], environment.instant(hour)
    who = Patient(patient_id)
    return await environment.book.hold(PROVIDER, ONLINE, at, 1, patient_id, who, service_ids=[service_id])


async def booking(db: Database, booking_id: UUID | None) -> Any:
    return await db.fetch_row("SELECT * FROM booking.booking WHERE booking_id = $1", booking_id)


async def test_a_service_is_closed_where_it_differs_and_kept_by_those_who_hold_it(environment: Environment) -> None:
    db = environment.db
    added = await put(db, 80000)
    assert added[0] == "added"
    assert await put(db, 80000) == ("unchanged", added[1])
    held = await hold(environment, added[1])
    assert (held.code, held.fee_minor) == ("reserved", 80000)
    changed = await put(db, 90000)
    assert changed[0] == "changed"
    refused = await hold(environment, added[1], 10, "bina")
    assert (refused.code, refused.reason) == ("no_such_slot", "service_closed")
    assert (await hold(environment, changed[1], 10, "bina")).fee_minor == 90000
    kept = await booking(db, held.booking_id)
    assert (kept["fee_minor"], kept["service_ids"]) == (80000, [added[1]])
    # At another clinic it is another service, as it is at all of them; where a clinic has its own, that counts.
    everywhere, elsewhere = [await put(db, 95000, clinic_id) for clinic_id in (None, AT_CLINIC)]
    assert (everywhere[0], elsewhere[0]) == ("added", "added")
    assert await db.fetch_value("SELECT count(*) FROM directory.service WHERE closed_at IS NULL") == 3
    offered = "SELECT array_agg(service_id) FROM directory.offered_services($1, $2)"
    for clinic_id, (_, service_id) in (
        (ONLINE, changed),
        (AT_CLINIC, elsewhere),
        (FREE, everywhere),
    ):
        assert await db.fetch_value(offered, PROVIDER, clinic_id) == [service_id]
    assert await db.fetch_value(offered, PROVIDER, None) is None  # not the same at whichever clinic
    refused = await hold(environment, everywhere[1], 11, "bina")
    assert (refused.code, refused.reason) == ("no_such_slot", "service_closed")


async def test_what_is_left_out_is_as_visits_are(environment: Environment) -> None:
    db = environment.db
    types = [{"slug": "a", "name": "A", "is_test": True}, {"slug": "a", "name": "Other", "is_test": True}]
    assert await db.fetch_value("SELECT directory.put_service_types($1)", types[:1]) == 1
    assert await db.fetch_value("SELECT directory.put_service_types($1)", types[1:]) == 0
    given = [
        {"provider_id": PROVIDER, "clinic_id": clinic_id, "service_type": "a", "is_test": True, "fee_minor": fee_minor}
        for clinic_id, fee_minor in ((None, 100), (ONLINE, 100), (AT_CLINIC, 100), (FREE, 0))
    ]
    await db.execute("SELECT directory.put_services($1)", given)
    rows = await db.fetch(
        """SELECT clinic_id, length_minutes, buffer_minutes, starts_every, weekdays, allows_more_a_day, currency,
            funding::text, opened_at = max(opened_at) OVER () FROM directory.service ORDER BY clinic_id NULLS FIRST"""
    )
    same = (0, 0, 1, 127, False, "INR")
    assert [tuple(row) for row in rows] == [
        (None, *same, "online", True),
        (ONLINE, *same, "online", True),
        (AT_CLINIC, *same, "clinic", True),
        (FREE, *same, "free", True),
    ]


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_of_two_who_change_a_service_at_once_the_later_sees_the_earlier(
    environment: Environment, is_guarded: bool
) -> None:
    db = environment.db
    await put(db, 10000)
    if not is_guarded:
        await rewrite(db, "directory.put_services", ("FOR NO KEY UPDATE", ""))
    async with db.transaction() as other:
        await other.execute("SELECT FROM directory.provider WHERE provider_id = $1 FOR UPDATE", PROVIDER)
        if not is_guarded:
            await other.execute("SELECT FROM directory.service FOR UPDATE")
        tasks = [asyncio.create_task(put(db, fee)) for fee in (20000, 30000)]

        async def wait() -> bool:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'put_services'"
            return bool(await db.fetch_value(waiting) == 2)

        await until(wait)
    did = sorted([done[0] for done in await asyncio.gather(*tasks)])
    assert did == (["changed", "changed"] if is_guarded else ["changed", "unchanged"])
    opens = "SELECT count(*) FILTER (WHERE closed_at IS NULL), count(*) FROM directory.service"
    assert tuple(await db.fetch_row(opens) or ()) == (1, 3 if is_guarded else 2)


async def test_a_hold_that_has_looked_keeps_the_service_and_closing_does_not_wait_for_it(
    environment: Environment,
) -> None:
    db = environment.db
    _, service_id = await put(db, 80000)
    await without_plain_case(db)
    looked = "held.booking_id := booking.new_id("
    await rewrite(db, "booking.hold_in_book", (looked, f"PERFORM pg_advisory_xact_lock_shared({PAUSE}); {looked}"))
    async with db.transaction() as pause:
        await pause.execute("SELECT pg_advisory_xact_lock($1)", PAUSE)
        holding = asyncio.create_task(hold(environment, service_id))
        await until(lambda: db.fetch_value(HELD_UP))
        assert (await asyncio.wait_for(put(db, 90000), 10))[0] == "changed"
        assert not holding.done()
    held = await holding
    assert (held.code, held.fee_minor, held.service_ids) == ("reserved", 80000, [service_id])


async def test_a_hold_that_comes_after_is_refused(environment: Environment) -> None:
    db = environment.db
    _, service_id = await put(db, 80000)
    async with db.transaction() as gate:
        await gate.execute("SELECT pg_advisory_xact_lock($1)", PROVIDER)
        holding = asyncio.create_task(hold(environment, service_id))
        await until(lambda: db.fetch_value(HELD_UP))
        await put(db, 90000)
    refused = await holding
    assert (refused.code, refused.reason) == ("no_such_slot", "service_closed")


async def test_a_service_in_another_currency_is_none_of_a_clinics(environment: Environment) -> None:
    """A booking's amount is in its clinic's currency: 800 rupees must not become 800 dollars."""
    db = environment.db
    await db.execute("UPDATE directory.clinic SET currency = 'USD' WHERE clinic_id = $1", FREE)
    _, service_id = await put(db, 80000, None, length_minutes=30)
    patient_id, at = environment.ids["asha"], environment.instant(18)
    who = Patient(patient_id)
    refused: Any = await environment.book.hold(PROVIDER, FREE, at, 1, patient_id, who, service_ids=[service_id])
    assert (refused.code, refused.reason) == ("no_such_slot", "no_such_service")
    assert (await hold(environment, service_id)).code == "reserved"
    assert await db.fetch_value("SELECT count(*) FROM directory.offered_services($1, $2)", PROVIDER, FREE) == 0
    # Who waits for it at any clinic is offered no time there, and blocks nobody.
    bina, begins = environment.ids["bina"], environment.instant(18)
    joined: Any = await environment.book.join_queue(
        PROVIDER, None, begins, begins + timedelta(hours=2), 1, bina, Patient(bina), service_ids=[service_id]
    )
    assert (joined.code, joined.reason) == ("slot_full", None)


async def test_a_clinic_keeps_its_currency_for_services_and_amounts_in_terms(environment: Environment) -> None:
    db = environment.db
    change = "UPDATE directory.clinic SET currency = $2 WHERE clinic_id = $1"
    await put(db, 100, FREE, funding="clinic")
    with pytest.raises(PostgresError, match="Clinic 3 has fees"):
        await db.execute(change, FREE, "USD")
    await put(db, 0, FREE)
    await set_terms(db, FREE, "scaling", "24h:50%")
    await db.execute(change, FREE, "USD")
    await set_terms(db, FREE, "scaling", "24h:50")
    with pytest.raises(PostgresError, match="Clinic 3 has fees"):
        await db.execute(change, FREE, "INR")
    await set_terms(db, FREE, "scaling", "none")
    await db.execute(change, FREE, "INR")
    await set_terms(db, FREE, None, "24h:50")
    with pytest.raises(PostgresError, match="Clinic 3 has fees"):
        await db.execute(change, FREE, "USD")


async def test_a_name_may_be_a_visits_and_a_tests(environment: Environment) -> None:
    db = environment.db
    names = [("Scaling", False), ("scaling", True), ("Scaling test", True), ("scaling TEST", False), ("Scaling", True)]
    did = [await put(db, 100 + number, name=name, is_test=kind) for number, (name, kind) in enumerate(names)]
    assert [what for what, _ in did] == ["added"] * 4 + ["changed"]
    rows = await db.fetch(
        """SELECT slug, service_type.name, is_test, fee_minor FROM directory.service
        JOIN directory.service_type USING (service_type_id) WHERE closed_at IS NULL ORDER BY service_id"""
    )
    assert [tuple(row) for row in rows] == [
        ("scaling", "Scaling", False, 100),
        ("scaling-test-test", "Scaling test", True, 102),
        ("scaling-test-visit", "scaling TEST", False, 103),
        ("scaling-test", "scaling", True, 104),
    ]
    with pytest.raises(BadInput, match="a visit lasts 1 to 720 minutes"):
        await put(db, 100, name="Other", length_minutes=0)
    assert await db.fetch_value("SELECT count(*) FROM directory.service_type") == 4


async def test_new_holds_get_the_terms_and_old_ones_keep_theirs(environment: Environment) -> None:
    db = environment.db
    _, service_id = await put(db, 80000)

    async def terms_of(outcome: Any) -> int | None:
        terms_id: int | None = (await booking(db, outcome.booking_id))["terms_id"]
        assert outcome.terms_id == terms_id
        return terms_id

    before = await hold(environment, service_id, 9, "asha")
    assert await set_terms(db, ONLINE, None, "24h:0%, 4h:50%, 2h:100%") == "24h:0%, 4h:50%, 2h:100%"
    between = await hold(environment, service_id, 10, "bina")
    assert await set_terms(db, ONLINE, "scaling", "24h:200") == "24h:200"
    after = await hold(environment, service_id, 11, "chand")
    terms = [await terms_of(outcome) for outcome in (before, between, after)]
    assert terms[0] is None
    assert None not in terms[1:]
    assert terms[1] != terms[2]
    # For a visit without services, and for one whose own terms were taken away, the clinic's count.
    for name in ("asha", "bina"):
        ids = before.booking_id if name == "asha" else between.booking_id
        assert (await environment.book.release(PROVIDER, ids, environment.actor(name))).code == "released"
    assert await terms_of(await environment.hold(environment.instant(9))) == terms[1]
    assert await set_terms(db, ONLINE, "scaling", "none") == "none"
    assert await terms_of(await hold(environment, service_id, 10, "bina")) == terms[1]
    with pytest.raises(NotFound, match="No service has the slug 'root-canal'"):
        await set_terms(db, ONLINE, "root-canal", "24h:50%")
    with pytest.raises(BadInput, match="the closer the visit"):
        await set_terms(db, ONLINE, None, "24h:50%, 2h:10%")
    assert await set_terms(db, ONLINE, None, "none") == "none"
    assert await db.fetch_value("SELECT terms_id FROM directory.clinic WHERE clinic_id = $1", ONLINE) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE directory.service SET fee_minor = 1",
        "UPDATE directory.service SET closed_at = NULL",
        "UPDATE directory.service SET closed_at = public.app_now(), length_minutes = 5",
        "UPDATE directory.terms_step SET kept_percent = 1",
        "DELETE FROM directory.terms",
    ],
)
async def test_services_and_terms_are_never_changed(environment: Environment, change: str) -> None:
    await put(environment.db, 80000)
    await set_terms(environment.db, ONLINE, None, "24h:50%")
    with pytest.raises(PostgresError, match=r"never changed|takes new rows only"):
        await environment.db.execute(change)


def kept(steps: tuple[Step, ...], fee_minor: int, before: timedelta) -> int:
    """Return what a ladder keeps of a fee when a visit is cancelled so long before it begins."""
    reached = [step for step in steps if before < timedelta(hours=step.hours_before)]
    if not reached:
        return 0
    last = reached[-1]
    if last.kept_minor is not None:
        return min(fee_minor, last.kept_minor)
    assert last.kept_percent is not None
    return (fee_minor * last.kept_percent + 50) // 100


@EXAMPLES
@given(
    steps=ladders(),
    fee_minor=st.sampled_from([0, 1, FEE_MINOR_MAX]) | st.integers(0, FEE_MINOR_MAX),
    minutes=st.lists(st.integers(0, HOURS_MAX * 60), max_size=8),
)
async def test_a_ladder_keeps_what_it_says(
    db: Database, steps: tuple[Step, ...], fee_minor: int, minutes: list[int]
) -> None:
    terms_id = await put_terms(db, steps)
    assert await put_terms(db, steps) == terms_id
    start = datetime(2030, 1, 1, 9, tzinfo=UTC)
    around = [timedelta(hours=step.hours_before) for step in steps]
    before = sorted({timedelta(minutes=m) for m in minutes} | {at - timedelta.resolution for at in around} | {*around})
    rows = await db.fetch(
        """SELECT directory.kept_minor($1, $2, starts_at, starts_at - before)
        FROM unnest($4::interval[]) WITH ORDINALITY AS cancelling(before, number)
        CROSS JOIN (SELECT $3::timestamptz AS starts_at) AS visit ORDER BY number""",
        terms_id,
        fee_minor,
        start,
        before,
    )
    found = [row[0] for row in rows]
    assert found == [kept(steps, fee_minor, one) for one in before]
    assert found == sorted(found, reverse=True)


@pytest.mark.breaks_invariants
@EXAMPLES
@given(
    hours=st.lists(st.integers(1, HOURS_MAX), unique=True, max_size=STEPS_MAX + 1),
    parts=st.lists(st.booleans(), min_size=STEPS_MAX + 1, max_size=STEPS_MAX + 1) | st.just([True] * (STEPS_MAX + 1)),
    amounts=st.lists(st.integers(0, 100), min_size=STEPS_MAX + 1, max_size=STEPS_MAX + 1),
    is_sorted=st.booleans(),
)
async def test_the_check_of_the_data_and_the_command_agree_on_what_a_ladder_is(
    db: Database, hours: list[int], parts: list[bool], amounts: list[int], is_sorted: bool
) -> None:
    kept_ones = sorted(amounts[: len(hours)]) if is_sorted else amounts
    steps = [
        Step(hour, one if is_part else None, None if is_part else one)
        for hour, is_part, one in zip(sorted(hours, reverse=True), parts, kept_ones, strict=False)
    ]
    terms_id = await db.fetch_value("INSERT INTO directory.terms DEFAULT VALUES RETURNING terms_id")
    await db.execute_many(
        "INSERT INTO directory.terms_step (terms_id, hours_before, kept_percent, kept_minor) VALUES ($1, $2, $3, $4)",
        [(terms_id, step.hours_before, step.kept_percent, step.kept_minor) for step in steps],
    )
    is_ladder = bool(steps)  # no terms at all are none, and no row of these
    try:
        parse_ladder(ladder_text(steps, "INR"), "INR")
    except BadInput:
        is_ladder = False
    broken = f"SELECT count(*) FROM ({invariants.ladders_are_ladders}) AS found WHERE terms_id = $1"
    assert (await db.fetch_value(broken, terms_id) == 0) == is_ladder


async def test_what_is_to_be_done_before_reaches_who_has_booked(environment: Environment) -> None:
    """A service is never changed; this is, also before a service that was closed for another price."""
    db, known = environment.db, KnownServices(environment.db)
    _, old = await put(db, 80000, preparation="Eat nothing for 10 hours.")
    assert await known.preparations([old]) == {old: "Eat nothing for 10 hours."}
    did, new = await put(db, 90000)  # what is not said stays
    assert (did, new != old) == ("changed", True)
    assert await put(db, 90000, preparation="Eat nothing for 12 hours.") == ("changed", new)
    assert await put(db, 90000, preparation="Eat nothing for 12 hours.") == ("unchanged", new)
    assert await known.preparations([old, new]) == dict.fromkeys([old, new], "Eat nothing for 12 hours.")
    _, other = await put(db, 90000, AT_CLINIC)  # at another clinic nothing was said
    assert await known.preparations([other]) == {}
    assert await put(db, 90000, preparation="") == ("changed", new)
    assert await known.preparations([old, new]) == {}
