"""Each login of staff, over its own authentication and its real pool: it reads no table, and calls only what it may."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from healthplus.accounts.sessions import hash_token
from healthplus.console.console import queries
from healthplus.console.logins import Logins
from healthplus.database import Database, PostgresError
from healthplus.database.areas import AREAS
from healthplus.database.server_files import as_app_role
from healthplus.errors import Forbidden, LogInNeeded
from healthplus.staff.accounts import disable_staff, set_role
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.rights import ROLES, Role
from tests.console.conftest import KEY, console_of, log_in
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import OPERATOR, PASSWORD, come_from, make_log_in

NO_PRIVILEGE, NO_RIGHT, PROOF_DUE = "42501", "HP403", "HP428"

NEEDS_PROOF = {
    *("add_to_desk", "remove_from_desk", "link_for_desk", "disable_desk_account", "enable_desk_account"),
    *("add_account", "set_role", "make_link", "disable_account", "enable_account"),
    *("export_audit", "add_key", "revoke_key", "settle_refund", "close_case"),
}
"""What is done only shortly after people have shown who they are; beside it, confirming what returns much money."""

_TABLES = """
SELECT pg_class.oid::regclass::text AS name, (
        SELECT quote_ident(attname) FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND attidentity = '' AND attgenerated = '' AND NOT attisdropped
        LIMIT 1) AS one
FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text = ANY ($1)
"""
_FUNCTIONS = """
SELECT proname, proargnames[1 : pronargs] AS names,
    oidvectortypes(proargtypes) AS types,
    staff.roles_with(substring(prosrc FROM 'staff\\.authorise\\(p_token_hash, ''(\\w+)'''))::text[] AS roles
