"""What others may know of an account is worth nothing once it is more, nor after a reset that was under way."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from healthplus.accounts.sessions import hash_token
from healthplus.database import Database
from healthplus.errors import LogInRefused, StaffLinkOver
from healthplus.staff.accounts import make_link, set_role
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.passwords import Passwords
from healthplus.staff.sessions import StaffSessions
from tests.fixtures.clock import until
from tests.fixtures.codes import SECRET
from tests.fixtures.staff import APP_SECRET, OPERATOR, PASSWORD, come_from, make_log_in, make_staff

_WAITS = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
_KEY = "INSERT INTO staff.passkey (credential_id, staff_id, public_key, sign_count, agent, created_at, passkey_id) " \
       "SELECT n::bytea, 1, '', 0, '', now(), gen_random_uuid() FROM unnest('{a,b}'::text[]) AS n"  # fmt: skip
THIEFS = {
    "change_password": "SELECT staff.change_password($1, 'thiefs', true, '')",
    "set_app": "SELECT staff.set_app($1, 'thiefs', 1, '')",
    "remove_app": "SELECT staff.set_app($1, NULL, NULL, '')",
    "add_passkey": "SELECT staff.add_passkey($1, 'thiefs', '', 0, '', '')",
    "remove_passkey": "SELECT staff.remove_passkey($1, (SELECT min(passkey_id::text)::uuid FROM staff.passkey), '')",
    "end_sessions": "SELECT staff.end_sessions($1, '')",
    "end_other": f"SELECT staff.end_other($1, '{uuid4()}', '')",
    "make_link": "SELECT staff.make_link(1, $1, false, 'staff:1', session_id) FROM staff.session WHERE token_hash = $1",
    "set_role": "SELECT staff.set_role(1, 2, 'ward', 'staff:1', session_id) FROM staff.session WHERE token_hash = $1",
    "disable": "SELECT staff.disable(1, 'staff:1', session_id) FROM staff.session WHERE token_hash = $1",
}
_GUARDS_OFF = """
CREATE OR REPLACE FUNCTION staff.own_session_to_change(p_token_hash bytea) RETURNS staff.session LANGUAGE sql VOLATILE
AS $$ SELECT staff.own_session(p_token_hash) $$;
CREATE OR REPLACE FUNCTION staff.lock_account(p_staff_id bigint, p_session_id uuid) RETURNS staff.account
LANGUAGE sql VOLATILE AS $$ SELECT * FROM staff.account WHERE staff_id = p_staff_id FOR UPDATE $$;
"""


async def thiefs_try(db: Database, dsn: str, what: str) -> str:
    """Have a thief's request wait while its owner resets the account; return what came of it."""
    await make_staff(db, app_secret=APP_SECRET)
    await make_staff(db, "boss", "administrator")
    await db.execute(_KEY)
    token_hash = b"t" * 32
    await db.execute("SELECT staff.begin_session(1, version, $1, NULL, $1, '', '', '') FROM staff.account "
                     "WHERE staff_id = 1", token_hash)  # fmt: skip
    link = await make_link(db, 1, OPERATOR)
    thief = await asyncpg.connect(dsn)
    try:
        async with db.transaction() as reset:
            assert await reset.fetch_value(
                "SELECT staff.use_link($1, 'owners', true, NULL, NULL, '')", hash_token(link)
            )
            trying = asyncio.create_task(thief.fetchval(THIEFS[what], token_hash))
            await until(lambda: db.fetch_value(_WAITS))
        try:
            return str(await trying)
        except asyncpg.PostgresError as error:
            return error.sqlstate
    finally:
        await thief.close()


@pytest.mark.parametrize("what", THIEFS)
async def test_a_request_in_flight_ends_with_its_session(db: Database, dsn: str, what: str) -> None:
    assert await thiefs_try(db, dsn, what) == "HP401"
    assert await db.fetch_value("SELECT password_hash FROM staff.account WHERE staff_id = 1") == "owners"


@pytest.mark.parametrize("what", ["change_password", "set_app", "add_passkey", "make_link"])
async def test_without_the_guard_it_would_be_done(db: Database, dsn: str, what: str) -> None:
    await db.execute(_GUARDS_OFF)
    assert await thiefs_try(db, dsn, what) != "HP401"


async def test_a_role_that_is_more_ends_what_a_ward_administrator_may_know(db: Database) -> None:
    """They made the link, and may have used it themselves."""
    staff_id = await make_staff(db)
    done = await make_log_in(db).with_password("meera", PASSWORD, come_from())
    assert isinstance(done, LoggedIn)
    link = await make_link(db, staff_id, OPERATOR)
    assert not await set_role(db, staff_id, 1, "desk", OPERATOR)  # they are that
    assert await StaffSessions(db).find(done.token) is not None
    assert await set_role(db, staff_id, None, "administrator", OPERATOR)
    assert await StaffSessions(db).find(done.token) is None
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("meera", PASSWORD, come_from())
    own = OwnAccount(db, SECRET, Passwords())
    with pytest.raises(StaffLinkOver):
        await own.use_link(link, "another monsoon kettle", None, "", "")
    assert await db.fetch_value("SELECT count(*) FROM staff.device") == 0
    await own.use_link(await make_link(db, staff_id, OPERATOR), "another monsoon kettle", None, "", "")
    again = await make_log_in(db).with_password("meera", "another monsoon kettle", come_from())
    assert isinstance(again, LoggedIn)
    # From then on only administrators make links for them.
    assert not await set_role(db, staff_id, 1, "ward", OPERATOR)
    assert await StaffSessions(db).find(again.token) is not None


@pytest.mark.parametrize(("clinic_id", "role"), [(1, "ward"), (2, "desk")])
async def test_more_is_also_another_role_or_clinic(db: Database, clinic_id: int, role: str) -> None:
    staff_id = await make_staff(db)
    await set_role(db, staff_id, 1, None, OPERATOR)  # taking it away first is no way round
    assert await set_role(db, staff_id, clinic_id, role, OPERATOR)  # type: ignore[arg-type]
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("meera", PASSWORD, come_from())


async def test_who_cannot_log_in_is_no_other_administrator(db: Database) -> None:
    first = await make_staff(db, "first", "administrator")
    await db.execute("SELECT staff.add_account('never', 'Never', NULL, 'system')")
    await set_role(db, first + 1, None, "administrator", OPERATOR)
    assert await db.fetch_value("SELECT staff.disable($1, 'system')", first) == "last"
    await make_staff(db, "second", "administrator")
    assert await db.fetch_value("SELECT staff.disable($1, 'system')", first) == "done"


async def test_a_browser_that_somebody_planted_is_not_known_afterwards(db: Database) -> None:
    await make_staff(db)
    await make_staff(db, "other")
    log_in = make_log_in(db)
    planted = await log_in.with_password("meera", PASSWORD, come_from(device="planted"))
    assert isinstance(planted, LoggedIn)
    assert planted.device != "planted"
    # A computer that colleagues share stays known to each.
    own = await log_in.with_password("other", PASSWORD, come_from(device=planted.device))
    assert isinstance(own, LoggedIn)
    assert own.device == planted.device
