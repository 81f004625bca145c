"""The office's pages of shifts, leave and closing, as forms: what each changes, refuses, and what is in the way."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from litestar import Litestar

from healthplus.database import Database
from tests.fixtures.environment import OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser
from tests.web.staff import (
    CLINIC,
    OFFICE,
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
    # What was left as it was shown is as the other saved it.
    mine, theirs = await ward.get(path), await other.get(path)
    kept = {**form, "ends": "16:30", "seats": "2"}
    kept |= {name: hidden(mine, name) for name in ("was", "marks")}
    assert goes_to(await other.post(path, {**kept, "ends": "17:30", "was": hidden(theirs, "was")}))
    answer = await ward.post(path, {**kept, "seats": "3"})
    assert "It is now:" in words(answer)
    assert 'value="17:30"' in answer.text
    assert 'name="seats" type="number" value="3"' in answer.text
    # One that was ended meanwhile can be added again as it was typed.
    assert goes_to(await other.post(f"{path}/end", {"was": hidden(answer, "was")}))
    answer = await ward.post(path, {**kept, "seats": "3"})
    again_path = re.search(r'href="([^"]+)#new"', answer.text)
    assert again_path
    page = await ward.get(again_path[1].replace("&amp;", "&"))
    assert 'value="16:30"' in page.text
    assert 'name="seats" type="number" value="3"' in page.text
    assert 'name="day_1" value="1" checked' in page.text


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


async def test_a_hold_alone_is_not_told_as_no_appointments(ward: Browser, environment: Environment) -> None:
    await environment.held(CLINIC, 14)
    form = {"who": str(PROVIDER), "from_day": f"{environment.day + timedelta(hours=6):%Y-%m-%d}", "key": "k"}
    said = words(await ward.post(f"{OFFICE}/leave", form))
    assert "Somebody holds a time just now" in said
    assert "0 appointments" not in said


async def test_two_moves_to_one_time_lose_nothing_that_was_chosen(
    ward: Browser, db: Database, environment: Environment
) -> None:
    booked = [
        await book(environment, environment.instant(13)),
        await book(environment, environment.instant(14), "bina"),
    ]
    day = environment.day + timedelta(hours=6)
    form = {"who": str(PROVIDER), "from_day": f"{day:%Y-%m-%d}", "key": "k"}
    answer = await ward.post(f"{OFFICE}/leave", form)
    starts = [
        re.findall(r'<option value="(20[^"]+)"', answer.text.split(f'name="move_{one}"')[1].split("</select>")[0])
        for one in booked
    ]
    both = next(start for start in starts[0] if start in starts[1])
    form |= {"seen": hidden(answer, "seen"), f"move_{booked[0]}": both, f"move_{booked[1]}": both}
    answer = await ward.post(f"{OFFICE}/leave", form)
    assert answer.status_code == 422
    assert "Another of these goes there already." in words(answer)
    assert "2 appointments are in the way" in words(answer)
    assert answer.text.count(f'<option value="{both}" selected>') == 2
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 0
    assert await events(db, "moved") == 0
    other = next(start for start in starts[1] if start != both)
    form |= {"seen": hidden(answer, "seen"), f"move_{booked[1]}": other}
    assert "moved=2" in goes_to(await ward.post(f"{OFFICE}/leave", form))
    assert await events(db, "needs_rebooking") == 0


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
