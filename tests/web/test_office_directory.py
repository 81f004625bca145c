"""The office's pages of services, terms, doctors, photos and clinics, as forms that need no script."""

from __future__ import annotations

import asyncio
import re

import httpx
from PIL import Image

from healthplus.database import Database
from tests.fixtures.environment import PROVIDER
from tests.web.client import Browser
from tests.web.staff import (
    CLINIC,
    DOCTOR,
    OFFICE,
    audit_actions,
    goes_to,
    hidden,
    picture,
    words,
    zipped,
)


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
    assert "Cancelled less than 4 hours before: ₹500 kept" in words(await ward.get(f"{OFFICE}/terms"))
    assert (await ward.post(f"{OFFICE}/terms", {**ladder, "kept_2": "900"})).status_code == 422
    assert goes_to(
        await ward.post(f"{OFFICE}/terms", {"service": "", "unit": "percent", "hours_1": "24", "kept_1": "50"})
    )
    assert await db.fetch_value("SELECT terms_id FROM directory.clinic WHERE clinic_id = 2") is not None
    close = f"{OFFICE}/services/{row['service_id']}/close"
    assert "It cannot be opened again" in words(await ward.post(close))
    assert goes_to(await ward.post(close, {"sure": "1"})) == f"{OFFICE}/services?done=closed"
    assert (await ward.post(close)).status_code == 404


_OPEN = "SELECT * FROM directory.service JOIN directory.service_type USING (service_type_id) WHERE closed_at IS NULL"
_SERVICE = {
    "fee_minor": 450_000, "length_minutes": 45, "funding": "online", "buffer_minutes": 15, "starts_every": 3,
    "weekdays": 5, "allows_more_a_day": True,
}  # fmt: skip


async def _service(db: Database, clinic_id: int | None = CLINIC, **columns: object) -> int:
    """Open a service with nothing as it is by default."""
    row = {"provider_id": PROVIDER, "clinic_id": clinic_id, "service_type": "root-canal", "is_test": False}
    types = [{"slug": "root-canal", "name": "Root canal", "is_test": False}]
    await db.execute("SELECT directory.put_service_types($1)", types)
    await db.execute("SELECT directory.put_services($1)", [{**row, **_SERVICE, **columns}])
    service_id: int = await db.fetch_value("SELECT max(service_id) FROM directory.service")
    return service_id


async def _sent(ward: Browser, service_id: int, **changed: str) -> httpx.Response:
    """Send the form of a service as its page has it, but for what is changed."""
    page = (await ward.get(f"{OFFICE}/services?change={service_id}")).text.partition('id="put"')[2]
    inputs = [one for one in re.findall(r"<input[^>]*>", page) if "checkbox" not in one or " checked" in one]
    form = {found[1]: found[2] for one in inputs if (found := re.search(r' name="(\w+)".* value="([^"]*)"', one))}
    form |= dict(re.findall(r'(?s)<select[^>]* name="(\w+)"(?:(?!</select>).)*? value="([^"]*)" selected', page))
    return await ward.post(f"{OFFICE}/services", {**form, **changed})


async def test_what_a_form_of_a_service_does_not_show_stays(ward: Browser, db: Database) -> None:
    service_id = await _service(db)
    assert goes_to(await _sent(ward, service_id, fee="5000")) == f"{OFFICE}/services?done=changed"
    rows = await db.fetch(_OPEN)
    assert [{name: row[name] for name in _SERVICE} for row in rows] == [{**_SERVICE, "fee_minor": 500_000}]
    # One of the same name is replaced, too, where it is added as if there were none.
    form = {"provider": str(PROVIDER), "name": "Root canal", "kind": "visit", "fee": "100", "length_minutes": "45"}
    assert goes_to(await ward.post(f"{OFFICE}/services", {**form, "day_1": "1"})).endswith("done=changed")
    assert [row["starts_every"] for row in await db.fetch(_OPEN)] == [3]


async def test_a_service_of_another_name_comes_in_the_place_of_the_one_that_is_changed(
    ward: Browser, db: Database
) -> None:
    service_id = await _service(db)
    assert goes_to(await _sent(ward, service_id, name="Root filling")) == f"{OFFICE}/services?done=changed"
    (row,) = await db.fetch(_OPEN)
    assert (row["name"], {name: row[name] for name in _SERVICE}) == ("Root filling", _SERVICE)
    assert await audit_actions(db) == ["close_service", "put_service"]
    # Sent from a page that is out of date, nothing is added beside it without being seen.
    stale = {"provider": str(PROVIDER), "name": "Filling", "kind": "visit", "fee": "1", "length_minutes": "5"}
    answer = await ward.post(f"{OFFICE}/services", {**stale, "day_1": "1", "change": str(service_id)})
    assert "Someone closed or changed this service meanwhile." in words(answer)
    assert 'value="Filling"' in answer.text
    assert len(await db.fetch(_OPEN)) == 1


