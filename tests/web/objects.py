"""What paths of the office name: OBJECTS says how each is made, for all tests that go through the routes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import time

from healthplus.accounts.keys import add_key
from healthplus.database import Database
from healthplus.staff.accounts import add_staff, set_role
from tests.fixtures.clock import product_now
from tests.fixtures.directory import DAILY, make_provider, make_service, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.staff import OPERATOR

_serial = itertools.count(1)


async def _desk_account(db: Database, clinic_id: int, _: int) -> int:
    staff_id = await add_staff(db, f"desk.account{next(_serial)}", "Desk", OPERATOR)
    await set_role(db, staff_id, clinic_id, "desk", OPERATOR)
    return staff_id


async def _provider(_: Database, __: int, provider_id: int) -> int:
    return provider_id


async def _shift(db: Database, clinic_id: int, provider_id: int) -> int:
    return await make_shift(db, provider_id, clinic_id, 1, time(9), time(10), 30)


async def _leave(db: Database, clinic_id: int, provider_id: int) -> object:
    """Make a holiday of one, on a day without shifts; its leave has its id."""
    return await db.fetch_value(
        "INSERT INTO schedule.leave (leave_id, holiday_id, provider_id, clinic_id, during, reason) "
        "SELECT id, id, $1, $2, tstzrange(tuesday, tuesday + interval '1 day'), '' "
        "FROM gen_random_uuid() AS id, date_trunc('week', public.app_now() + interval '7 days', 'Asia/Kolkata') "
        "AS monday, LATERAL (SELECT monday + interval '1 day' AS tuesday) AS leave RETURNING leave_id",
        provider_id,
        clinic_id,
    )


async def _service(db: Database, clinic_id: int, provider_id: int) -> int:
    return await make_service(db, provider_id, 10, (0, "free"), clinic_id=clinic_id)


async def _ask(db: Database, clinic_id: int, provider_id: int) -> object:
    opened = "SELECT staff.open_ask($1, 1, gen_random_uuid(), NULL, 'cancel', '{}', '{}', 'x', $2)"
    return await db.fetch_value(opened, clinic_id, await _desk_account(db, clinic_id, provider_id))


async def _picture(db: Database, clinic_id: int, _: int) -> object:
    return await db.fetch_value(
        "INSERT INTO directory.clinic_picture (clinic_id, position, hash, source) "
        "SELECT $1::bigint, 1, md5($1::bigint::text), '' "
        "ON CONFLICT (clinic_id, position) DO UPDATE SET hash = excluded.hash RETURNING hash",
        clinic_id,
    )


async def _case(db: Database, *_: int) -> object:
    return await db.fetch_value(
        """INSERT INTO payments.money_case (
            account, kind, name, amount_minor, currency, ours, theirs, found_at, seen_at)
        SELECT 'sandbox', 'unknown_here', gen_random_uuid()::text, 50000, 'INR', 'nothing', 'captured', now, now
        FROM public.app_now() AS now RETURNING case_id"""
    )


async def _breach(db: Database, *_: int) -> object:
    return await db.fetch_value("SELECT staff.note_breach('2020-01-01', 'staff:1', 'x', 'y', NULL, '')")


async def _key(db: Database, *_: int) -> object:
    return (await add_key(db, "Acme", ["search"]))[0]


async def _ticket(db: Database, clinic_id: int, provider_id: int) -> object:
    """Have a caller's ticket be known at a clinic; there is none."""
    return await db.fetch_value(
        "INSERT INTO booking.phone_ticket (provider_id, ticket_id, clinic_id, staff_id, joined_at) "
        "VALUES ($2, gen_random_uuid(), $1, 1, public.app_now()) RETURNING ticket_id",
        clinic_id,
        provider_id,
    )


async def _day(db: Database, *_: int) -> object:
    return (await product_now(db)).date()


async def _booking(db: Database, clinic_id: int, provider_id: int) -> object:
    """Make an appointment that took place, each of them at another time."""
    await db.execute("SELECT booking.lock_book($1)", provider_id)
    made = await db.fetch_value(
        "INSERT INTO booking.booking (provider_id, clinic_id, patient_id, patient_name, during, seat, slots_needed, "
        "state, fee_minor, funding, created_at) SELECT $1, $2, min(patient_id), 'Asha', tstzrange(starts, starts + "
        "interval '1 minute'), 1, 1, 'fulfilled', 0, 'free', starts FROM accounts.patient, LATERAL (SELECT "
        "public.app_now() - interval '30 days' + make_interval(mins => $3) AS starts) AS at GROUP BY starts "
        "RETURNING booking_id",
        provider_id,
        clinic_id,
        next(_serial),
    )
    for kind in ("reserved", "booked", "arrived", "fulfilled"):
        append = "SELECT booking.append_event($1, public.app_now(), $2, $3, NULL, 'system')"
        await db.execute(append, provider_id, kind, made)
    return made


