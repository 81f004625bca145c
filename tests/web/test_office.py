"""The office's pages as forms that need no script: what each changes, what it refuses, and what is in the way."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime, time, timedelta
from io import BytesIO
from itertools import cycle
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from PIL import Image

from healthplus.database import Database
from tests.fixtures.directory import DAILY, make_provider, make_shift
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes, make_staff
from tests.web.client import Browser, forget_shared_reads
from tests.web.test_odd_requests import NO_FORMS, ODD, check
from tests.web.test_staff_routes import desk_routes

CLINIC, OTHER_CLINIC = AT_CLINIC, ONLINE
OFFICE = f"/office/{CLINIC}"
WEEK = f"{OFFICE}/week/{PROVIDER}"
SHIFT = {"starts": "05:00", "ends": "08:00", "slot_minutes": "15", "seats": "", "slots_max": ""}
DOCTOR = {"name": "Dr Asha Rao", "fee": "500", "type": "doctor", "funding": "", "languages": "Hindi, Marathi"}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


async def log_in(
    app: Litestar, db: Database, role: Any = "ward", clinic_id: int | None = CLINIC, log_on: str = "meera"
) -> Browser:
    await make_staff(db, log_on, role, clinic_id, secret=app.state.services.secret)
    browser = Browser(app)
    answer = await browser.post("/desk/log-in", {"log_on": log_on, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


@pytest.fixture
async def ward(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db)


@pytest.fixture
async def administrator(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db, "administrator", None, "nair")


def words(answer: httpx.Response) -> str:
    """Return what a page says."""
    return " ".join(re.sub(r"(?s)<(head|script)\b.*?</\1>|<[^>]+>", " ", answer.text).split())


def goes_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303, (answer.status_code, words(answer)[:1500])
    return answer.headers["location"]


def hidden(answer: httpx.Response, name: str) -> str:
    """Return what a form of a page has put in for a field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, words(answer)
    return found[1]


async def shift_of(db: Database, weekday: int) -> int:
    """Return the provider's shift at the clinic on a weekday."""
    shift_id: int = await db.fetch_value(
        "SELECT shift_id FROM schedule.shift WHERE provider_id = $1 AND clinic_id = $2 AND weekday = $3",
        PROVIDER,
        CLINIC,
        weekday,
    )
    return shift_id


async def book(environment: Environment, start: datetime, name: str = "asha") -> UUID:
    """Book a time that is paid for at the clinic."""
    held = await environment.hold(start, CLINIC, name)
    assert held.booking_id is not None, held
    outcome = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
    assert outcome.code == "booked", outcome
    return held.booking_id


async def events(db: Database, kind: str) -> int:
    count: int = await db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = $1", kind)
    return count


async def audited(db: Database) -> list[str]:
    rows = await db.fetch("SELECT action FROM staff.audit_entry WHERE session_id IS NOT NULL ORDER BY entry_id")
    return [row["action"] for row in rows if row["action"] not in ("log_in", "see_in_the_way")]


async def test_pages_are_there_in_both_languages(ward: Browser) -> None:
    paths = (
        "",
        f"/week/{PROVIDER}",
        f"/week/{PROVIDER}/copy",
        "",
        "/leave",
        "/services",
        "/terms",
    )
    for path in (*paths, "/clinic", "/provider/new", f"/provider/{PROVIDER}"):
        for language in ("", "/hi"):
            answer = await ward.get(f"{language}{OFFICE}{path}")
            assert answer.status_code == 200, (path, answer.text[:500])
            assert answer.headers["cache-control"] == "no-store"


async def test_who_is_not_logged_in_comes_back_to_the_page(app: Litestar) -> None:
    assert goes_to(await Browser(app).get(OFFICE)) == "/desk/log-in?next=%2Foffice%2F2"
    answer = await Browser(app).get("/desk/log-in?next=/office/2")
    assert "next=%2Foffice%2F2" in answer.text


