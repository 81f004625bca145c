"""The number by which people speak of an appointment: what it looks like, that it is one's own, and finding by it."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from healthplus.booking.numbers import find_by_number, ids_of, number_of
from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment

IS_LIKE = r"^HP-[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}$"


@pytest.fixture
async def environment(db: Database) -> Environment:
    return await Environment.make(db)


@given(st.uuids())
def test_a_number_is_read_back_however_it_is_written(booking_id: UUID) -> None:
    number = number_of(booking_id)
    first, last = ids_of(number.lower().replace("-", " "))
    assert first <= booking_id <= last
    assert number_of(first) == number_of(last) == number
    assert last.int - first.int == 2**88 - 1


def test_what_is_said_like_another_is_in_no_number() -> None:
    assert number_of(UUID(int=0)) == "HP-2222-2222"
    assert number_of(UUID(int=2**128 - 1)) == "HP-ZZZZ-ZZZZ"
    for wrong in (
        "",
        "HP-",
        "HP-7K3M-2QX",
        "HP-7K3M-2QXDD",
        "HP-7K3M-2QX0",
        "HP-7K3M-2QXI",
        "HP-7K3M-2QXé",
        "x" * 1000,
    ):
        with pytest.raises(BadInput, match="HP-7K3M-2QXD"):
            ids_of(wrong)


async def test_no_two_bookings_of_a_provider_have_one_number(db: Database, environment: Environment) -> None:
    """Ids are drawn again while another booking has their number; here only the third has a number of its own."""
    taken = await environment.held(ONLINE, 9)
    other = uuid4()
    drawn = [UUID(int=taken.int ^ 7), UUID(int=taken.int ^ 8), other]
    await db.execute("CREATE SEQUENCE public.draws")
    await db.execute(
        "CREATE FUNCTION booking.gen_random_uuid() RETURNS uuid LANGUAGE sql AS "
        f"$$ SELECT ('{{{','.join(map(str, drawn))}}}'::uuid[])[nextval('public.draws')] $$"
    )
    async with db.transaction() as transaction:
        await transaction.execute("SET LOCAL search_path = booking, pg_catalog, public")
        assert await transaction.fetch_value("SELECT booking.new_id($1)", PROVIDER) == other
    assert await db.fetch_value("SELECT last_value FROM public.draws") == 3


async def test_an_appointment_is_found_by_its_number(
    dsn: str, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking_id = await environment.held(ONLINE, 9)
    await environment.held(AT_CLINIC, 13, "bina")
    number = number_of(booking_id)
    for clinic_id in (None, ONLINE):
        [found] = await find_by_number(db, number, clinic_id)
        assert (found["provider_id"], found["booking_id"], found["clinic_id"]) == (PROVIDER, booking_id, ONLINE)
    assert await find_by_number(db, number, AT_CLINIC) == []
    plan = await db.fetch_value(
        "EXPLAIN (FORMAT json) SELECT FROM booking.booking WHERE provider_id = 1 AND booking_id BETWEEN $1 AND $2",
        *ids_of(number),
    )
    assert "booking_pkey" in str(plan)

    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))

    async def ask(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, main, ["appointment", *words])
        return done.exit_code, done.output

    code, said = await ask(number.lower())
    assert (code, str(booking_id) in said, "09:00 IST  reserved  Dr 1, Clinic 1" in said) == (0, True, True), said
    assert "asha" not in said
    assert await ask(number, "--clinic", str(AT_CLINIC)) == (1, "Error: No appointment has this number.\n")
    assert (await ask("HP-1"))[0] == 1
