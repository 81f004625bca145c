"""The office's pages of holidays and closing, as forms: what each changes, and who is told."""

from __future__ import annotations

import re
from datetime import time, timedelta
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
    book,
    events,
    goes_to,
    hidden,
    log_in,
    words,
)


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
    # The same from another form is no second holiday, which taking the first back would leave.
    answer = await ward.post(f"{OFFICE}/leave", {**form, "key": "k2"})
    assert answer.status_code == 422
    assert "This is in a leave that is there already" in words(answer)
    page = await ward.get(f"{OFFICE}/leave")
    assert "Holiday, 2 doctors" in words(page)
    assert ", all day" in words(page)
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
