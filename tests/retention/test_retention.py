"""What is over goes, in small batches, by the owner's function and no other way; what is needed stays."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.ops.check import money_invariants, violations
from healthplus.retention import retention as module
from healthplus.retention.retention import Retention, queries
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment

CODE = re.compile(r"`[^`]+`")
ALL = {"rows_max": 1000, "pause_seconds": 0}


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[Database]:
    """The database as the product uses it: as a role that may delete no event itself."""
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=2) as database:
        yield database


@pytest.fixture
async def forget(app: Database) -> Retention:
    return Retention(app)


async def seen(db: Database, sql: str, *args: object) -> list[Any]:
    return [tuple(row) if len(row) > 1 else row[0] for row in await db.fetch(sql, *args)]


async def bookings(db: Database) -> set[UUID]:
    return set(await seen(db, "SELECT booking_id FROM booking.booking"))


async def lapse(environment: Environment, hour: int, name: str = "asha", clinic_id: int = AT_CLINIC) -> UUID:
    held = await environment.held(clinic_id, hour, name)
    await environment.pass_time(seconds=306)
    await environment.book.advance(PROVIDER)
    return held


async def rest(environment: Environment) -> None:
    """Have the lapses of today forgotten, so that patients may hold again."""
    await environment.pass_time(hours=25)


async def test_holds_that_came_to_nothing_go_after_30_days_with_their_events(
    environment: Environment, db: Database, forget: Retention
) -> None:
    book, asha = environment.book, environment.ids["asha"]
    lapsed = await lapse(environment, 13)
    released = await environment.held(AT_CLINIC, 13)
    assert (await book.release(PROVIDER, released, Patient(asha))).code == "released"
    booked = await environment.held(AT_CLINIC, 14)
    assert (await book.confirm(PROVIDER, booked, None, Patient(asha))).code == "booked"
    cancelled = await environment.held(AT_CLINIC, 15, "bina")
    await book.confirm(PROVIDER, cancelled, None, Patient(environment.ids["bina"]))
    await book.cancel(PROVIDER, cancelled, Patient(environment.ids["bina"]))
    kept = "SELECT booking_id, kind FROM booking.event WHERE booking_id = ANY ($1) ORDER BY seq"
    before = await seen(db, kept, [booked, cancelled])
    version = await db.fetch_value("SELECT version FROM booking.book WHERE provider_id = $1", PROVIDER)

    await environment.pass_time(days=29)
    await forget.forget(**ALL)
    assert await bookings(db) == {lapsed, released, booked, cancelled}
    await environment.pass_time(days=1, hours=1)
    await forget.forget(**ALL)
    assert await bookings(db) == {booked, cancelled}
    assert await seen(db, "SELECT DISTINCT booking_id FROM booking.event WHERE booking_id IS NOT NULL") != []
    assert await seen(db, kept, [booked, cancelled]) == before
    assert await seen(db, kept, [lapsed, released]) == []
    assert await seen(db, "SELECT provider_id, forgotten_events FROM retention.progress") == [(PROVIDER, 4)]
    await forget.forget(**ALL)  # what was counted is not counted again
    assert await violations(db) + await violations(db, money_invariants) == []

    # The book goes on where it was, and nobody is told of what is gone.
    await environment.book.advance(PROVIDER)
    again = await environment.hold(
        await db.fetch_value("SELECT $1::timestamptz + interval '35 days'", environment.instant(13)), AT_CLINIC
    )
    assert (again.code, again.version) == ("reserved", version + 1)
    assert await violations(db) == []


async def test_what_money_was_set_aside_for_stays(environment: Environment, db: Database, forget: Retention) -> None:
    book, asha = environment.book, Patient(environment.ids["asha"])
    paid_late = await lapse(environment, 9, clinic_id=ONLINE)
    assert (await book.confirm(PROVIDER, paid_late, "late money", asha)).code == "booked"
    await rest(environment)
    looked_for = await lapse(environment, 10, "bina", ONLINE)
    looked_up = await lapse(environment, 10, "chand", ONLINE)
    await db.execute(
        """INSERT INTO payments.intent (provider_id, hold_id, amount_minor, asked_at, check_at)
        SELECT $1, hold_id, 50000, public.app_now(), CASE WHEN hold_id = $2::uuid THEN public.app_now() END
        FROM unnest(ARRAY[$2::uuid, $3::uuid]) AS hold_id""",
        PROVIDER,
        looked_for,
        looked_up,
    )
    all_before = await bookings(db)
    await environment.pass_time(days=32)
    await forget.forget(**ALL)
    assert all_before - await bookings(db) == {looked_up}
    assert await seen(db, "SELECT hold_id FROM payments.intent") == [looked_for]
    assert {paid_late, looked_for} < await bookings(db)
    assert len(await bookings(db)) == 3  # and what the late money booked in its place


async def test_offers_go_and_the_queue_stays(environment: Environment, db: Database, forget: Retention) -> None:
    """What happened in the queue stays for all to see, and holds for its chain, its tickets and their order."""
    book, evening = environment.book, environment.instant(18)
    held = await environment.held(FREE, 18)
    for name in ("bina", "chand"):
        joined = await book.join_queue(
            PROVIDER, FREE, evening, evening + timedelta(minutes=30), 1, environment.ids[name], environment.actor(name)
        )
        assert joined.code == "waiting"
    await book.release(PROVIDER, held, environment.actor("asha"))
    for _ in range(4):  # offers that nobody takes
        await environment.pass_time(seconds=66)
        await book.advance(PROVIDER)
    offers = await seen(db, "SELECT booking_id FROM booking.booking WHERE ticket_id IS NOT NULL")
    assert offers
    queue = "SELECT entry, kind, hash FROM booking.queue_entry ORDER BY entry"
    tickets = "SELECT seq, kind FROM booking.event WHERE ticket_id IS NOT NULL AND booking_id IS NULL ORDER BY seq"
    await environment.pass_time(days=31)
    await book.advance(PROVIDER)  # the tickets end
    before = await seen(db, queue), await seen(db, tickets)
    await forget.forget(**ALL)
    assert await bookings(db) == set()
    assert (await seen(db, queue), await seen(db, tickets)) == before
    assert await violations(db) == []


@pytest.mark.parametrize("rows_max", [1, 3, 1000])
async def test_in_small_batches_and_again_where_it_broke_off(
    environment: Environment, db: Database, app: Database, rows_max: int
) -> None:
    for provider in (PROVIDER, OTHER_PROVIDER):
        for hour in (13, 14, 15):
            outcome = await environment.hold(environment.instant(hour), AT_CLINIC, "asha", provider)
            assert outcome.booking_id
            await environment.book.release(provider, outcome.booking_id, environment.actor("asha"))
    stays = await environment.held(AT_CLINIC, 13)
    await environment.book.confirm(PROVIDER, stays, None, environment.actor("asha"))
    await environment.pass_time(days=31)
    left = [len(await bookings(db))]
    after: int | None = 0
    while after is not None:
        after = await app.fetch_value(queries.forget, after, rows_max)
        left.append(len(await bookings(db)))
        assert await violations(db) == []  # also between two batches
        if len(left) == 4:
            after = 0  # another process begins
    assert (left[0], left[-1]) == (7, 1)
    # A batch of so many events ends as many holds at most.
    assert all(before - now <= rows_max for before, now in itertools.pairwise(left))


async def test_one_process_at_a_time(environment: Environment, db: Database, app: Database) -> None:
    lapsed = await lapse(environment, 13)
    await environment.pass_time(days=31)
    async with db.transaction() as another:
        await another.execute("SELECT pg_advisory_xact_lock(18, 4)")
        assert await app.fetch_value(queries.forget, 0, 1000) is None
        assert await bookings(db) == {lapsed}
    assert await app.fetch_value(queries.forget, 0, 1000) is not None
    assert await bookings(db) == set()


OLD_ROWS = {
    "backup.restore_rehearsal": (
        "INSERT INTO backup.restore_rehearsal (at, problem) VALUES ($1, $2)",
        timedelta(days=400),
    ),
    "accounts.idempotency": (
        "INSERT INTO accounts.idempotency (patient_id, operation, key_hash, request_hash, at) "
        "SELECT min(patient_id), 'x', $2::text::bytea, '', $1 FROM accounts.patient",
        timedelta(hours=24),
    ),
    "accounts.session": (
        "INSERT INTO accounts.session (token_hash, patient_id, expires_at) "
        "SELECT sha256($2::text::bytea), min(patient_id), $1 FROM accounts.patient",
        timedelta(days=30),
    ),
    "booking.idempotency": (
        "INSERT INTO booking.idempotency VALUES (1, 'x', 'y', $2, '', '{}', $1)",
        timedelta(hours=24),
    ),
    "booking.presence": (
        "INSERT INTO booking.presence VALUES (1, md5($2)::uuid, $1)",
        timedelta(days=1),
    ),
    "notices.notice": (
        "INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, created_at, until, due_at) "
        "SELECT 1, 'sms', 'booked', min(patient_id), md5($2)::uuid, $1, $1, NULL FROM accounts.patient",
        timedelta(days=90),
    ),
    "staff.ask": (
        "INSERT INTO staff.ask (clinic_id, provider_id, booking_id, kind, wish, seen, reason, asked_by, asked_at) "
        "SELECT 1, 1, md5($2)::uuid, 'cancel', '{}', '{}', 'x', "
        "staff.add_account('a' || left(md5($2), 9), 'x', NULL, 'system:tests'), $1",
        timedelta(days=400),
    ),
    "payments.money_case": (
        "INSERT INTO payments.money_case (account, kind, name, amount_minor, currency, ours, theirs, found_at, "
        "seen_at, closed_at, closed_by) SELECT 'x', 'kept', $2, 1, 'INR', '', '', $1, $1, $1, 'staff:1'",
        timedelta(days=8 * 365 + 2),
    ),
    "payments.settlement": (
        "INSERT INTO payments.settlement (account, name, settled_at, currency, read_at) "
        "VALUES ('x', $2, $1, 'INR', $1)",
        timedelta(days=8 * 365 + 2),
    ),
    "payments.webhook_event": (
        "INSERT INTO payments.webhook_event VALUES (1, $2, gen_random_uuid(), 'x', 'captured', $1)",
        timedelta(days=30),
    ),
}
"""Tables whose rows have a time to live beside those that tests of their own cover, with how to add a row of an age."""


@pytest.mark.parametrize("table", OLD_ROWS)
async def test_each_table_forgets_what_is_over(
    environment: Environment, db: Database, forget: Retention, table: str
) -> None:
    add, kept = OLD_ROWS[table]
    before = await db.fetch_value(f"SELECT count(*) FROM {table}")
    now = await environment.now()
    for number in range(5):
        await db.execute(add, now - kept - timedelta(minutes=1), f"old {number}")
    await db.execute(add, now - kept + timedelta(minutes=5), "young")
    await forget.forget(rows_max=2, pause_seconds=0)
    assert await db.fetch_value(f"SELECT count(*) FROM {table}") == before + 1


async def test_what_another_has_locked_is_left(environment: Environment, db: Database, app: Database) -> None:
    add, kept = OLD_ROWS["booking.idempotency"]
    old = await environment.now() - kept - timedelta(minutes=1)
    for name in ("locked", "free"):
        await db.execute(add, old, name)
    async with db.transaction() as another:
        await another.execute("SELECT FROM booking.idempotency WHERE key = 'locked' FOR UPDATE")
        await app.fetch_value(queries.forget, 0, 1000)
        assert await seen(db, "SELECT key FROM booking.idempotency") == ["locked"]
    await app.fetch_value(queries.forget, 0, 1000)
    assert await seen(db, "SELECT key FROM booking.idempotency") == []


@pytest.mark.breaks_invariants
async def test_an_event_that_went_any_other_way_is_found(
    environment: Environment, db: Database, forget: Retention
) -> None:
    await lapse(environment, 13)
    await lapse(environment, 14)
    await environment.pass_time(days=31)
    await forget.forget(**ALL)
    stays = await environment.db.fetch_value("SELECT count(*) FROM booking.event")
    assert stays == 0
    assert await violations(db) == []
    held = await environment.hold(
        await db.fetch_value("SELECT $1::timestamptz + interval '35 days'", environment.instant(13)), AT_CLINIC
    )
    assert held.code == "reserved"
    await db.execute(as_owner("DELETE FROM booking.event_log", "booking.event_log"))
    assert "events_without_gaps" in {violation.invariant for violation in await violations(db)}


async def test_the_background_task_outlives_errors(
    db: Database, app: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)
    await db.execute("ALTER TABLE accounts.idempotency RENAME TO hidden")
    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(Retention(app).run())
        await until(lambda: "could not be deleted" in caplog.text)
    assert not task.done()
    await db.execute("ALTER TABLE accounts.hidden RENAME TO idempotency")
    add, kept = OLD_ROWS["booking.idempotency"]
    now = await Book(db).now()
    await db.execute(add, now - kept - timedelta(minutes=1), "old")

    async def forgotten() -> bool:
        return await seen(db, "SELECT key FROM booking.idempotency") == []

    await until(forgotten)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_faults_go_after_30_days_and_processes_that_were_killed_after_an_hour(
    db: Database, environment: Environment, forget: Retention
) -> None:
    fault = """INSERT INTO monitoring.error (fingerprint, hour, times, first_at, last_at, type, place, route, release)
        SELECT $1, date_trunc('hour', now_at), 1, now_at, now_at, 'E', 'p', 'r', 4 FROM public.app_now() AS now_at"""
    lives = """INSERT INTO monitoring.process (machine, pid, release, started_at, seen_at, tasks)
        SELECT $1, 1, 4, now_at, now_at, '{}' FROM public.app_now() AS now_at"""
    await db.execute(fault, "old")
    await db.execute(lives, "killed")
    await environment.pass_time(days=29)
    await db.execute(fault, "new")
    await db.execute(lives, "alive")
    await forget.forget(**ALL)
    assert await seen(db, "SELECT fingerprint FROM monitoring.error ORDER BY 1") == ["new", "old"]
    assert await seen(db, "SELECT machine FROM monitoring.process") == ["alive"]
    await environment.pass_time(days=2)
    await forget.forget(**ALL)
    assert await seen(db, "SELECT fingerprint FROM monitoring.error") == ["new"]


async def test_the_document_lists_every_table(db: Database) -> None:
    document = (Path(__file__).parents[2] / "docs" / "retention.md").read_text("utf-8")
    tables = await seen(
        db,
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> ALL ($1)",
        ["pg_catalog", "information_schema"],
    )
    assert len(tables) > 30
    listed = set(CODE.findall(document))
    assert [table for table in tables if not {"`{}.{}`".format(*table), f"`{table[0]}.*`"} & listed] == []
