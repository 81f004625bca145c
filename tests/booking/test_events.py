"""What an event keeps of who did it, and how the events of the release before come to be kept so, too."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

import healthplus
from healthplus.accounts.actors import Staff
from healthplus.database import Database, Record
from healthplus.database.functions import split
from healthplus.ops.check import violations
from tests.fixtures.append_only import as_owner
from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment
from tests.notices.sending import give_addresses

MIGRATIONS = Path(healthplus.__file__).parent / "database" / "migrations"
SHOWN = "SELECT * FROM booking.event ORDER BY provider_id, seq"
KEPT = "SELECT * FROM booking.event_log ORDER BY provider_id, seq"
NOTICES = "SELECT count(*) FROM notices.notice"
# As the release before had them.
PUT_BACK = as_owner(
    """CREATE TABLE public.old AS SELECT * FROM booking.event;
    TRUNCATE booking.event_log;
    INSERT INTO booking.event_of_release_2 SELECT * FROM public.old;
    DROP TABLE public.old""",
    "booking.event_log",
)


async def append(
    environment: Environment, actor: str, booking_id: UUID | None, ticket_id: UUID | None = None
) -> Record:
    """Append an event; return it as it is kept, with the actor and the reason that are shown."""
    await environment.db.execute(
        "SELECT booking.append_event($1, public.app_now(), 'named', $2, $3, $4)", PROVIDER, booking_id, ticket_id, actor
    )
    row = await environment.db.fetch_row(
        """SELECT event_log.actor, event_log.reason, event.actor AS shown, event.reason AS shown_reason
        FROM booking.event_log JOIN booking.event USING (provider_id, seq) ORDER BY seq DESC LIMIT 1"""
    )
    assert row is not None
    return row


async def waiting(environment: Environment, name: str) -> UUID:
    evening = environment.instant(18)
    joined = await environment.book.join_queue(
        PROVIDER, FREE, evening, environment.instant(19), 1, environment.ids[name], environment.actor(name)
    )
    assert joined.ticket_id is not None, joined
    return joined.ticket_id


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(
    "actor", ["system", "system:import", "staff:7", "staff:", "patient:0", "patient:1x", "", "7", "nobody"]
)
async def test_each_actor_is_shown_as_written(environment: Environment, actor: str) -> None:
    """Also an actor of no known form: that events record it is how it is found out."""
    await environment.held(FREE, 18)
    for ids in (
        (await environment.held(hour=9, name="bina"), None),
        (None, await waiting(environment, "chand")),
        (None, None),
    ):
        assert tuple(await append(environment, actor, *ids)) == (actor, None, actor, "")


@pytest.mark.breaks_invariants
async def test_only_the_patient_whose_it_is_is_not_written_down(environment: Environment) -> None:
    await environment.held(FREE, 18)
    asha, bina, chand = (str(environment.actor(name)) for name in ("asha", "bina", "chand"))
    booking, ticket = await environment.held(hour=9, name="bina"), await waiting(environment, "chand")
    for kept, actor, *ids in (
        (None, bina, booking, None),
        (None, bina, booking, ticket),  # the booking's patient counts: an offer may go to another's ticket
        (None, chand, None, ticket),
        (asha, asha, booking, None),
        (chand, chand, booking, ticket),
        (bina, bina, None, ticket),
        (bina, bina, None, None),
    ):
        row = await append(environment, actor, *ids)
        assert (row["actor"], row["shown"]) == (kept, actor)


async def test_what_a_patient_does_with_a_booking_takes_64_bytes(environment: Environment, db: Database) -> None:
    """A ninth column, or another order, costs each event eight bytes more."""
    await environment.held()
    sizes = await db.fetch(
        "SELECT pg_column_size(event_log), num_nulls(ticket_id, actor, reason) FROM booking.event_log"
    )
    assert [tuple(row) for row in sizes] == [(64, 3)]


async def test_every_state_is_a_kind_of_event(db: Database) -> None:
    missing = """SELECT unnest(enum_range(NULL::booking.booking_state)::text[])
        UNION ALL SELECT unnest(enum_range(NULL::booking.ticket_state)::text[])
        EXCEPT SELECT unnest(enum_range(NULL::booking.event_kind)::text[])"""
    assert await db.fetch(missing) == []


async def lived_in(environment: Environment) -> None:
    """Have patients, the staff and time change bookings and the queue, and some be told of it."""
    book = environment.book
    await give_addresses(environment.db, [environment.ids["asha"]], email=True)
    paid = await environment.held(hour=9)
    assert (await book.confirm(PROVIDER, paid, "paid", environment.actor("asha"))).code == "booked"
    morning = environment.instant(8), environment.instant(12)
    flagged = await book.add_leave(PROVIDER, None, *morning, "", Staff(1), flag_for_rebooking=True)
    assert flagged.code == "changed"
    evening = await environment.held(FREE, 18, "bina")
    ticket = await waiting(environment, "chand")
    assert (await book.release(PROVIDER, evening, environment.actor("bina"))).code == "released"
    assert (await book.accept(PROVIDER, ticket, environment.actor("chand"))).code == "accepted"


def mover() -> str:
    """Return the statement that moves what the release before left."""
    (file,) = MIGRATIONS.glob("*_events.after.sql")
    statement, _ = split(file.read_text("utf-8"))
    return statement


async def test_old_events_are_moved_and_say_what_they_said(environment: Environment, db: Database) -> None:
    await lived_in(environment)
    shown, kept, notices = await db.fetch(SHOWN), await db.fetch(KEPT), await db.fetch_value(NOTICES)
    kinds = {"reserved", "booked", "leave_changed", "needs_rebooking", "waiting", "accepted"}
    assert {row["kind"] for row in shown} >= kinds
    assert {row["actor"] for row in kept} == {None, "system", "staff:1"}
    assert {row["reason"] for row in kept} == {None, "leave_changed"}
    assert notices > 0
    await db.execute(PUT_BACK)
    assert (await db.fetch(SHOWN), await db.fetch(KEPT)) == (shown, [])
    assert await violations(db) == []  # with the moving under way, nothing is wrong
    await environment.held(AT_CLINIC, 14, "bina")
    newest = await db.fetch(KEPT)
    shown += [row for row in await db.fetch(SHOWN) if row["seq"] == newest[0]["seq"]]
    await db.execute(mover())
    assert (await db.fetch(SHOWN), await db.fetch(KEPT)) == (shown, kept + newest)
    assert await db.fetch_value("SELECT count(*) FROM booking.event_of_release_2") == 0
    assert await db.fetch_value(NOTICES) == notices  # nobody is told again
    for table in ("event_log", "event_of_release_2"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="takes new rows only"):
            await db.execute(f"DELETE FROM booking.{table}")


async def test_moving_goes_on_where_it_broke_off(environment: Environment, db: Database) -> None:
    await lived_in(environment)
    shown, kept = await db.fetch(SHOWN), await db.fetch(KEPT)
    await db.execute(PUT_BACK)
    by_twos = mover().replace("LIMIT 5000", "LIMIT 2")
    assert by_twos != mover()
    await db.execute("ALTER TABLE booking.event_log ADD CONSTRAINT no_further CHECK (seq <> 6)")
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute(by_twos)
    assert (await db.fetch(KEPT), await db.fetch(SHOWN)) == (kept[:4], shown)
    await db.execute("ALTER TABLE booking.event_log DROP CONSTRAINT no_further")
    await db.execute(by_twos)
    assert (await db.fetch(KEPT), await db.fetch(SHOWN)) == (kept, shown)
