"""What staff change is told, and money goes, after three minutes; until then they can take it back."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.database import Database
from healthplus.ops.check import all_violations
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.fixtures.races import UNDO_TIME, RaceEnvironment
from tests.notices.sending import Recorder, give_addresses, notices, sweep_all

WARD, OTHER = Staff(1), Staff(2)


@pytest.fixture
async def told(environment: Environment) -> Recorder:
    """Takes what is sent; Asha has a telephone."""
    await give_addresses(environment.db, [environment.ids["asha"]])
    return Recorder()


@pytest.fixture
async def booked(environment: Environment, told: Recorder) -> UUID:
    """An appointment of Asha's at nine, paid online, of which she was told."""
    held = await environment.held(hour=9)
    assert (await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))).code == "booked"
    await sweep_all(notices(environment.db, told))
    told.sent.clear()
    return held


async def undo(db: Database, booking: UUID, actor: Staff = WARD, clinic: int = ONLINE, provider: int = PROVIDER) -> str:
    return str(await db.fetch_value("SELECT booking.undo_act($1, $2, $3, $4)", provider, booking, clinic, str(actor)))


async def come_to(db: Database, booking: UUID) -> tuple[str, datetime]:
    row = await db.fetch_row("SELECT state::text, lower(during) FROM booking.booking WHERE booking_id = $1", booking)
    assert row is not None
    return tuple(row)


async def money(db: Database) -> tuple[str | None, datetime]:
    row = await db.fetch_row("SELECT due::text, at FROM ledger.payment")
    assert row is not None
    return tuple(row)


async def test_a_cancelled_one_is_told_after_three_minutes(
    environment: Environment, booked: UUID, told: Recorder
) -> None:
    sending = notices(environment.db, told)
    assert (await environment.book.cancel(PROVIDER, booked, WARD)).code == "cancelled"
    await sweep_all(sending)
    assert told.sent == []
    due, at = await money(environment.db)
    assert due == "void"
    assert at > await environment.now() + UNDO_TIME - timedelta(seconds=30)
    await environment.pass_time(minutes=3)
    await sweep_all(sending)
    assert told.templates == ["cancelled_refund"]
    assert await undo(environment.db, booked) == "too_late"


async def test_what_is_taken_back_tells_nobody_and_keeps_the_money(
    environment: Environment, booked: UUID, told: Recorder
) -> None:
    was = await come_to(environment.db, booked)
    assert (await environment.book.cancel(PROVIDER, booked, WARD)).code == "cancelled"
    # Captured meanwhile by what remembered it: it must not go back at once.
    await environment.db.execute(
        "SELECT count(*) FROM ledger.advance_payments(ARRAY[1::bigint], ARRAY[$1::uuid], ARRAY['auth_1'], "
        "ARRAY['captured'::ledger.payment_state], 'answer', public.app_now())",
        booked,
    )
    assert (await money(environment.db))[0] == "refund"
    assert (await money(environment.db))[1] > await environment.now()
    assert await undo(environment.db, booked, OTHER) == "too_late"
    assert await undo(environment.db, booked, clinic=AT_CLINIC) == "not_found"
    assert await undo(environment.db, booked) == "undone"
    assert await come_to(environment.db, booked) == was
    assert (await money(environment.db))[0] is None
    assert await undo(environment.db, booked) == "too_late"
    await environment.pass_time(minutes=4)
    await sweep_all(notices(environment.db, told))
    assert told.sent == []
    assert await all_violations(environment.db) == []


async def test_a_move_comes_back_with_its_terms(environment: Environment, booked: UUID, told: Recorder) -> None:
    sending = notices(environment.db, told)
    db, move = environment.db, environment.book.reschedule
    await db.execute("UPDATE booking.booking SET kept_min_minor = 7")
    assert (await move(PROVIDER, booked, environment.instant(10), WARD)).code == "moved"
    await environment.pass_time(minutes=2)
    assert (await move(PROVIDER, booked, environment.instant(11), WARD)).code == "moved"
    await environment.pass_time(minutes=1, seconds=10)
    await sweep_all(sending)
    assert told.sent == []  # the first move would be told with the second's time, which may be taken back
    assert await undo(db, booked) == "undone"
    assert await come_to(db, booked) == ("booked", environment.instant(10))
    await environment.pass_time(minutes=2)
    await sweep_all(sending)
    assert told.templates == ["moved"]

    assert (await move(PROVIDER, booked, environment.instant(9), OTHER)).code == "moved"
    assert await undo(db, booked) == "too_late"  # what somebody else did is theirs
    assert await undo(db, booked, OTHER) == "undone"