async def test_what_all_clinics_have_the_administrators_close_and_take_back(
    ward: Browser, administrator: Browser, db: Database
) -> None:
    service_id = await _service(db, None)
    answer = await _sent(ward, service_id, name="Root filling")
    assert "It has this name at the doctor’s other clinics, too." in words(answer)
    assert [row["name"] for row in await db.fetch(_OPEN)] == ["Root canal"]
    leave_id = await db.fetch_value(
        "INSERT INTO schedule.leave (provider_id, during, reason) "
        "VALUES ($1, tstzrange('2083-01-01', '2083-01-02'), '') RETURNING leave_id::text",
        PROVIDER,
    )
    acts = {
        f"{OFFICE}/leave": f"{OFFICE}/leave/{PROVIDER}/{leave_id}/remove",
        f"{OFFICE}/services": f"{OFFICE}/services/{service_id}/close",
    }
    for path, act in acts.items():
        page = await ward.get(path)
        assert act not in page.text
        assert "At all the doctor’s clinics: an administrator" in words(page)
        assert (await ward.post(act)).status_code == 404
        assert act in (await administrator.get(path)).text
        assert goes_to(await administrator.post(act, {"sure": "1"}))


async def test_a_doctor_is_added_and_changed(ward: Browser, administrator: Browser, db: Database) -> None:
    answer = await ward.post(f"{OFFICE}/provider/new", {**DOCTOR, "specialities": "Dermatology"})
    assert answer.status_code == 422
    assert "Ask an administrator to add it." in words(answer)
    assert 'value="Hindi, Marathi"' in answer.text
    answer = await administrator.post(f"{OFFICE}/provider/new", {**DOCTOR, "specialities": "Dermatology"})
    path = goes_to(answer).partition("?")[0]
    later = await administrator.post(f"{OFFICE}/provider/new", {**DOCTOR, "practising_since": "2199"})
    assert later.status_code == 422
    assert "A whole number from 1900 to" in words(later)
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
        "training": "B.J. College,  Pune",
        "version": version,
    }
    assert goes_to(await ward.post(path, change)) == f"{path}?done=saved"
    training = "SELECT training FROM directory.provider WHERE provider_id = $1"
    assert await db.fetch_value(training, provider_id) == "B.J. College, Pune"
    answer = await ward.post(path, {**change, "qualifications": "MD"})
    assert answer.status_code == 409
    assert "Someone changed this while you did" in words(answer)
    assert "Qualifications MBBS" in words(answer)
    assert 'value="MD"' in answer.text
    answer = await ward.post(path, {**change, "qualifications": "MD", "version": hidden(answer, "version")})
    assert goes_to(answer) == f"{path}?done=saved"


async def test_what_nobody_touched_takes_what_a_colleague_saved_meanwhile(
    ward: Browser, administrator: Browser, db: Database
) -> None:
    path = goes_to(await administrator.post(f"{OFFICE}/provider/new", DOCTOR)).partition("?")[0]
    first = await ward.get(path)
    change = {**DOCTOR, "funding": "online"}
    kept = {name: hidden(first, name) for name in ("version", "marks")}
    theirs = {**change, **kept, "fee": "700", "qualifications": "MBBS"}
    assert goes_to(await administrator.post(path, theirs)) == f"{path}?done=saved"
    answer = await ward.post(path, {**change, **kept, "qualifications": "MD"})
    assert answer.status_code == 409
    said = words(answer)
    assert "Rao changed it at" in said
    assert "Qualifications MBBS" in said
    assert "Fee ₹700" in said
    assert "Languages" not in said.split("Fee ₹700")[0]
    assert 'value="MD"' in answer.text
    assert re.search(r'name="fee"[^>]*value="700"', answer.text)
    again = {**change, "fee": "700", "qualifications": "MD"}
    again |= {name: hidden(answer, name) for name in ("version", "marks")}
    assert goes_to(await ward.post(path, again)) == f"{path}?done=saved"


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
    assert [row["size"] for row in stored] == [96, 320]  # it has 300 pixels
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


async def send_picture(browser: Browser, content: bytes, text: str = "The entrance") -> httpx.Response:
    files = {"photo": ("a.jpg", content, "image/jpeg")}
    return await browser.http.post(f"{OFFICE}/picture", files=files, data={"photo_text": text})


