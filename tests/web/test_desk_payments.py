"""What is paid at the desk: recorded, undone, given back, asked for by a text, counted in tills; and its receipts."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.booking.numbers import number_of
from healthplus.database import Database, PostgresError
from healthplus.errors import BadInput
from healthplus.till.upi import checked_upi_id, qr_svg, upi_link
from tests.fixtures.clock import move_clock
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.fixtures.races import rewrite
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, book, goes_to, hidden, log_in, shows, words

TILL = f"/desk/{AT_CLINIC}/till"
SUM = "SELECT coalesce(sum(amount_minor), 0) FROM till.payment"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def booking(environment: Environment, db: Database) -> UUID:
    """An appointment of Asha's for 300 rupees, to be paid at the clinic."""
    return await book(environment, environment.instant(13))


@pytest.fixture
def sheet(environment: Environment) -> str:
    return f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"


@pytest.fixture
def visit(sheet: str, booking: UUID) -> str:
    return f"{sheet}/visit/{booking}"


@pytest.fixture
async def desk(app: Litestar, db: Database, booking: UUID) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


@pytest.fixture
async def ward(app: Litestar, db: Database, booking: UUID) -> Browser:
    return await log_in(app, db, "ward", AT_CLINIC)


async def pay(browser: Browser, visit: str, page: httpx.Response | None = None, **form: str) -> httpx.Response:
    """Send the form of a payment, as its page has it: what is owed, in cash, in a till that has 500 rupees."""
    page = page or await browser.get(f"{visit}/pay")
    kept = {name: hidden(page, name) for name in ("seen", "key")}
    began = {"float": "500"} if 'name="float"' in page.text else {}
    return await browser.post(f"{visit}/pay", {**kept, **began, "method": "cash", "amount": "300", **form})


async def give_back(browser: Browser, visit: str, payment_id: object, **form: str) -> httpx.Response:
    page = await browser.get(f"{visit}/pay?give={payment_id}")
    kept = {name: hidden(page, name) for name in ("seen", "key", "give")}
    began = {"float": "500"} if 'name="float"' in page.text else {}
    form = {"method": "cash", "amount": "300", "reason": "Test not done", **form}
    return await browser.post(f"{visit}/return", {**kept, **began, **form})


async def test_a_fee_is_paid_in_parts_and_the_sheet_says_what_is_left(
    desk: Browser, sheet: str, visit: str, booking: UUID, db: Database
) -> None:
    assert "₹300 to pay" in await shows(desk, sheet)
    page = await desk.get(f"{visit}/pay")
    assert 'name="amount" type="text" value="300.00"' in page.text
    done = goes_to(await pay(desk, visit, amount="100", method="card", reference="  APPR 42 "))
    assert done.startswith(f"{sheet}?changed=paid&about={booking}&undo={PROVIDER}&seen=")
    said = await shows(desk, done)
    assert "Payment recorded." in said
    assert "₹200 to pay" in said
    assert "₹100 paid" in said
    assert goes_to(await pay(desk, visit, amount="200"))
    said = await shows(desk, f"{visit}/pay")
    assert "Nothing is owed. ₹300 of ₹300 is paid at the desk." in said
    assert "APPR 42" in said
    rows = await db.fetch(
        "SELECT method::text, amount_minor, reference, actor, currency FROM till.payment ORDER BY paid_at"
    )
    assert [tuple(row) for row in rows] == [
        ("card", 10000, "APPR 42", "staff:1", "INR"),
        ("cash", 20000, "", "staff:1", "INR"),
    ]
    noted = [(row["detail"], row["is_refused"]) for row in await audit_entries(db, "record_payment")]
    assert noted == [("card 10000 INR", False), ("cash 20000 INR", False)]
    assert "Recorded a payment at the desk" in await shows(desk, f"{visit}/history")