async def test_terms_that_a_move_let_go_count_again(environment: Environment, booked: UUID) -> None:
    await environment.db.execute("UPDATE booking.booking SET kept_min_minor = 7")
    assert (await environment.book.reschedule(PROVIDER, booked, environment.instant(10), WARD)).code == "moved"
    kept = "SELECT kept_min_minor FROM booking.booking"
    assert await environment.db.fetch_value(kept) is None
    assert await undo(environment.db, booked) == "undone"
    assert await environment.db.fetch_value(kept) == 7


async def test_what_the_patient_did_since_is_not_undone(environment: Environment, booked: UUID, told: Recorder) -> None:
    move = environment.book.reschedule
    assert (await move(PROVIDER, booked, environment.instant(10), WARD)).code == "moved"
    assert (await move(PROVIDER, booked, environment.instant(11), environment.actor("asha"))).code == "moved"
    assert await undo(environment.db, booked) == "too_late"
    await environment.pass_time(minutes=3)
    await sweep_all(notices(environment.db, told))
    assert told.templates == ["moved"]  # once: both would say the same


async def test_what_begins_soon_is_told_at_once(environment: Environment, booked: UUID, told: Recorder) -> None:
    await environment.pass_until(environment.instant(7, 1))
    assert (await environment.book.cancel(PROVIDER, booked, WARD)).code == "cancelled"
    await sweep_all(notices(environment.db, told))
    assert told.templates == ["cancelled_refund"]
    assert (await money(environment.db))[1] <= await environment.now()
    assert await undo(environment.db, booked) == "too_late"


async def test_a_refund_waits_and_comes_back(environment: Environment, booked: UUID) -> None:
    db = environment.db
    await environment.pass_until(environment.instant(10))
    assert (await environment.book.attend(PROVIDER, booked, "arrived", WARD)).code == "arrived"
    refund = "SELECT (booking.refund($1, $2, $3)).code"
    assert await db.fetch_value(refund, PROVIDER, booked, str(WARD)) == "refunded"
    assert (await money(db))[1] > await environment.now()
    assert await undo(db, booked) == "undone"
    assert (await money(db))[0] == "capture"
    row = await db.fetch_row("SELECT funding::text, fee_minor FROM booking.booking")
    assert row is not None
    assert tuple(row) == ("online", 50000)


@pytest.mark.parametrize("change", ["move", "cancel"])
async def test_an_undo_leaves_an_earlier_refund_alone(environment: Environment, booked: UUID, change: str) -> None:
    """Arrived early, refunded, corrected: what is done and taken back then must not take the money after all."""
    db, book = environment.db, environment.book
    await environment.pass_until(environment.instant(0, 30))
    assert (await book.attend(PROVIDER, booked, "arrived", WARD)).code == "arrived"
    assert (
        await db.fetch_value("SELECT code FROM booking.refund($1, $2, $3)", PROVIDER, booked, str(WARD)) == "refunded"
    )
    ordered = await money(db)
    correct = "SELECT code FROM booking.correct_attendance($1, $2, 'booked', $3)"
    assert await db.fetch_value(correct, PROVIDER, booked, str(WARD)) == "corrected"
    if change == "move":
        assert (await book.reschedule(PROVIDER, booked, environment.instant(10), WARD)).code == "moved"
    else:
        assert (await book.cancel(PROVIDER, booked, WARD)).code == "cancelled"
    assert await undo(db, booked) == "undone"
    assert await come_to(db, booked) == ("booked", environment.instant(9))
    assert await money(db) == ordered
    assert await all_violations(db) == []


