"""Earlier times: the queue goes first; each patient is told once of each, in the order of asking, by day."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.database import Database
from healthplus.notices.earlier import EarlierTimes
from healthplus.notices.texts import link_code
from healthplus.retention.retention import Retention
from tests.fixtures.clock import INDIA, move_clock_to
from tests.fixtures.races import HOLD_TIME, Provider, RaceEnvironment, rewrite
from tests.notices.sending import SITE, Recorder, notices, reachable, sweep_all

HOUR = timedelta(hours=1)
QUIET = timedelta(hours=3, seconds=1)
TURN = timedelta(minutes=10, seconds=1)


class Alerts:
    """A provider whose first times are booked, and patients with the last ones who asked to be told of earlier ones."""

    def __init__(self, race: RaceEnvironment, provider: Provider, holders: list[tuple[int, UUID]]) -> None:
        self.race, self.provider, self.holders = race, provider, holders
        self.earlier = EarlierTimes(race.db)
        self.waiting: list[tuple[int, UUID]] = []

    @classmethod
    async def make(cls, race: RaceEnvironment, taken: int = 2, waiting: int = 1) -> Alerts:
        """Book the first `taken` times for some, those after them for the others; it is 10:00 on the day before."""
        provider = await race.provider(slots=taken + waiting)
        await move_clock_to(race.db, provider.starts[0] - 22 * HOUR)
        patients = await reachable(race, taken + waiting)
        booked = [(patient, await race.booked(provider, patient, slot)) for slot, patient in enumerate(patients)]
        made = cls(race, provider, booked[:taken])
        made.waiting = booked[taken:]
        for patient, booking in made.waiting:
            assert await made.earlier.ask(provider.provider_id, booking, patient) == "on"
        await made.earlier.tell()
        await race.db.execute("DELETE FROM notices.notice")
        return made

    async def cancel(self, slot: int) -> None:
        """Have the patient who booked one of the first times cancel it."""
        patient, booking = self.holders[slot]
        cancelled = await self.race.book.cancel(self.provider.provider_id, booking, Patient(patient))
        assert cancelled.code == "cancelled"

    async def move(self, waiting: int, slot: int) -> str:
        """Have one of those who wait move to a time; return what came of it."""
        patient, booking = self.waiting[waiting]
        start = self.provider.starts[slot]
        return (await self.race.book.reschedule(self.provider.provider_id, booking, start, Patient(patient))).code

    async def told(self) -> list[tuple[int, int]]:
        """Tell; return who has been told of which slot, in order."""
        await self.earlier.tell()
        rows = await self.race.db.fetch(
            "SELECT told_at, booking_id, free_at FROM notices.earlier_told ORDER BY told_at"
        )
        numbers = {booking: number for number, (_, booking) in enumerate(self.waiting)}
        found = [(row["told_at"], numbers[row["booking_id"]], row["free_at"]) for row in rows]
        return [(number, self.provider.starts.index(free_at)) for _, number, free_at in sorted(found)]

    async def messages(self) -> list[str]:
        """Send what is in the outbox; return the texts about earlier times."""
        recorder = Recorder()
        await sweep_all(notices(self.race.db, recorder))
        return [message.text for message in recorder.sent if message.template_id == "earlier"]

    async def alerts(self) -> int:
        return int(await self.race.db.fetch_value("SELECT count(*) FROM notices.earlier_alert"))


async def test_a_time_that_comes_free_is_told_once(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race)
    assert await alerts.told() == []
    await alerts.cancel(1)
    assert await alerts.told() == [(0, 1)]
    (text,) = await alerts.messages()
    told_id = await race.db.fetch_value("SELECT told_id FROM notices.earlier_told")
    assert alerts.provider.starts[1].astimezone(INDIA).strftime("%a %-d %b, 8:05 am") in text
    assert text.endswith(f" {SITE}/e/{link_code(told_id)}")
    # It is taken and comes free again: who did not want it is not told again.
    (other,) = await reachable(race, 1)
    await race.release(alerts.provider, await race.held(alerts.provider, other, 1), other)
    await race.pass_time(QUIET)
    assert await alerts.told() == [(0, 1)]
    # One before it is news.
    await alerts.cancel(0)
    assert await alerts.told() == [(0, 1), (0, 0)]
    assert len(await alerts.messages()) == 1


async def test_what_was_free_when_they_asked_is_no_news_until_it_was_taken(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=1)
    patient, booking = alerts.waiting[0]
    await alerts.cancel(0)
    await alerts.earlier.stop(alerts.provider.provider_id, booking, patient)
    assert await alerts.earlier.ask(alerts.provider.provider_id, booking, patient) == "on"
    assert await alerts.told() == []
    (other,) = await reachable(race, 1)
    held = await race.held(alerts.provider, other, 0)
    assert await alerts.told() == []
    await race.release(alerts.provider, held, other)
    assert await alerts.told() == [(0, 0)]


async def test_a_lapse_and_a_leave_taken_back_free_times_too(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=2)
    await alerts.cancel(0)
    (other,) = await reachable(race, 1)
    await race.held(alerts.provider, other, 0)
    assert await alerts.told() == []
    await race.pass_time(HOLD_TIME)
    await race.book.advance(alerts.provider.provider_id)
    assert await alerts.told() == [(0, 0)]
    provider_id, starts = alerts.provider.provider_id, alerts.provider.starts
    await race.pass_time(QUIET)
    left = "SELECT code FROM booking.change_leave($1, $2, NULL, tstzrange($3, $4), '', NULL, false, $5)"
    staff = str(Staff(1))
    await alerts.cancel(1)
    assert await race.db.fetch_value(left, provider_id, None, starts[0], starts[2], staff) == "changed"
    assert await alerts.told() == [(0, 0)]
    leave_id = await race.db.fetch_value("SELECT leave_id FROM schedule.leave")
    assert await race.db.fetch_value(left, provider_id, leave_id, None, None, staff) == "changed"
    assert await alerts.told() == [(0, 0), (0, 1)]


@pytest.mark.parametrize("guarded", [True, False])
async def test_patients_in_the_queue_go_first(race: RaceEnvironment, guarded: bool) -> None:
    """What is told of is what anybody could book. A time that is only held is for the queue."""
    alerts = await Alerts.make(race)
    if not guarded:
        changes = [("p_now) AS run", "p_now, true) AS run")]
        await rewrite(race.db, "notices.earlier_alerts_of", *changes)
        await rewrite(race.db, "notices.tell_earlier", ("next_free_at < (", "true OR next_free_at < ("))
    waiter, holder = await reachable(race, 2)
    await alerts.cancel(0)
    held = await race.held(alerts.provider, holder, 0)
    ticket = await race.waiting(alerts.provider, waiter)
    await race.release(alerts.provider, held, holder)  # it is offered to the queue
    assert await alerts.told() == ([] if guarded else [(0, 0)])
    assert await alerts.move(0, 0) == "slot_held"
    left = await race.book.leave_queue(alerts.provider.provider_id, ticket, Patient(waiter))
    assert left.code == "left"
    assert await alerts.told() == [(0, 0)]


WANTED_BY_THE_QUEUE = """SELECT EXISTS (
    SELECT FROM booking.ticket JOIN notices.earlier_told USING (provider_id)
    WHERE state = 'waiting' AND booking.is_present(ticket, public.app_now()) AND queue_window @> free_at
        AND told_at > public.app_now() - interval '1 second')"""


async def test_in_whatever_order_things_happen_the_queue_is_never_overtaken(race: RaceEnvironment) -> None:
    """Random holds, bookings, tickets and looks: nobody is told of what a ticket that waits could use just then."""
    chance = random.Random(7)
    alerts = await Alerts.make(race, taken=4, waiting=2)
    provider, provider_id = alerts.provider, alerts.provider.provider_id
    booked, held = list(alerts.holders), dict[int, UUID]()
    waited = 0
    for _ in range(60):
        match chance.choice(("cancel", "hold", "hold", "confirm", "release", "join", "join", "pass")):
            case "cancel" if booked:
                patient, booking = booked.pop(chance.randrange(len(booked)))
                await race.book.cancel(provider_id, booking, Patient(patient))
            case "hold":
                (patient,) = await reachable(race, 1)
                outcome = await race.hold(provider, patient, chance.randrange(4))
                if outcome.code == "reserved" and outcome.booking_id:
                    held[patient] = outcome.booking_id
            case "confirm" if held:
                patient, booking = held.popitem()
                if (await race.confirm(provider, booking, patient)).code == "booked":
                    booked.append((patient, booking))
            case "release" if held:
                patient, booking = held.popitem()
                await race.release(provider, booking, patient)
            case "join":
                (patient,) = await reachable(race, 1)
                waited += (await race.join(provider, patient)).code == "waiting"
            case "pass":
                await race.pass_time(timedelta(minutes=chance.choice((1, 2, 6, 30))))
                await race.db.execute(
                    "DELETE FROM notices.earlier_told WHERE told_at < public.app_now() - interval '1 hour'"
                )
        await alerts.earlier.tell()
        assert not await race.db.fetch_value(WANTED_BY_THE_QUEUE)
    assert waited
    assert await race.events("offered")
    assert await race.db.fetch_value("SELECT count(*) FROM notices.notice WHERE kind = 'earlier'")


async def test_in_the_order_of_asking_five_at_a_time(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=1, waiting=12)
    await alerts.cancel(0)
    assert await alerts.told() == [(number, 0) for number in range(5)]
    await race.pass_time(timedelta(minutes=9))
    assert len(await alerts.told()) == 5
    await race.pass_time(timedelta(minutes=2))
    assert await alerts.told() == [(number, 0) for number in range(10)]
    # By now somebody has it: the others are not told, and nobody who was not reached yet hears of it.
    assert len(await alerts.messages()) == 10
    assert await alerts.move(7, 0) == "moved"
    await race.pass_time(TURN)
    assert (await alerts.told())[:10] == [(number, 0) for number in range(10)]
    assert {number for number, slot in (await alerts.told())[10:] if slot == 0} == set()


async def test_at_most_one_message_in_three_hours(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=3)
    await alerts.cancel(2)
    assert await alerts.told() == [(0, 2)]
    await race.pass_time(HOUR)
    await alerts.cancel(1)
    assert await alerts.told() == [(0, 2)]
    await race.pass_time(2 * HOUR)
    assert await alerts.told() == [(0, 2), (0, 1)]  # it is still free


async def test_nobody_is_woken_and_told_in_the_morning_if_it_is_still_free(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=3)
    day_before = alerts.provider.starts[0] - timedelta(days=1)
    evening = day_before + 12 * HOUR  # 20:00
    await move_clock_to(race.db, evening + timedelta(minutes=1))
    await alerts.cancel(0)
    assert await alerts.told() == []
    assert await race.db.fetch_value("SELECT look_at FROM notices.earlier_watch") == evening + 12 * HOUR


@pytest.mark.parametrize(
    ("at", "until"),
    [("19:59", None), ("20:00", "2026-12-03T08:00"), ("23:30", "2026-12-03T08:00"), ("00:10", "2026-12-02T08:00")],
)
async def test_the_night_is_that_of_reminders(db: Database, at: str, until: str | None) -> None:
    found = await db.fetch_value(
        "SELECT notices.night_end($1, 'Asia/Kolkata')", datetime.fromisoformat(f"2026-12-02T{at}+05:30")
    )
    assert found == (datetime.fromisoformat(f"{until}+05:30") if until else None)


async def test_nothing_that_cannot_be_reached(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race, taken=1, waiting=30)
    last, booking = alerts.waiting[-1]
    await move_clock_to(race.db, alerts.provider.starts[-1] - 2 * HOUR)
    assert await alerts.earlier.ask(alerts.provider.provider_id, booking, last) == "too_late"
    await alerts.race.book.cancel(alerts.provider.provider_id, alerts.waiting[10][1], Patient(alerts.waiting[10][0]))
    assert await alerts.told() == []
    assert await alerts.alerts() == 0  # no earlier time could be reached by anybody


@pytest.mark.parametrize("ended_by", ["cancel", "move", "stop", "strand"])
async def test_an_alert_ends(race: RaceEnvironment, ended_by: str) -> None:
    """Also one whose message is in the outbox already."""
    alerts = await Alerts.make(race, taken=3)
    patient, booking = alerts.waiting[0]
    provider_id = alerts.provider.provider_id
    await alerts.cancel(1)
    await alerts.cancel(2)
    assert await alerts.told() == [(0, 1)]
    if ended_by == "cancel":
        await race.book.cancel(provider_id, booking, Patient(patient))
    elif ended_by == "move":
        assert await alerts.move(0, 2) == "moved"
    elif ended_by == "stop":
        assert await alerts.earlier.stop(provider_id, booking, patient)
    else:
        await race.db.execute("UPDATE booking.booking SET needs_rebooking = true WHERE booking_id = $1", booking)
    assert await alerts.messages() == []
    await race.pass_time(QUIET)
    await alerts.cancel(0)
    assert await alerts.told() == [(0, 1)]
    assert await alerts.alerts() == 0
    assert await race.db.fetch_value("SELECT count(*) FROM notices.earlier_watch") == 0


async def test_a_message_about_a_time_that_is_gone_is_dropped(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race)
    await alerts.cancel(0)
    assert await alerts.told() == [(0, 0)]
    (other,) = await reachable(race, 1)
    await race.held(alerts.provider, other, 0)
    assert await alerts.messages() == []


async def test_two_who_take_it_at_once(race: RaceEnvironment) -> None:
    """One has it, the other keeps the appointment; and the alert of the first is over."""
    alerts = await Alerts.make(race, taken=1, waiting=2)
    await alerts.cancel(0)
    assert await alerts.told() == [(0, 0), (1, 0)]
    start = alerts.provider.starts[0]
    provider_id = alerts.provider.provider_id
    moves = [race.book.reschedule(provider_id, booking, start, Patient(patient)) for patient, booking in alerts.waiting]
    codes = [outcome.code for outcome in await race.at_once(alerts.provider, moves)]
    assert sorted(codes) == ["moved", "slot_full"]
    loser = codes.index("slot_full")
    kept = await race.db.fetch_row(
        "SELECT state::text, lower(during) AS starts_at FROM booking.booking WHERE booking_id = $1",
        alerts.waiting[loser][1],
    )
    assert kept is not None
    assert (kept["state"], kept["starts_at"]) == ("booked", alerts.provider.starts[1 + loser])
    # What the winner left is no earlier than the loser's, unless it is; each then hears of it once.
    await alerts.told()
    assert await alerts.alerts() == 1


@pytest.mark.parametrize("guarded", [True, False])
async def test_two_processes_tell_once(race: RaceEnvironment, guarded: bool) -> None:
    """A book is looked into by one process at a time. Without that, and without the key, a patient is told twice."""
    alerts = await Alerts.make(race)
    if not guarded:
        await race.db.execute("ALTER TABLE notices.earlier_told DROP CONSTRAINT earlier_told_pkey")
        await rewrite(race.db, "notices.tell_earlier", ("FOR UPDATE OF earlier_watch SKIP LOCKED", ""))
        await rewrite(race.db, "notices.tell_earlier_in", ("FOR UPDATE SKIP LOCKED", ""))
    await alerts.cancel(0)
    async with race.db.transaction() as one, race.db.transaction() as other:
        assert await one.fetch_value("SELECT notices.tell_earlier(10)") == 1
        late = asyncio.create_task(other.fetch_value("SELECT notices.tell_earlier(10)"))
        if guarded:
            assert await late == 0
        else:
            await race.until_locked_out(1, [late])
        await one.execute("COMMIT AND CHAIN")
        await late
    assert len(await alerts.messages()) == (1 if guarded else 2)


async def test_a_process_that_dies_between_loses_and_repeats_nothing(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race)
    await alerts.cancel(0)
    with pytest.raises(ZeroDivisionError):
        await tell_and_die(race.db)
    assert await race.db.fetch_value("SELECT count(*) FROM notices.notice WHERE kind = 'earlier'") == 0
    assert await alerts.told() == [(0, 0)]
    assert await alerts.told() == [(0, 0)]
    assert len(await alerts.messages()) == 1


async def tell_and_die(database: Database) -> None:
    async with database.transaction() as transaction:
        assert await transaction.fetch_value("SELECT notices.tell_earlier(10)") == 1
        assert await transaction.fetch_value("SELECT count(*) FROM notices.earlier_told") == 1
        raise ZeroDivisionError


async def test_asking_twice_keeps_the_place_and_others_cannot_ask(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race)
    patient, booking = alerts.waiting[0]
    provider_id = alerts.provider.provider_id
    asked = "SELECT asked_at FROM notices.earlier_alert"
    before = await race.db.fetch_value(asked)
    assert await alerts.earlier.ask(provider_id, booking, patient) == "on"
    assert await race.db.fetch_value(asked) == before
    (other,) = await reachable(race, 1)
    assert await alerts.earlier.ask(provider_id, booking, other) == "not_found"
    assert await alerts.earlier.stop(provider_id, booking, other) is False
    assert await alerts.alerts() == 1
    assert await alerts.earlier.stop(provider_id, booking, patient) is True
    assert await alerts.earlier.stop(provider_id, booking, patient) is True
    assert await alerts.alerts() == 0


async def test_where_much_is_free_there_is_nothing_to_wait_for(race: RaceEnvironment) -> None:
    provider = await race.provider(slots=40)
    await move_clock_to(race.db, provider.starts[0] - 22 * HOUR)
    (patient,) = await reachable(race, 1)
    booking = await race.booked(provider, patient, 39)
    await rewrite(race.db, "notices.earlier_known_max", ("SELECT 200", "SELECT 38"))
    assert await EarlierTimes(race.db).ask(provider.provider_id, booking, patient) == "many_free"


async def test_nobody_is_told_of_a_time_at_which_they_are_elsewhere(race: RaceEnvironment) -> None:
    elsewhere = await race.provider(slots=1)  # at 8:00 on the same day
    alerts = await Alerts.make(race, taken=2)
    patient, _ = alerts.waiting[0]
    assert elsewhere.starts == alerts.provider.starts[:1]
    await race.booked(elsewhere, patient, 0)
    await alerts.cancel(0)
    assert await alerts.told() == []
    await alerts.cancel(1)
    assert await alerts.told() == [(0, 1)]


async def test_retention(race: RaceEnvironment) -> None:
    alerts = await Alerts.make(race)
    await alerts.cancel(0)
    await alerts.told()
    await race.pass_time(timedelta(days=5))
    await Retention(race.db).forget(pause_seconds=0)
    assert await alerts.alerts() == 0
    told = "SELECT count(*) FROM notices.earlier_told"
    assert await race.db.fetch_value(told) == 1
    await race.pass_time(timedelta(days=86))
    await Retention(race.db).forget(pause_seconds=0)
    assert await race.db.fetch_value(told) == 0
