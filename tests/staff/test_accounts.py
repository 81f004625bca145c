"""Accounts of staff: links, the last administrator, second factors, and what is left of those who leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from asyncpg import InsufficientPrivilegeError, PostgresError

from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import (
    BadInput,
    Conflict,
    LastAdministrator,
    LastFactor,
    LogInRefused,
    NotFound,
    StaffLinkOver,
    WeakPassword,
)
from healthplus.retention.retention import Retention
from healthplus.staff.accounts import add_staff, disable_staff, enable_staff, list_staff, make_link, set_role
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.passwords import Passwords
from healthplus.staff.rights import RIGHTS, has_right, has_right_anywhere
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import move_clock
from tests.fixtures.codes import SECRET
from tests.fixtures.staff import (
    APP_SECRET,
    OPERATOR,
    PASSWORD,
    SHORT_PASSWORD,
    audit,
    code_of,
    come_from,
    make_log_in,
    make_staff,
    session_of,
)


@pytest.fixture
def own(db: Database) -> OwnAccount:
    return OwnAccount(db, SECRET, Passwords())


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[Database]:
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=2) as database:
        yield database


async def new_link(db: Database) -> str:
    return await make_link(db, await add_staff(db, "meera", "Meera Rao", OPERATOR), OPERATOR)


@pytest.mark.parametrize("log_on", ["", "ab", "-meera", "meera rao", "मीरा", "m" * 41, "meera@x"])
async def test_bad_ids_and_names(db: Database, log_on: str) -> None:
    with pytest.raises(BadInput, match="log-on ID"):
        await add_staff(db, log_on, "Meera Rao", OPERATOR)
    with pytest.raises(BadInput, match="name"):
        await add_staff(db, "meera", "\u200b", OPERATOR)


async def test_an_id_is_one_persons(db: Database) -> None:
    await add_staff(db, "Meera", "Meera Rao", OPERATOR)
    with pytest.raises(Conflict):
        await add_staff(db, "meera ", "Another", OPERATOR)


async def test_a_link_works_once(db: Database, own: OwnAccount) -> None:
    link = await new_link(db)
    assert (await own.link(link))["name"] == "Meera Rao"
    with pytest.raises(WeakPassword):
        await own.use_link(link, "meera rao meera rao", None, "", "")
    with pytest.raises(WeakPassword):
        await own.use_link(link, SHORT_PASSWORD, None, "", "")
    await own.use_link(link, PASSWORD, None, "", "")
    with pytest.raises(StaffLinkOver):
        await own.use_link(link, "another kettle giraffe", None, "", "")
    for unknown in ("", "x", "x" * 1000):
        with pytest.raises(StaffLinkOver):
            await own.link(unknown)
    assert isinstance(await make_log_in(db).with_password("meera", PASSWORD, come_from()), LoggedIn)
    assert [one[1] for one in await audit(db)] == ["add_staff", "make_link", "use_link", "log_in"]


async def test_a_link_is_over_after_a_day_and_when_another_is_made(db: Database, own: OwnAccount) -> None:
    first = await new_link(db)
    staff_id = (await own.link(first))["staff_id"]
    second = await make_link(db, staff_id, OPERATOR)
    with pytest.raises(StaffLinkOver):
        await own.link(first)
    await move_clock(db, hours=23, minutes=59)
    await own.link(second)
    await move_clock(db, minutes=2)
    with pytest.raises(StaffLinkOver):
        await own.use_link(second, PASSWORD, None, "", "")


_RACE = "SELECT staff.use_link($1, $2, true, NULL, NULL, '')"


async def use_at_once(db: Database, link: str, times: int) -> int:
    """Use a link so many times at once; return how often that was good."""
    from healthplus.accounts.sessions import hash_token  # noqa: PLC0415

    done = await asyncio.gather(*(db.fetch_value(_RACE, hash_token(link), f"hash {n}") for n in range(times)))
    return sum(done)


@pytest.mark.breaks_invariants  # the function is replaced
async def test_the_race_for_a_link_would_be_won_by_several(db: Database) -> None:
    source = await db.fetch_value("SELECT pg_get_functiondef('staff.use_link'::regproc)")
    guard = "AND used_at IS NULL AND expires_at > public.app_now()"
    assert guard in source
    unguarded = source.replace("RETURNING * INTO used", "RETURNING link.* INTO used").replace(guard, "")
    # Looked at before, and used afterwards, as one might write it.
    unguarded = unguarded.replace(
        "UPDATE staff.link",
        "IF EXISTS (SELECT FROM staff.link WHERE token_hash = p_token_hash AND used_at IS NOT NULL) THEN RETURN false; "
        "END IF; PERFORM pg_sleep(0.1); UPDATE staff.link",
        1,
    ).replace("FOR UPDATE", "")
    await db.execute(unguarded)
    assert await use_at_once(db, await new_link(db), 6) > 1


async def test_the_race_for_a_link_is_won_by_one(db: Database) -> None:
    assert await use_at_once(db, await new_link(db), 8) == 1


async def test_an_app_with_the_first_password_lets_it_be_short(db: Database, own: OwnAccount) -> None:
    link = await new_link(db)
    with pytest.raises(LogInRefused):
        await own.use_link(link, SHORT_PASSWORD, APP_SECRET, "000000", "")
    await own.use_link(link, SHORT_PASSWORD, APP_SECRET, await code_of(db), "")
    [row] = await list_staff(db)
    assert (row["has_app"], row["has_password"]) == (True, True)


async def test_a_short_password_keeps_its_last_factor(db: Database, own: OwnAccount) -> None:
    await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    await move_clock(db, minutes=2)
    log_in = make_log_in(db)
    half = await log_in.with_password("meera", SHORT_PASSWORD, come_from())
    assert not isinstance(half, LoggedIn)
    done = await log_in.with_code(half, await code_of(db), come_from())
    session = await session_of(db, done.token)
    with pytest.raises(LastFactor):
        await own.remove_app(session, "")
    await own.change_password(session, PASSWORD, "")
    await own.remove_app(session, "")
    with pytest.raises(WeakPassword):
        await own.change_password(session, SHORT_PASSWORD, "")
    with pytest.raises(LogInRefused):
        await own.set_up_app(session, APP_SECRET, "123", "")
    await own.set_up_app(session, APP_SECRET, await code_of(db), "")
    assert [one[1] for one in await audit(db)][-3:] == ["change_password", "remove_app", "add_app"]


async def test_a_reset_may_end_second_factors(db: Database, own: OwnAccount) -> None:
    staff_id = await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    kept = await make_link(db, staff_id, OPERATOR)
    await own.use_link(kept, "oboe!vexed8", None, "", "")  # the app is still there
    ended = await make_link(db, staff_id, OPERATOR, ends_factors=True)
    with pytest.raises(WeakPassword):
        await own.use_link(ended, SHORT_PASSWORD, None, "", "")
    await own.use_link(ended, PASSWORD, None, "", "")
    assert isinstance(await make_log_in(db).with_password("meera", PASSWORD, come_from()), LoggedIn)


async def test_the_last_administrator_stays(db: Database) -> None:
    first = await make_staff(db, "first", "administrator")
    await make_staff(db, "desk")
    for act in (disable_staff(db, first, OPERATOR), set_role(db, first, None, None, OPERATOR)):
        with pytest.raises(LastAdministrator):
            await act
    second = await make_staff(db, "second", "administrator")
    # Each disables the other at once: one of them is too late.
    done = await asyncio.gather(
        disable_staff(db, first, OPERATOR), disable_staff(db, second, OPERATOR), return_exceptions=True
    )
    assert [type(one) for one in done].count(LastAdministrator) == 1
    left = await db.fetch_value("SELECT count(*) FROM staff.account WHERE log_on <> 'desk' AND disabled_at IS NULL")
    assert left == 1


async def test_roles_are_of_a_clinic_or_of_all(db: Database) -> None:
    staff_id = await make_staff(db)
    for role, clinic_id in (("administrator", 1), ("desk", None)):
        with pytest.raises(BadInput):
            await set_role(db, staff_id, clinic_id, role, OPERATOR)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await set_role(db, 999, 1, "desk", OPERATOR)
    await set_role(db, staff_id, 1, "ward", OPERATOR)
    await set_role(db, staff_id, 2, "desk", OPERATOR)
    rows = await db.fetch("SELECT clinic_id, role::text FROM staff.membership ORDER BY clinic_id")
    assert [tuple(row) for row in rows] == [(1, "ward"), (2, "desk")]


def test_rights_follow_roles_and_clinics() -> None:
    roles = {1: "ward", 2: "desk"}
    assert has_right(roles, "change_booking", 1)  # type: ignore[arg-type]
    assert not has_right(roles, "change_booking", 2)  # type: ignore[arg-type]
    assert not has_right(roles, "see_clinic", 3)  # type: ignore[arg-type]
    assert has_right_anywhere(roles, "ask_change")  # type: ignore[arg-type]
    assert has_right({None: "administrator"}, "see_clinic", 3)
    assert has_right({None: "administrator"}, "see_audit", None)
    assert not has_right(roles, "see_audit", None)  # type: ignore[arg-type]
    assert not any(has_right_anywhere({}, right) for right in RIGHTS)
    # As the brief has it: the desk sees and adds, and alters nothing.
    assert {right for right, roles in RIGHTS.items() if "desk" in roles} == {
        "see_clinic",
        "add_patient",
        "book",
        "record_attendance",
        "take_payment",
        "ask_change",
    }


async def test_disabling_takes_every_way_in(db: Database, own: OwnAccount) -> None:
    staff_id = await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    link = await make_link(db, staff_id, OPERATOR)
    await disable_staff(db, staff_id, OPERATOR)
    with pytest.raises(NotFound):
        await disable_staff(db, staff_id, OPERATOR)
    with pytest.raises(NotFound):
        await make_link(db, staff_id, OPERATOR)
    with pytest.raises(StaffLinkOver):
        await own.use_link(link, PASSWORD, None, "", "")
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("meera", SHORT_PASSWORD, come_from())
    kept = await db.fetch_row("SELECT password_hash, totp_secret FROM staff.account")
    assert kept is not None
    assert tuple(kept) == (None, None)
    await enable_staff(db, staff_id, OPERATOR)
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("meera", SHORT_PASSWORD, come_from())
    await own.use_link(await make_link(db, staff_id, OPERATOR), PASSWORD, None, "", "")
    assert isinstance(await make_log_in(db).with_password("meera", PASSWORD, come_from()), LoggedIn)


async def test_what_is_over_is_forgotten_and_those_who_left_have_no_name(db: Database, app: Database) -> None:
    staff_id = await make_staff(db)
    stays = await make_staff(db, "stays")
    done = await make_log_in(db).with_password("meera", PASSWORD, come_from())
    assert isinstance(done, LoggedIn)
    await db.execute("INSERT INTO staff.spent_challenge VALUES (sha256('x'), public.app_now() + interval '5 minutes')")
    await make_link(db, staff_id, OPERATOR)
    await disable_staff(db, staff_id, OPERATOR)
    counts = """SELECT (SELECT count(*) FROM staff.session), (SELECT count(*) FROM staff.link),
        (SELECT count(*) FROM staff.guess), (SELECT count(*) FROM staff.spent_challenge)"""
    before = await db.fetch_row(counts)
    assert before is not None
    assert 0 not in tuple(before)
    await Retention(app).forget(pause_seconds=0)
    assert await db.fetch_row(counts) == before
    await move_clock(db, timedelta(days=31))
    await Retention(app).forget(pause_seconds=0)
    after = await db.fetch_row(counts)
    assert after is not None
    assert tuple(after) == (0, 0, 0, 0)
    assert await db.fetch_value("SELECT count(*) FROM staff.audit_entry") > 5
    await move_clock(db, timedelta(days=370))
    await Retention(app).forget(pause_seconds=0)
    rows = await db.fetch("SELECT staff_id, log_on, name FROM staff.account ORDER BY staff_id")
    assert [tuple(row) for row in rows] == [(staff_id, None, ""), (stays, "stays", "Stays Rao")]
    assert await db.fetch_value("SELECT count(*) FROM staff.audit_entry") == 0
    assert await db.fetch_value("SELECT count(*) FROM staff.device") == 0
    # The log-on ID is free for another.
    await add_staff(db, "meera", "Another Meera", OPERATOR)


async def test_the_audit_takes_new_rows_only(db: Database, app: Database) -> None:
    await make_staff(db)
    for sql in (
        "UPDATE staff.audit_entry SET actor = ''",
        "DELETE FROM staff.audit_entry",
        "SELECT set_config('healthplus.retention', 'on', true); DELETE FROM staff.audit_entry",
    ):
        with pytest.raises(PostgresError) as refused:
            await app.execute(sql)
        assert isinstance(refused.value, InsufficientPrivilegeError)
    with pytest.raises(InsufficientPrivilegeError):
        await db.execute("UPDATE staff.audit_entry SET actor = ''")
    await db.execute(as_owner("UPDATE staff.audit_entry SET actor = actor", "staff.audit_entry"))


async def test_a_deed_that_fails_leaves_no_entry(db: Database) -> None:
    before = await audit(db)

    async def fail() -> None:
        async with db.transaction() as transaction:
            await add_staff(transaction, "meera", "Meera Rao", OPERATOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await audit(db) == before