async def test_shifts_are_added_changed_and_ended(ward: Browser, db: Database, environment: Environment) -> None:
    answer = await ward.post(WEEK, {**SHIFT, "day_1": "1", "day_3": "1", "valid_from": "2027-01-04"})
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
    change = {**SHIFT, "weekday": "1", "ends": "08:30", "was": was, "valid_from": "2027-01-04"}
    # Only from a later day on: the shift goes on until then as it was.
    assert goes_to(await ward.post(path, {**change, "since": "2027-02-01"})).startswith(f"{WEEK}?done=changed")
    kept = await db.fetch(
        "SELECT ends::text, lower(valid) AS first, upper(valid) AS until FROM schedule.shift "
        "WHERE weekday = 1 AND slot_minutes = 15 ORDER BY valid"
    )
    assert [(row["ends"], str(row["first"]), str(row["until"])) for row in kept] == [
        ("08:00:00", "2027-01-04", "2027-02-01"), ("08:30:00", "2027-02-01", "None"),
    ]  # fmt: skip
    # Neither is made longer by ending it, nor changed after its end.
    changed = await ward.get(path)
    for late in ({"since": "2027-03-01", **change}, {"since": "2027-01-20", **change, "valid_until": "2027-01-10"}):
        answer = await ward.post(path, {**late, "was": hidden(changed, "was")})
        assert answer.status_code == 422, late
    answer = await ward.post(f"{path}/end", {"was": hidden(changed, "was"), "last_day": "2027-06-01"})
    assert "The shift is over by then." in words(answer)
    # It is not what was looked at any more.
    answer = await ward.post(f"{path}/end", {"was": was, "last_day": ""})
    assert answer.status_code == 409
    assert "Someone changed this while you did Meera Rao changed it at" in words(answer)
    assert goes_to(await ward.post(f"{path}/end", {"was": hidden(answer, "was")})).startswith(f"{WEEK}?done=ended")
    assert await audited(db) == ["change_shifts"] * 3


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
    assert await audited(db) == ["add_leave", "add_leave", "remove_leave"]


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
    form = {"who": "all", "from_day": "2027-01-26", "key": "k1"}
    began = monotonic()
    assert "providers=300" in goes_to(await ward.post(f"{OFFICE}/leave", form))
    took = monotonic() - began
    print(f"a holiday of 300 providers: {took:.2f} s")
    assert took < 6  # 2 s on quiet cores
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 300


async def test_services_and_terms(ward: Browser, db: Database) -> None:
    form = {"provider": str(PROVIDER), "name": "Root canal", "kind": "visit", "fee": "4,500", "length_minutes": "45"}
    bad = await ward.post(f"{OFFICE}/services", {**form, "funding": "free"})
    assert bad.status_code == 422
    assert "What is free has no fee." in words(bad)
    assert 'value="Root canal"' in bad.text
    days = {f"day_{day}": "1" for day in (1, 3)}
    assert goes_to(await ward.post(f"{OFFICE}/services", {**form, **days})) == f"{OFFICE}/services?done=added"
    assert (
        goes_to(await ward.post(f"{OFFICE}/services", {**form, **days, "fee": "5000"}))
        == f"{OFFICE}/services?done=changed"
    )
    row = await db.fetch_row("SELECT * FROM directory.service WHERE closed_at IS NULL")
    assert row is not None
    assert (row["fee_minor"], row["length_minutes"], row["weekdays"], row["clinic_id"]) == (500000, 45, 5, CLINIC)
    page = await ward.get(f"{OFFICE}/services?change={row['service_id']}")
    assert 'value="5000"' in page.text
    ladder = {
        "service": "root-canal",
        "unit": "amount",
        "hours_1": "4",
        "kept_1": "500",
        "hours_2": "24",
        "kept_2": "100",
    }
    assert goes_to(await ward.post(f"{OFFICE}/terms", ladder)) == f"{OFFICE}/terms?done=saved"
    assert "Later than 4 hours before: ₹500 kept" in words(await ward.get(f"{OFFICE}/terms"))
    assert (await ward.post(f"{OFFICE}/terms", {**ladder, "kept_2": "900"})).status_code == 422
    assert goes_to(
        await ward.post(f"{OFFICE}/terms", {"service": "", "unit": "percent", "hours_1": "24", "kept_1": "50"})
    )
    assert await db.fetch_value("SELECT terms_id FROM directory.clinic WHERE clinic_id = 2") is not None
    close = f"{OFFICE}/services/{row['service_id']}/close"
    assert goes_to(await ward.post(close)) == f"{OFFICE}/services?done=closed"
    assert (await ward.post(close)).status_code == 404


