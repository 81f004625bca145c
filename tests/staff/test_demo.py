"""The demo's staff: one of each role, and how to log in as them."""

from __future__ import annotations

import re

import pytest

from healthplus.database import Database
from healthplus.errors import LogInRefused
from healthplus.ops import demo_staff
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.ops.demo_guide import demo_guide, demo_text
from healthplus.ops.demo_staff import STAFF
from healthplus.staff import passwords
from healthplus.staff.accounts import list_staff
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.rights import ROLES
from healthplus.staff.sessions import StaffSessions
from tests.fixtures.staff import come_from, make_log_in, session_of


@pytest.mark.dates
async def test_one_of_each_role_logs_in_with_what_is_printed(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_staff, "HASHER", passwords.HASHER)
    scale = Scale(cities=1, providers_per_city=20, patients=20)
    data = await create_demo_data(db, scale)
    facts = await demo_guide(db, data, "http://127.0.0.1:8000")
    guide = await demo_text(db, data, facts, "http://127.0.0.1:8000")
    assert facts.desk_url == "http://localhost:8000/desk"
    assert facts.desk_url in guide
    found = re.search(r"each with the password (\S+)", guide)
    assert found
    tokens = []
    for log_on, (name, role) in STAFF.items():
        assert log_on in guide
        done = await make_log_in(db).with_password(log_on, found[1], come_from())
        assert isinstance(done, LoggedIn)
        session = await session_of(db, done.token)
        assert (session.name, list(session.roles.values())) == (name, [role])
        tokens.append(done.token)
    assert {role for _, role in STAFF.values()} == set(ROLES)
    # Started again: the same people, with another password.
    again = await create_demo_data(db, scale)
    assert len(await list_staff(db)) == len(STAFF)
    with pytest.raises(LogInRefused):
        await make_log_in(db).with_password("demo-desk", found[1], come_from())
    assert isinstance(await make_log_in(db).with_password("demo-desk", again.staff_password, come_from()), LoggedIn)
    assert [await StaffSessions(db).find(token) for token in tokens] == [None] * len(tokens)
