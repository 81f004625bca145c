from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Refused
from healthplus.database import Database
from healthplus.errors import DatabaseUnreachable
from healthplus.waiting import waiting_users
from healthplus.waiting.positions import NEAR, Line, QueuePosition
from healthplus.waiting.presence import queries
from healthplus.waiting.waiting_users import WaitingUsers
from tests.fixtures.clock import until
from tests.fixtures.patients import see
from tests.fixtures.races import Provider, RaceEnvironment


@pytest.fixture
async def waiting(db: Database) -> AsyncIterator[WaitingUsers]:
    """A waiting room that the change feed does not reach."""
    room = WaitingUsers(db, Book(db))
    running = asyncio.create_task(room.run())
    yield room
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def behind_a_hold(race: RaceEnvironment) -> tuple[Provider, UUID, int, UUID, int]:
    """Return a provider, the hold on their only slot and who holds it, the ticket of one who waits and who that is."""
    provider = await race.provider(slots=1)
    holder, waiter = await race.patients(2)
    hold = await race.held(provider, holder)
    return provider, hold, holder, await race.waiting(provider, waiter), waiter


async def poll(room: WaitingUsers, provider: Provider, ticket: UUID, patient: int, after: str) -> QueuePosition:
    place = await room.poll(provider.provider_id, ticket, patient, after)
    assert place is not None
    return place


async def looked(room: WaitingUsers, provider: Provider, ticket: UUID, patient: int) -> QueuePosition:
    place = await room.look(provider.provider_id, ticket, patient)
    assert place is not None
    return place


