"""Callers in a queue at the desk: how they join, what the sheet shows when it is their turn, and what is done then."""

from __future__ import annotations

import re
from functools import partial
from uuid import UUID, uuid4

import pytest
from litestar import Litestar

from healthplus.accounts.actors import Patient
from healthplus.database import Database
from healthplus.ops.check import violations
from healthplus.payments.accounts import queries as payments
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.patients import make_patients
from tests.fixtures.services import offer_service
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, hidden, log_in, shows, words

pytestmark = pytest.mark.dates

QUEUE = f"/desk/{AT_CLINIC}/queue"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def desk(app: Litestar, db: Database) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


@pytest.fixture
async def caller(environment: Environment, db: Database) -> UUID:
    """Chand, whom the clinic knows, and who can be called."""
    patient = environment.ids["chand"]
    await db.execute(
        "UPDATE accounts.patient SET phone = '+919800041207', takes_sms = true WHERE patient_id = $1", patient
    )
    person: UUID = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", patient
    )
    await db.execute("SELECT reception.meet($1, $2, public.app_now())", AT_CLINIC, person)
    return person


@pytest.fixture
async def held(environment: Environment) -> UUID:
    """The first time of the day, which Asha holds; Bina has booked the last two hours."""
    bina = environment.actor("bina")
    later = await environment.book.hold(PROVIDER, AT_CLINIC, environment.instant(14), 4, bina.patient_id, bina)
    assert later.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, later.booking_id, None, bina)).code == "booked"
    one = await environment.hold(environment.instant(13), AT_CLINIC, "asha")
    assert one.booking_id is not None
    return one.booking_id


def joining(environment: Environment, person: UUID, **more: str) -> dict[str, str]:
    day = str(environment.instant(13).date())
    return {
        "person": str(person),
        "what": str(PROVIDER),
        "day": day,
        "from": "13:00",
        "to": "13:30",
        "key": "k",
        **more,
    }


async def join(desk: Browser, environment: Environment, person: UUID) -> None:
    answer = await desk.post(QUEUE, joining(environment, person))
    assert goes_to(answer) == f"{QUEUE}?done=waiting"


async def release(environment: Environment, held: UUID) -> None:
    assert (await environment.book.release(PROVIDER, held, environment.actor("asha"))).code == "released"


async def serve(desk: Browser, page: str, act: str, key: str = "") -> str:
    """Press a button of the one caller whom a page shows; return where it leads."""
    answer = await desk.get(page)
    address = re.search(r'action="(/desk/\d+/queue/[0-9a-f-]{36})"', answer.text)
    assert address, words(answer)
    found = {name: hidden(answer, name) for name in ("provider", "key", "seen", "back")} | ({"key": key} if key else {})
    return goes_to(await desk.post(address[1], {**found, "do": act}))


async def test_a_caller_joins_is_called_and_booked(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database
) -> None:
    page = await desk.get(f"{QUEUE}?person={caller}&day={environment.instant(13).date()}")
    assert "chand" in words(page)
    await join(desk, environment, caller)
    await join(desk, environment, caller)  # sent twice, it is one ticket
    said = await shows(desk, f"{QUEUE}?done=waiting")
    assert "They are in the queue" in said
    assert "No. 1 chand Dr 1" in said
    assert "Place 1" in said
    kinds = "SELECT kind::text FROM notices.notice WHERE patient_id = $1 ORDER BY created_at"
    assert {row[0] for row in await db.fetch(kinds, environment.ids["chand"])} == {"queued"}
    sheet = f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"
    assert "Call now" not in (await desk.get(sheet)).text

    version = hidden_version(await desk.get(sheet))
    await release(environment, held)
    news = await desk.get(f"{sheet}/news?after={version}")
    assert re.search(r"Call now , [01]:\d\d chand", words(news))
    assert "+91 98000 41207" in words(news)
    assert 'href="tel:+919800041207"' in news.text
    assert "number 1 in the queue" in words(news)
    assert await serve(desk, sheet, "call") == f"{sheet}?done=accepted"
    assert "The time is held for five minutes. Call now." in await shows(desk, f"{sheet}?done=accepted")
    assert re.search(r"Calling , [45]:\d\d chand", await shows(desk, sheet))
    assert (await serve(desk, sheet, "book")).startswith(f"{sheet}?done=booked&about=")
    said = await shows(desk, f"{sheet}?done=booked")
    assert "Booked." in said
    assert "chand" in said
    assert "₹300 to pay" in said
    assert "in the queue" not in said.replace("callers in the queue", "")
    assert await violations(db) == []
    noted = {action: await audit_entries(db, action) for action in ("see_caller", "join_caller", "serve_caller")}
    assert [len(rows) for rows in noted.values()] == [1, 2, 2]
    assert {row["patient_id"] for rows in noted.values() for row in rows} == {environment.ids["chand"]}
    assert [row["detail"] for row in noted["serve_caller"]] == ["call accepted", "book booked"]


