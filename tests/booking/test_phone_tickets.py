"""Callers who wait by phone: in the queue as everybody, present as long as a desk is connected."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Patient, Staff
from healthplus.booking.outcomes import BookingChanged, Outcome, Refused
from healthplus.database import Database
from healthplus.errors import DatabaseBusy
from healthplus.ops.check import violations
from healthplus.waiting.desks import ConnectedDesks
from tests.fixtures.directory import make_clinic
from tests.fixtures.patients import see
from tests.fixtures.phone import DeskBook
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, Provider, RaceEnvironment, rewrite

pytestmark = pytest.mark.dates

NEHA, RAVI = Staff(7), Staff(8)
SECOND = timedelta(seconds=1)


class Desk:
    """A clinic's desk, in a process of its own."""

    def __init__(self, race: RaceEnvironment) -> None:
        self.race, self.clinic_id = race, race.clinic_id
        self.book = DeskBook(race.db)
        self.connected = ConnectedDesks(race.db, self.book)

    async def join(self, provider: Provider, patient_id: int, actor: Staff = NEHA, key: str | None = None) -> Outcome:
        when = provider.opens_at, provider.closes_at
        return await self.book.join_by_phone(
            provider.provider_id, provider.clinic_id, *when, 1, patient_id, desk=self.clinic_id, actor=actor, key=key
        )

    async def waiting(self, provider: Provider, patient_id: int, actor: Staff = NEHA) -> UUID:
        joined = await self.join(provider, patient_id, actor)
        assert joined.code == "waiting"
        assert isinstance(joined.ticket_id, UUID)
        return joined.ticket_id

    async def serve(
        self,
        provider: Provider,
        ticket_id: UUID,
        act: str,
        actor: Staff = NEHA,
        key: str | None = None,
        seen: str | None = None,
    ) -> Outcome:
        return await self.book.serve_caller(provider.provider_id, ticket_id, self.clinic_id, act, actor, key, seen)

    async def page(self, ticket_id: UUID) -> str:
        """Return what a press of a page says of how the caller's turn stands on it."""
        sql = "SELECT booking.turn_of(ticket) FROM booking.ticket WHERE ticket_id = $1"
        turn: str = await self.race.db.fetch_value(sql, ticket_id)
        return turn

    async def poll(self) -> None:
        self.connected.see(self.clinic_id)
        await self.connected.flush()

    async def poll_for(self, time: timedelta) -> None:
        """Poll for a time, as an open day sheet does."""
        while time > timedelta():
            step = min(time, timedelta(seconds=25))
            await self.race.pass_time(step)
            await self.poll()
            time -= step


@pytest.fixture
async def race(db: Database) -> RaceEnvironment:
    return await RaceEnvironment.make(db)


@pytest.fixture
def desk(race: RaceEnvironment) -> Desk:
    return Desk(race)


async def state_of(race: RaceEnvironment, ticket_id: UUID) -> tuple[str, bool]:
    row = await race.db.fetch_row("SELECT state::text, absent FROM booking.ticket WHERE ticket_id = $1", ticket_id)
    assert row is not None
    return row["state"], row["absent"]


async def test_callers_and_patients_are_served_in_one_order(race: RaceEnvironment, desk: Desk) -> None:
    provider = await race.provider(slots=2)
    holders = [
        (patient, await race.held(provider, patient, slot)) for slot, patient in enumerate(await race.patients(2))
    ]
    first, caller, last, newcomer = await race.patients(4)
    tickets = [
        await race.waiting(provider, first), await desk.waiting(provider, caller), await race.waiting(provider, last)
    ]  # fmt: skip
    numbers = await race.db.fetch("SELECT number FROM booking.ticket ORDER BY joined_at")
    assert [row["number"] for row in numbers] == [1, 2, 3]
    await race.release(provider, holders[0][1], holders[0][0])
    assert [(await state_of(race, ticket))[0] for ticket in tickets] == ["offered", "waiting", "waiting"]
    # The desk books nobody past the queue, not even its own caller.
    assert (await race.hold(provider, newcomer, actor=NEHA)).code == "slot_held"
    await race.book.leave_queue(provider.provider_id, tickets[0], Patient(first))
    assert [(await state_of(race, ticket))[0] for ticket in tickets] == ["left", "offered", "waiting"]
    # The chain has the caller's joining, offer and taking as everybody's.
    assert (await desk.serve(provider, tickets[1], "call")).code == "accepted"
    kinds = await race.db.fetch("SELECT kind FROM booking.queue_entry WHERE number = 2 ORDER BY entry")
    assert [row["kind"] for row in kinds] == ["joined", "offered", "accepted"]
    assert await violations(race.db) == []


