"""The office's pages of services, terms, doctors, photos and clinics, as forms that need no script."""

from __future__ import annotations

import httpx
from PIL import Image

from healthplus.database import Database
from tests.fixtures.environment import PROVIDER
from tests.web.client import Browser
from tests.web.staff import (
    CLINIC,
    DOCTOR,
    OFFICE,
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
    assert 'value="4, Karve Road"' in page.text
    changed = {**form, "phone": "020 1234", "gstin": "27aapfu0939f1zv", "version": hidden(page, "version")}
    mistyped = await administrator.post(f"{path}/clinic", {**changed, "gstin": "27AAPFU0939F1ZX"})
    assert mistyped.status_code == 422
    assert goes_to(await administrator.post(f"{path}/clinic", changed)) == f"{path}/clinic?done=saved"
    assert (await administrator.post(f"{path}/clinic", {**changed, "phone": "2"})).status_code == 409
    assert (await administrator.get(f"/office/{2**40}")).status_code == 404