def hidden_version(page: object) -> str:
    found = re.search(r'data-version="(\w+)"', page.text)  # type: ignore[attr-defined]
    assert found
    return found[1]


async def test_who_does_not_answer_loses_the_turn(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database
) -> None:
    await join(desk, environment, caller)
    await release(environment, held)
    await serve(desk, QUEUE, "call")
    assert await serve(desk, QUEUE, "let_go") == f"{QUEUE}?done=released"
    assert "The time went to the next in the queue." in await shows(desk, f"{QUEUE}?done=released")
    assert await db.fetch_value("SELECT let_go_at IS NOT NULL FROM booking.ticket")


async def test_what_comes_too_late_is_said(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database, app: Litestar
) -> None:
    await join(desk, environment, caller)
    await release(environment, held)
    page = await desk.get(QUEUE)
    other = await log_in(app, db, "ward", AT_CLINIC)
    ticket = await db.fetch_value("SELECT ticket_id FROM booking.ticket")
    press = {**{name: hidden(page, name) for name in ("provider", "seen")}, "do": "call", "back": "queue"}
    assert goes_to(await other.post(f"{QUEUE}/{ticket}", {**press, "key": "o"}))
    refused = await desk.post(f"{QUEUE}/{ticket}", {**press, "key": "d"})
    assert refused.status_code == 409
    assert "somebody did something else meanwhile" in words(refused)
    assert "Calling" in words(refused)
    # Nor does the old page let them go under the other's call.
    refused = await desk.post(f"{QUEUE}/{ticket}", {**press, "do": "let_go", "key": "l"})
    assert refused.status_code == 409
    assert "Calling" in words(refused)
    press["seen"] = hidden(refused, "seen")
    await environment.pass_time(minutes=6)
    refused = await desk.post(f"{QUEUE}/{ticket}", {**press, "do": "book", "key": "d"})
    assert refused.status_code == 409
    assert "The five minutes are over" in words(refused)
    assert await db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'booked'") == 1


async def test_why_somebody_cannot_join_is_said_and_nothing_typed_is_lost(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database
) -> None:
    async def refused(said: str, **more: str) -> None:
        answer = await desk.post(QUEUE, joining(environment, caller, **more))
        assert answer.status_code == 422, words(answer)
        assert said in words(answer)
        assert 'name="from" type="time" value="' + (more.get("from") or "13:00") in answer.text
        assert "chand" in words(answer)

    await refused("A time of day", **{"from": "25:61"})
    await refused("ends before it begins", to="12:30")
    await refused("Choose a doctor.", what="x")
    await refused("The doctor has no such times then", what=str(OTHER_PROVIDER), **{"from": "03:00", "to": "04:00"})
    await refused("All is booked then", **{"from": "14:00", "to": "16:00"})
    assert await db.fetch_value("SELECT count(*) FROM booking.ticket") == 0
    await join(desk, environment, caller)
    await refused("Somebody with this number holds a time, or waits in a queue", key="other")


async def test_a_caller_may_wait_for_a_service(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database
) -> None:
    service = await offer_service(db, PROVIDER, "check-up", 70_000, 30, funding="online")
    page = await desk.get(f"{QUEUE}?person={caller}&provider={PROVIDER}-{service}")
    assert re.search(rf'<option value="{PROVIDER}-{service}" selected>\s*Dr 1: Check up', page.text)
    answer = await desk.post(QUEUE, joining(environment, caller, what=f"{PROVIDER}-{service}"))
    assert goes_to(answer) == f"{QUEUE}?done=waiting"
    await release(environment, held)
    await serve(desk, QUEUE, "call")
    assert (await serve(desk, QUEUE, "book")).startswith(f"{QUEUE}?done=booked&about=")
    # What is paid online otherwise is paid at the clinic.
    row = await db.fetch_row("SELECT fee_minor, funding::text FROM booking.booking WHERE service_ids = $1", [service])
    assert row is not None
    assert tuple(row) == (70_000, "clinic")
    assert await violations(db) == []


