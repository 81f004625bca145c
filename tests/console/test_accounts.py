"""What ward administrators see to of their desk's accounts."""

from __future__ import annotations

import pytest

from healthplus.console.console import queries
from healthplus.console.logins import Logins
from healthplus.database import Database
from healthplus.errors import Forbidden, LogInNeeded, ScreenLocked
from healthplus.staff.accounts import set_role
from tests.console.conftest import console_of, log_in
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import OPERATOR, audit


async def test_they_see_and_remove_their_own_desk(db: Database, logins: Logins) -> None:
    ward_id, token_hash = await log_in(db, "warda", "ward")
    desk_id, _ = await log_in(db, "meera", "desk")
    elsewhere_id, _ = await log_in(db, "other", "desk", 2)
    ward = console_of(logins, "ward", token_hash)
    rows = await ward.fetch(queries.clinic_accounts, 1)
    assert [(row["staff_id"], row["role"], row["is_own"]) for row in rows] == [
        (desk_id, "desk", True),
        (ward_id, "ward", False),
    ]
    assert (await audit(db))[-1][:2] == (f"staff:{ward_id}", "see_accounts")
    for found in (elsewhere_id, ward_id):
        row = await ward.change(queries.remove_from_desk, 1, found)
        assert row is not None
        assert row[0] == "not_found"
    row = await ward.change(queries.remove_from_desk, 1, desk_id)
    assert row is not None
    assert row[0] == "done"
    entry = await db.fetch_row("SELECT * FROM staff.audit_entry ORDER BY entry_id DESC LIMIT 1")
    assert entry is not None
    assert (entry["actor"], entry["action"], entry["detail"]) == (f"staff:{ward_id}", "set_role", "none")
    assert (entry["staff_id"], entry["clinic_id"], entry["address"]) == (desk_id, 1, "192.0.2.9")
    assert entry["session_id"] is not None
    with pytest.raises(Forbidden):
        await ward.fetch(queries.clinic_accounts, 2)


async def test_nobody_is_let_in_who_should_not_be(db: Database, logins: Logins) -> None:
    ward_id, token_hash = await log_in(db, "warda", "ward")
    ward = console_of(logins, "ward", token_hash)
    with pytest.raises(LogInNeeded):
        await console_of(logins, "ward", b"x" * 32).fetch(queries.clinic_accounts, 1)
    await set_role(db, ward_id, 1, "desk", OPERATOR)  # the role that a session began with is gone
    with pytest.raises(Forbidden):
        await ward.fetch(queries.clinic_accounts, 1)
    await set_role(db, ward_id, 1, "ward", OPERATOR)  # which is more, so it ends what they logged in with
    with pytest.raises(LogInNeeded):
        await ward.fetch(queries.clinic_accounts, 1)
    _, token_hash = await log_in(db, "wardb", "ward")
    ward = console_of(logins, "ward", token_hash)
    await move_clock(db, minutes=11)
    with pytest.raises(ScreenLocked):
        await ward.fetch(queries.clinic_accounts, 1)