@pytest.mark.parametrize("change", ["move", "cancel"])
async def test_who_was_overbooked_comes_back_beside(environment: Environment, change: str) -> None:
    """To no seat of the shift, which others have; as long as the clinic allows one more, and the doctor is there."""
    db, book, at = environment.db, environment.book, environment.instant(13)
    await db.execute("UPDATE directory.clinic SET overbook_cap = 1")
    held = await environment.held(AT_CLINIC, 13, "bina")
    assert (await book.confirm(PROVIDER, held, None, environment.actor("bina"))).code == "booked"
    overbook = "SELECT code, booking_id FROM booking.overbook($1, $2, $3, NULL, $4, NULL, 'fever', $5, NULL)"

    async def beside(name: str) -> UUID:
        row = await db.fetch_row(overbook, PROVIDER, AT_CLINIC, at, environment.ids[name], str(WARD))
        assert row is not None
        assert row["code"] == "booked"
        found: UUID = row["booking_id"]
        return found

    async def let_go() -> None:
        if change == "move":
            assert (await book.reschedule(PROVIDER, booking, environment.instant(14), WARD)).code == "moved"
        else:
            assert (await book.cancel(PROVIDER, booking, WARD)).code == "cancelled"

    booking = await beside("asha")
    is_as = "SELECT state::text, during, extra::text, seat FROM booking.booking WHERE booking_id = $1"
    was = await db.fetch_row(is_as, booking)
    await let_go()
    assert await undo(db, booking, clinic=AT_CLINIC) == "undone"
    assert await db.fetch_row(is_as, booking) == was
    await let_go()
    other = await beside("chand")
    assert await undo(db, booking, clinic=AT_CLINIC) == "cap_reached"
    assert (await book.cancel(PROVIDER, other, WARD)).code == "cancelled"
    await db.execute(
        "INSERT INTO schedule.leave (provider_id, during) VALUES ($1, tstzrange($2, $3))",
        *(PROVIDER, at, at + timedelta(minutes=30)),
    )
    assert await undo(db, booking, clinic=AT_CLINIC) == "no_such_slot"
    await db.execute("DELETE FROM schedule.leave")
    assert await all_violations(db) == []


async def test_what_the_desk_booked_is_taken_back(environment: Environment, told: Recorder) -> None:
    held = await environment.book.hold(PROVIDER, AT_CLINIC, environment.instant(13), 1, environment.ids["asha"], WARD)
    assert held.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, held.booking_id, None, WARD)).code == "booked"
    assert await undo(environment.db, held.booking_id, clinic=AT_CLINIC) == "undone"
    assert (await come_to(environment.db, held.booking_id))[0] == "cancelled"
    await environment.pass_time(minutes=4)
    await sweep_all(notices(environment.db, told))
    assert told.sent == []
    assert await undo(environment.db, held.booking_id, clinic=AT_CLINIC) == "too_late"


async def test_a_leave_that_is_taken_back_tells_nobody(environment: Environment, booked: UUID, told: Recorder) -> None:
    sending = notices(environment.db, told)
    day = (environment.day, environment.day + timedelta(days=1))
    book = environment.book
    assert (await book.add_leave(PROVIDER, None, *day, "", WARD, flag_for_rebooking=True)).code == "changed"
    await sweep_all(sending)
    leave_id = await environment.db.fetch_value("SELECT leave_id FROM schedule.leave")
    assert (await book.remove_leave(PROVIDER, leave_id, WARD)).code == "changed"
    await environment.pass_time(minutes=4)
    await sweep_all(sending)
    assert told.sent == []


async def test_what_begins_soon_is_taken_back_and_its_patient_told(environment: Environment, told: Recorder) -> None:
    sending = notices(environment.db, told)
    await environment.pass_until(environment.instant(12))
    held = await environment.book.hold(PROVIDER, AT_CLINIC, environment.instant(13), 1, environment.ids["asha"], WARD)
    assert held.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, held.booking_id, None, WARD)).code == "booked"
    await sweep_all(sending)
    assert len(told.sent) == 1
    assert await undo(environment.db, held.booking_id, OTHER, clinic=AT_CLINIC) == "too_late"
    assert await undo(environment.db, held.booking_id, clinic=AT_CLINIC) == "undone"
    await sweep_all(sending)
    assert told.templates[1:] == ["cancelled"]


