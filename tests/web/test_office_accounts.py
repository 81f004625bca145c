"""Accounts in the office: a ward administrator's desk, and all accounts for administrators."""

from __future__ import annotations

import re

import pytest
from litestar import Litestar

from healthplus.database import Database
from tests.fixtures.clock import move_clock
from tests.fixtures.environment import Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes, make_staff
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, log_in, shows, words

STAFF = "/office/1/staff"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def ward(app: Litestar, db: Database) -> Browser:
    return await log_in(app, db, "ward")


@pytest.fixture
async def administrator(app: Litestar, db: Database) -> Browser:
    return await log_in(app, db, "administrator", None, "nair")


def link_of(page: str) -> str:
    found = re.search(r"https?://\S+/desk/welcome\?link=\S+", page)
    assert found, page
    return found[0]


async def test_a_ward_administrator_adds_somebody_who_logs_in(app: Litestar, db: Database, ward: Browser) -> None:
    assert "Log-on ID" in await shows(ward, f"{STAFF}/new")
    wrong = await ward.post(f"{STAFF}/new", {"log_on": "No Spaces", "name": "Asha <Rao>"})
    assert wrong.status_code == 422
    assert 'value="No Spaces"' in wrong.text  # nothing typed is lost
    assert "Asha &lt;Rao&gt;" in wrong.text
    assert goes_to(await ward.post(f"{STAFF}/new", {"log_on": "asha.rao", "name": "Asha Rao"})) == f"{STAFF}?done=added"
    page = await shows(ward, f"{STAFF}?done=added")
    path = "/desk" + link_of(page).split("/desk", 1)[1]
    assert "welcome?link" not in await shows(ward, f"{STAFF}?done=added")  # once
    new = Browser(app)
    assert goes_to(await new.post(path, {"password": PASSWORD})).startswith("/desk/log-in")
    assert goes_to(await new.post("/desk/log-in", {"log_on": "asha.rao", "password": PASSWORD})) == "/desk"
    assert (await new.post(path, {"password": PASSWORD})).status_code == 410
    taken = await ward.post(f"{STAFF}/new", {"log_on": "asha.rao", "name": "Another"})
    assert taken.status_code == 422
    assert "already" in words(taken)
    entry = (await audit_entries(db, "add_staff"))[-1]
    assert entry["actor"] == "staff:1"
    assert entry["session_id"]
    assert entry["address"]
    # A role that is taken away counts at the next request; so does disabling.
    staff_id = entry["staff_id"]
    assert "Clinic 1" in await shows(new, "/desk")
    assert goes_to(await ward.post(f"{STAFF}/{staff_id}/remove")) == f"{STAFF}?done=removed"
    assert "no role" in await shows(new, "/desk")
    assert (await ward.post(f"{STAFF}/{staff_id}/disable")).status_code == 404  # no longer theirs


async def test_disabling_and_letting_in_again(app: Litestar, db: Database, ward: Browser) -> None:
    desk = await log_in(app, db, "desk")
    assert goes_to(await ward.post(f"{STAFF}/2/disable")) == f"{STAFF}?done=disabled"
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")
    assert "Let in again" in await shows(ward, STAFF)
    assert goes_to(await ward.post(f"{STAFF}/2/enable", {"name": "Meera"})) == f"{STAFF}?done=enabled"
    assert "Log-in link for Meera" in await shows(ward, STAFF)
    assert goes_to(await ward.post(f"{STAFF}/2/link", {"factors": "1"})) == f"{STAFF}?done=link"
    assert (await audit_entries(db, "make_link"))[-1]["detail"] == "ends second factors"


async def test_others_accounts_are_not_theirs(app: Litestar, db: Database, ward: Browser) -> None:
    """Nobody gets by a desk's link at more than that desk: not of who is more, or is the desk elsewhere, too."""
    await make_staff(db, "boss", "administrator", None)
    both = await make_staff(db, "both", "desk", 1)
    await db.execute("INSERT INTO staff.membership VALUES ($1, 2, 'desk')", both)
    await make_staff(db, "other", "desk", 2)
    for staff_id in (1, 2, 3, 4, 99, 2**63 - 1):
        for act in ("link", "disable", "enable"):
            assert (await ward.post(f"{STAFF}/{staff_id}/{act}")).status_code == 404, (staff_id, act)
    assert goes_to(await ward.post(f"{STAFF}/{both}/remove")) == f"{STAFF}?done=removed"
    for path in ("/office/2/staff", "/office/staff", "/office/staff/1"):
        assert (await ward.get(path)).status_code == 403, path
    assert (await ward.post("/office/2/staff/new", {"log_on": "x.y.z", "name": "X"})).status_code == 403
    desk = await log_in(app, db, "desk")
    assert (await desk.get(STAFF)).status_code == 403


