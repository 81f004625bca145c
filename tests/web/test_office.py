"""The office's pages of shifts, leave and closing, as forms: what each changes, refuses, and what is in the way."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from time import monotonic

from litestar import Litestar

from healthplus.database import Database
from tests.fixtures.directory import DAILY, make_provider, make_shift
from tests.fixtures.environment import OTHER_PROVIDER, PROVIDER, Environment
from tests.notices.sending import Recorder, notices
from tests.web.client import Browser, forget_shared_reads
from tests.web.staff import (
    CLINIC,
    OFFICE,
    OTHER_CLINIC,
    SHIFT,
    WEEK,
    audit_actions,
    book,
    events,
    goes_to,
    hidden,
    log_in,
    shift_of,
    words,
)


async def test_who_is_not_logged_in_comes_back_to_the_page(app: Litestar) -> None:
    assert goes_to(await Browser(app).get(OFFICE)) == "/desk/log-in?next=%2Foffice%2F2"
    answer = await Browser(app).get("/desk/log-in?next=/office/2")
    assert "next=%2Foffice%2F2" in answer.text


async def test_shifts_are_added_changed_and_ended(ward: Browser, db: Database, environment: Environment) -> None:
    answer = await ward.post(WEEK, {**SHIFT, "day_1": "1", "day_3": "1", "valid_from": "2083-01-04"})
    assert goes_to(answer).startswith(f"{WEEK}?done=added")
    rows = await db.fetch(
        "SELECT shift_id, weekday, seats FROM schedule.shift "
        "WHERE provider_id = $1 AND clinic_id = $2 AND slot_minutes = 15 ORDER BY weekday",
        PROVIDER,
        CLINIC,
    )
    assert [(row["weekday"], row["seats"]) for row in rows] == [(1, 1), (3, 1)]
    path = f"{WEEK}/shift/{rows[0]['shift_id']}"
    page = await ward.get(path)
    was = hidden(page, "was")
    change = {**SHIFT, "weekday": "1", "ends": "08:30", "was": was, "valid_from": "2083-01-04"}
    # Only from a later day on: the shift goes on until then as it was.
    assert goes_to(await ward.post(path, {**change, "since": "2083-02-01"})).startswith(f"{WEEK}?done=changed")
    kept = await db.fetch(
        "SELECT ends::text, lower(valid) AS first, upper(valid) AS until FROM schedule.shift "
        "WHERE weekday = 1 AND slot_minutes = 15 ORDER BY valid"
    )
    assert [(row["ends"], str(row["first"]), str(row["until"])) for row in kept] == [
        ("08:00:00", "2083-01-04", "2083-02-01"), ("08:30:00", "2083-02-01", "None"),
    ]  # fmt: skip
    # Neither is made longer by ending it, nor changed after its end.
    changed = await ward.get(path)
    for late in ({"since": "2083-03-01", **change}, {"since": "2083-01-20", **change, "valid_until": "2083-01-10"}):
        answer = await ward.post(path, {**late, "was": hidden(changed, "was")})
        assert answer.status_code == 422, late
    answer = await ward.post(f"{path}/end", {"was": hidden(changed, "was"), "last_day": "2083-06-01"})
    assert "The shift is over by then." in words(answer)
    # It is not what was looked at any more.
    answer = await ward.post(f"{path}/end", {"was": was, "last_day": ""})
    assert answer.status_code == 409
    assert "Someone changed this while you did Meera Rao changed it at" in words(answer)
    assert goes_to(await ward.post(f"{path}/end", {"was": hidden(answer, "was")})).startswith(f"{WEEK}?done=ended")
    assert await audit_actions(db) == ["change_shifts"] * 4  # one of which was refused


async def test_the_second_who_edits_a_shift_sees_what_changed_and_loses_nothing(
    ward: Browser, app: Litestar, db: Database
) -> None:
    other = await log_in(app, db, "administrator", None, "nair")
    path = f"{WEEK}/shift/{await shift_of(db, 1)}"
    mine, theirs = await ward.get(path), await other.get(path)
    form = {**SHIFT, "weekday": "1", "starts": "13:00", "slot_minutes": "30", "slots_max": "4"}
    assert goes_to(await other.post(path, {**form, "ends": "17:00", "was": hidden(theirs, "was")}))
    answer = await ward.post(path, {**form, "ends": "16:30", "seats": "2", "was": hidden(mine, "was")})
    assert answer.status_code == 409
    said = words(answer)
    assert "Nair Rao changed it at" in said
    assert "It is now: Mon 13:00–17:00" in said
    assert 'value="16:30"' in answer.text
    assert 'name="seats" type="number" value="2"' in answer.text
    assert (
        await db.fetch_value("SELECT max(ends)::text FROM schedule.shift WHERE provider_id = 1 AND clinic_id = 2")
        == "17:00:00"
    )
    again = {**form, "ends": "16:30", "seats": "2", "was": hidden(answer, "was")}
    assert goes_to(await ward.post(path, again)).startswith(f"{WEEK}?done=changed")


async def test_what_is_in_the_way_of_a_shift_is_listed_before_it_is_changed(
    ward: Browser, db: Database, environment: Environment
) -> None:
    booked = await book(environment, environment.instant(15, 30))
    held = await environment.held(CLINIC, 15, "bina")
    weekday = (environment.day + timedelta(hours=6)).isoweekday()
    path = f"{WEEK}/shift/{await shift_of(db, weekday)}"
    form = {**SHIFT, "weekday": str(weekday), "starts": "13:00", "ends": "15:00", "slot_minutes": "30"}
    form |= {"slots_max": "4", "was": hidden(await ward.get(path), "was")}
    answer = await ward.post(path, form)
    assert answer.status_code == 409
    said = words(answer)
    assert "1 appointment is in the way" in said
    assert "1 time that somebody holds without having paid is released." in said
    assert await events(db, "needs_rebooking") == await events(db, "released") == 0
    seen = hidden(answer, "seen")
    # Another books in the way meanwhile: nothing is done before that one was shown, too.
    later = await environment.hold(environment.instant(14), CLINIC, "chand", OTHER_PROVIDER)
    assert later.code == "reserved"
    start = re.search(rf'name="move_{booked}"[^>]*>.*?<option value="(20[^"]+)"', answer.text, re.DOTALL)
    assert start
    moved = {**form, "seen": seen, f"move_{booked}": start[1]}
    assert "moved=1" in goes_to(await ward.post(path, moved))
    row = await db.fetch_row(
        "SELECT lower(during) AS starts_at, needs_rebooking FROM booking.booking WHERE booking_id = $1", booked
    )
    assert row is not None
    assert (row["starts_at"], row["needs_rebooking"]) == (datetime.fromisoformat(start[1]), False)
    state = await db.fetch_value("SELECT state::text FROM booking.booking WHERE booking_id = $1", held)
    assert state == "released"


async def test_what_came_after_the_list_is_listed_again(ward: Browser, db: Database, environment: Environment) -> None:
    await book(environment, environment.instant(14))
    day = environment.day + timedelta(hours=6)
    form = {"who": str(PROVIDER), "from_day": f"{day:%Y-%m-%d}", "key": "k"}
    answer = await ward.post(f"{OFFICE}/leave", form)
    assert answer.status_code == 409
    seen = hidden(answer, "seen")
    await book(environment, environment.instant(13), "bina")
    answer = await ward.post(f"{OFFICE}/leave", {**form, "seen": seen})
    assert answer.status_code == 422
    assert "Meanwhile others booked" in words(answer)
    assert "2 appointments are in the way" in words(answer)
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 0
    answer = await ward.post(f"{OFFICE}/leave", {**form, "seen": hidden(answer, "seen")})
    assert "flagged=2" in goes_to(answer)


async def test_leave_that_is_taken_back_lets_appointments_stand(
    ward: Browser, db: Database, environment: Environment
) -> None:
    booked = await book(environment, environment.instant(14))
    day = environment.day + timedelta(hours=6)
    form = {"who": str(PROVIDER), "from_day": f"{day:%Y-%m-%d}", "from_time": "13:00", "to_time": "15:00"}
    answer = await ward.post(f"{OFFICE}/leave", form)
    assert "flagged=1" in goes_to(await ward.post(f"{OFFICE}/leave", {**form, "seen": hidden(answer, "seen")}))
    flagged = "SELECT needs_rebooking FROM booking.booking WHERE booking_id = $1"
    assert await db.fetch_value(flagged, booked)
    # The patient is told to choose another time, and then that there is no need to.
    await db.execute("UPDATE notices.notice SET sent_at = public.app_now(), due_at = NULL")
    page = await ward.get(f"{OFFICE}/leave")
    remove = re.search(rf'action="({OFFICE}/leave/{PROVIDER}/[^"]+/remove)"', page.text)
    assert remove
    assert goes_to(await ward.post(remove[1])) == f"{OFFICE}/leave?done=removed&stands=1"
    assert not await db.fetch_value(flagged, booked)
    assert await events(db, "stands") == 1
    assert (await ward.post(remove[1])).status_code == 404
    # To look at what is in the way is no leave that was refused.
    assert await audit_actions(db) == ["add_leave", "remove_leave"]
    assert await db.fetch_value("SELECT count(*) FROM staff.audit_entry WHERE is_refused") == 0
    assert await db.fetch_value("SELECT count(*) FROM staff.audit_entry WHERE action = 'see_in_the_way'") == 2


async def test_a_holiday_is_added_for_all_and_taken_back(ward: Browser, db: Database, environment: Environment) -> None:
    await book(environment, environment.instant(14))
    await environment.pass_time(seconds=2)
    day = environment.day + timedelta(hours=6)
    form = {"who": "all", "from_day": f"{day:%Y-%m-%d}", "reason": "Holi", "key": "k1"}
    answer = await ward.post(f"{OFFICE}/leave", form)
    assert "1 appointment is in the way" in words(answer)
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 0
    answer = await ward.post(f"{OFFICE}/leave", {**form, "seen": hidden(answer, "seen")})
    assert goes_to(answer) == f"{OFFICE}/leave?done=added&providers=2&flagged=1&moved="
    # Sent again, by a second click, it is there once.
    await ward.post(f"{OFFICE}/leave", {**form, "seen": "2020-01-01T00:00:00+00:00"})
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 2
    page = await ward.get(f"{OFFICE}/leave")
    assert "Holiday, 2 doctors" in words(page)
    remove = re.search(rf'action="({OFFICE}/holiday/[^"]+/remove)"', page.text)
    assert remove
    assert goes_to(await ward.post(remove[1])) == f"{OFFICE}/leave?done=removed&stands=1"
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 0


async def test_a_holiday_of_300_providers_is_quick(ward: Browser, db: Database, environment: Environment) -> None:
    clinic = {CLINIC: (50_000, "online")}
    for _ in range(298):
        provider_id = await make_provider(db, clinic)
        await make_shift(db, provider_id, CLINIC, DAILY, time(9), time(13), 10)
    form = {"who": "all", "from_day": "2083-01-26", "key": "k1"}
    began = monotonic()
    assert "providers=300" in goes_to(await ward.post(f"{OFFICE}/leave", form))
    took = monotonic() - began
    print(f"a holiday of 300 providers: {took:.2f} s")
    assert took < 6  # 2 s on quiet cores
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 300


async def test_closing_and_opening(ward: Browser, app: Litestar, db: Database, environment: Environment) -> None:
    await book(environment, environment.instant(14))
    path = f"{OFFICE}/provider/{PROVIDER}"
    answer = await ward.post(f"{path}/close")
    assert answer.status_code == 409
    assert "1 appointment is in the way" in words(answer)
    assert "flagged=1" in goes_to(await ward.post(f"{path}/close", {"seen": hidden(answer, "seen")}))
    assert (await environment.hold(environment.instant(13), CLINIC, "bina")).code == "no_such_slot"
    assert goes_to(await ward.post(f"{path}/open")) == f"{path}?done=open&stands=1"
    assert await events(db, "stands") == 1
    assert (await environment.hold(environment.instant(13), CLINIC, "bina")).code == "reserved"
    # The clinic: with all its providers, and back.
    anybody = Browser(app)
    assert "Clinic 2" in (await anybody.get(f"/doctor/{PROVIDER}/dr-1")).text
    await environment.pass_time(seconds=2)
    answer = await ward.post(f"{OFFICE}/close")
    assert answer.status_code == 409
    closes = {"seen": hidden(answer, "seen"), "closing": hidden(answer, "closing")}
    closed = goes_to(await ward.post(f"{OFFICE}/close", closes))
    assert closed == f"{OFFICE}/clinic?done=closed&providers=2&flagged=1&moved="
    assert "Closed since" in words(await ward.get(f"{OFFICE}/clinic"))
    forget_shared_reads(app)
    assert "Clinic 2" not in (await anybody.get(f"/doctor/{PROVIDER}/dr-1")).text
    assert (await anybody.get(f"/doctor/{PROVIDER}/dr-1/{CLINIC}")).status_code == 200
    assert await db.fetch_value("SELECT count(*) FROM search.listing WHERE clinic_id = $1", CLINIC) == 0
    assert goes_to(await ward.post(f"{OFFICE}/open")) == f"{OFFICE}/clinic?done=open&stands=1"
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NOT NULL") == 0


async def test_what_is_closed_after_a_last_day_can_be_moved_before_it(
    ward: Browser, db: Database, environment: Environment
) -> None:
    booked = await book(environment, environment.instant(14))
    last = environment.day + timedelta(hours=6) - timedelta(days=1)
    path = f"{OFFICE}/provider/{PROVIDER}/close"
    assert "This is over already." in words(await ward.post(path, {"last_day": "2020-01-01"}))
    form = {"last_day": f"{last:%Y-%m-%d}"}
    answer = await ward.post(path, form)
    assert answer.status_code == 409
    assert hidden(answer, "last_day") == form["last_day"]
    start = re.search(rf'name="move_{booked}"[^>]*>.*?<option value="(20[^"]+)"', answer.text, re.DOTALL)
    assert start
    moved = {**form, "seen": hidden(answer, "seen"), f"move_{booked}": start[1]}
    assert goes_to(await ward.post(path, moved)) == f"{OFFICE}?done=ends&moved=1"
    row = await db.fetch_row("SELECT lower(during) AS at, needs_rebooking FROM booking.booking")
    assert row is not None
    assert (row["at"].isoformat(), row["needs_rebooking"]) == (start[1], False)
    assert row["at"] < environment.day
    # Of all of the clinic, in the same way.
    await environment.pass_time(seconds=2)
    other = await environment.hold(environment.instant(14), CLINIC, "chand", OTHER_PROVIDER)
    assert other.booking_id is not None
    await environment.book.confirm(OTHER_PROVIDER, other.booking_id, None, environment.actor("chand"))
    await environment.pass_time(seconds=2)
    answer = await ward.post(f"{OFFICE}/close", form)
    assert answer.status_code == 409
    choice = re.search(rf'name="move_{other.booking_id}"[^>]*>.*?<option value="(20[^"]+)"', answer.text, re.DOTALL)
    assert choice
    moved = {**form, "seen": hidden(answer, "seen"), f"move_{other.booking_id}": choice[1]}
    assert "providers=2&flagged=&moved=1" in goes_to(await ward.post(f"{OFFICE}/close", moved))
    ends = "SELECT count(*) FROM schedule.shift WHERE clinic_id = $1 AND upper(valid) IS DISTINCT FROM $2"
    assert await db.fetch_value(ends, CLINIC, last.date() + timedelta(days=1)) == 0


async def test_a_clinic_that_closed_in_two_goes_opens_as_one(
    ward: Browser, db: Database, environment: Environment
) -> None:
    await book(environment, environment.instant(14))
    await environment.pass_time(seconds=2)
    answer = await ward.post(f"{OFFICE}/close")
    # Another books with the other doctor meanwhile: only the first is closed.
    later = await environment.hold(environment.instant(13), CLINIC, "bina", OTHER_PROVIDER)
    assert later.code == "reserved"
    await environment.pass_time(seconds=2)
    closes = {"seen": hidden(answer, "seen"), "closing": hidden(answer, "closing")}
    again = await ward.post(f"{OFFICE}/close", closes)
    assert again.status_code == 422
    assert "Meanwhile others booked" in words(again)
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NOT NULL") == 1
    closes = {"seen": hidden(again, "seen"), "closing": hidden(again, "closing")}
    assert "done=closed" in goes_to(await ward.post(f"{OFFICE}/close", closes))
    assert "stands=1" in goes_to(await ward.post(f"{OFFICE}/open"))
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NOT NULL") == 0


async def test_who_holds_or_waits_is_told_what_closed(
    ward: Browser, app: Litestar, db: Database, environment: Environment
) -> None:
    await db.execute("UPDATE accounts.patient SET phone = '+9198' || lpad(patient_id::text, 8, '0')")
    held = await environment.held(CLINIC, 13)
    assert (await environment.hold(environment.instant(13, 30), CLINIC, "chand")).code == "reserved"
    window = environment.instant(13), environment.instant(14)
    joined = await environment.book.join_queue(
        PROVIDER, CLINIC, *window, 1, environment.ids["bina"], environment.actor("bina")
    )
    assert joined.ticket_id is not None, joined
    waits = joined.ticket_id
    path = f"{OFFICE}/provider/{PROVIDER}/close"
    answer = await ward.post(path)
    assert "2 times that people hold" in words(answer)
    assert "done=closed" in goes_to(await ward.post(path, {"seen": hidden(answer, "seen")}))
    rows = await db.fetch("SELECT kind::text, booking_id, ticket_id FROM notices.notice ORDER BY kind")
    assert sorted(row["kind"] for row in rows) == ["queue_closed", "withdrawn", "withdrawn"]
    assert [row["ticket_id"] for row in rows if row["booking_id"] is None] == [waits]
    assert held in [row["booking_id"] for row in rows]
    recorder = Recorder()
    await notices(db, recorder).send_due("sms")
    assert sorted(recorder.templates) == ["queue_closed", "withdrawn", "withdrawn"]
    pages = {
        "asha": (f"/doctor/{PROVIDER}/hold/{held}", "The clinic no longer has"),
        "bina": (f"/doctor/{PROVIDER}/wait/{waits}", "The clinic no longer has the times you were waiting for."),
    }
    for name, (page, said) in pages.items():
        assert said in words(await Browser(app, environment.tokens[name]).get(page)), name


async def test_others_clinics_and_what_is_not_there_are_refused(ward: Browser, app: Litestar, db: Database) -> None:
    for path in (f"/office/{OTHER_CLINIC}", f"/office/{OTHER_CLINIC}/week/{PROVIDER}", f"/office/{OTHER_CLINIC}/leave"):
        assert (await ward.get(path)).status_code == 403
    shift_there = await db.fetch_value("SELECT min(shift_id) FROM schedule.shift WHERE clinic_id = $1", OTHER_CLINIC)
    for path in (
        f"{OFFICE}/week/99999",
        f"{WEEK}/shift/{shift_there}",
        f"{OFFICE}/provider/{2**62}",
        f"{WEEK}/shift/9999999",
    ):
        assert (await ward.get(path)).status_code == 404, path
    # As one that a colleague has ended meanwhile.
    for act in ("", "/end"):
        answer = await ward.post(f"{WEEK}/shift/{shift_there}{act}", {**SHIFT, "weekday": "1", "was": ""})
        assert answer.status_code == 409
        assert "The shift was ended." in words(answer)
    assert await db.fetch_value("SELECT count(*) FROM schedule.shift WHERE shift_id = $1", shift_there) == 1
    desk = await log_in(app, db, "desk", CLINIC, "arun")
    assert (await desk.get(OFFICE)).status_code == 403