async def test_pictures_of_a_clinic(ward: Browser, db: Database, http: httpx.AsyncClient) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where and when"
    plain = picture("JPEG", (900, 700), exif=exif)
    assert goes_to(await send_picture(ward, plain)).endswith("clinic?done=picture")
    stored = await db.fetch("SELECT size, webp FROM directory.photo ORDER BY size")
    assert [row["size"] for row in stored] == [96, 320, 640]
    assert all(row["webp"][:4] == b"RIFF" and b"where and when" not in row["webp"] for row in stored)
    for content, text, said in (
        (plain, "The door", "The clinic has this picture already."),
        (plain, "", "This is needed."),
        (b"", "Reception", "Choose a photo first."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Reception", "This file is not only a photo."),
        (plain + b"<script>alert(1)</script>", "Reception", "This file is not only a photo."),
        (b"\xff" * (3 << 20), "Reception", "larger than 2 MB"),
    ):
        answer = await send_picture(ward, content, text)
        assert (answer.status_code, said in words(answer)) == (422, True), said
        assert len(content) > 2 << 20 or f'name="photo_text" type="text" value="{text}"' in answer.text
    for number in range(2, 7):
        assert goes_to(await send_picture(ward, picture("PNG"), f"Room {number}"))
    page = await ward.get(f"{OFFICE}/clinic")
    assert "Add the picture" not in page.text
    assert re.findall(r"<option selected>(\d)</option>", page.text) == ["1", "2", "3", "4", "5", "6"]
    assert "Remove one first." in words(await send_picture(ward, picture("PNG"), "Room 7"))

    async def texts() -> list[str]:
        rows = await db.fetch("SELECT text FROM directory.clinic_picture ORDER BY position")
        return [row["text"] for row in rows]

    hashes = [row["hash"] for row in await db.fetch("SELECT hash FROM directory.clinic_picture ORDER BY position")]
    public = await http.get((await http.get(f"/clinic/{CLINIC}")).headers["location"])
    assert (
        re.findall(r'alt="([^"]*)"></a>', public.text)
        == await texts()
        == ["The entrance", *(f"Room {number}" for number in range(2, 7))]
    )
    path = f"{OFFICE}/picture/{hashes[0]}"
    assert goes_to(await ward.post(path, {"text": "The way in", "place": "3"}))
    assert await texts() == ["Room 2", "Room 3", "The way in", "Room 4", "Room 5", "Room 6"]
    assert goes_to(await ward.post(f"{OFFICE}/picture/{hashes[5]}", {"text": "Room 6", "place": "1"}))
    assert (await texts())[:3] == ["Room 6", "Room 2", "Room 3"]
    assert (await ward.post(path, {"text": "", "place": "3"})).status_code == 422
    assert (await ward.post(path, {"text": "x", "place": "9"})).status_code == 422
    assert goes_to(await ward.post(f"{path}/remove")).endswith("done=picture_removed")
    assert await texts() == ["Room 6", "Room 2", "Room 3", "Room 4", "Room 5"]
    assert (await ward.post(f"{path}/remove")).status_code == 404


async def test_two_who_add_at_once_make_six_pictures(ward: Browser, administrator: Browser, db: Database) -> None:
    contents = [picture("PNG", (100, 100)) for _ in range(8)]
    senders = (ward, administrator)
    answers = await asyncio.gather(*(send_picture(senders[at % 2], one) for at, one in enumerate(contents)))
    assert sorted(answer.status_code for answer in answers) == [303] * 6 + [422] * 2
    rows = await db.fetch("SELECT position FROM directory.clinic_picture ORDER BY position")
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5, 6]


async def test_a_clinic_is_added_by_administrators_alone(ward: Browser, administrator: Browser, db: Database) -> None:
    form = {"name": "Sahyadri Clinic", "address": "4, Karve Road", "city": "Satara", "state": "Maharashtra"}
    assert (await ward.post("/office/new", form)).status_code == 403
    answer = await administrator.post("/office/new", {**form, "name": ""})
    assert answer.status_code == 422
    for field, wrong in (("phone", "abc"), ("phone", "12"), ("postal_code", "ABC")):
        assert (await administrator.post("/office/new", {**form, field: wrong})).status_code == 422
    misspelt = await administrator.post("/office/new", {**form, "city": "Punee"})
    assert "No clinic in Punee, Maharashtra can be booked yet." in words(misspelt)
    again = await administrator.post("/office/new", {**form, "name": "clinic 1", "city": "Pune"})
    assert "There is a clinic of this name in Pune already." in words(again)
    bare = await administrator.post("/office/new", {})
    assert "Name: This is needed. Address: This is needed. City: This is needed." in words(bare)
    assert not await db.fetch_value("SELECT count(*) FROM directory.city WHERE name = 'Punee'")
    path = goes_to(await administrator.post("/office/new", {**form, "sure": "1"})).partition("?")[0]
    assert (await administrator.get(path)).status_code == 200
    found = await administrator.get("/office/system/clinics?name=sahy")
    assert "Sahyadri Clinic" in words(found)
    page = await administrator.get(f"{path}/clinic")
    assert 'value="4, Karve Road"' in page.text
    changed = {**form, "phone": "020 1234", "gstin": "27aapfu0939f1zv", "version": hidden(page, "version")}
    mistyped = await administrator.post(f"{path}/clinic", {**changed, "gstin": "27AAPFU0939F1ZX"})
    assert mistyped.status_code == 422
    changed["facilities"] = "Lift,  Wheelchair access ,Lift"
    assert goes_to(await administrator.post(f"{path}/clinic", changed)) == f"{path}/clinic?done=saved"
    facilities = "SELECT facilities FROM directory.clinic WHERE name = 'Sahyadri Clinic'"
    assert await db.fetch_value(facilities) == ["Lift", "Wheelchair access"]
    assert 'value="Lift, Wheelchair access"' in (await administrator.get(f"{path}/clinic")).text
    assert (await administrator.post(f"{path}/clinic", {**changed, "phone": "020 9876"})).status_code == 409
    assert (await administrator.get(f"/office/{2**40}")).status_code == 404