async def test_more_than_is_owed_only_if_they_say_so_and_nonsense_never(
    desk: Browser, visit: str, db: Database
) -> None:
    refused = await pay(desk, visit, amount="301")
    assert refused.status_code == 422
    assert "This is more than is owed" in words(refused)
    assert 'value="301"' in refused.text
    for amount in ("", "0", "-5", "1.005", "x", "9" * 12):
        assert (await pay(desk, visit, amount=amount)).status_code == 422, amount
    for name, odd in (("method", "barter"), ("reference", "x" * 61), ("float", "-1")):
        assert (await pay(desk, visit, None, **{name: odd})).status_code == 422, name
    assert await db.fetch_value(SUM) == 0
    assert goes_to(await pay(desk, visit, amount="301", sure="1"))
    assert await db.fetch_value(SUM) == 30100


async def test_the_same_press_counts_once_and_of_two_desks_one_is_told(
    desk: Browser, ward: Browser, visit: str, db: Database
) -> None:
    page, other = await desk.get(f"{visit}/pay"), await ward.get(f"{visit}/pay")
    answers = await asyncio.gather(*(pay(desk, visit, page) for _ in range(3)))
    assert all(goes_to(answer) for answer in answers)
    assert await db.fetch_value(SUM) == 30000
    late = await pay(ward, visit, other, sure="1")
    assert late.status_code == 409
    assert "somebody recorded a payment meanwhile" in words(late)
    assert await db.fetch_value(SUM) == 30000
    changed = await pay(desk, visit, page, reference="9")  # gone back to, and sent with something else
    assert changed.status_code == 409
    assert "meanwhile" in words(changed)


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("is_guarded", [False, True])
async def test_two_desks_at_once(desk: Browser, ward: Browser, visit: str, db: Database, *, is_guarded: bool) -> None:
    """One wins; without the look at what was seen, both do, and the fee is paid twice."""
    if not is_guarded:
        await rewrite(db, "till.record", ("<> p_seen_minor", "<> p_seen_minor AND false"))
    pages = [await browser.get(f"{visit}/pay") for browser in (desk, ward)]
    answers = await asyncio.gather(
        *(pay(browser, visit, page, sure="1") for browser, page in zip((desk, ward), pages, strict=True))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert (statuses, await db.fetch_value(SUM)) == (([303, 409], 30000) if is_guarded else ([303, 303], 60000))


async def test_undone_within_three_minutes_and_given_back_later(
    desk: Browser, ward: Browser, sheet: str, visit: str, booking: UUID, db: Database
) -> None:
    done = goes_to(await pay(desk, visit))
    pressed = re.search(rf'value="(undo {booking} [^"]+Z)"', (await desk.get(done)).text)
    assert pressed
    undo = {"provider": str(PROVIDER), "do": pressed[1]}
    assert (await ward.post(sheet, undo)).status_code == 409  # it is not theirs
    assert "done=undo" in goes_to(await desk.post(sheet, undo))
    assert "₹300 to pay" in await shows(desk, sheet)
    assert (await desk.post(sheet, undo)).status_code == 409
    assert goes_to(await pay(desk, visit))
    payment_id = await db.fetch_value("SELECT payment_id FROM till.payment ORDER BY paid_at DESC, kind LIMIT 1")
    await move_clock(db, minutes=4)
    assert (await desk.post(sheet, {"provider": str(PROVIDER), "do": f"undo {booking}"})).status_code == 409
    without = await give_back(desk, visit, payment_id, reason=" ")
    assert without.status_code == 422
    assert (await give_back(desk, visit, payment_id, amount="301")).status_code == 422
    assert "changed=returned" in goes_to(await give_back(ward, visit, payment_id, amount="120.50"))
    said = await shows(desk, f"{visit}/pay")
    assert "₹120.50 to pay" in said
    assert "given back" in said
    assert "Test not done" in said
    assert (await desk.get(f"{visit}/pay?give={UUID(int=1)}")).status_code == 404
    noted = [row["detail"] for row in await audit_entries(db, "return_payment") if not row["is_refused"]]
    assert noted == ["cash 12050 INR: Test not done"]


async def test_nothing_of_it_is_ever_changed(desk: Browser, visit: str, db: Database) -> None:
    assert goes_to(await pay(desk, visit))
    for change in ("UPDATE till.payment SET amount_minor = 1", "DELETE FROM till.payment", "TRUNCATE till.session"):
        with pytest.raises(PostgresError):
            await db.execute(change)


async def test_only_what_is_paid_at_the_clinic(app: Litestar, db: Database, environment: Environment) -> None:
    held = await environment.held(ONLINE, 9)
    assert (await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))).code == "booked"
    desk = await log_in(app, db, "desk", ONLINE)
    visit = f"/desk/{ONLINE}/{environment.instant(9).date()}/visit/{held}"
    assert "Nothing is to be paid at the clinic for this appointment." in await shows(desk, f"{visit}/pay")
    sent = {"method": "cash", "amount": "1", "float": "0", "seen": "0", "key": "k"}
    answer = await desk.post(f"{visit}/pay", sent)
    assert answer.status_code == 409
    other = await log_in(app, db, "desk", AT_CLINIC, "other.desk")
    for path in ("pay", "return", "pay-link"):
        assert (await other.post(f"{visit}/{path}", sent)).status_code == 403
    elsewhere = visit.replace(f"/{ONLINE}/", f"/{AT_CLINIC}/", 1)
    assert (await other.get(f"{elsewhere}/pay")).status_code == 404