async def test_a_doctor_is_added_and_changed(ward: Browser, administrator: Browser, db: Database) -> None:
    answer = await ward.post(f"{OFFICE}/provider/new", {**DOCTOR, "specialities": "Dermatology"})
    assert answer.status_code == 422
    assert "Ask an administrator to add it." in words(answer)
    assert 'value="Hindi, Marathi"' in answer.text
    answer = await administrator.post(f"{OFFICE}/provider/new", {**DOCTOR, "specialities": "Dermatology"})
    path = goes_to(answer).partition("?")[0]
    provider_id = int(path.rpartition("/")[2])
    row = await db.fetch_row(
        "SELECT name, languages, qualifications FROM directory.provider WHERE provider_id = $1", provider_id
    )
    assert row is not None
    assert (row["name"], row["languages"]) == ("Dr Asha Rao", ["Hindi", "Marathi"])
    assert (
        await db.fetch_value("SELECT fee_minor FROM directory.provider_clinic WHERE provider_id = $1", provider_id)
        == 50000
    )
    version = hidden(await ward.get(path), "version")
    change = {
        **DOCTOR,
        "specialities": "Dermatology",
        "funding": "online",
        "qualifications": "MBBS",
        "version": version,
    }
    assert goes_to(await ward.post(path, change)) == f"{path}?done=saved"
    answer = await ward.post(path, {**change, "qualifications": "MD"})
    assert answer.status_code == 409
    assert "Someone changed this while you did" in words(answer)
    assert "Qualifications MBBS" in words(answer)
    assert 'value="MD"' in answer.text
    answer = await ward.post(path, {**change, "qualifications": "MD", "version": hidden(answer, "version")})
    assert goes_to(answer) == f"{path}?done=saved"


async def test_who_works_elsewhere_too_is_the_administrators_but_for_the_fee(ward: Browser, db: Database) -> None:
    path = f"{OFFICE}/provider/{PROVIDER}"
    page = await ward.get(path)
    assert "an administrator the rest" in words(page)
    form = {**DOCTOR, "name": "Dr Somebody Else", "fee": "700", "funding": "online", "version": hidden(page, "version")}
    assert goes_to(await ward.post(path, form)) == f"{path}?done=saved"
    assert await db.fetch_value("SELECT name FROM directory.provider WHERE provider_id = 1") == "Dr 1"
    assert (
        await db.fetch_value("SELECT fee_minor FROM directory.provider_clinic WHERE provider_id = 1 AND clinic_id = 2")
        == 70000
    )
    photo = {"photo": ("a.jpg", picture("JPEG"), "image/jpeg")}
    assert (await ward.http.post(f"{path}/photo", files=photo)).status_code == 422