FROM pg_proc WHERE pronamespace = 'console'::regnamespace
"""


async def said(database: Database, sql: str, *args: object) -> str | None:
    """Return the SQLSTATE that a statement fails with; None where it does not."""
    try:
        await database.fetch(sql, *args)
    except PostgresError as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize("role", ROLES)
async def test_it_is_who_it_says_and_gets_at_no_table(db: Database, logins: Logins, role: Role) -> None:
    own = logins.of(role)
    assert await own.fetch_value("SELECT session_user") == f"healthplus_{role}"
    tables = await db.fetch(_TABLES, [area.schema for area in AREAS])
    assert len(tables) > 50
    for name, one in tables:
        for sql in (f"SELECT FROM {name}", f"INSERT INTO {name} DEFAULT VALUES", f"UPDATE {name} SET {one} = {one}",
                    f"DELETE FROM {name}", f"TRUNCATE {name}", f"COPY {name} TO STDOUT"):  # fmt: skip
            assert await said(own, sql) == NO_PRIVILEGE, sql
    for sql in ("SET ROLE healthplus", "SELECT staff.own_session('')", "SELECT booking.lock_book(1)",
                "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_xact_lock(18, 6)"):  # fmt: skip
        assert await said(own, sql) == NO_PRIVILEGE, sql


async def test_the_login_of_patients_has_no_part_in_it(db: Database, dsn: str, logins: Logins) -> None:
    _, token_hash = await log_in(db, "boss", "administrator")
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=1) as patients:
        assert await said(patients, queries.clinic_accounts, token_hash, "", 1) == NO_PRIVILEGE
        for sql in (
            "SELECT password_hash FROM staff.account",
            "SELECT token_hash FROM staff.session",
            "INSERT INTO staff.audit_entry (actor) VALUES ('system')",
            "UPDATE staff.audit_entry SET actor = ''",
            "SELECT staff.set_role(1, NULL, 'administrator', 'system')",
            "SELECT staff.append_audit('', NULL, '', '', false, '', NULL)",
        ):
            assert await said(patients, sql) == NO_PRIVILEGE, sql
    assert await said(logins.of("administrator"), queries.clinic_accounts, token_hash, "", 1) is None


async def calls(db: Database, logins: Logins, clinic_id: int, idle_minutes: int = 0) -> dict[tuple[str, Role], str]:
    """Return what each function says to each role, of which everybody is one at clinic 1, for a clinic.

    They call it so many minutes after they have logged in.
    """
    tokens = {role: await log_in(db, f"some.{role}", role) for role in ROLES}
    await db.execute("UPDATE staff.account SET provider_id = 1 WHERE log_on = 'some.practitioner'")
    await move_clock(db, minutes=idle_minutes)
    said_as = {NO_PRIVILEGE: "kept out", NO_RIGHT: "no right", PROOF_DUE: "asked for proof"}
    found: dict[tuple[str, Role], str] = {}
    for row in await db.fetch(_FUNCTIONS):
        types = row["types"].split(", ")
        places = ", ".join(f"${number}::{kind}" for number, kind in enumerate(types, 1))
        for role, (_, token_hash) in tokens.items():
            known = {"p_token_hash": token_hash, "p_address": "", "p_clinic_id": clinic_id, "p_provider_id": 1}
            args = [known.get(name) for name in row["names"]]
            code = await said(logins.of(role), f"SELECT console.{row['proname']}({places})", *args)
            answer = said_as.get(code or "", "let in")
            may = role in (row["roles"] or ())
            found[row["proname"], role] = answer if may != (answer == "kept out") else f"WRONGLY {answer}"
    return found


async def test_every_function_keeps_out_who_has_its_right_elsewhere(db: Database, logins: Logins) -> None:
    for (function, role), answer in (await calls(db, logins, 2)).items():
        assert answer == "kept out" or (answer == "let in") == (role == "administrator"), (function, role, answer)


async def test_every_function_lets_in_who_has_its_right_and_some_ask_for_proof(db: Database, logins: Logins) -> None:
    asked = await calls(db, logins, 1, idle_minutes=6)
    assert set(asked.values()) == {"let in", "kept out", "asked for proof"}
    assert {name for (name, _), answer in asked.items() if answer == "asked for proof"} == NEEDS_PROOF
    assert not [one for one, answer in asked.items() if one[0] in NEEDS_PROOF and answer == "let in"]


async def outlasts(db: Database, logins: Logins) -> bool:
    """Return whether a role goes on after it was taken away, for a session that was open before."""
    staff_id, token_hash = await log_in(db, "warda", "ward")
    ward = console_of(logins, "ward", token_hash)
    await ward.fetch(queries.clinic_accounts, 1)
    await set_role(db, staff_id, 1, None, OPERATOR)
    try:
        await ward.fetch(queries.clinic_accounts, 1)
    except Forbidden:
        return False
    return True


async def test_a_role_ends_with_its_removal(db: Database, logins: Logins) -> None:
    assert not await outlasts(db, logins)


async def test_a_role_that_would_be_kept_is_found(db: Database, logins: Logins) -> None:
    """As it would be if roles were noted with the session instead of looked up."""
    role_at = await db.fetch_value("SELECT pg_get_functiondef('staff.role_at'::regproc)")
    kept = role_at.replace("FROM staff.membership JOIN", "FROM kept AS membership JOIN")
    assert kept != role_at
    await db.execute(
        "CREATE TABLE public.kept (staff_id bigint, clinic_id bigint, role staff.role); "
        "INSERT INTO public.kept VALUES (1, 1, 'ward');" + kept
    )
    assert await outlasts(db, logins)
    await db.execute(f"{role_at}; DROP TABLE public.kept")


@pytest.fixture
async def other_process(dsn: str) -> AsyncIterator[Logins]:
    """The logins of another app process, with pools of its own."""
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=1) as database:
        found = await Logins.find(database, as_app_role(dsn), KEY, 1)
        yield found
        await found.close()


async def test_a_disabled_account_is_refused_at_once_in_every_process(
    db: Database, logins: Logins, other_process: Logins
) -> None:
    staff_id, token_hash = await log_in(db, "warda", "ward")
    done = await make_log_in(db).with_password("warda", PASSWORD, come_from("192.0.2.8"))
    assert isinstance(done, LoggedIn)
    consoles = [
        console_of(pools, "ward", one)
        for pools in (logins, other_process)
        for one in (token_hash, hash_token(done.token))
    ]
    for console in consoles:
        assert await console.fetch(queries.clinic_accounts, 1)
    began = time.monotonic()
    await disable_staff(db, staff_id, OPERATOR)
    for console in consoles:
        with pytest.raises(LogInNeeded):
            await console.fetch(queries.clinic_accounts, 1)
    assert time.monotonic() - began < 1
