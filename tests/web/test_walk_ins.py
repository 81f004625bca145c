"""Walk-ins and overbooking at the desk: forms, tokens, who may do it, and what a clinic allows."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from healthplus.console import console
from healthplus.database import Database
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, hidden, log_in, words

pytestmark = pytest.mark.dates

WALK_IN, OVERBOOK, RULES = f"/desk/{AT_CLINIC}/walk-in", f"/desk/{AT_CLINIC}/overbook", f"/office/{AT_CLINIC}/walk-ins"
NUMBER = "+919812345678"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def people(environment: Environment, db: Database) -> dict[str, UUID]:
    """The clinic knows three people; it is five to three, and Dr 1 has two times left until four."""
    found = {}
    await db.execute("UPDATE accounts.patient SET phone = $2 WHERE patient_id = $1", environment.ids["asha"], NUMBER)
    for name, patient_id in environment.ids.items():
        found[name] = await db.fetch_value("SELECT person_id FROM accounts.person WHERE patient_id = $1", patient_id)
        await db.execute("SELECT reception.meet($1, $2, public.app_now())", AT_CLINIC, found[name])
    await environment.pass_until(environment.instant(14, 45))
    return found


@pytest.fixture
async def desk(app: Litestar, db: Database, people: dict[str, UUID]) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


async def allow(db: Database, *, walk_ins: int = 0, overbooked: int = 0) -> None:
    await db.execute("UPDATE directory.clinic SET walk_in_cap = $1, overbook_cap = $2", walk_ins, overbooked)


async def take_in(browser: Browser, person: UUID, **more: str) -> httpx.Response:
    page = await browser.get(f"{WALK_IN}?person={person}")
    assert page.status_code == 200
    form = {"person": str(person), "provider": str(PROVIDER), "key": hidden(page, "key"), **more}
    return await browser.post(WALK_IN, form)


def token_of(page: httpx.Response) -> str:
    found = re.search(r'class="slip-label">([^<]+)<', page.text)
    assert found, words(page)
    return found[1]


async def test_somebody_who_comes_gets_the_next_time_and_then_a_token_without_one(
    desk: Browser, people: dict[str, UUID], db: Database, environment: Environment
) -> None:
    found = await desk.get(f"{WALK_IN}?q=5678")
    assert f'href="{WALK_IN}?person={people["asha"]}"' in found.text
    page = await desk.get(f"{WALK_IN}?person={people['asha']}")
    assert "Dr 1 next free time 3:00" in words(page)
    slip = goes_to(await take_in(desk, people["asha"], text="1"))
    shown = await desk.get(slip)
    assert token_of(shown) == "A-001"
    assert "Your time: 3:00" in words(shown)
    assert "asha" not in words(shown).lower()
    assert await db.fetch_value("SELECT count(*) FROM notices.notice WHERE kind = 'token'") == 1
    await take_in(desk, people["bina"])
    # No time is left, and the clinic gives no tokens without one until it says so.
    page = await desk.get(f"{WALK_IN}?person={people['chand']}")
    assert "Dr 1 no free time, and no token left" in words(page)
    refused = await take_in(desk, people["chand"])
    assert refused.status_code == 409
    assert "no walk-in token is left for this session" in words(refused)
    await allow(db, walk_ins=1)
    assert "Dr 1 no free time; 1 token left" in words(await desk.get(f"{WALK_IN}?person={people['chand']}"))
    slip = goes_to(await take_in(desk, people["chand"]))
    shown = await desk.get(slip)
    assert token_of(shown) == "A-003"
    assert "No time: you are called by your token." in words(shown)
    sheet = await desk.get(f"/desk/{AT_CLINIC}/{environment.instant(13).date()}")
    assert "Walk-in Token A-003" in words(sheet)
    noted = await audit_entries(db, "walk_in")
    assert [(row["detail"], row["is_refused"]) for row in noted] == [
        ("booked", False), ("booked", False), ("no_token", True), ("booked", False),
    ]  # fmt: skip
    # Taken back within three minutes, it is gone, and can be given again.
    booking = slip.rpartition("/")[2]
    undone = await desk.post(
        f"/desk/{AT_CLINIC}/{environment.instant(13).date()}", {"provider": "1", "do": f"undo {booking}"}
    )
    assert "done=undo" in goes_to(undone)
    assert (await desk.get(slip)).status_code == 404
    assert token_of(await desk.get(goes_to(await take_in(desk, people["chand"])))) == "A-004"


async def test_the_same_press_twice_is_one_token_and_two_desks_share_the_last(
    app: Litestar, desk: Browser, people: dict[str, UUID], db: Database
) -> None:
    form = {"person": str(people["asha"]), "provider": str(PROVIDER), "key": "once"}
    answers = await asyncio.gather(*(desk.post(WALK_IN, form) for _ in range(3)))
    assert len({goes_to(answer) for answer in answers}) == 1
    other = await log_in(app, db, "desk", AT_CLINIC, "desk.two")
    both = await asyncio.gather(take_in(desk, people["bina"]), take_in(other, people["chand"]))
    assert sorted(answer.status_code for answer in both) == [303, 409]
    told = next(answer for answer in both if answer.status_code == 409)
    assert "no walk-in token is left" in words(told)
    assert str(people["bina"]) in told.text or str(people["chand"]) in told.text  # nothing typed is lost


async def test_a_book_that_is_locked_for_a_second_is_waited_for(
    desk: Browser, people: dict[str, UUID], db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lock_for(seconds: float) -> None:
        async with db.transaction() as transaction:
            await transaction.execute("SELECT booking.lock_book($1)", PROVIDER)
            locked.set()
            await asyncio.sleep(seconds)

    for tries_for, name, status in ((0, "asha", 503), (console.TRY_SECONDS, "bina", 303)):
        monkeypatch.setattr(console, "TRY_SECONDS", tries_for)
        locked = asyncio.Event()
        other = asyncio.create_task(lock_for(1))
        await locked.wait()
        assert (await take_in(desk, people[name])).status_code == status
        await other


async def test_what_cannot_be(desk: Browser, people: dict[str, UUID], db: Database) -> None:
    stranger = (
        await db.fetch_value(
            "WITH new AS (INSERT INTO accounts.patient (name) VALUES ('Zoya') RETURNING patient_id) "
            "SELECT person_id FROM accounts.person JOIN new USING (patient_id)"
        )
        or uuid4()
    )
    for form in (
        {"person": str(stranger), "provider": "1"},
        {"person": "x", "provider": "1"},
        {"person": str(people["asha"]), "provider": "999"},
        {"person": str(people["asha"]), "provider": ""},
        {"person": str(people["asha"]), "provider": "1", "service": "999", "service_of": "1"},
    ):
        assert (await desk.post(WALK_IN, form)).status_code == (409 if "service" in form else 404), form
    assert (await desk.get(f"{WALK_IN}?person={stranger}")).status_code == 404
    assert (await desk.get(f"/desk/{AT_CLINIC}/token/{uuid4()}")).status_code == 404
    assert await db.fetch_value("SELECT count(*) FROM booking.booking") == 0
    # Who has an appointment with them today arrives for that.
    await take_in(desk, people["asha"])
    again = await take_in(desk, people["asha"])
    assert "They have an appointment with this doctor today" in words(again)


async def test_a_ward_administrator_books_a_taken_time_for_a_reason(
    app: Litestar, desk: Browser, people: dict[str, UUID], db: Database, environment: Environment
) -> None:
    await allow(db, overbooked=1)
    await take_in(desk, people["asha"])
    held = await environment.hold(environment.instant(15, 30), AT_CLINIC, "bina")
    assert held.booking_id
    await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor("bina"))
    start = environment.at(15, 30)
    query = f"provider={PROVIDER}&start={httpx.QueryParams({'s': start})}".replace("s=", "", 1)
    assert (await desk.get(f"{OVERBOOK}?{query}")).status_code == 403
    sheet = f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"
    assert 'data-key="o"' not in (await desk.get(sheet)).text
    ward = await log_in(app, db, "ward", AT_CLINIC)
    assert 'data-key="o"' in (await ward.get(sheet)).text
    page = await ward.get(f"{OVERBOOK}?{query}&person={people['chand']}")
    assert "3:30" in words(page)
    form = {"person": str(people["chand"]), "provider": "1", "start": start, "key": hidden(page, "key")}
    assert (await ward.post(OVERBOOK, form)).status_code == 409
    assert goes_to(await ward.post(OVERBOOK, {**form, "reason": "High fever"})).startswith(f"{sheet}?done=overbook")
    shown = words(await ward.get(sheet))
    assert "Overbooked" in shown
    assert "Dr 1 1 min late" not in shown
    noted = await audit_entries(db, "overbook")
    assert [(row["detail"], row["is_refused"]) for row in noted] == [("booked: High fever", False)]
    full = await ward.post(OVERBOOK, {**form, "reason": "x", "person": str(people["asha"]), "key": "2"})
    assert full.status_code == 409
    assert "as many overbooked as the clinic allows" in words(full)
    # Everybody sees that it was done; nobody outside of the clinic, for whom or why.
    kinds = await db.fetch("SELECT kind, number FROM booking.queue_entry")
    assert [tuple(row) for row in kinds] == [("overbooked", 0)]
    receipt = await desk.get(f"/doctor/{PROVIDER}/queue/0")
    assert receipt.status_code == 404
    # Sent again after it was taken back, it does not say that it is booked.
    about = goes_to(await ward.post(OVERBOOK, {**form, "reason": "High fever"})).rpartition("about=")[2]
    assert "done=undo" in goes_to(await ward.post(sheet, {"provider": "1", "do": f"undo {about}"}))
    again = await ward.post(OVERBOOK, {**form, "reason": "High fever"})
    assert again.status_code == 409
    assert "taken back or cancelled since" in words(again)
    another = {**form, "reason": "High fever", "key": hidden(again, "key")}
    assert "done=overbook" in goes_to(await ward.post(OVERBOOK, another))


async def test_a_clinic_says_how_many_it_allows(app: Litestar, people: dict[str, UUID], db: Database) -> None:
    ward = await log_in(app, db, "ward", AT_CLINIC)
    form = {
        "walk_in_every": "3",
        "walk_in_cap": "12",
        "overbook_cap": "2",
        "version": hidden(await ward.get(RULES), "version"),
    }
    for wrong in ({"walk_in_cap": "101"}, {"walk_in_every": "0"}, {"overbook_cap": "-1"}, {"walk_in_cap": ""}):
        answer = await ward.post(RULES, {**form, **wrong})
        assert answer.status_code == 422, wrong
    assert goes_to(await ward.post(RULES, form)) == f"{RULES}?done=saved"
    row = await db.fetch_row(
        "SELECT walk_in_every, walk_in_cap, overbook_cap FROM directory.clinic WHERE clinic_id = $1", AT_CLINIC
    )
    assert row is not None
    assert tuple(row) == (3, 12, 2)
    # Of two who change it at once, the second is shown what the first did.
    stale = await ward.post(RULES, {**form, "walk_in_cap": "20"})
    assert stale.status_code == 409
    assert "Someone changed this while you did" in words(stale)
    assert 'value="20"' in stale.text
    assert [row["is_refused"] for row in await audit_entries(db, "set_desk_rules")] == [False, True]
    desk = await log_in(app, db, "desk", AT_CLINIC)
    assert (await desk.get(RULES)).status_code == 403
