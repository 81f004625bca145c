"""Whatever of a patient a function of the console shows to staff, the audit has a row of it: which, the catalogue says.

A function that is added later is called, too: its parameters are given by their names in VALUES.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

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
_SHOW = {"find_booking", "asks", "in_the_way_of_holiday", "add_leave"}
"""Of those that show a patient, some: the look must find them."""
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
            "p_booking_id": booking,
            "p_booking_from": booking,
            "p_booking_to": booking,
            "p_during": Range(starts - timedelta(hours=1), starts + timedelta(hours=3)),
            "p_closed_at": starts - timedelta(hours=1),
            "p_from": datetime(2000, 1, 1, tzinfo=UTC),
            "p_to": far,
            "p_before_at": far,
            "p_before_id": 2**62,
            "p_known_at": datetime(2020, 1, 1, tzinfo=UTC),
            "p_told_at": datetime(2020, 1, 2, tzinfo=UTC),
            "p_monday": date(2026, 1, 5),
            "p_kind": "cancel",
            "p_role": "desk",
            "p_confirms": True,
            "p_ends_factors": False,
            "p_moves": {},
            "p_was": {},
            **dict.fromkeys(("p_reason", "p_happened", "p_data", "p_measures", "p_name"), "x"),
            "p_log_on": "new.one",
            "p_remove": [],
            "p_put": [],
            "p_scopes": ["search"],
            "p_expires_in": timedelta(days=1),
        }

    def value(self, function: str, name: str, type_: str) -> Any:
        """Return what a parameter is given: by its name, or something of its type that fits nothing."""
        if name in self.values and not (function == "add_to_breach" and name == "p_kind"):
            return self.values[name]
        something: dict[str, Any] = {
            "text": "described" if name == "p_kind" else None,
            "bytea": b"x" * 32,
            "uuid": uuid4(),
            "jsonb": {},
            "bigint": 1,
            "integer": 50,
            "boolean": False,
            "timestamp with time zone": None,
        }
        return something.get(type_)

    async def look(self, tx: Transaction, row: Any) -> tuple[bool, bool]:
        """Return whether a function shows the patient, and whether the audit has a row that names them then."""
        right = re.search(r"staff\.authorise\(p_token_hash, '(\w+)'", row["prosrc"])
        assert right, row["proname"]
        role = next(role for role in ROLES for name, roles in RIGHTS.items() if name == right[1] and role in roles)
        pairs = list(zip(row["names"], row["types"], strict=True))[1:]
        values = [self.tokens[role], *(self.value(row["proname"], *pair) for pair in pairs)]
        places = ", ".join(f"${n}::{type_}" for n, type_ in enumerate(("bytea", *(one[1] for one in pairs)), 1))
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
    found = Calls(environment.ids["asha"], held, environment.instant(9))
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
    return found


async def test_every_read_of_a_patient_is_noted(db: Database, calls: Calls) -> None:
    show, unnoted, refuse = set(), set(), set()
    for row in await db.fetch(_FUNCTIONS):
        async with attempt(db) as tx:
            try:
                shows, noted = await calls.look(tx, row)
            except PostgresError as error:
                refuse.add(row["proname"])
                print(row["proname"], error)
                raise _Undo from None
            show |= {row["proname"]} if shows else set()
            unnoted |= {row["proname"]} if shows and not noted else set()
    assert refuse <= _REFUSE
    assert unnoted == set()
    assert show >= _SHOW


async def test_one_that_is_not_is_found(db: Database, calls: Calls) -> None:
    async with attempt(db) as tx:
        await tx.execute(
            """CREATE FUNCTION console.mutant(p_token_hash bytea, p_address text, p_clinic_id bigint) RETURNS SETOF text
            LANGUAGE plpgsql AS $$
            DECLARE
                caller record;
            BEGIN
                caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
                PERFORM staff.append_audit(caller.actor, NULL, p_address, 'see_day', false, '', NULL, p_clinic_id);
                RETURN QUERY SELECT patient_name FROM booking.booking WHERE clinic_id = p_clinic_id;
            END $$"""
        )
        row = next(one for one in await tx.fetch(_FUNCTIONS) if one["proname"] == "mutant")
        assert await calls.look(tx, row) == (True, False)