async def press_undo(db: Database, booking: UUID, actor: Staff = WARD, clinic: int = ONLINE) -> tuple[str, str | None]:
    """Return what the desk's key answers, and where the appointment stands."""
    row = await db.fetch_row(
        "SELECT code, state FROM reception.undo($1, $2, $3, $4)", PROVIDER, booking, clinic, str(actor)
    )
    assert row is not None
    return tuple(row)


async def test_of_a_booking_that_was_moved_the_move_is_taken_back_or_nothing(environment: Environment) -> None:
    """Who has just booked it does not lose it, where somebody has its time by now."""
    db, book, one = environment.db, environment.book, environment.instant(24 + 13)
    held = await book.hold(PROVIDER, AT_CLINIC, one, 1, environment.ids["asha"], WARD)
    assert held.booking_id is not None
    assert (await book.confirm(PROVIDER, held.booking_id, None, WARD)).code == "booked"
    later = one + timedelta(minutes=30)
    assert (await book.reschedule(PROVIDER, held.booking_id, later, WARD)).code == "moved"
    other = await book.hold(PROVIDER, AT_CLINIC, one, 1, environment.ids["bina"], environment.actor("bina"))
    assert other.booking_id is not None
    assert await press_undo(db, held.booking_id, clinic=AT_CLINIC) == ("slot_held", "expected")
    await book.confirm(PROVIDER, other.booking_id, None, environment.actor("bina"))
    assert await press_undo(db, held.booking_id, clinic=AT_CLINIC) == ("slot_full", "expected")
    assert await come_to(db, held.booking_id) == ("booked", later)
    assert (await book.cancel(PROVIDER, other.booking_id, environment.actor("bina"))).code == "cancelled"
    assert await press_undo(db, held.booking_id, clinic=AT_CLINIC) == ("undone", "expected")
    assert await come_to(db, held.booking_id) == ("booked", one)
    assert await press_undo(db, held.booking_id, clinic=AT_CLINIC) == ("too_late", "expected")


async def test_what_came_last_is_undone_first(environment: Environment, booked: UUID) -> None:
    """What was recorded and what was changed are one line of acts."""
    db = environment.db

    async def record(act: str, actor: Staff = WARD) -> None:
        code = await db.fetch_value(
            "SELECT code FROM reception.record($1, $2, $3, $4::text::reception.act, $5)",
            *(PROVIDER, booked, ONLINE, act, str(actor)),
        )
        assert code == "recorded"

    async def refund(actor: Staff = WARD) -> None:
        assert (
            await db.fetch_value("SELECT (booking.refund($1, $2, $3)).code", PROVIDER, booked, str(actor)) == "refunded"
        )

    async def funding() -> str:
        return str(await db.fetch_value("SELECT funding FROM booking.booking WHERE booking_id = $1", booked))

    await environment.pass_until(environment.instant(9, 5))
    await record("arrive")
    await refund(OTHER)
    assert await press_undo(db, booked) == ("too_late", "here")  # somebody did more
    assert await press_undo(db, booked, OTHER) == ("undone", "here")
    await refund()
    assert await press_undo(db, booked) == ("undone", "here")
    assert await funding() == "online"
    await refund()
    await record("call")
    assert await press_undo(db, booked) == ("undone", "here")
    assert await funding() == "free"
    assert await press_undo(db, booked) == ("undone", "here")
    assert await funding() == "online"
    assert (await money(db))[0] == "capture"
    assert await press_undo(db, booked) == ("too_late", "here")  # what comes back cannot be undone again