async def test_recent_proof_is_asked_and_nothing_typed_is_lost(db: Database, ward: Browser) -> None:
    await move_clock(db, minutes=6)
    back = goes_to(await ward.post(f"{STAFF}/new", {"log_on": "asha.rao", "name": "Asha Rao"}))
    assert back == "/desk/prove?next=%2Foffice%2F1%2Fstaff%2Fnew%3Flog_on%3Dasha.rao%26name%3DAsha%2BRao"
    assert goes_to(await ward.get(f"{STAFF}/new")).startswith("/desk/prove")
    for act in ("link", "disable", "enable", "remove"):
        assert goes_to(await ward.post(f"{STAFF}/1/{act}")) == "/desk/prove?next=%2Foffice%2F1%2Fstaff"
    shown = goes_to(await ward.post(f"/desk/prove?{back.partition('?')[2]}", {"password": PASSWORD}))
    page = await ward.get(shown)
    assert 'value="asha.rao"' in page.text
    assert 'value="Asha Rao"' in page.text


async def test_an_administrator_sees_to_all_accounts(app: Litestar, db: Database, administrator: Browser) -> None:
    desk = await log_in(app, db, "desk", 2, "meera")
    assert "meera" in await shows(administrator, "/office/staff?name=mee")
    assert "/office/staff/1" not in (await administrator.get("/office/staff?name=mee")).text
    assert "Clinic 2" in await shows(administrator, "/office/staff/2")
    set_role = await administrator.post("/office/staff/2/role", {"role": "ward", "clinic": "1", "name": "Meera Rao"})
    assert goes_to(set_role) == "/office/staff/2?done=role"
    page = await shows(administrator, "/office/staff/2?done=role")
    assert "Log-in link for Meera Rao" in page
    assert "has ended, as others may know it" in page
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")
    # Their ward administrator has seen no link that leads to more than the desk.
    assert goes_to(await desk.post("/desk" + link_of(page).split("/desk", 1)[1], {"password": PASSWORD}))
    assert goes_to(await desk.post("/desk/log-in", {"log_on": "meera", "password": PASSWORD})) == "/desk"
    assert (await desk.get("/office/1/staff")).status_code == 200  # from the next request on
    await administrator.post("/office/staff/2/role", {"role": "none", "clinic": "1"})
    assert (await desk.get("/office/1/staff")).status_code == 403
    for wrong in (
        {"role": "ward", "clinic": "77"},
        {"role": "ward"},
        {"role": "king", "clinic": "1"},
        {"role": "practitioner", "clinic": "1"},
    ):
        answer = await administrator.post("/office/staff/2/role", wrong)
        assert answer.status_code == 422, wrong
    new = {"log_on": "dr.rao", "name": "Dr Rao", "role": "practitioner", "clinic": "1", "provider": "1"}
    assert (await administrator.post("/office/staff/new", {**new, "provider": "9"})).status_code == 422
    assert goes_to(await administrator.post("/office/staff/new", new)) == "/office/staff/3?done=added"
    assert "Dr 1" in await shows(administrator, "/office/staff/3")
    assert goes_to(await administrator.post("/office/staff/3/disable")) == "/office/staff/3?done=disabled"
    assert goes_to(await administrator.post("/office/staff/3/enable")) == "/office/staff/3?done=enabled"
    assert goes_to(await administrator.post("/office/staff/3/link")) == "/office/staff/3?done=link"
    assert (await administrator.get("/office/staff/99")).status_code == 404
    assert (await administrator.post("/office/staff/99/disable")).status_code == 404


async def test_the_last_administrator_stays(administrator: Browser) -> None:
    for path, form in (("disable", {}), ("role", {"role": "none"})):
        answer = await administrator.post(f"/office/staff/1/{path}", form)
        assert answer.status_code == 422
        assert "last administrator" in words(answer)
    assert (await administrator.get("/office/staff")).status_code == 200