async def _token(db: Database, clinic_id: int, _: int) -> object:
    """Take in somebody who came without an appointment, at a doctor of their own."""
    provider_id = await make_provider(db, {clinic_id: (0, "free")})
    await make_shift(db, provider_id, clinic_id, DAILY, time(), time(23, 55), 10)
    await db.execute("UPDATE schedule.shift SET ends = '24:00' WHERE provider_id = $1", provider_id)
    await db.execute("UPDATE directory.clinic SET walk_in_cap = 100 WHERE clinic_id = $1", clinic_id)
    return await db.fetch_value(
        """SELECT answer.booking_id FROM accounts.person
        CROSS JOIN LATERAL (SELECT reception.meet($2, person_id, public.app_now()) OFFSET 0) AS met
        CROSS JOIN LATERAL reception.walk_in($1, $2, NULL, person_id, '', 'staff:1', NULL) AS answer
        WHERE patient_id = $3""",
        *(provider_id, clinic_id, (await make_patients(db, 1))[0]),
    )


async def _refund(db: Database, clinic_id: int, provider_id: int) -> object:
    """Make a refund that failed for good, of a payment for an appointment that took place."""
    booking_id = await _booking(db, clinic_id, provider_id)
    await db.execute(
        "UPDATE booking.booking SET funding = 'online', fee_minor = 500 WHERE provider_id = $1 AND booking_id = $2",
        provider_id,
        booking_id,
    )
    await db.execute(
        """INSERT INTO ledger.payment (
            provider_id, hold_id, booking_id, authorisation, amount_minor, state, at, authorised_at, authorised_source,
            captured_at, captured_source)
        SELECT $1, $2, $2, 'money', 500, 'captured', now_at, now_at, 'answer', now_at, 'answer'
        FROM public.app_now() AS now_at""",
        provider_id,
        booking_id,
    )
    return await db.fetch_value(
        """INSERT INTO ledger.refund (
            provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at,
            from_at, state, tries, failed_at)
        SELECT $1, $2, 'money', $2, 'key', false, 100, 'desk', 'staff:1', now_at, now_at, 'failed', 4, now_at
        FROM public.app_now() AS now_at RETURNING refund_id""",
        provider_id,
        booking_id,
    )


async def _till(db: Database, clinic_id: int, provider_id: int) -> object:
    """Open a till of somebody at the desk."""
    staff_id = await _desk_account(db, clinic_id, provider_id)
    return await db.fetch_value(
        "INSERT INTO till.session (clinic_id, staff_id, day, currency, float_minor, opened_at) "
        "SELECT $1, $2, till.today($1, now_at), 'INR', 50000, now_at FROM public.app_now() AS now_at "
        "RETURNING session_id",
        *(clinic_id, staff_id),
    )


OBJECTS: dict[str, Callable[[Database, int, int], Awaitable[object]]] = {
    "staff_id": _desk_account,
    "provider_id": _provider,
    "shift_id": _shift,
    "leave_id": _leave,
    "holiday_id": _leave,
    "service_id": _service,
    "ask_id": _ask,
    "picture": _picture,
    "breach_id": _breach,
    "case_id": _case,
    "key_id": _key,
    "token_id": _token,
    "till_id": _till,
    "day": _day,
    "booking_id": _booking,
    "ticket_id": _ticket,
    "refund_id": _refund,
}
"""How to make what a route's path names, at a clinic and nowhere else, for a provider there."""
OF_NO_CLINIC = {"day"}
"""What of these is the same at every clinic."""


def parameters(path: str) -> list[str]:
    return re.findall(r"{(\w+)", path)


async def make_objects(db: Database, clinic_id: int, names: Iterable[str]) -> dict[str, object]:
    """Make what parameters of paths stand for, at a clinic, and of one provider there; return it by their names."""
    provider_id = await make_provider(db, {clinic_id: (0, "free")})
    found = {}
    for name in names:
        assert name in OBJECTS, f"say in OBJECTS how to make a {name} at a clinic"
        found[name] = await OBJECTS[name](db, clinic_id, provider_id)
    return found