async def test_who_pays_by_the_link_is_not_booked_or_let_go(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database
) -> None:
    service = await offer_service(db, PROVIDER, "check-up", 70_000, 30, funding="online")
    await desk.post(QUEUE, joining(environment, caller, what=f"{PROVIDER}-{service}"))
    await release(environment, held)
    await serve(desk, QUEUE, "call")
    page = await desk.get(QUEUE)
    ticket = await db.fetch_row("SELECT ticket_id, offer_id, patient_id FROM booking.ticket")
    assert ticket is not None
    begun = [PROVIDER], [ticket["offer_id"]], [ticket["patient_id"]], [None], [None]
    assert [row["is_due"] for row in await db.fetch(payments.begin_payment, *begun)] == [True]
    press = {"provider": hidden(page, "provider"), "back": "queue"}
    for act in ("book", "let_go"):
        refused = await desk.post(f"{QUEUE}/{ticket['ticket_id']}", {**press, "do": act, "key": act})
        assert refused.status_code == 409
        assert "the patient is paying for it by the link" in words(refused)
    assert await db.fetch_value("SELECT state::text FROM booking.booking WHERE booking_id = $1", begun[1][0]) == (
        "reserved"
    )
    # The gateway refused the card: the desk goes on.
    await db.execute("DELETE FROM payments.intent")
    assert (await serve(desk, QUEUE, "book")).startswith(f"{QUEUE}?done=booked&about=")


async def test_whom_a_clinic_does_not_know_and_what_is_another_clinics_is_not_there(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database, app: Litestar
) -> None:
    stranger = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", environment.ids["asha"]
    )
    for person in (stranger, uuid4(), "x"):
        assert (await desk.get(f"{QUEUE}?person={person}")).status_code == 404
        assert (await desk.post(QUEUE, {**joining(environment, caller), "person": str(person)})).status_code == 404
    await join(desk, environment, caller)
    ticket = await db.fetch_value("SELECT ticket_id FROM booking.ticket")
    elsewhere = await log_in(app, db, "desk", ONLINE)
    form = {"provider": str(PROVIDER), "do": "let_go", "key": "k"}
    assert (await elsewhere.post(f"/desk/{ONLINE}/queue/{ticket}", form)).status_code == 404
    assert (await elsewhere.get(QUEUE)).status_code == 403
    assert "chand" not in await shows(elsewhere, f"/desk/{ONLINE}/queue")
    assert (await desk.post(f"{QUEUE}/{ticket}", {**form, "do": "dance"})).status_code == 404
    # A ticket that the patient has joined themselves is not the desk's.
    (other,) = await make_patients(db, 1)
    begins, ends = environment.instant(13), environment.instant(13, 30)
    own = await environment.book.join_queue(PROVIDER, AT_CLINIC, begins, ends, 1, other, Patient(other))
    assert own.ticket_id is not None
    assert (await desk.post(f"{QUEUE}/{own.ticket_id}", form)).status_code == 404


async def test_an_open_sheet_keeps_callers_present(
    desk: Browser, environment: Environment, caller: UUID, held: UUID, db: Database, app: Litestar
) -> None:
    await join(desk, environment, caller)
    sheet = f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"
    seen = "SELECT public.app_now() - seen_at < interval '15 seconds' FROM booking.presence"
    state = "SELECT state::text FROM booking.ticket"
    for page in (sheet, f"{sheet}/news?after=x", f"{QUEUE}/news?after=x", QUEUE):
        await environment.pass_time(seconds=20)
        assert (await desk.get(page)).status_code == 200
        await app.state.services.desks.flush()  # or the app itself is at it
        await until(partial(db.fetch_value, seen))
    await environment.pass_time(minutes=2)
    await release(environment, held)
    assert await db.fetch_value(state) == "waiting"
    await desk.get(sheet)
    await app.state.services.desks.flush()
    await until(partial(db.fetch_value, f"SELECT ({state}) = 'offered'"))