def picture(kind: str, size: tuple[int, int] = (400, 300), **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(file, kind, **options)
    return file.getvalue()


async def test_photos(administrator: Browser, db: Database) -> None:
    path = f"{OFFICE}/provider/{PROVIDER}/photo"

    async def send(content: bytes, name: str = "a.jpg") -> httpx.Response:
        return await administrator.http.post(path, files={"photo": (name, content, "image/jpeg")})

    exif = Image.Exif()
    exif[0x010E] = "where and when"
    plain = picture("JPEG", exif=exif)
    assert b"where and when" in plain
    assert goes_to(await send(plain)).endswith("done=photo")
    stored = await db.fetch("SELECT size, webp FROM directory.photo ORDER BY size")
    assert [row["size"] for row in stored] == [96, 320]
    assert all(row["webp"][:4] == b"RIFF" and b"where and when" not in row["webp"] for row in stored)
    for content, said in (
        (b"", "Choose a photo first."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This file is not only a photo."),
        (b"GIF89a" + b"\0" * 100, "This is no photo that we can read."),
        (plain + b"<script>alert(1)</script>", "This file is not only a photo."),
        (plain + b"<html>", "This file is not only a photo."),
        (picture("PNG") + zipped(), "This file is not only a photo."),
        (picture("JPEG", (50, 50)), "each side needs 96 pixels or more"),
        (b"\xff" * (3 << 20), "larger than 2 MB"),
        (b"\xff" * (40 << 20), "larger than 2 MB"),
    ):
        answer = await send(content)
        assert answer.status_code == 422, content[:40]
        assert said in words(answer), content[:40]
    assert goes_to(await administrator.post(f"{path}/remove")).endswith("done=photo_removed")
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_photo") == 0


def zipped() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.html", "<p>")
    return file.getvalue()


async def test_closing_and_opening(ward: Browser, app: Litestar, db: Database, environment: Environment) -> None:
    await book(environment, environment.instant(14))
    path = f"{OFFICE}/provider/{PROVIDER}"
    answer = await ward.post(f"{path}/close")
    assert answer.status_code == 409
    assert "1 appointment is in the way" in words(answer)
    assert "flagged=1" in goes_to(await ward.post(f"{path}/close", {"seen": hidden(answer, "seen")}))
    assert (await environment.hold(environment.instant(13), CLINIC, "bina")).code == "no_such_slot"
    assert goes_to(await ward.post(f"{path}/open")) == f"{path}?done=open"
    assert await events(db, "stands") == 1
    assert (await environment.hold(environment.instant(13), CLINIC, "bina")).code == "reserved"
    # The clinic: with all its providers, and back.
    anybody = Browser(app)
    assert "Clinic 2" in (await anybody.get(f"/doctor/{PROVIDER}/dr-1")).text
    await environment.pass_time(seconds=2)
    answer = await ward.post(f"{OFFICE}/close")
    assert answer.status_code == 409
    assert (
        goes_to(await ward.post(f"{OFFICE}/close", {"seen": hidden(answer, "seen")})) == f"{OFFICE}/clinic?done=closed"
    )
    assert "Closed since" in words(await ward.get(f"{OFFICE}/clinic"))
    forget_shared_reads(app)
    assert "Clinic 2" not in (await anybody.get(f"/doctor/{PROVIDER}/dr-1")).text
    assert (await anybody.get(f"/doctor/{PROVIDER}/dr-1/{CLINIC}")).status_code == 200
    assert await db.fetch_value("SELECT count(*) FROM search.listing WHERE clinic_id = $1", CLINIC) == 0
    assert goes_to(await ward.post(f"{OFFICE}/open")) == f"{OFFICE}/clinic?done=open"
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NOT NULL") == 0


async def test_a_clinic_is_added_by_administrators_alone(ward: Browser, administrator: Browser, db: Database) -> None:
    form = {"name": "Sahyadri Clinic", "address": "4, Karve Road", "city": "Satara", "state": "Maharashtra"}
    assert (await ward.post("/office/new", form)).status_code == 403
    answer = await administrator.post("/office/new", {**form, "name": ""})
    assert answer.status_code == 422
    path = goes_to(await administrator.post("/office/new", form)).partition("?")[0]
    assert (await administrator.get(path)).status_code == 200
    found = await administrator.get("/office/find?name=sahy")
    assert "Sahyadri Clinic" in words(found)
    page = await administrator.get(f"{path}/clinic")
    changed = {**form, "phone": "020 1234", "version": hidden(page, "version")}
    assert goes_to(await administrator.post(f"{path}/clinic", changed)) == f"{path}/clinic?done=saved"
    assert (await administrator.post(f"{path}/clinic", {**changed, "phone": "2"})).status_code == 409
    assert (await administrator.get(f"/office/{2**40}")).status_code == 404


async def test_shifts_are_copied_to_days_and_to_doctors(ward: Browser, administrator: Browser, db: Database) -> None:
    path = goes_to(await administrator.post(f"{OFFICE}/provider/new", DOCTOR)).partition("?")[0]
    new_id = int(path.rpartition("/")[2])
    week = f"{OFFICE}/week/{new_id}"
    assert goes_to(await ward.post(week, {**SHIFT, "day_1": "1"}))
    copied = await ward.post(f"{week}/copy", {"from_day": "1", "to_day_2": "1", "to_day_5": "1"})
    assert goes_to(copied).startswith(f"{week}?done=copied")
    days = "SELECT array_agg(weekday ORDER BY weekday) FROM schedule.shift WHERE provider_id = $1"
    assert await db.fetch_value(days, new_id) == [1, 2, 5]
    other = goes_to(await administrator.post(f"{OFFICE}/provider/new", {**DOCTOR, "name": "Dr B"})).partition("?")[0]
    other_id = int(other.rpartition("/")[2])
    assert goes_to(await ward.post(f"{week}/copy", {"from_day": "0", f"to_{other_id}": "1"}))
    assert await db.fetch_value(days, other_id) == [1, 2, 5]
    # Where something is there already, nothing is added, and it is said for whom.
    answer = await ward.post(f"{week}/copy", {"from_day": "0", f"to_{other_id}": "1"})
    assert answer.status_code == 422
    assert "This overlaps another shift of theirs" in words(answer)


@pytest.mark.parametrize(
    "form",
    [
        {"starts": "25:00"}, {"starts": "", "ends": ""}, {"starts": "08:00", "ends": "05:00"}, {"slot_minutes": "4"},
        {"slot_minutes": "1" * 30}, {"seats": "-1"}, {"slots_max": "x"}, {"valid_from": "9999-99-99"},
        {"valid_from": "2027-02-02", "valid_until": "2027-02-01"}, {"slot_minutes": "240"},
    ],
)  # fmt: skip
async def test_bad_shifts_are_refused_and_kept(ward: Browser, db: Database, form: dict[str, str]) -> None:
    answer = await ward.post(WEEK, {**SHIFT, "day_1": "1", **form})
    assert answer.status_code == 422
    assert "Please fix this" in words(answer)
    assert await db.fetch_value("SELECT count(*) FROM schedule.shift WHERE slot_minutes <> 30") == 0


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


ODD_FIELDS = (
    *(
        "starts",
        "ends",
        "slot_minutes",
        "seats",
        "weekday",
        "valid_from",
        "since",
        "was",
        "week",
        "seen",
        "from_day",
        "to_1",
    ),
    *(
        "last_day",
        "who",
        "to_day",
        "from_time",
        "reason",
        "key",
        f"move_{UUID(int=1)}",
        "provider",
        "name",
        "fee",
        "kind",
    ),
    *("length_minutes", "buffer_minutes", "funding", "service", "unit", "hours_1", "kept_1", "version", "languages"),
    *(
        "specialities",
        "type",
        "gender",
        "bio",
        "practising_since",
        "max_booking_days",
        "latitude",
        "postal_code",
        "lead_minutes",
    ),
    *("log_on", "role", "clinic", "known", "told", "happened", "data", "people", "per_day", "expires_days", "factors"),
)


ODD_QUERIES = ("week", "who", "day", "change", "service", "provider", "name", "done", "moved", "what")
ODD_QUERIES += ("patient", "booking", "from", "before", "after", "after_id")


async def test_nothing_odd_breaks_the_office(administrator: Browser, app: Litestar, db: Database) -> None:
    """Every page with odd queries, and every form with odd fields, as somebody who may have them."""
    filled = {
        **SHIFT, **DOCTOR, "day_1": "1", "weekday": "1", "who": str(PROVIDER), "from_day": "2027-03-01",
        "provider": "1", "kind": "visit", "length_minutes": "30", "unit": "percent", "hours_1": "24", "kept_1": "10",
        "address": "a", "city": "Pune", "state": "M", "log_on": "a.b.c", "role": "desk", "clinic": "1",
        "known": "2026-11-01T09:00", "told": "2026-11-01T10:00", "happened": "x", "data": "y", "scope_search": "1",
        "per_minute": "1", "per_day": "1",
    }  # fmt: skip
    ids = {"clinic_id": CLINIC, "provider_id": PROVIDER, "shift_id": await shift_of(db, 1), "service_id": 1}
    ids |= {"leave_id": UUID(int=1), "holiday_id": UUID(int=1), "ask_id": UUID(int=1)}  # type: ignore[dict-item]
    ids |= {"staff_id": 99, "breach_id": 1, "key_id": 99}
    odd = [one for one in ODD if one]
    asked = 0
    for route in dict(desk_routes(app)):  # once for all languages
        method, path = route.split(" ")
        if not path.startswith("/office"):
            continue
        address = path.format(**ids)
        if method == "GET":
            for value, name in zip(cycle(odd), ODD_QUERIES, strict=False):
                check(await administrator.http.get(address, params={name: value}), (address, name, value))
            continue
        # Of the odd values of the fields each form has some, and others have others.
        for number, name in enumerate(ODD_FIELDS[len(path) % 5 :: 5]):
            value = ODD[(number + len(path)) % len(ODD)]
            check(await administrator.http.post(address, data={**filled, name: value}), (address, name, value))
            asked += 1
        for kind, body in NO_FORMS:
            answer = await administrator.http.post(address, content=body, headers={"Content-Type": kind})
            check(answer, (address, kind, body))
    assert asked > 100