async def test_a_change_is_noticed_without_the_change_feed(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await asyncio.sleep(0.3)
    await race.release(provider, hold, holder)
    async with asyncio.timeout(2.5):
        assert (await polling).state == "offered"


async def test_who_has_seen_more_is_not_answered_with_less(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    """A client that polls with a later version than was read here is answered with that, and not with what it was."""
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    assert (await poll(waiting, provider, ticket, waiter, "")).state == "waiting"  # which is kept here
    await race.release(provider, hold, holder)
    latest = await looked(waiting, provider, ticket, waiter)
    assert (latest.state, latest.version == place.version) == ("offered", False)
    with pytest.raises(TimeoutError):  # there is nothing that it has not seen
        async with asyncio.timeout(0.3):
            await poll(waiting, provider, ticket, waiter, latest.version)


async def test_who_has_seen_nothing_is_read_though_others_of_the_queue_are(
    race: RaceEnvironment, waiting: WaitingUsers
) -> None:
    provider, _, _, ticket, waiter = await behind_a_hold(race)
    other = await race.patient()
    behind = await race.waiting(provider, other)
    assert (await poll(waiting, provider, ticket, waiter, "")).position == 1
    assert (await poll(waiting, provider, behind, other, "")).position == 2


async def test_who_joins_is_read_together_with_others(
    race: RaceEnvironment, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each position is counted from the head of the queue; ten joins at once take no ten such looks."""
    provider = await race.provider(slots=1)
    holder, *others = await race.patients(11)
    await race.held(provider, holder)
    looks = 0
    fetch = db.fetch

    async def spy(sql: str, *args: Any, **more: Any) -> Any:
        nonlocal looks
        looks += sql == queries.positions
        return await fetch(sql, *args, **more)

    monkeypatch.setattr(db, "fetch", spy)
    room = WaitingUsers(db, Book(db))
    window = (provider.opens_at, provider.closes_at)
    joined = await asyncio.gather(
        *(
            room.join(provider.provider_id, provider.clinic_id, window, 1, patient, Patient(patient), None)
            for patient in others
        )
    )
    tickets = [one[1] for one in joined if isinstance(one, tuple)]
    assert sorted(ticket.position or 0 for ticket in tickets if ticket) == list(range(1, 11))
    assert 1 <= looks <= 5


async def test_an_offer_counts_as_shown_when_its_client_comes_back(
    race: RaceEnvironment, waiting: WaitingUsers
) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    fetched = "SELECT fetched_offer_id FROM booking.presence"
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await asyncio.sleep(0.3)
    await race.release(provider, hold, holder)
    place = await polling
    assert place.offer_id is not None
    # The answer may have gone to somebody who had left: it is not yet their turn used up.
    assert await race.db.fetch_value(fetched) is None
    back = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await until(lambda: race.db.fetch_value(f"{fetched} WHERE fetched_offer_id = $1", place.offer_id), 2)
    back.cancel()


async def test_who_was_passed_over_is_served_when_polling_again(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    version = (await looked(waiting, provider, ticket, waiter)).version
    await race.pass_time(timedelta(seconds=61))
    await race.release(provider, hold, holder)
    assert await race.db.fetch_value("SELECT absent FROM booking.ticket")
    async with asyncio.timeout(2):
        assert (await poll(waiting, provider, ticket, waiter, version)).state == "offered"


async def test_polls_go_on_while_the_database_is_away(
    race: RaceEnvironment, waiting: WaitingUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await asyncio.sleep(0.3)

    async def fail(*_: object) -> None:
        raise DatabaseUnreachable

    with monkeypatch.context() as away:
        away.setattr(waiting._database, "fetch", fail)
        away.setattr(waiting._database, "fetch_row", fail)
        waiting.on_change([provider.provider_id])
        await asyncio.sleep(1.5)
        with pytest.raises(DatabaseUnreachable):
            await poll(waiting, provider, uuid4(), waiter, place.version)
    assert not polling.done()
    await race.release(provider, hold, holder)
    async with asyncio.timeout(4):
        assert (await polling).state == "offered"


async def test_who_has_gone_is_forgotten(
    race: RaceEnvironment, waiting: WaitingUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, _, _, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await asyncio.sleep(0.3)
    monkeypatch.setattr(waiting_users, "LINGER_SECONDS", 0.5)
    await asyncio.sleep(1.5)
    assert waiting._queues
    polling.cancel()
    await asyncio.sleep(2)
    assert not waiting._queues
    assert await waiting.poll(provider.provider_id, uuid4(), waiter, "") is None
    assert await waiting.poll(provider.provider_id + 1, ticket, waiter, "") is None
    assert not waiting._queues


async def test_a_poll_ends_in_time(
    race: RaceEnvironment, waiting: WaitingUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, _, _, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    monkeypatch.setattr(waiting_users, "POLL_SECONDS_MAX", 0.4)
    began = asyncio.get_running_loop().time()
    again = await poll(waiting, provider, ticket, waiter, place.version)
    assert 0.4 <= asyncio.get_running_loop().time() - began < 2
    assert (again.state, again.version) == ("waiting", place.version)


async def test_many_who_come_at_once_are_read_together(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    provider = await race.provider(slots=1)
    holder, *waiters = await race.patients(61)
    hold = await race.held(provider, holder)
    tickets = [(await race.waiting(provider, waiter), waiter) for waiter in waiters]
    places = await asyncio.gather(*(poll(waiting, provider, *ticket, "") for ticket in tickets))
    assert [place.position for place in places] == list(range(1, 61))
    assert {place.holds for place in places} == {1}
    polls = [
        asyncio.create_task(poll(waiting, provider, *ticket, place.version))
        for ticket, place in zip(tickets, places, strict=True)
    ]
    await asyncio.sleep(0.3)
    await see(race.db, provider.provider_id, tickets[0][0])
    await race.release(provider, hold, holder)
    waiting.on_change([provider.provider_id])
    async with asyncio.timeout(3):
        assert (await polls[0]).state == "offered"
        assert (await polls[1]).position == 1
    for one in polls:
        one.cancel()


async def test_a_book_that_went_back_is_read_again(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    await asyncio.sleep(0.3)
    (queue,) = waiting._queues.values()
    assert queue.version is not None
    queue.version += 50  # as it was before a fail-over that lost some events
    await race.release(provider, hold, holder)
    async with asyncio.timeout(3):
        assert (await polling).state == "offered"


async def test_changes_are_answered_while_newcomers_never_cease(race: RaceEnvironment, waiting: WaitingUsers) -> None:
    provider, hold, holder, ticket, waiter = await behind_a_hold(race)
    place = await looked(waiting, provider, ticket, waiter)
    polling = asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
    coming = [asyncio.create_task(keep_coming(waiting, provider, waiter)) for _ in range(8)]
    await asyncio.sleep(0.5)
    await race.release(provider, hold, holder)
    waiting.on_change([provider.provider_id])
    async with asyncio.timeout(2):
        assert (await polling).state == "offered"
    for one in coming:
        one.cancel()


async def keep_coming(waiting: WaitingUsers, provider: Provider, patient: int) -> None:
    while True:
        assert await waiting.poll(provider.provider_id, uuid4(), patient, "") is None


def at_position(position: int) -> str:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    ticket: list[Any] = [uuid4(), 1, 1, None, now, now, now, 1, None, now, now, "waiting", True, position, 1, None]
    return QueuePosition(*ticket, *[None] * 6, False, None, 1).version  # type: ignore[call-arg]


def test_each_step_is_told_near_the_head_and_one_in_ten_further_back() -> None:
    assert len({at_position(position) for position in range(1, NEAR + 1)}) == NEAR
    states = len({at_position(position) for position in range(NEAR + 1, 5001)})
    assert 40 < states < 60


@pytest.mark.breaks_invariants  # the past has no events
async def test_a_position_is_read_without_a_look_at_the_past(race: RaceEnvironment) -> None:
    """Every poll reads it: what a doctor did in all the years must not make it longer."""
    provider, _, holder, ticket, _ = await behind_a_hold(race)
    await race.db.execute(
        """INSERT INTO booking.booking (
            provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor,
            funding, created_at)
        SELECT $1, gen_random_uuid(), $2, $3, tstzrange(ends_at - interval '5 minutes', ends_at), 1, 1, 'fulfilled',
            ends_at, 1, 'clinic', ends_at
        FROM generate_series(1, 2000) AS past
        CROSS JOIN LATERAL (SELECT public.app_now() - make_interval(hours => past) AS ends_at) AS visit""",
        provider.provider_id,
        provider.clinic_id,
        holder,
    )
    await race.db.execute("ANALYZE booking.booking")
    explained = await race.db.fetch(f"EXPLAIN (ANALYZE) {queries.positions}", provider.provider_id, [ticket], None)
    plan = "\n".join(row[0] for row in explained)
    assert "booking_overlap" in plan
    assert "Rows Removed by Filter: 2000" not in plan


async def test_who_is_moved_by_the_line_is_where_a_read_has_them(race: RaceEnvironment, db: Database) -> None:
    """At each step of a queue, whom the line moves is as a read has them, and only who has left it is read."""
    provider = await race.provider(slots=3)
    *holders, first, second, third, fourth = await race.patients(7)
    holds = [(await race.held(provider, holder, slot), holder) for slot, holder in enumerate(holders)]
    waiters = [(first, 0, 3), (second, 2, 3), (third, 0, 1), (fourth, 0, 3)]
    tickets: list[tuple[int, UUID]] = []
    for patient, start, end in waiters:
        window = (provider.starts[start], [*provider.starts, provider.closes_at][end])
        joined = await Book(db).join_queue(
            provider.provider_id, provider.clinic_id, *window, 1, patient, Patient(patient), None
        )
        assert not isinstance(joined, Refused)
        tickets.append((patient, joined.ticket_id))

    async def read() -> dict[UUID, QueuePosition]:
        ids = [ticket_id for _, ticket_id in tickets]
        rows = await db.fetch(queries.positions, provider.provider_id, ids, None)
        return {row["ticket_id"]: QueuePosition(*row) for row in rows}

    async def compare(before: dict[UUID, QueuePosition], *left: int) -> dict[UUID, QueuePosition]:
        """Move every ticket as it was before; those of `left` are to be read. Return them as they are now."""
        windows = list({ticket.window for ticket in before.values()})
        (row,) = await db.fetch(queries.line, provider.provider_id, *zip(*windows, strict=True))
        line = Line.of(row, windows)
        now = await read()
        for number, (_, ticket_id) in enumerate(tickets):
            assert before[ticket_id].moved(line) == (None if number in left else now[ticket_id])
        return now

    places = await compare(await read())
    assert [places[ticket_id].position for _, ticket_id in tickets] == [1, 2, 3, 4]
    assert [places[ticket_id].holds for _, ticket_id in tickets] == [3, 1, 1, 3]
    await race.leave(provider, tickets[1])
    places = await compare(places, 1)
    await race.confirm(provider, *holds[2])
    places = await compare(places, 1)
    assert [places[ticket_id].holds for _, ticket_id in tickets] == [2, None, 1, 2]
    await race.release(provider, *holds[0])
    places = await compare(places, 0, 1)
    assert [places[ticket_id].position for _, ticket_id in tickets] == [None, None, 1, 2]
    await race.pass_time(timedelta(minutes=6))  # the holds end, though nobody has written so
    for _, ticket_id in tickets:
        await see(db, provider.provider_id, ticket_id)
    await compare(places, 0, 1)


async def test_a_change_far_ahead_is_told_without_reading_everyone(
    race: RaceEnvironment, waiting: WaitingUsers, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await race.provider(slots=1)
    holder, *waiters = await race.patients(21)
    await race.held(provider, holder)
    tickets = [(waiter, await race.waiting(provider, waiter)) for waiter in waiters]
    places = await asyncio.gather(*(poll(waiting, provider, ticket, waiter, "") for waiter, ticket in tickets))
    read: list[list[UUID]] = []
    fetch = db.fetch

    async def spy(sql: str, *args: Any, **more: Any) -> Any:
        if sql == queries.positions:
            read.append(args[1])
        return await fetch(sql, *args, **more)

    monkeypatch.setattr(db, "fetch", spy)
    polls = [
        asyncio.create_task(poll(waiting, provider, ticket, waiter, place.version))
        for (waiter, ticket), place in zip(tickets, places, strict=True)
    ]
    await race.leave(provider, tickets[0])
    waiting.on_change([provider.provider_id])
    async with asyncio.timeout(3):
        moved = await asyncio.gather(*polls)
    assert [(place.state, place.position) for place in moved] == [
        ("left", None),
        *(("waiting", n) for n in range(1, 20)),
    ]
    assert {ticket for tickets_read in read for ticket in tickets_read} == {tickets[0][1]}