async def test_one_of_the_staff_has_three_waiting_with_a_provider(race: RaceEnvironment, desk: Desk) -> None:
    provider, other = await race.providers(2)
    for one in (provider, other):
        await race.held(one, await race.patient())
    tickets = [await desk.waiting(provider, patient) for patient in await race.patients(3)]
    refused = await desk.join(provider, await race.patient())
    assert isinstance(refused, Refused)
    assert (refused.code, refused.limit_max) == ("phone_tickets", 3)
    await desk.waiting(provider, await race.patient(), RAVI)
    await desk.waiting(other, await race.patient())
    assert (await desk.serve(provider, tickets[0], "let_go")).code == "left"
    # A repeat is the same ticket, and counts once.
    patient = await race.patient()
    again = [await desk.join(provider, patient, key="k") for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].code == "waiting"
    assert await race.db.fetch_value("SELECT count(*) FROM booking.phone_ticket") == 6


async def test_at_once_no_more_than_three_either(race: RaceEnvironment, desk: Desk) -> None:
    provider = await race.provider()
    await race.held(provider, await race.patient())
    joined = await race.at_once(provider, [desk.join(provider, patient) for patient in await race.patients(8)])
    assert sorted(one.code for one in joined) == ["phone_tickets"] * 5 + ["waiting"] * 3


async def test_a_caller_is_present_while_a_desk_is_connected(race: RaceEnvironment, desk: Desk) -> None:
    provider = await race.provider()
    holder, caller, other = await race.patients(3)
    held = await race.held(provider, holder)
    ticket = await desk.waiting(provider, caller)
    await desk.poll_for(timedelta(seconds=180))
    other_ticket = await race.waiting(provider, other)
    # The desk is gone for a minute: the caller is passed over, and keeps the number.
    await race.pass_time(timedelta(seconds=50))
    await race.book.resume(provider.provider_id, other_ticket, Patient(other))
    await race.pass_time(timedelta(seconds=15))
    await race.release(provider, held, holder)
    assert await state_of(race, ticket) == ("waiting", True)
    assert await state_of(race, other_ticket) == ("offered", False)
    # Another process hears of a desk of that clinic again: first in line again.
    await race.book.leave_queue(provider.provider_id, other_ticket, Patient(other))
    await Desk(race).poll()
    assert await state_of(race, ticket) == ("offered", False)


