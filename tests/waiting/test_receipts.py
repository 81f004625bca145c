"""The chain of a queue: that the verbs write one which is in order, and that none which is not passes for one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.waiting.receipts import Entry, Verification
from tests.fixtures.patients import see
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, SLOT, Provider, RaceEnvironment

NINE = datetime(2026, 11, 27, 9, tzinfo=UTC)


async def chain(database: Database, provider_id: int) -> list[Entry]:
    rows = await database.fetch(
        "SELECT entry, booking.hashed_instant(at), kind, number, clinic_id, booking.hashed_instant(lower(during)), "
        "booking.hashed_instant(upper(during)), slots_needed, encode(hash, 'hex'), leader "
        "FROM booking.queue_entry WHERE provider_id = $1 ORDER BY entry",
        provider_id,
    )
    return [Entry(**dict(zip(Entry.__struct_fields__, row, strict=True))) for row in rows]


def faults(provider_id: int, entries: list[Entry], ticket: int | None = None) -> list[str]:
    verification = Verification(provider_id, ticket=ticket)
    verification.read(entries)
    return [fault.text for fault in verification.faults]


class RandomPatients:
    """Patients who do at random what patients do."""

    def __init__(self, race: RaceEnvironment, provider: Provider, seed: int) -> None:
        self.race, self.provider = race, provider
        self.random = random.Random(seed)

    async def run(self, steps: int) -> None:
        for step in range(steps):
            if step % 50 == 0:  # others come, as most have soon let too many turns go
                patients = await self.race.patients(7)
            act = self.random.choice(
                [
                    self.join,
                    self.join,
                    self.hold,
                    self.finish,
                    self.finish,
                    self.answer,
                    self.answer,
                    self.wait,
                    self.answer_call,
                ]
            )
            await act(self.random.choice(patients))

    async def join(self, patient: int) -> None:
        first = self.random.randrange(len(self.provider.starts))
        last = self.random.randint(first, len(self.provider.starts) - 1)
        window = (self.provider.starts[first], self.provider.starts[last] + SLOT)
        clinic = self.random.choice([None, self.provider.clinic_id])
        n = self.random.choice([1, 1, 2, 3])
        await self.race.book.join_queue(self.provider.provider_id, clinic, *window, n, patient, Patient(patient))

    async def hold(self, patient: int) -> None:
        start = self.random.choice(self.provider.starts)
        await self.race.book.hold(
            self.provider.provider_id,
            self.provider.clinic_id,
            start,
            self.random.choice([1, 2]),
            patient,
            Patient(patient),
        )

    async def finish(self, patient: int) -> None:
        row = await self.race.db.fetch_row(
            "SELECT booking_id FROM booking.booking WHERE patient_id = $1 AND state = 'reserved' AND NOT offer", patient
        )
        if row is None:
            return
        if self.random.random() < 0.45:
            await self.race.book.confirm(self.provider.provider_id, row["booking_id"], None, Patient(patient))
        else:
            await self.race.book.release(self.provider.provider_id, row["booking_id"], Patient(patient))

    async def answer(self, patient: int) -> None:
        row = await self.race.db.fetch_row(
            "SELECT ticket_id, state::text, offer_id FROM booking.ticket "
            "WHERE patient_id = $1 AND state IN ('waiting', 'offered', 'called')",
            patient,
        )
        if row is None:
            return
        ids = (self.provider.provider_id, row["ticket_id"])
        if row["state"] == "waiting" and self.random.random() < 0.8:
            await self.race.book.resume(*ids, Patient(patient))
            await see(self.race.db, *ids)
        elif self.random.random() < 0.2:
            await self.race.book.leave_queue(*ids, Patient(patient))
        elif self.random.random() < 0.3:
            await see(self.race.db, *ids, row["offer_id"])
        else:
            start = self.random.choice([None, None, None, *self.provider.starts])
            await self.race.book.accept(*ids, Patient(patient), None, None, start)

    async def answer_call(self, _: int) -> None:
        for row in await self.race.db.fetch(
            "SELECT provider_id, ticket_id, patient_id FROM booking.ticket "
            "WHERE state = 'called' AND answered_at IS NULL ORDER BY number DESC LIMIT 1"
        ):
            await self.race.book.answer(row["provider_id"], row["ticket_id"], Patient(row["patient_id"]))

    async def wait(self, _: int) -> None:
        await self.race.pass_time(timedelta(seconds=self.random.choice([1, 5, 20, 40, 70])))


@pytest.fixture
async def race(race: RaceEnvironment) -> RaceEnvironment:
    # Otherwise all count as present for the first minute of the tests' server.
    await race.db.execute(
        "CREATE OR REPLACE FUNCTION booking.is_present(p_ticket booking.ticket, p_now timestamptz) RETURNS boolean "
        "LANGUAGE sql STABLE AS $$ SELECT NOT p_ticket.absent AND p_now < booking.presence_time() + greatest("
        "p_ticket.present_at, (SELECT seen_at FROM booking.presence "
        "WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id)) $$"
    )
    return race


async def test_what_the_verbs_write_is_in_order(race: RaceEnvironment) -> None:
    kinds: set[str] = set()
    for seed in range(3):
        provider = await race.provider(slots=5, slots_max=3)
        await RandomPatients(race, provider, seed).run(400)
        entries = await chain(race.db, provider.provider_id)
        assert faults(provider.provider_id, entries) == []
        for ticket in (1, entries[-1].ticket):
            assert faults(provider.provider_id, entries, ticket) == []
        kinds |= {entry.kind for entry in entries}
        head = await race.db.fetch_row(
            "SELECT queue_entries, encode(queue_hash, 'hex') FROM booking.book WHERE provider_id = $1",
            provider.provider_id,
        )
        assert head is not None
        assert tuple(head) == (len(entries), entries[-1].hash)
    assert kinds >= {"joined", "offered", "accepted", "lapsed", "missed", "passed_over", "resumed", "left", "full"}


async def test_what_the_verbs_write_of_calls_is_in_order(race: RaceEnvironment) -> None:
    provider = await race.provider()
    first, second = await race.called(provider, 2)
    await race.answer(provider, second)
    await race.answer(provider, first)
    other = await race.provider()
    third, fourth = await race.called(other, 2)
    await race.answer(other, fourth)
    await see(race.db, other.provider_id, third[1], await race.db.fetch_value(
        "SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", third[1]))  # fmt: skip
    await race.pass_time(OFFER_TIME)
    await race.book.advance(other.provider_id)
    for one, said in (
        (provider, ["called", "called", "answered", "answered", "accepted", "outrun"]),
        (other, ["called", "called", "answered", "lapsed", "accepted"]),
    ):
        entries = await chain(race.db, one.provider_id)
        assert [entry.kind for entry in entries][-len(said) :] == said
        for ticket in (None, 3, 4):
            assert faults(one.provider_id, entries, ticket) == []


@pytest.mark.breaks_invariants
async def test_a_patient_who_is_overtaken_shows(race: RaceEnvironment) -> None:
    """The verbs as they must not be: the queue is served from its end."""
    definition = await race.db.fetch_value("SELECT pg_get_functiondef(to_regproc('booking.offer_in_order'))")
    order = "AND NOT absent ORDER BY number"
    assert order in definition
    await race.db.execute(definition.replace(order, f"{order} DESC"))
    provider = await race.provider()
    holder, *waiters = await race.patients(3)
    hold = await race.held(provider, holder)
    for waiter in waiters:
        await race.waiting(provider, waiter)
    await race.release(provider, hold, holder)
    entries = await chain(race.db, provider.provider_id)
    fault = "ticket 2 was given a time for which ticket 1 was waiting"
    assert faults(provider.provider_id, entries) == [fault]
    assert faults(provider.provider_id, entries, 1) == [fault]
    assert faults(provider.provider_id, entries, 2) == []


async def test_nothing_of_a_patient_is_in_it(race: RaceEnvironment) -> None:
    provider = await race.provider()
    holder, waiter = await race.patients(2)
    await race.held(provider, holder)
    ticket_id = await race.waiting(provider, waiter)
    row = await race.db.fetch_value("SELECT to_jsonb(queue_entry)::text FROM booking.queue_entry")
    assert str(ticket_id) not in row
    assert "patient" not in row


@pytest.mark.dates
async def test_acceptance_rate_and_the_position_at_joining(race: RaceEnvironment) -> None:
    provider = await race.provider()
    book: Book = race.book
    holder, *waiters = await race.patients(5)
    hold = await race.held(provider, holder)
    tickets = [await race.waiting(provider, waiter) for waiter in waiters]
    await book.leave_queue(provider.provider_id, tickets[0], Patient(waiters[0]))
    again = await race.waiting(provider, waiters[0])
    positions = await race.db.fetch("SELECT joined_position FROM booking.ticket ORDER BY number")
    assert [row["joined_position"] for row in positions] == [1, 2, 3, 4, 4]

    async def acceptance(position: int) -> tuple[int, int]:
        row = await race.db.fetch_row("SELECT * FROM booking.acceptance_rate($1, $2)", provider.provider_id, position)
        assert row is not None
        return row["waits"], row["got"]

    assert [await acceptance(position) for position in (1, 2, 4)] == [(1, 0), (0, 0), (0, 0)]
    for ticket in (*tickets[1:], again):
        await see(race.db, provider.provider_id, ticket)
    await race.release(provider, hold, holder)
    assert (await book.accept(provider.provider_id, tickets[1], Patient(waiters[1]))).code == "accepted"
    assert await acceptance(2) == (1, 1)
    await race.pass_time(HOLD_TIME + timedelta(minutes=60))
    await book.advance(provider.provider_id)
    assert [await acceptance(position) for position in (2, 3, 4)] == [(1, 1), (1, 0), (2, 0)]
    await race.pass_time(timedelta(days=90))
    assert await acceptance(4) == (0, 0)
    plan = await race.db.fetch(
        "EXPLAIN SELECT state FROM booking.ticket WHERE provider_id = 1 AND joined_position = 3 "
        "AND joined_at > (SELECT app_now()) - interval '90 days' ORDER BY joined_at DESC LIMIT 1000"
    )
    assert "ticket_joined_position" in str(plan)
