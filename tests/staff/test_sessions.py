"""How long sessions go on, and what ends and locks them, in every process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from healthplus.database import Database
from healthplus.errors import LogInRefused
from healthplus.staff.accounts import disable_staff, make_link, set_role
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.passwords import Passwords
from healthplus.staff.sessions import LOCK_SECONDS, SESSION_SECONDS, StaffSession, StaffSessions
from tests.fixtures.clock import move_clock
from tests.fixtures.codes import SECRET
from tests.fixtures.staff import OPERATOR, PASSWORD, audit, come_from, make_log_in, make_staff, session_of


async def test_pages_count_as_long_as_the_database(db: Database) -> None:
    times = "SELECT extract(epoch FROM staff.session_time())::integer, extract(epoch FROM staff.lock_time())::integer"
    row = await db.fetch_row(times)
    assert row is not None
    assert tuple(row) == (SESSION_SECONDS, LOCK_SECONDS)


@pytest.fixture
async def other_process(dsn: str) -> AsyncIterator[StaffSessions]:
    """The sessions as another process sees them, with connections of its own."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        yield StaffSessions(database)


@pytest.fixture
async def token(db: Database) -> str:
    await make_staff(db)
    done = await make_log_in(db).with_password("meera", PASSWORD, come_from())
    assert isinstance(done, LoggedIn)
    return done.token


async def test_it_goes_on_while_it_is_used_and_for_a_day_at_most(db: Database, token: str) -> None:
    sessions = StaffSessions(db)
    for _ in range(2 * 24 - 1):
        await move_clock(db, minutes=30)
        found = await sessions.find(token)
        assert found is not None
        assert found.is_locked
        await make_log_in(db).prove_with_password(found, PASSWORD, come_from().requester)
    await move_clock(db, minutes=31)
    assert await sessions.find(token) is None


async def test_after_an_hour_without_use_it_is_over(db: Database, token: str) -> None:
    await move_clock(db, minutes=61)
    assert await StaffSessions(db).find(token) is None
    assert await StaffSessions(db).find("x" * 1000) is None


async def test_an_idle_screen_is_locked_and_opens_with_the_password(
    db: Database, token: str, other_process: StaffSessions
) -> None:
    log_in, requester = make_log_in(db), come_from().requester
    for _ in range(3):  # each request puts it off
        await move_clock(db, minutes=9)
        assert not (await session_of(db, token)).is_locked
    await move_clock(db, minutes=10)
    session = await other_process.find(token)
    assert session is not None
    assert session.is_locked
    assert (await audit(db))[-1][1:] == ("lock", False, "idle")
    with pytest.raises(LogInRefused):
        await log_in.prove_with_password(session, "monsoon kettle zebra", requester)
    assert (await audit(db))[-1] == (str(session.actor), "unlock", True, "password")
    assert (await session_of(db, token)).is_locked
    await log_in.prove_with_password(session, PASSWORD, requester)
    assert not (await session_of(db, token)).is_locked
    assert (await audit(db))[-1] == (str(session.actor), "unlock", False, "password")


async def test_a_screen_is_locked_by_hand(db: Database, token: str) -> None:
    session = await session_of(db, token)
    await StaffSessions(db).lock(session, "192.0.2.1")
    assert (await session_of(db, token)).is_locked


async def test_proof_is_fresh_for_five_minutes(db: Database, token: str) -> None:
    assert (await session_of(db, token)).is_proven
    await move_clock(db, minutes=5)
    session = await session_of(db, token)
    assert not session.is_proven
    await make_log_in(db).prove_with_password(session, PASSWORD, come_from().requester)
    assert (await session_of(db, token)).is_proven


Act = Callable[[Database, StaffSession], Awaitable[object]]
ENDS: dict[str, Act] = {
    "log_out": lambda db, session: StaffSessions(db).end(session, ""),
    "disable": lambda db, session: disable_staff(db, session.staff_id, OPERATOR),
    "log_out_everywhere": lambda db, session: StaffSessions(db).end_all(session, ""),
}


@pytest.mark.parametrize("act", ENDS)
async def test_what_ends_it_does_so_at_the_next_request_of_any_process(
    db: Database, token: str, other_process: StaffSessions, act: str
) -> None:
    session = await other_process.find(token)
    assert session is not None
    began = time.monotonic()
    await ENDS[act](db, session)
    assert await other_process.find(token) is None
    assert time.monotonic() - began < 1
    assert (await audit(db))[-1][1] == act


async def test_a_role_does_not_outlast_its_end(db: Database, token: str, other_process: StaffSessions) -> None:
    session = await other_process.find(token)
    assert session is not None
    assert (session.may("book", 1), session.may("book", 2), session.may_anywhere("change_booking")) == (
        True,
        False,
        False,
    )
    await set_role(db, session.staff_id, 1, None, OPERATOR)
    after = await other_process.find(token)
    assert after is not None
    assert not after.may_anywhere("book")


async def test_a_session_that_begins_while_its_account_is_disabled_is_none(db: Database) -> None:
    staff_id = await make_staff(db)
    async with db.transaction() as disabling:
        await disable_staff(disabling, staff_id, OPERATOR)
        begun = asyncio.create_task(make_log_in(db).with_password("meera", PASSWORD, come_from()))
        await asyncio.sleep(0.3)
        assert not begun.done()
    with pytest.raises(LogInRefused):
        await begun
    assert await db.fetch_value("SELECT count(*) FROM staff.session") == 0


async def test_a_new_password_ends_other_sessions(db: Database, token: str) -> None:
    done = await make_log_in(db).with_password("meera", PASSWORD, come_from("192.0.2.8"))
    assert isinstance(done, LoggedIn)
    session = await session_of(db, token)
    await OwnAccount(db, SECRET, Passwords()).change_password(session, "lantern pickle orbit", "192.0.2.7")
    assert await StaffSessions(db).find(done.token) is None
    assert await StaffSessions(db).find(token) is not None
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("meera", PASSWORD, come_from())


async def test_another_device_is_logged_out(db: Database, token: str) -> None:
    done = await make_log_in(db).with_password("meera", PASSWORD, come_from("192.0.2.8"))
    assert isinstance(done, LoggedIn)
    sessions, session = StaffSessions(db), await session_of(db, token)
    rows = await sessions.of(session)
    assert {row["is_this"] for row in rows} == {True, False}
    for row in rows:
        if not row["is_this"]:
            await sessions.end_other(session, row["session_id"], "")
    assert await sessions.find(done.token) is None
    assert len(await sessions.of(session)) == 1
    # Nobody else's can be ended.
    await make_staff(db, "other")
    other = await make_log_in(db).with_password("other", PASSWORD, come_from())
    assert isinstance(other, LoggedIn)
    await sessions.end_other(session, (await session_of(db, other.token)).session_id, "")
    assert await sessions.find(other.token) is not None


async def test_a_link_that_is_used_ends_them(db: Database, token: str) -> None:
    session = await session_of(db, token)
    link = await make_link(db, session.staff_id, OPERATOR)
    assert await StaffSessions(db).find(token) is not None
    await OwnAccount(db, SECRET, Passwords()).use_link(link, "lantern pickle orbit", None, "", "")
    assert await StaffSessions(db).find(token) is None
    assert await db.fetch_value("SELECT count(*) FROM staff.device") == 0
