"""One hold on two pages, in two windows: what one shows may have been changed in the other."""

from __future__ import annotations

import re

import pytest
from litestar import Litestar

from tests.fixtures.environment import Environment
from tests.web.client import Browser
from tests.web.test_booking_pages import hold


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


async def test_a_page_that_shows_another_time_books_nothing(environment: Environment, asha: Browser) -> None:
    path = await hold(asha, environment)
    shown = re.search(r'name="shown" value="([^"]+)"', (await asha.get(path)).text)
    assert shown
    form = {"name": "Asha", "reason": "A cough", "method": "sandbox-ok", "shown": shown[1]}
    # In another window the hold is moved to another time.
    assert await hold(asha, environment, 11) == path
    refused = await asha.post(path, form)
    assert refused.status_code == 422
    assert "You changed the time in another window" in refused.text
    assert 'value="A cough"' in refused.text
    assert await environment.db.fetch_value("SELECT state::text FROM booking.booking") == "reserved"
    # What it shows now is what is booked.
    shown = re.search(r'name="shown" value="([^"]+)"', refused.text)
    assert shown
    assert (await asha.post(path, form | {"shown": shown[1]})).status_code == 303
    assert await environment.db.fetch_value("SELECT lower(during) FROM booking.booking") == environment.instant(11)