async def test_a_day_of_a_till(desk: Browser, ward: Browser, visit: str, db: Database) -> None:
    assert "Cash in your till now" in await shows(desk, TILL)
    assert goes_to(await desk.post(f"{TILL}/open", {"float": "500"})) == f"{TILL}?done=opened"
    assert goes_to(await desk.post(f"{TILL}/open", {"float": "900"})) == f"{TILL}?done=is_open"
    assert 'name="float"' not in (await desk.get(f"{visit}/pay")).text
    assert goes_to(await pay(desk, visit, amount="100"))
    assert goes_to(await pay(desk, visit, amount="50", method="upi", reference="=1+1"))
    page = await desk.get(TILL)
    till_id = re.search(rf"{TILL}/([0-9a-f-]{{36}})/close", page.text)
    assert till_id
    one = f"{TILL}/{till_id[1]}"
    counted = {"cash_counted": "590", "card_counted": "0", "upi_counted": "50", "expected": hidden(page, "expected")}
    stale = await desk.post(f"{one}/close", {**counted, "expected": "50000 0 0", "note": "x"})
    assert "more was recorded in it meanwhile" in words(stale)
    silent = await desk.post(f"{one}/close", counted)
    assert silent.status_code == 422
    assert "₹10 missing" in words(silent)
    assert 'value="590"' in silent.text
    for odd in ("", "x", "1.005", "1e9"):
        assert (await desk.post(f"{one}/close", {**counted, "upi_counted": odd, "note": "x"})).status_code == 422
    assert goes_to(await desk.post(f"{one}/close", {**counted, "note": "Change given wrong"})) == f"{one}?done=closed"
    said = await shows(desk, one)
    assert "counted ₹590, should be ₹600, ₹10 missing" in said
    assert "Change given wrong" in said
    closed = await pay(desk, visit, await ward.get(f"{visit}/pay"), amount="1")
    assert closed.status_code == 409
    assert "your till of today is closed" in words(closed).lower()
    # Only who manages tills opens it again, and says why.
    assert (await desk.post(f"{one}/reopen", {"reason": "x"})).status_code == 403
    assert (await ward.post(f"{one}/reopen", {"reason": ""})).status_code == 422
    assert goes_to(await ward.post(f"{one}/reopen", {"reason": "A slip was left out"})) == f"{one}?done=reopened"
    assert goes_to(await pay(desk, visit, amount="10"))
    again = {**counted, "cash_counted": "610", "expected": hidden(await desk.get(one), "expected")}
    assert goes_to(await desk.post(f"{one}/close", again)) == f"{one}?done=closed"
    said = await shows(ward, f"/office/{AT_CLINIC}/tills")
    assert "Cash ₹610, Card machine ₹0, UPI by QR ₹50" in said
    assert re.search(r"Opened at [\d:]+ [ap]m with ₹500 in cash\.", said)  # which is no takings
    assert "missing" not in said
    assert "A slip was left out" in await shows(ward, one)
    table = (await ward.get(f"{one}/csv")).text
    assert f",{number_of(UUID(visit[-36:]))},Dr 1,payment,upi,50.00,'=1+1," in table
    assert ",expected,cash,600.00,,Change given wrong" in table
    tills = (await ward.get(f"/office/{AT_CLINIC}/tills/csv")).text
    assert ",note,cash at opening" in tills
    assert re.search(r",cash,INR,610\.00,610\.00,0\.00,.*,500\.00\r?$", tills, re.MULTILINE)
    with pytest.raises(PostgresError):
        await db.execute("UPDATE till.closing SET cash_counted_minor = 0")