async def test_an_undo_that_is_pressed_twice_was_done(environment: Environment, booked: UUID) -> None:
    db, seen = environment.db, "SELECT booking.hashed_instant(until) FROM reception.last_act($1, $2, public.app_now())"

    async def press(act: str, actor: Staff = WARD) -> str:
        sql = "SELECT code FROM reception.undo($1, $2, $3, $4, $5)"
        return str(await db.fetch_value(sql, PROVIDER, booked, ONLINE, str(actor), act))

    await environment.pass_until(environment.instant(9, 5))
    sql = "SELECT code FROM reception.record($1, $2, $3, $4::text::reception.act, $5)"
    assert await db.fetch_value(sql, PROVIDER, booked, ONLINE, "arrive", str(WARD)) == "recorded"
    arrival = await db.fetch_value(seen, PROVIDER, booked)
    await environment.pass_time(seconds=1)
    await db.execute("SELECT booking.refund($1, $2, $3)", PROVIDER, booked, str(WARD))
    refund = await db.fetch_value(seen, PROVIDER, booked)
    assert await press(arrival) == "not_last"
    assert [await press(refund) for _ in range(2)] == ["undone", "undone"]
    assert await press(refund, OTHER) == "not_last"
    assert [await press(arrival) for _ in range(2)] == ["undone", "undone"]
    assert await press("x" * 9_000) == "too_late"


async def test_what_the_desk_takes_back_costs_its_patient_nothing(environment: Environment) -> None:
    asha, start = environment.ids["asha"], environment.instant(24 + 13)
    for _ in range(11):
        held = await environment.book.hold(PROVIDER, AT_CLINIC, start, 1, asha, WARD)
        assert held.code == "reserved"
        assert held.booking_id is not None
        assert (await environment.book.confirm(PROVIDER, held.booking_id, None, WARD)).code == "booked"
        assert await press_undo(environment.db, held.booking_id, clinic=AT_CLINIC) == ("undone", "cancelled")
    assert (await environment.book.hold(PROVIDER, AT_CLINIC, start, 1, asha, Patient(asha))).code == "reserved"
    assert await all_violations(environment.db) == []


async def test_the_queue_is_not_passed(race: RaceEnvironment) -> None:
    """Undoing is a booking under rule 6: what went to a ticket is gone, whichever of the two came first."""
    provider, patient, waiter = await race.provider(), await race.patient(), await race.patient()
    booking = await race.booked(provider, patient)
    assert (await race.book.cancel(provider.provider_id, booking, WARD)).code == "cancelled"

    async def take_back() -> str:
        return await undo(race.db, booking, WARD, provider.clinic_id, provider.provider_id)

    async def hold() -> str:
        return (await race.hold(provider, waiter)).code

    first, second = await race.in_order(provider, [hold(), take_back()])
    assert (first, second) in (("reserved", "slot_held"), ("slot_full", "undone"))
    assert await race.occupants(provider) == 1

    # Who waits is offered it by the cancelling itself.
    full = await race.provider(slots=2)
    booking = await race.booked(full, await race.patient())
    await race.held(full, await race.patient(), slot=1)
    await race.waiting(full, await race.patient())
    assert (await race.book.cancel(full.provider_id, booking, WARD)).code == "cancelled"
    assert await undo(race.db, booking, WARD, full.clinic_id, full.provider_id) == "slot_held"


async def test_two_of_the_staff_at_once(race: RaceEnvironment) -> None:
    """One wins, and only they can take it back."""
    provider, patient = await race.provider(slots=3), await race.patient()
    booking = await race.booked(provider, patient)

    async def cancel(actor: Staff) -> str:
        return (await race.book.cancel(provider.provider_id, booking, actor)).code

    codes = await race.at_once(provider, [cancel(WARD), cancel(OTHER)])
    assert sorted(codes) == ["cancelled", "wrong_state"]
    winner, loser = (WARD, OTHER) if codes[0] == "cancelled" else (OTHER, WARD)
    where = (provider.clinic_id, provider.provider_id)
    assert await undo(race.db, booking, loser, *where) == "too_late"
    undone = await asyncio.gather(undo(race.db, booking, winner, *where), undo(race.db, booking, winner, *where))
    assert sorted(undone) == ["too_late", "undone"]
    assert await race.occupants(provider) == 1
    assert (await race.book.cancel(provider.provider_id, booking, Patient(patient))).code == "cancelled"
