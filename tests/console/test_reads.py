"""Whatever of a patient a function of the console shows to staff, the audit has a row of it: which, the catalogue says.

A function that is added later is called, too: Calls.values has its parameters by their names, and SHOWS_PATIENT or
SHOWS_NONE its name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.sessions import hash_token
from healthplus.database import Database, PostgresError, Range, Transaction
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.rights import RIGHTS, ROLES, Role
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes, come_from, make_log_in, make_staff

MARK = "Zebedee Quillfeather"
PHONE = "+919812300321"
_FUNCTIONS = """
SELECT proname, proargnames[1 : pronargs] AS names, proargtypes::regtype[]::text[] AS types, prosrc
FROM pg_proc WHERE pronamespace = 'console'::regnamespace ORDER BY proname
"""
_SILENT = r"""
SELECT proname FROM pg_proc
WHERE pronamespace = 'console'::regnamespace AND prosrc !~ (
    SELECT '\m(staff\.append_audit|' || string_agg(format('%s\.%s', pronamespace::regnamespace, proname), '|') || ')\('
    FROM pg_proc WHERE pronamespace <> 'console'::regnamespace AND prosrc LIKE '%staff.append_audit(%')
"""
SHOWS_PATIENT = {
    *("find_booking", "asks", "day_sheet", "today_order", "own_day", "find_people", "booking_choices", "phone_queue"),
    *("booking_history", "booking_money", "booking_receipts", "desk_payments"),
    *("in_the_way_of_holiday", "change_shifts", "add_leave", "set_provider_closed"),
}
SHOWS_NONE = {
    *(
        "clinic_accounts",
        "remove_from_desk",
        "add_to_desk",
        "link_for_desk",
        "disable_desk_account",
        "enable_desk_account",
    ),
    *("accounts", "account", "add_account", "set_role", "make_link", "disable_account", "enable_account"),
    *("audit", "export_audit", "history"),  # patients by their ids alone
    *("record_attendance", "day_version", "own_day_version", "add_person", "book"),
    *("join_by_phone", "serve_caller"),
    *("walk_in_doctors", "walk_in", "token_slip", "overbook", "desk_rules", "put_desk_rules"),
    *("board_setup", "renew_board"),
    *("change_booking", "send_link", "failed_refunds", "settle_refund", "no_show_rule", "set_no_show_rule"),
    *("record_payment", "return_payment", "send_pay_link"),
    *("till", "open_tills", "open_till", "close_till", "reopen_till", "tills"),
    *("ask", "answer_ask", "breaches", "breach_entries", "note_breach", "add_to_breach"),
    *("money_cases", "money_checks", "look_at_case", "close_case"),
    *("clinics", "see_system", "keys", "add_key", "revoke_key"),
    *("office", "holiday", "week", "provider", "services", "remove_leave", "set_clinic_closed", "close_service"),
    *("add_clinic", "put_clinic", "put_provider", "put_service", "set_photo", "set_terms"),
    *("add_clinic_picture", "change_clinic_picture"),
}
NOT_NOTED = {
    *("office", "holiday", "week", "provider", "services", "day_version", "own_day_version"),
    *("walk_in_doctors", "token_slip", "desk_rules", "no_show_rule", "board_setup"),
    *("till", "open_tills", "tills"),
}
"""What may leave no row: reads of a clinic’s set-up, with nobody in it but its doctors; a version; a token; a till."""
_REFUSE = {"add_clinic", "add_clinic_picture", "put_clinic", "put_provider", "put_service", "set_photo", "set_terms"}
"""What changes the directory by a document, and refuses those of this test."""


class _Undo(Exception):
    """Ends an attempt."""


@asynccontextmanager
async def attempt(db: Database) -> AsyncIterator[Transaction]:
    """Yield a transaction of which nothing stays."""
    try:
        async with db.transaction() as tx:
            yield tx
            raise _Undo
    except _Undo:
        pass


class Calls:
    """Calls functions as staff, about one appointment; says what each shows of its patient."""

    def __init__(self, patient_id: int, booking: UUID, starts: datetime) -> None:
        self.patient_id = patient_id
        self.tokens: dict[Role, bytes] = {}
        far = starts + timedelta(days=400)
        self.values: dict[str, Any] = {
            "p_address": "192.0.2.9",
            "p_clinic_id": 1,
            "p_provider_id": PROVIDER,
            "p_patient_id": patient_id,
            **dict.fromkeys(("p_booking_id", "p_booking_from", "p_booking_to"), booking),
            "p_during": Range(starts - timedelta(hours=1), starts + timedelta(hours=3)),
            "p_closed_at": starts - timedelta(hours=1),
            "p_from": datetime(2000, 1, 1, tzinfo=UTC),
            **dict.fromkeys(("p_to", "p_before_at"), far),
            "p_before_id": 2**62,
            "p_known_at": datetime(2020, 1, 1, tzinfo=UTC),
            "p_told_at": None,
            "p_day": (starts + timedelta(hours=5, minutes=30)).date(),
            "p_act": "arrive",
            **{"p_phone": PHONE, "p_takes_sms": True, "p_phone_hash": b"x" * 32, "p_letter": None, "p_digits": None},
            **{"p_person_id": None, "p_service_ids": None, "p_birth_year": None, "p_sex": None, "p_purpose": "x"},
            **{"p_starts_at": starts, "p_key": "1", "add_person.p_version": "1"},
            **{"serve_caller.p_act": "let_go", "record_attendance.p_seen": None, "serve_caller.p_seen": None},
            **{"p_ticket_id": UUID(int=1), "p_service_id": 1},
            **{"p_refund_id": UUID(int=1), "settle_refund.p_reference": "412345678901"},
            **{"p_start": starts, "p_wants_text": True, "p_every": 4, "p_walk_in_cap": 1, "p_overbook_cap": 1},
            **{"p_payment_id": UUID(int=1), "p_till_id": UUID(int=1), "p_method": "cash", "p_reference": ""},
            **{
                "p_amount_minor": 100,
                "p_float_minor": 0,
                "p_seen_minor": 0,
                "p_is_sure": False,
                "p_takes_online": False,
                "p_note": "",
            },
            **{"p_counted": [0, 0, 0], "p_expected": [0, 0, 0], "p_last_day": None},
            "p_monday": date(2026, 1, 5),
            "p_kind": "cancel",
            "add_to_breach.p_kind": "described",
            "p_role": "desk",
            "p_confirms": True,
            "p_ends_factors": False,
            **dict.fromkeys(("p_reason", "p_happened", "p_data", "p_measures", "p_name"), "x"),
            "p_log_on": "new.one",
            "p_put": [],
            "p_text": "x",
            **{"p_account": None, "p_of_clinic": None, "p_is_open": True, "p_case_id": UUID(int=1), "p_note": "x"},
            "p_place": 1,
            "p_scopes": ["search"],
            "p_expires_in": timedelta(days=1),
            **dict.fromkeys(("p_staff_id", "p_breach_id", "p_key_id", "p_service_id", "p_former_id"), 1),
            **dict.fromkeys(("p_leave_id", "p_holiday_id"), UUID(int=1)),
            **dict.fromkeys(("p_link_hash", "p_key_hash"), b"x" * 32),
            **dict.fromkeys(
                ("p_times", "p_months", "p_people", "p_per_minute", "p_per_day", "p_rows", "p_rows_max"), 50
            ),
            **{name: {} for name in ("p_moves", "p_was", "p_wish", "p_seen", "p_clinic", "p_provider", "p_service")},
            # Whatever it is, and the first page of it; what is in the way was not shown yet.
            **dict.fromkeys(
                ("p_who", "p_action", "p_search", "p_after", "p_after_name", "p_after_id", "p_kept", "p_seen_at")
            ),
            **dict.fromkeys(("p_slug", "p_version", "p_hash", "p_sizes", "p_webps")),
            **dict.fromkeys(("p_hours", "p_percents", "p_amounts_minor")),
        }

    def value(self, function: str, name: str) -> Any:
        """Return what a parameter is given: as this function has it, or all do."""
        own = f"{function}.{name}"
        assert own in self.values or name in self.values, f"{function}: say in Calls.values what {name} is"
        return self.values[own if own in self.values else name]

    async def look(self, tx: Transaction, row: Any) -> tuple[bool, bool]:
        """Return whether a function shows the patient, and whether the audit has a row that names them then."""
        right = re.search(r"staff\.authorise\(p_token_hash, '(\w+)'", row["prosrc"])
        assert right, row["proname"]
        role = next(role for role in ROLES for name, roles in RIGHTS.items() if name == right[1] and role in roles)
        values = [self.tokens[role], *(self.value(row["proname"], name) for name in row["names"][1:])]
        places = ", ".join(f"${n}::{type_}" for n, type_ in enumerate(row["types"], 1))
        last = await tx.fetch_value("SELECT coalesce(max(entry_id), 0) FROM staff.audit_entry")
        found = await tx.fetch(
            f"SELECT to_jsonb(shown)::text FROM console.{row['proname']}({places}) AS shown", *values
        )
        shows = any(mark in one[0] for one in found if one[0] for mark in (MARK, PHONE))
        noted: bool = await tx.fetch_value(
            "SELECT EXISTS (SELECT FROM staff.audit_entry WHERE entry_id > $1 AND patient_id = $2)",
            last,
            self.patient_id,
        )
        return shows, noted


@pytest.fixture
async def calls(db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Calls:
    cheap_hashes(monkeypatch)
    await db.execute("UPDATE accounts.patient SET name = $1, phone = $2 WHERE name = 'asha'", MARK, PHONE)
    held = await environment.held(hour=9)
    assert (await environment.book.confirm(PROVIDER, held, "auth", environment.actor("asha"))).code == "booked"
    await db.execute("SELECT payments.advance_payment(payment, 'captured', 'answer', app_now()) FROM ledger.payment")
    await db.execute("SELECT receipts.issue(9)")
    await environment.pass_until(environment.instant(8))
    found = Calls(environment.ids["asha"], held, environment.instant(9))
    found.values["p_person_id"] = await db.fetch_value(
        "SELECT person_id FROM booking.booking WHERE booking_id = $1", held
    )
    for role in ROLES:
        staff_id = await make_staff(db, f"some.{role}", role, 1)
        if role == "practitioner":
            await db.execute("UPDATE staff.account SET provider_id = $2 WHERE staff_id = $1", staff_id, PROVIDER)
        done = await make_log_in(db).with_password(f"some.{role}", PASSWORD, come_from())
        assert isinstance(done, LoggedIn)
        found.tokens[role] = hash_token(done.token)
    await db.execute("SELECT staff.note_breach(public.app_now() - interval '1 hour', 'staff:1', 'x', 'y', NULL, '')")
    await db.execute(
        "SELECT staff.open_ask(1, 1, $1, $2, 'cancel', '{}', booking.as_seen(1, $1), 'x', 1)", held, found.patient_id
    )
    found.values["p_ask_id"] = await db.fetch_value("SELECT ask_id FROM staff.ask")
    found.values["p_person_id"] = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", found.patient_id
    )
    found.values["p_remove"] = await db.fetch_value(
        "SELECT array_agg(shift_id) FROM schedule.shift WHERE provider_id = $1 AND clinic_id = 1", PROVIDER
    )
    return found


async def test_every_read_of_a_patient_is_noted(db: Database, calls: Calls) -> None:
    show, unnoted, refuse = set(), set(), set()
    rows = await db.fetch(_FUNCTIONS)
    assert {row["proname"] for row in rows} == SHOWS_PATIENT | SHOWS_NONE, "say of each whether it shows a patient"
    for row in rows:
        async with attempt(db) as tx:
            try:
                shows, noted = await calls.look(tx, row)
            except PostgresError:
                refuse.add(row["proname"])
                raise _Undo from None
            show |= {row["proname"]} if shows else set()
            unnoted |= {row["proname"]} if shows and not noted else set()
    assert refuse <= _REFUSE
    assert unnoted == set()
    assert show == SHOWS_PATIENT


async def test_every_function_notes_what_it_does(db: Database) -> None:
    """By itself, or by calling what does."""
    assert await silent(db) == NOT_NOTED


async def silent(db: Database | Transaction) -> set[str]:
    """Return the functions of the console that never write into the audit, whatever they are called with."""
    found = await db.fetch(_SILENT)
    return {row["proname"] for row in found}


_MUTANT = """
CREATE FUNCTION console.{name}(p_token_hash bytea, p_address text, p_clinic_id bigint{more}) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    {notes}
    RETURN QUERY SELECT patient_name FROM booking.booking WHERE clinic_id = p_clinic_id;
END $$
"""
_NOTES = "PERFORM staff.append_audit(caller.actor, NULL, p_address, 'see_booking', false, '', NULL, p_clinic_id);"


async def test_one_that_is_not_is_found(db: Database, calls: Calls) -> None:
    async with attempt(db) as tx:
        await tx.execute(_MUTANT.format(name="names_nobody", more="", notes=_NOTES))
        await tx.execute(_MUTANT.format(name="takes_a_night", more=", p_night date", notes=""))
        rows = {row["proname"]: row for row in await tx.fetch(_FUNCTIONS)}
        assert await calls.look(tx, rows["names_nobody"]) == (True, False)
        with pytest.raises(AssertionError, match=r"say in Calls\.values what p_night is"):
            await calls.look(tx, rows["takes_a_night"])
        assert await silent(tx) == {*NOT_NOTED, "takes_a_night"}