async def test_one_busy_book_keeps_no_caller_of_another_waiting(
    race: RaceEnvironment, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers = sorted(await race.providers(2), key=lambda provider: provider.provider_id)
    for provider in providers:
        await race.held(provider, await race.patient())
    tickets = [await desk.waiting(provider, await race.patient()) for provider in providers]
    await race.pass_time(timedelta(seconds=61))
    resume = desk.book.resume

    async def be_busy(provider_id: int, ticket_id: UUID, actor: Actor) -> Any:
        if provider_id == providers[0].provider_id:
            raise DatabaseBusy
        return await resume(provider_id, ticket_id, actor)

    present = "SELECT booking.is_present(ticket, public.app_now()) FROM booking.ticket WHERE ticket_id = $1"
    with monkeypatch.context() as busy:
        busy.setattr(desk.book, "resume", be_busy)
        with pytest.raises(DatabaseBusy):
            await desk.poll()
        assert [await race.db.fetch_value(present, ticket) for ticket in tickets] == [False, True]
        # Once the desk has closed, that book makes nobody else present.
        await race.pass_time(timedelta(seconds=61))
        with pytest.raises(DatabaseBusy):
            await desk.connected.flush()
        assert [await race.db.fetch_value(present, ticket) for ticket in tickets] == [False, False]
    await desk.connected.flush()  # who could not be resumed is with the next batch
    assert [await race.db.fetch_value(present, ticket) for ticket in tickets] == [True, False]


async def test_of_another_clinic_a_desk_makes_nobody_present(race: RaceEnvironment, desk: Desk) -> None:
    provider = await race.provider()
    await race.held(provider, await race.patient())
    ticket = await desk.waiting(provider, await race.patient())
    elsewhere = Desk(race)
    elsewhere.clinic_id = await make_clinic(race.db)
    await race.pass_time(timedelta(seconds=50))
    await elsewhere.poll()
    await race.pass_time(timedelta(seconds=15))
    present = "SELECT booking.is_present(ticket, public.app_now()) FROM booking.ticket"
    assert await race.db.fetch_value(present) is False
    for act in ("call", "book", "let_go"):
        assert (await elsewhere.serve(provider, ticket, act)).code == "not_found"
    # After a restart nobody knows who was there: for a minute, everybody is.
    await race.db.execute("TRUNCATE booking.presence, booking.presence_since")
    assert await race.db.fetch_value(present) is True


async def offered(race: RaceEnvironment, desk: Desk) -> tuple[Provider, UUID, UUID]:
    """Have a caller be offered a slot, with a patient next in line; return the tickets of both."""
    provider = await race.provider()
    holder, caller, other = await race.patients(3)
    held = await race.held(provider, holder)
    tickets = await desk.waiting(provider, caller), await race.waiting(provider, other)
    await race.release(provider, held, holder)
    assert (await state_of(race, tickets[0]))[0] == "offered"
    return provider, *tickets


async def test_the_desk_has_a_minute_to_say_that_it_calls_and_then_five(race: RaceEnvironment, desk: Desk) -> None:
    provider, ticket, _ = await offered(race, desk)
    await desk.poll_for(OFFER_TIME - SECOND)
    called = await desk.serve(provider, ticket, "call", key="c")
    assert called.code == "accepted"
    assert await desk.serve(provider, ticket, "call", key="c") == called
    assert (await desk.serve(provider, ticket, "call", RAVI)).code == "wrong_state"
    await desk.poll_for(HOLD_TIME - SECOND)
    callers = "SELECT count(*) FROM booking.callers_of($1, public.app_now())"
    assert await race.db.fetch_value(callers, race.clinic_id) == 1
    assert (await desk.serve(provider, ticket, "book", RAVI)).code == "booked"
    assert await race.db.fetch_value(callers, race.clinic_id) == 0
    assert await violations(race.db) == []


async def test_twice_unseen_is_a_turn(race: RaceEnvironment, desk: Desk) -> None:
    """An open day sheet alone has not seen an offer: only who says that they call has."""
    provider, ticket, other = await offered(race, desk)
    await desk.poll_for(OFFER_TIME - SECOND)
    await see(race.db, provider.provider_id, other)
    await desk.poll_for(SECOND)
    await race.book.advance(provider.provider_id)
    assert (await state_of(race, other))[0] == "offered"
    assert (await desk.serve(provider, ticket, "call")).code == "offer_over"
    await race.db.execute("SELECT booking.leave_queue($1, $2, 'system', NULL)", provider.provider_id, other)
    await desk.poll()
    assert (await state_of(race, ticket))[0] == "offered"
    await desk.poll_for(OFFER_TIME)
    await race.book.advance(provider.provider_id)
    assert (await state_of(race, ticket))[0] == "lapsed"
    assert await race.db.fetch_value("SELECT let_go_at IS NOT NULL FROM booking.ticket WHERE ticket_id = $1", ticket)


async def test_who_does_not_answer_has_had_their_turn(race: RaceEnvironment, desk: Desk) -> None:
    provider, ticket, other = await offered(race, desk)
    assert (await desk.serve(provider, ticket, "call")).code == "accepted"
    assert (await desk.serve(provider, ticket, "let_go")).code == "released"
    assert (await state_of(race, other))[0] == "offered"
    assert await race.db.fetch_value("SELECT turns_let_go FROM booking.book") == 1
    assert await race.db.fetch_value("SELECT let_go_at IS NOT NULL FROM booking.ticket WHERE ticket_id = $1", ticket)
    assert (await desk.serve(provider, ticket, "book")).code == "wrong_state"


async def test_what_is_booked_for_a_caller_is_paid_at_the_clinic(race: RaceEnvironment, desk: Desk) -> None:
    await race.db.execute("ALTER TABLE directory.provider_clinic DISABLE TRIGGER USER")
    provider = await race.provider()
    await race.db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
    holder, caller = await race.patients(2)
    held = await race.held(provider, holder)
    ticket = await desk.waiting(provider, caller)
    await race.release(provider, held, holder)
    booked = await desk.serve(provider, ticket, "book", key="b")
    assert isinstance(booked, BookingChanged)
    assert (booked.code, booked.funding, booked.fee_minor) == ("booked", "clinic", 50_000)
    assert await desk.serve(provider, ticket, "book", key="b") == booked
    actors = await race.db.fetch(
        "SELECT kind, actor FROM booking.event WHERE booking_id = $1 ORDER BY seq", booked.booking_id
    )
    assert [tuple(row) for row in actors] == [("reserved", "system"), ("booked", "staff:7")]
    assert await violations(race.db) == []


async def test_of_several_called_the_lowest_number_that_answers_has_it(race: RaceEnvironment, desk: Desk) -> None:
    provider = await race.provider()
    holder, *letting_go = await race.patients(3)
    held = await race.held(provider, holder)
    going = [(patient, await race.waiting(provider, patient)) for patient in letting_go]
    first, second = await race.patients(2)
    tickets = await race.waiting(provider, first), await desk.waiting(provider, second)
    await race.release(provider, held, holder)
    for waiter in going:
        await race.leave(provider, waiter)
    assert [(await state_of(race, one))[0] for one in tickets] == ["called", "called"]
    # Whom a lower number may still outrun is not booked yet.
    assert (await desk.serve(provider, tickets[1], "book")).code == "answered"
    await race.leave(provider, (first, tickets[0]))
    assert (await state_of(race, tickets[1]))[0] == "accepted"
    assert (await desk.serve(provider, tickets[1], "book")).code == "booked"


async def test_a_caller_who_takes_it_themselves_is_not_called(race: RaceEnvironment, desk: Desk) -> None:
    provider, ticket, _ = await offered(race, desk)
    caller = await race.db.fetch_value("SELECT patient_id FROM booking.ticket WHERE ticket_id = $1", ticket)
    assert (await race.book.accept(provider.provider_id, ticket, Patient(caller))).code == "accepted"
    assert (
        await race.db.fetch_value("SELECT count(*) FROM booking.callers_of($1, public.app_now())", race.clinic_id) == 0
    )
    # What a page of the desk from before then still offers to do is refused: they are about to pay.
    for act in ("call", "book", "let_go"):
        assert (await desk.serve(provider, ticket, act)).code == "wrong_state"
    assert await race.db.fetch_value("SELECT let_go_at IS NULL FROM booking.ticket WHERE ticket_id = $1", ticket)
    assert await violations(race.db) == []


async def offered_alone(race: RaceEnvironment, desk: Desk) -> tuple[Provider, UUID]:
    """Have a caller be offered a slot that nobody else waits for."""
    provider = await race.provider()
    holder, caller = await race.patients(2)
    held = await race.held(provider, holder)
    ticket = await desk.waiting(provider, caller)
    await race.release(provider, held, holder)
    return provider, ticket


@pytest.mark.parametrize("act", ["call", "book", "let_go"])
@pytest.mark.parametrize("guarded", [True, False])
async def test_a_press_is_not_about_what_the_next_moment_offers(
    race: RaceEnvironment, desk: Desk, act: str, guarded: bool
) -> None:
    """A group offer goes to another and the next time is free, both due and neither done yet as the desk presses."""
    if not guarded:
        await rewrite(race.db, "booking.serve_caller", ("former.offer_id <> waiter.offer_id", "false"))
    provider = await race.provider(slots=2)
    bystander, holder, *letting_go = await race.patients(5)
    await race.held(provider, bystander, slot=1)
    await race.pass_time(HOLD_TIME - OFFER_TIME)
    held = await race.held(provider, holder)
    going = [(patient, await race.waiting(provider, patient)) for patient in letting_go]
    silent, winner, caller = await race.patients(3)
    await race.waiting(provider, silent)
    winning, ticket = await race.waiting(provider, winner), await desk.waiting(provider, caller)
    await race.release(provider, held, holder)
    for waiter in going[:2]:
        await race.leave(provider, waiter)
    third, third_ticket = going[2]
    taken = await race.book.answer(provider.provider_id, third_ticket, Patient(third))
    assert isinstance(taken.booking_id, UUID)
    await race.release(provider, taken.booking_id, third)
    assert (await race.book.answer(provider.provider_id, winning, Patient(winner))).code == "answered"
    shown = await desk.page(ticket)
    assert shown.startswith("called ")
    await desk.poll_for(OFFER_TIME)
    assert await desk.page(ticket) == shown
    answer = await desk.serve(provider, ticket, act)
    assert (await state_of(race, winning))[0] == "accepted"
    assert answer.code == ("offer_over" if guarded else {"call": "accepted", "book": "booked", "let_go": "left"}[act])
    assert (await state_of(race, ticket))[0] == ("offered" if guarded else "left" if act == "let_go" else "accepted")


async def test_an_old_page_serves_only_what_it_showed(race: RaceEnvironment, desk: Desk) -> None:
    """Two desks at once, and a screen that was without network: what it would do is refused, and nothing is lost."""
    provider = await race.provider()
    holder, caller = await race.patients(2)
    held = await race.held(provider, holder)
    ticket = await desk.waiting(provider, caller)
    waits = await desk.page(ticket)
    await race.release(provider, held, holder)
    first = await desk.page(ticket)
    # On the other desk they still wait: who presses there that they are out of the queue has not seen the offer.
    assert (await desk.serve(provider, ticket, "let_go", RAVI, seen=waits)).code == "wrong_state"
    await desk.poll_for(OFFER_TIME)
    await race.book.advance(provider.provider_id)
    await desk.poll()
    second = await desk.page(ticket)
    for act in ("call", "let_go"):
        assert (await desk.serve(provider, ticket, act, RAVI, seen=first)).code == "offer_over"
    # One desk calls them; on the other they are still to be called, and are let go: not under the call.
    assert (await desk.serve(provider, ticket, "call", seen=second)).code == "accepted"
    assert (await desk.serve(provider, ticket, "let_go", RAVI, seen=second)).code == "wrong_state"
    assert (await desk.serve(provider, ticket, "book", seen=await desk.page(ticket))).code == "booked"
    assert await violations(race.db) == []


@pytest.mark.parametrize("act", ["call", "book", "let_go"])
async def test_a_press_for_a_caller_that_is_sent_twice_is_one(race: RaceEnvironment, desk: Desk, act: str) -> None:
    provider, ticket = await offered_alone(race, desk)
    if act != "call":
        assert (await desk.serve(provider, ticket, "call")).code == "accepted"
    seen = await desk.page(ticket)
    first = await desk.serve(provider, ticket, act, key="k", seen=seen)
    assert first.code == {"call": "accepted", "book": "booked", "let_go": "released"}[act]
    assert await desk.serve(provider, ticket, act, key="k", seen=seen) == first
