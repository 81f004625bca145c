"""Every form of the office that changes something leaves its row in the audit: generated from the list of routes."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.booking.numbers import number_of
from healthplus.database import Database
from healthplus.staff.rights import Role
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.office import DOCTOR, SHIFT, audited, goes_to, hidden, log_in, picture
from tests.web.test_staff_routes import desk_routes

_CLINIC = {"name": "A", "address": "B", "city": "Pune", "state": "M"}
_LEAVE = {"from_day": "2083-03-01", "key": "k"}
_SERVICE = {"provider": str(PROVIDER), "name": "X-ray", "fee": "100", "length_minutes": "10", "day_1": "1"}
_TIMES = {**SHIFT, "weekday": "1", "starts": "13:00", "ends": "16:30"}


class Step(NamedTuple):
    """A form that is sent; `was`: a field that its page has put in; `role`: who sends it."""

    route: str
    form: dict[str, str] = {}  # noqa: RUF012 - never changed
    was: str = ""
    role: Role = "administrator"


_TOLD = {"told": "2026-11-01T10:00", "happened": "x"}
_ASK = {"number": "{number}", "booking": "{booking_id}", "reason": "x"}
# In an order in which each finds what it changes.
STEPS = [
    Step("/office/{clinic_id}/staff/new", {"log_on": "desk.two", "name": "D"}),
    Step("/office/{clinic_id}/staff/{staff_id}/link"),
    Step("/office/{clinic_id}/staff/{staff_id}/disable"),
    Step("/office/{clinic_id}/staff/{staff_id}/enable"),
    Step("/office/{clinic_id}/staff/{staff_id}/remove"),
    Step("/office/staff/new", {"log_on": "ward.two", "name": "W", "role": "ward", "clinic": "{clinic_id}"}),
    Step("/office/staff/{staff_id}/role", {"role": "desk", "clinic": "{clinic_id}"}),
    Step("/office/staff/{staff_id}/link"),
    Step("/office/staff/{staff_id}/disable"),
    Step("/office/staff/{staff_id}/enable"),
    Step("/desk/{clinic_id}/ask", {**_ASK, "kind": "edit_patient", "name": "Asha"}, role="desk"),
    Step("/office/{clinic_id}/asks/{ask_id}/refuse"),
    Step("/desk/{clinic_id}/ask", {**_ASK, "kind": "cancel"}, role="desk"),
    Step("/office/{clinic_id}/asks/{ask_id}/confirm"),
    Step("/office/breaches/new", {"known": "2026-11-01T09:00", "happened": "x", "data": "y"}),
    Step("/office/breaches/{breach_id}", {**_TOLD, "kind": "board_told"}),
    Step("/office/system/keys/new", {"name": "A", "scope_search": "1", "per_minute": "1", "per_day": "1"}),
    Step("/office/system/keys/{key_id}/revoke"),
    Step("/office/new", _CLINIC),
    *(
        Step(f"/office/{{clinic_id}}/{rest}", form, was)
        for rest, form, was in (
            ("provider/new", DOCTOR, ""),
            ("clinic", _CLINIC, "version"),
            ("week/{provider_id}", {**SHIFT, "day_1": "1"}, ""),
            ("week/{provider_id}/copy", {"from_day": "1", "to_3": "1"}, ""),
            ("week/{provider_id}/shift/{shift_id}", _TIMES, "was"),
            ("week/{provider_id}/shift/{shift_id}/end", {}, "was"),
            ("leave", {**_LEAVE, "who": str(PROVIDER)}, ""),
            ("leave/{provider_id}/{leave_id}/remove", {}, ""),
            ("leave", {**_LEAVE, "who": "all"}, ""),
            ("holiday/{holiday_id}/remove", {}, ""),
            ("services", _SERVICE, ""),
            ("services/{service_id}/close", {}, ""),
            ("terms", {"service": "", "unit": "percent", "hours_1": "4", "kept_1": "50"}, ""),
            ("provider/{provider_id}", {**DOCTOR, "funding": "online"}, "version"),
            ("provider/{provider_id}/photo", {}, ""),
            ("provider/{provider_id}/photo/remove", {}, ""),
            ("provider/{provider_id}/close", {}, ""),
            ("provider/{provider_id}/open", {}, ""),
            ("close", {}, ""),
            ("open", {}, ""),
        )
    ),
]

_IDS = """
SELECT $1::bigint AS clinic_id, $2::bigint AS provider_id,
    (SELECT min(shift_id) FROM schedule.shift WHERE provider_id = $2 AND clinic_id = $1 AND weekday = 1) AS shift_id,
    (SELECT min(service_id) FROM directory.service WHERE closed_at IS NULL) AS service_id,
    (SELECT min(leave_id::text) FROM schedule.leave WHERE provider_id = $2) AS leave_id,
    (SELECT min(holiday_id::text) FROM schedule.leave WHERE provider_id = $2) AS holiday_id,
    (SELECT staff_id FROM staff.account WHERE log_on = 'desk.two') AS staff_id,
    (SELECT ask_id FROM staff.ask WHERE state = 'open') AS ask_id,
    (SELECT max(breach_id) FROM staff.breach) AS breach_id,
    (SELECT max(key_id) FROM accounts.developer_key) AS key_id
"""


async def test_every_change_leaves_its_row_in_the_audit(
    app: Litestar, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    browsers = {
        "administrator": await log_in(app, db, "administrator", None, "nair"),
        "desk": await log_in(app, db, "desk", AT_CLINIC, "meera"),
    }
    booking = await environment.held(AT_CLINIC, 13)
    assert (await environment.book.confirm(PROVIDER, booking, None, environment.actor("asha"))).code == "booked"
    paths = ("POST /office", "POST /desk/{clinic_id}")
    changing = {route.removeprefix("POST ") for route, _ in desk_routes(app) if route.startswith(paths)}
    mine = {step.route for step in STEPS}
    assert changing - mine == set(), "a form of the office that no step here sends"
    assert mine - changing == set()
    for step in STEPS:
        before = len(await audited(db))
        await send(browsers[step.role], db, step, booking)
        assert len(await audited(db)) > before, f"{step.route} leaves no row in the audit"


async def send(browser: Browser, db: Database, step: Step, booking: UUID) -> None:
    row = await db.fetch_row(_IDS, AT_CLINIC, PROVIDER)
    assert row is not None
    values = {**dict(row), "booking_id": booking, "number": number_of(booking)}
    path = step.route.format(**values)
    form = {name: text.format(**values) for name, text in step.form.items()}
    if path.endswith("/photo"):
        files = {"photo": ("a.png", picture("PNG"), "image/png")}
        assert goes_to(await browser.http.post(path, files=files))
        return
    page = path.removesuffix("/end")
    was = {step.was: hidden(await browser.get(page), step.was)} if step.was else {}
    assert goes_to(await browser.post(path, {**form, **was}))