async def test_a_till_is_seen_by_its_own_and_who_manages_them(
    app: Litestar, desk: Browser, ward: Browser, visit: str, db: Database
) -> None:
    assert goes_to(await pay(desk, visit))
    till_id = await db.fetch_value("SELECT session_id FROM till.session")
    colleague = await log_in(app, db, "desk", AT_CLINIC, "colleague")
    assert (await colleague.get(f"{TILL}/{till_id}")).status_code == 404
    assert (await colleague.post(f"{TILL}/{till_id}/close", {"cash_counted": "0"})).status_code in (404, 422)
    assert (await colleague.get(f"/office/{AT_CLINIC}/tills")).status_code == 403
    assert (await ward.get(f"{TILL}/{till_id}")).status_code == 200
    elsewhere = await log_in(app, db, "ward", ONLINE, "elsewhere")
    assert (await elsewhere.get(f"/desk/{ONLINE}/till/{till_id}")).status_code == 404
    await move_clock(db, hours=24)
    assert "is not closed yet" in await shows(await log_in_again(desk), TILL)


async def log_in_again(browser: Browser) -> Browser:
    from tests.fixtures.staff import PASSWORD  # noqa: PLC0415

    assert goes_to(await browser.post("/desk/log-in", {"log_on": f"desk-{AT_CLINIC}", "password": PASSWORD}))
    return browser


async def takes_nothing_online(db: Database) -> None:
    """Have the clinic's account be one that is not open here."""
    await db.execute("INSERT INTO payments.account (account, gateway, owner) VALUES ('off', 'stripe', 'Owner')")
    await db.execute("INSERT INTO payments.clinic_account VALUES ($1, 'off')", AT_CLINIC)


async def test_more_than_a_number_holds_is_refused_in_words(desk: Browser, visit: str, db: Database) -> None:
    """Each of ten payments of the largest amount was sure to be right; the sum is what all else counts with."""
    page = await desk.get(f"{visit}/pay")
    for _ in range(9):
        assert goes_to(await pay(desk, visit, page, amount="1000000", sure="1"))
        page = await desk.get(f"{visit}/pay")
    refused = await pay(desk, visit, page, amount="1000000", sure="1")
    assert refused.status_code == 422
    assert "more than can be recorded for one appointment" in words(refused)
    assert await db.fetch_value(SUM) == 900_000_000


