"""What is held about a patient: all of it is exported, and nothing that names them is left once they are erased."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.numbers import number_of
from healthplus.database import Database
from healthplus.staff.accounts import set_role
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.fixtures.staff import OPERATOR, cheap_hashes
from tests.web.client import Client
from tests.web.phone import CONSENT, NUMBER, Phone, sign_in
from tests.web.problem import problem
from tests.web.staff import log_in
from tests.web.test_me import HOLDS, WAITS, book

PLANTED = {"name": "Zebedee Quillfeather", "email": "quill@feather.example"}


async def lived_in(me: Client, asha: Client, environment: Environment) -> None:
    """Have a patient be everywhere: profile, a wait, a cancelled and a visited appointment, a payment, a hold."""
    await me.ask("PATCH", "me", PLANTED)
    blocking = (await asha.post(HOLDS, {"clinic_id": FREE, "start": environment.at(18)})).json()
    await me.post(WAITS, {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19)})
    claim = await environment.db.fetch_row("SELECT ticket_id FROM booking.claim ORDER BY patient_id DESC LIMIT 1")
    assert claim
    await me.delete(f"{WAITS}/{claim['ticket_id']}")
    await asha.delete(blocking["url"])
    paid = await book(me, environment.at(9), ONLINE)
    await until(lambda: is_receipted(environment, 1))
    await me.delete(paid)
    await until(lambda: is_receipted(environment, 2))
    await book(me, environment.at(13))
    await environment.pass_time(days=4)
    await me.post(HOLDS, {"clinic_id": AT_CLINIC, "start": (environment.day + timedelta(days=5, hours=14)).isoformat()})


async def is_receipted(environment: Environment, count: int) -> bool:
    """Issue what is due; return whether there are so many receipts and credit notes."""
    await environment.db.execute("SELECT receipts.issue(200)")
    found: int = await environment.db.fetch_value("SELECT count(*) FROM receipts.document")
    return found == count


async def everywhere(db: Database, text: str) -> list[str]:
    """Return each table that shows a text in any column of any row."""
    tables = await db.fetch(
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables "
        "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    found = []
    for table in tables:
        sql = f"SELECT EXISTS (SELECT FROM {table['name']} AS t WHERE strpos(lower(t::text), lower($1)) > 0)"
        if await db.fetch_value(sql, text):
            found.append(table["name"])
    return found


async def test_everything_held_is_exported(me: Client, asha: Client, app: Litestar, environment: Environment) -> None:
    await lived_in(me, asha, environment)
    response = await me.get("me/export")
    assert response.headers["cache-control"] == "no-store"
    export = response.json()
    assert (export["profile"]["name"], export["profile"]["phone"]) == (PLANTED["name"], NUMBER)
    assert {one["state"] for one in export["bookings"]} == {"cancelled", "booked", "reserved"}
    assert export["place"]["booking_id"]
    assert [(one["kind"], one["person_name"]) for one in export["receipts"]] == [
        ("receipt", PLANTED["name"]),
        ("credit_note", PLANTED["name"]),
    ]
    assert [len(export[part]) for part in ("consents", "sessions", "codes", "devices", "waits", "payments")] == [1] * 6
    patient_id = export["profile"]["patient_id"]
    kinds = {event["kind"] for event in export["events"]}
    assert {"waiting", "left", "reserved", "booked", "cancelled"} <= kinds
    assert export["requests_remembered"] > 5
    # Nobody else's, and nothing that lets anybody in.
    assert {
        one["patient_id"] for part in ("bookings", "waits", "consents", "sessions", "notices") for one in export[part]
    } == {patient_id}
    for secret in ("token_hash", "code_hash", "phone_hash", "device_hash", "asha"):
        assert secret not in response.text
    other = (await asha.get("me/export")).json()
    assert len(other["bookings"]) == 1
    assert NUMBER not in json.dumps(other)


async def test_the_export_says_when_and_as_what_staff_looked_but_not_who(
    me: Client, asha: Client, app: Litestar, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    await book(me, environment.at(13))
    booking = await db.fetch_row("SELECT booking_id FROM booking.booking WHERE state = 'booked'")
    assert booking is not None
    path = f"/desk/{AT_CLINIC}/ask?number={number_of(booking['booking_id'])}"
    desk = await log_in(app, db, "desk", AT_CLINIC, "meera")
    assert (await desk.get(path)).status_code == 200
    await environment.pass_time(minutes=1)
    staff_id = await db.fetch_value("SELECT staff_id FROM staff.account WHERE log_on = 'meera'")
    version = await db.fetch_value("SELECT version FROM staff.account WHERE staff_id = $1", staff_id)
    await set_role(db, staff_id, AT_CLINIC, "ward", OPERATOR)
    # As if they had logged in again.
    await db.execute("UPDATE staff.account SET version = $2 WHERE staff_id = $1", staff_id, version)
    assert (await desk.get(f"/office/{AT_CLINIC}/audit?patient=1")).status_code == 200  # of Asha
    assert (await desk.get(path.replace("desk", "office").replace("ask?number", "audit/history?booking"))).is_success
    response = await me.get("me/export")
    accesses = response.json()["accesses"]
    assert [(one["action"], one["role"], one["clinic_id"], one["booking_id"]) for one in accesses] == [
        ("see_booking", "desk", AT_CLINIC, str(booking["booking_id"])),
        ("see_history", "ward", AT_CLINIC, str(booking["booking_id"])),
    ]
    assert set(accesses[0]) == {"at", "action", "clinic_id", "clinic", "booking_id", "role"}
    assert "Meera" not in response.text
    others = (await asha.get("me/export")).json()["accesses"]
    assert [(one["action"], one["role"], one["booking_id"]) for one in others] == [("see_audit", "ward", None)]


async def test_every_table_about_patients_is_exported(me: Client, asha: Client, db: Database) -> None:
    """A table that points to a patient must be in the export, and in this list."""
    pointing = await db.fetch(
        "SELECT format('%s.%s', table_schema, table_name) AS name FROM information_schema.columns "
        "WHERE column_name IN ('patient_id', 'phone', 'hold_id', 'booking_id', 'caller', 'actor') "
        "AND table_schema NOT IN ('directory', 'pg_catalog', 'information_schema')"
    )
    assert {row["name"] for row in pointing} == {
        "accounts.patient",
        "accounts.person",
        "accounts.former_account",
        "staff.audit_row",  # of audit_entry, with names
        "accounts.session",
        "accounts.challenge",
        "accounts.consent",
        "accounts.idempotency",
        "booking.booking",
        "booking.reason",
        "booking.ticket",
        "booking.claim",
        "booking.replacement",
        "booking.staff_act",
        "booking.no_show",
        "booking.event",
        "booking.event_log",
        "booking.event_of_release_2",
        "booking.idempotency",
        "reception.attendance",
        "reception.told",
        "booking.delay",
        "notices.notice",
        "notices.preference",
        "notices.push_subscription",
        "notices.reminder",
        "notices.coming",
        "notices.earlier_alert",
        "notices.earlier_told",
        "ledger.payment",
        "ledger.refund",
        "till.payment",
        "payments.intent",
        "payments.money_case",  # of the payment, by its booking; it names nobody
        "payments.settlement_line",  # of the payment, too
        "receipts.document",
        "ledger.entry",
        "ledger.former_entry",  # as far as ledger.entry shows it
        "payments.webhook_event",
        "reviews.rating",
        "reviews.review",
        "staff.ask",
        "staff.audit_entry",  # of what staff do; as far as it is about a patient
        "staff.breach_entry",  # its `actor` is of the staff
    }


async def test_nothing_that_names_the_erased_is_left(
    me: Client, asha: Client, anyone: Client, http: httpx.AsyncClient, phone: Phone, environment: Environment
) -> None:
    await lived_in(me, asha, environment)
    for text in (PLANTED["email"], NUMBER):
        assert await everywhere(environment.db, text) == ["accounts.patient"]
    named = ["accounts.patient", "accounts.person", "booking.booking", "receipts.document"]
    assert sorted(await everywhere(environment.db, PLANTED["name"])) == named
    before = await environment.db.fetch_value("SELECT count(*) FROM accounts.challenge")
    erased = await me.delete("me")
    assert erased.status_code == 200, erased.text
    assert "registers" in erased.json()["detail"]
    for text in (*PLANTED.values(), NUMBER, NUMBER[3:], "Quillfeather", "feather.example"):
        assert await everywhere(environment.db, text) == []
    problem(await me.get("me"), 401)
    row = await environment.db.fetch_row("SELECT * FROM accounts.patient WHERE erased_at IS NOT NULL")
    assert row is not None
    held = [
        dict(one)
        for one in await environment.db.fetch("SELECT * FROM booking.booking WHERE patient_id = $1", row["patient_id"])
    ]
    assert {one["state"] for one in held} == {"cancelled", "booked", "released"}
    for table in ("accounts.session", "accounts.idempotency", "accounts.consent", "notices.notice"):
        sql = f"SELECT count(*) FROM {table} WHERE patient_id = $1"
        assert await environment.db.fetch_value(sql, row["patient_id"]) == 0
    receipts = await environment.db.fetch(
        "SELECT kind::text, amount_minor, person_name FROM receipts.document ORDER BY document.kind"
    )
    assert [tuple(one) for one in receipts] == [("receipt", 50000, None), ("credit_note", 50000, None)]
    # What was sent to the number stays counted, and says nothing of whose it was.
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.challenge") == before
    again = Client(http, await sign_in(anyone, phone))
    export = (await again.get("me/export")).json()
    assert (export["bookings"], export["events"]) == ([], [])
    assert export["profile"]["patient_id"] != row["patient_id"]


async def test_nobody_is_erased_whom_a_clinic_expects(me: Client, environment: Environment) -> None:
    appointment = await book(me, environment.at(13))
    held = (await me.post(HOLDS, {"clinic_id": AT_CLINIC, "start": environment.at(24 + 14)})).json()
    refused = problem(await me.delete("me"), 409, "still_booked")
    assert refused["appointments"] == [appointment]
    assert (await me.get(held["url"])).json()["state"] == "reserved"
    await me.delete(appointment)
    assert (await me.delete("me")).json()["released"] == held["url"]
    assert (
        await environment.db.fetch_value("SELECT state::text FROM booking.booking ORDER BY created_at DESC LIMIT 1")
        == "released"
    )


async def test_whom_the_clinic_entered_without_a_number_may_be_erased(asha: Client) -> None:
    assert (await asha.delete("me")).status_code == 200
    problem(await asha.get("me"), 401)


async def test_a_number_entered_by_the_clinic_is_found_by_its_phone(
    anyone: Client, http: httpx.AsyncClient, phone: Phone, db: Database
) -> None:
    await add_patient(db, "Devi", "098765 43210", "IN")
    assert (await Client(http, await sign_in(anyone, phone)).get("me")).json()["name"] == "Devi"


async def test_signing_in_while_being_erased(
    me: Client, anyone: Client, http: httpx.AsyncClient, phone: Phone, environment: Environment
) -> None:
    """Whichever is first, no session is left that belongs to nobody."""
    await environment.pass_time(minutes=2)
    sent = (await anyone.post("codes", {"phone": NUMBER, "consent": CONSENT})).json()
    code = await phone.code(2)
    erased, signed_in = await asyncio.gather(me.delete("me"), anyone.post(f"codes/{sent['id']}/verify", {"code": code}))
    assert erased.status_code == 200
    assert signed_in.status_code in (201, 410)
    left = "SELECT count(*) FROM accounts.session JOIN accounts.patient USING (patient_id) WHERE erased_at IS NOT NULL"
    assert await environment.db.fetch_value(left) == 0


async def test_a_code_asked_for_before_does_not_give_consent_back(
    me: Client, anyone: Client, phone: Phone, environment: Environment
) -> None:
    await environment.pass_time(seconds=31)
    sent = (await anyone.post("codes", {"phone": NUMBER, "consent": CONSENT})).json()
    code = await phone.code(len(phone.messages) + 1)
    assert (await me.delete("me/consents")).status_code == 200
    problem(await anyone.post(f"codes/{sent['id']}/verify", {"code": code}), 410)
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.consent WHERE withdrawn_at IS NULL") == 0


async def test_erasing_lifts_no_limit_of_the_number(me: Client, anyone: Client) -> None:
    assert (await me.delete("me")).status_code == 200
    problem(await anyone.post("codes", {"phone": NUMBER, "consent": CONSENT}), 429)


async def test_nothing_can_be_held_for_the_erased(me: Client, environment: Environment) -> None:
    assert (await me.delete("me")).status_code == 200
    patient_id = await environment.db.fetch_value("SELECT patient_id FROM accounts.patient WHERE erased_at IS NOT NULL")
    # As another process does that does not know of it yet.
    book = environment.book
    start = environment.instant(13)
    assert (await book.hold(PROVIDER, AT_CLINIC, start, 1, patient_id, Patient(patient_id))).code == "not_found"
    wait = await book.join_queue(
        PROVIDER, AT_CLINIC, start, start + timedelta(minutes=30), 1, patient_id, Patient(patient_id)
    )
    assert wait.code == "not_found"


async def test_nobody_is_erased_who_holds_something_meanwhile(
    me: Client, app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient_id = await environment.db.fetch_value("SELECT patient_id FROM accounts.patient WHERE phone = $1", NUMBER)
    book = environment.book

    async def hold_then_claim(_book: Book, asked: int) -> None:
        start = environment.instant(13)
        assert (await book.hold(PROVIDER, AT_CLINIC, start, 1, patient_id, Patient(patient_id))).code == "reserved"

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Book, "claim", hold_then_claim)
        problem(await me.delete("me"), 409)
    assert (await me.delete("me")).status_code == 200


async def test_a_token_revoked_elsewhere_changes_nothing(me: Client, environment: Environment) -> None:
    assert (await me.get("me")).status_code == 200
    # As another process does: this one has just seen the token, and does not know of it.
    await environment.db.execute("UPDATE accounts.session SET revoked_at = public.app_now() WHERE revoked_at IS NULL")
    problem(await me.post(HOLDS, {"clinic_id": AT_CLINIC, "start": environment.at(14)}), 401)
    problem(await me.ask("PATCH", "me", {"name": "Mallory"}), 401)
    problem(await me.delete("me"), 401)


async def test_an_offer_taken_meanwhile_is_given_up_too(
    me: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = (await me.post(WAITS, {"clinic_id": FREE, "from": environment.at(18), "to": environment.at(18, 30)})).json()
    assert wait["state"] == "offered"
    claim = Book.claim

    async def claim_then_accept(book: Book, patient_id: int) -> object:
        found = await claim(book, patient_id)
        monkeypatch.setattr(Book, "claim", claim)
        assert (await me.post(f"{wait['url']}/accept", {})).status_code == 201
        return found

    monkeypatch.setattr(Book, "claim", claim_then_accept)
    released = (await me.delete("me/consents")).json()["released"]
    assert released == f"/api/v1/{HOLDS}/{wait['offer']['hold_id']}"
    assert await environment.db.fetch_value("SELECT state::text FROM booking.booking") == "released"
