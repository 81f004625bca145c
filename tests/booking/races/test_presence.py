"""Presence is written by many processes at once, a batch at a time, while verbs read it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from asyncpg.exceptions import DeadlockDetectedError

from healthplus.accounts.actors import Patient
from healthplus.database import Database
from healthplus.waiting.presence import queries
from tests.fixtures.races import RaceEnvironment, deadlocks

PROCESSES = 4
FLUSHES = 5
TICKETS = 40

FLUSH = queries.note_presence
UNORDERED_FLUSH = FLUSH.replace("ORDER BY provider_id, ticket_id\n", "")


async def prepare(dsn: str) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        await database.execute("""
            -- Find a deadlock soon, rather than after the usual second.
            DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''50ms''', current_database()); END $$;
            -- Keep each row locked for a while before the next.
            CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_sleep(0.001);
                RETURN NEW;
            END $$;
            CREATE TRIGGER dawdle BEFORE INSERT ON booking.presence FOR EACH ROW EXECUTE FUNCTION public.dawdle();
        """)


async def flush_and_advance(dsn: str, flush_sql: str) -> None:
    """Have processes flush what they saw, each in an order of its own, while verbs settle and resume the tickets."""
    await prepare(dsn)
    async with await Database.connect(dsn, min_size=1, max_size=12) as database:
        race = await RaceEnvironment.make(database)
        provider = await race.provider(slots=2)
        holder, other, *waiters = await race.patients(2 + TICKETS)
        booking_id = await race.held(provider, holder)
        await race.held(provider, other, slot=1)
        tickets = [await race.waiting(provider, patient) for patient in waiters]

        async def flush(seed: int) -> None:
            order = random.Random(seed)
            for _ in range(FLUSHES):
                await flush_in(order.sample(tickets, len(tickets)))

        async def flush_in(order: Sequence[UUID]) -> None:
            await database.execute(flush_sql, [provider.provider_id] * len(order), order, [None] * len(order))

        async def verbs() -> None:
            for ticket_id, patient in zip(tickets, waiters, strict=True):
                await race.book.advance(provider.provider_id)
                await race.book.resume(provider.provider_id, ticket_id, Patient(patient))

        flushes = [asyncio.create_task(flush(seed)) for seed in range(PROCESSES)]
        await asyncio.gather(verbs(), race.release(provider, booking_id, holder))
        results = await asyncio.gather(*flushes, return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


async def test_unordered_flushes_deadlock(dsn: str) -> None:
    with pytest.raises(DeadlockDetectedError):
        await flush_and_advance(dsn, UNORDERED_FLUSH)
    assert await deadlocks(dsn) >= 1


async def test_flushes_in_key_order_do_not_deadlock(dsn: str) -> None:
    await flush_and_advance(dsn, FLUSH)
    assert await deadlocks(dsn) == 0
