"""A book's next_due, after an upgrade and instead of indexes that each change of a booking's state had to touch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database, migrate
from healthplus.ops.check import violations
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment, rewrite, without_plain_case

DEADLINE_INDEXES = ("booking_deadline", "booking_provider_deadline")
TO_THE_RELEASE_BEFORE = """
ALTER TABLE booking.book DROP COLUMN next_due, DROP COLUMN is_queued;
CREATE INDEX booking_deadline ON booking.booking (deadline) WHERE state = 'reserved';
CREATE INDEX booking_provider_deadline ON booking.booking (provider_id, deadline) WHERE state = 'reserved';
UPDATE booking.idempotency AS kept SET outcome = jsonb_strip_nulls(
    to_jsonb(kept) - '{provider_id,caller,operation,key,request_hash,at,outcome}'::text[]);
ALTER TABLE booking.idempotency
    ALTER COLUMN outcome SET NOT NULL,
    DROP COLUMN code, DROP COLUMN booking_id, DROP COLUMN ticket_id, DROP COLUMN clinic_id, DROP COLUMN number,
    DROP COLUMN version, DROP COLUMN starts_at, DROP COLUMN ends_at, DROP COLUMN deadline, DROP COLUMN fee_minor,
    DROP COLUMN state, DROP COLUMN funding;
DELETE FROM public.schema_migration WHERE name LIKE '%next\\_due%';
"""


async def indexes(db: Database) -> set[str]:
    rows = await db.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'booking'")
    return {row["indexname"] for row in rows}


async def what_is_due(race: RaceEnvironment, providers: Sequence[Provider]) -> list[datetime]:
    """Return when the first hold, offer or ticket of each book runs out; `infinity`, which comes last, for none."""
    rows = await race.db.fetch(
        """SELECT coalesce(min(due_at), 'infinity') AS due_at
        FROM unnest($1::bigint[]) AS provider_id LEFT JOIN (
            SELECT provider_id, deadline FROM booking.booking WHERE state = 'reserved'
            UNION ALL SELECT provider_id, expires_at FROM booking.ticket WHERE state = 'waiting'
        ) AS due (provider_id, due_at) USING (provider_id)
        GROUP BY provider_id ORDER BY provider_id""",
        [provider.provider_id for provider in providers],
    )
    return [row["due_at"] for row in rows]


async def test_the_books_of_the_release_before_know_what_will_be_due(race: RaceEnvironment, dsn: str) -> None:
    _, held, offered, waiting, over = providers = await race.providers(5)
    holder, owner, first, second, gone = await race.patients(5)
    hold = await race.hold(held, holder, key="key")
    booking_id = await race.held(offered, owner)
    ticket = await race.join(offered, first, key="key")
    await race.release(offered, booking_id, owner)
    await race.held(waiting, await race.patient())
    ticket_id = await race.waiting(waiting, second)
    await race.db.execute(
        "UPDATE booking.ticket SET expires_at = public.app_now() + interval '1 minute' WHERE ticket_id = $1", ticket_id
    )
    await race.held(over, gone)
    await race.db.execute(
        "UPDATE booking.booking SET deadline = public.app_now() - interval '1 day' WHERE patient_id = $1", gone
    )
    known = await what_is_due(race, providers)
    await race.db.execute(TO_THE_RELEASE_BEFORE)
    assert await indexes(race.db) >= set(DEADLINE_INDEXES)

    await migrate(dsn)

    assert not await indexes(race.db) & set(DEADLINE_INDEXES)
    assert "book_next_due" in await indexes(race.db)
    assert await violations(race.db) == []
    assert await what_is_due(race, providers) == known
    heads = await race.db.fetch(
        "SELECT next_due, is_queued FROM booking.book WHERE provider_id = ANY ($1) ORDER BY provider_id",
        [provider.provider_id for provider in providers],
    )
    assert [row["next_due"] for row in heads] == known
    assert [row["is_queued"] for row in heads] == [False, False, True, True, False]
    # What was answered before the upgrade is answered again.
    assert await race.hold(held, holder, key="key") == hold
    assert await race.join(offered, first, key="key") == ticket
    other = race.book.hold(held.provider_id, held.clinic_id, held.opens_at, 2, holder, Patient(holder), "key")
    assert (await other).code == "key_reused"
    # What ran out before the upgrade makes way for the next patient.
    assert (await race.hold(over, await race.patient())).code == "reserved"


async def test_a_hold_that_began_before_the_upgrade_runs_out_all_the_same(race: RaceEnvironment) -> None:
    """A call that waits while its function is replaced goes on as before: it does not say when its hold runs out."""
    await without_plain_case(race.db)
    await rewrite(race.db, "booking.hold_in_book", (", held.deadline));", "));"))
    provider = await race.provider()
    await race.held(provider, await race.patient())
    await race.pass_time(HOLD_TIME)

    assert (await race.hold(provider, await race.patient())).code == "reserved"


BOOKINGS, SLOTS = 200, 10


async def confirm_many(race: RaceEnvironment, dsn: str) -> float:
    """Hold many times, then confirm them; return the share of confirms that touched no index of bookings."""
    providers = await race.providers(BOOKINGS // SLOTS, SLOTS + 1)
    places = [(provider, slot) for slot in range(SLOTS) for provider in providers]
    patients = await race.patients(BOOKINGS)
    async with await Database.connect(dsn, min_size=1, max_size=1) as alone:

        async def updates() -> tuple[int, int]:
            await alone.execute("SELECT pg_stat_force_next_flush()")
            row = await alone.fetch_row(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'booking.booking'::regclass"
            )
            assert row
            return row["n_tup_upd"], row["n_tup_hot_upd"]

        book = Book(alone)
        held = []
        for (provider, slot), patient in zip(places, patients, strict=True):
            start = provider.starts[slot]
            outcome = await book.hold(provider.provider_id, provider.clinic_id, start, 1, patient, Patient(patient))
            assert outcome.booking_id
            held.append(outcome.booking_id)
        before = await updates()
        for (provider, _), patient, booking_id in zip(places, patients, held, strict=True):
            confirmed = await book.confirm(provider.provider_id, booking_id, None, Patient(patient))
            assert confirmed.code == "booked"
        after = await updates()
    assert after[0] - before[0] == BOOKINGS
    return (after[1] - before[1]) / BOOKINGS


async def test_a_confirm_touches_no_index_of_bookings(race: RaceEnvironment, dsn: str) -> None:
    # The first of a page finds no room in it, and goes to another.
    assert await confirm_many(race, dsn) > 0.9


async def test_with_an_index_of_deadlines_each_confirm_touches_all(race: RaceEnvironment, dsn: str) -> None:
    await race.db.execute("CREATE INDEX ON booking.booking (deadline) WHERE state = 'reserved'")
    assert await confirm_many(race, dsn) == 0