async def test_the_patient_pays_the_clinic_by_its_upi_id(
    app: Litestar, desk: Browser, visit: str, booking: UUID, environment: Environment, db: Database
) -> None:
    await takes_nothing_online(db)
    sent = goes_to(await desk.post(f"{visit}/pay-link", {}))
    assert sent == f"{visit}/pay?link=not_payable"
    await db.execute("UPDATE directory.clinic SET upi_id = 'clinic@okaxis' WHERE clinic_id = $1", AT_CLINIC)
    page = await desk.get(f"{visit}/pay?amount=120")
    assert "₹120" in words(page)
    assert '<svg viewBox="0 0 ' in page.text
    patient = Browser(app, environment.tokens["asha"])
    appointment = f"/appointments/{PROVIDER}/{booking}"
    assert "Pay now by UPI" not in await shows(patient, appointment)
    reach = "UPDATE accounts.patient SET phone = '+919812300321', takes_sms = true WHERE patient_id = $1"
    await db.execute(reach, environment.ids["asha"])
    assert goes_to(await desk.post(f"{visit}/pay-link", {})).endswith("link=sent")
    assert goes_to(await desk.post(f"{visit}/pay-link", {})).endswith("link=sent_before")
    page = await patient.get(appointment)
    link = re.search(r'href="(upi://pay[^"]+)"', page.text)
    assert link
    asked = parse_qs(urlsplit(link[1].replace("&amp;", "&")).query)
    assert asked == {
        "pa": ["clinic@okaxis"],
        "pn": ["Clinic 2"],
        "am": ["300.00"],
        "cu": ["INR"],
        "tn": [number_of(booking)],
    }
    assert goes_to(await pay(desk, visit, method="upi", reference="433512"))
    said = await shows(patient, appointment)
    assert "Pay now by UPI" not in said
    assert "₹300 paid at the clinic" in said
    assert "433512" in said


async def test_receipts_follow_the_desk(desk: Browser, visit: str, booking: UUID, db: Database) -> None:
    """At once for what was paid; for what was given back, in the way it was, once that cannot be undone."""
    assert goes_to(await pay(desk, visit, method="card", reference="433512"))
    issued = (
        "SELECT kind::text, amount_minor, said ->> 'method', said ->> 'reference' FROM receipts.document "
        "ORDER BY document.kind, number"
    )
    await db.execute("SELECT receipts.issue(9)")
    assert [tuple(row) for row in await db.fetch(issued)] == [("receipt", 30000, "card", "433512")]
    payment_id = await db.fetch_value("SELECT payment_id FROM till.payment")
    await move_clock(db, minutes=5)
    done = goes_to(await give_back(desk, visit, payment_id, amount="100"))
    await db.execute("SELECT receipts.issue(9)")
    seen = parse_qs(urlsplit(done).query)["seen"][0]
    sheet = visit.partition("/visit/")[0]
    assert goes_to(await desk.post(sheet, {"provider": str(PROVIDER), "do": f"undo {booking} {seen}"}))
    assert goes_to(await give_back(desk, visit, payment_id, amount="120"))
    await move_clock(db, minutes=5)
    await db.execute("SELECT receipts.issue(9)")
    assert [tuple(row) for row in await db.fetch(issued)] == [
        ("receipt", 30000, "card", "433512"),
        ("credit_note", 12000, "cash", ""),
    ], "a till that gave cash for what a card paid has less cash, and so says the accountant's export"
    assert "Receipt R2/" in await shows(desk, f"{visit}/receipts")


def test_upi_ids_and_links() -> None:
    assert checked_upi_id(" clinic.one-2@ok axis ") == "clinic.one-2@okaxis"
    for wrong in (
        "",
        "clinic",
        "a@b",
        "clinic@ok.axis",
        "clinic@1bank",
        "cli nic@@ok",
        "क्लिनिक@okaxis",
        "a?b=c@okaxis",
    ):
        with pytest.raises(BadInput):
            checked_upi_id(wrong)
    link = upi_link("clinic@okaxis", 'A & B "Clinic" ₹', 64950, "HP-7K3M-2QXD")
    assert link.startswith(
        "upi://pay?pa=clinic@okaxis&pn=A%20%26%20B%20%22Clinic%22%20%E2%82%B9&am=649.50&cu=INR&tn=HP-"
    )
    assert qr_svg(link).startswith("<svg ")
    assert "style" not in qr_svg(link)
