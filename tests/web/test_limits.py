"""What is said of how much an account may have ahead, and whose limit it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from litestar import Litestar

from tests.booking.test_limits import book
from tests.fixtures.environment import AT_CLINIC, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.problem import problem
from tests.web.test_appointments_pages import words


@pytest.mark.dates
async def test_a_limit_says_whose_it_is(environment: Environment, app: Litestar) -> None:
    asha = Browser(app, environment.tokens["asha"])
    api = Client(asha.http, environment.tokens["asha"])
    child = await environment.person()
    day = (environment.day + timedelta(days=4, hours=6)).date().isoformat()
    start = environment.instant(24 * 4 + 13).isoformat()
    chart = f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}?day={day}"

    async def refusals() -> tuple[str, str]:
        page = await asha.post(chart, {"start": start})
        assert page.status_code == 409
        body = {"clinic_id": AT_CLINIC, "start": start}
        refused = problem(await api.post(f"providers/{PROVIDER}/holds", body), 409, "too_many_unpaid")
        return words(page.text), refused["detail"]

    assert [await book(environment, day, PROVIDER, AT_CLINIC) for day in range(3)] == ["booked"] * 3
    page, detail = await refusals()
    assert "asha has 3 appointments ahead that are not paid online" in page
    assert "Is it for someone else?" in page
    assert detail.startswith("This person has 3 appointments ahead")
    await environment.db.execute("UPDATE booking.booking SET person_id = $1", await environment.person())
    assert [await book(environment, day, OTHER_PROVIDER, AT_CLINIC, child) for day in range(3)] == ["booked"] * 3
    page, detail = await refusals()
    assert "This account has 6 appointments ahead that are not paid online" in page
    assert "Is it for someone else?" not in page
    assert detail.startswith("This account has 6 appointments ahead")
