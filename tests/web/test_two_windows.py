"""One hold on two pages, in two windows: what one shows may have been changed in the other."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.payments.payments import Paid, Payments
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.web.client import Browser
from tests.web.test_booking_pages import hold


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


async def shown_form(asha: Browser, path: str) -> dict[str, str]:
    """Return the form of a hold's page, with the time that it shows."""
    shown = re.search(r'name="shown" value="([^"]+)"', (await asha.get(path)).text)
    assert shown
    return {"name": "Asha", "reason": "A cough", "method": "sandbox-ok", "shown": shown[1]}


async def test_a_page_that_shows_another_time_books_nothing(environment: Environment, asha: Browser) -> None:
    path = await hold(asha, environment)
    form = await shown_form(asha, path)
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


@pytest.mark.parametrize(("clinic", "hour"), [(ONLINE, 10), (AT_CLINIC, 14)])
@pytest.mark.parametrize("is_guarded", [False, True])
async def test_a_move_between_the_press_and_the_payment_books_nothing(
    clinic: int, hour: int, is_guarded: bool, environment: Environment, asha: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other window moves the hold after the page's form was read, and before its payment begins."""
    path = await hold(asha, environment, hour, f"/doctor/{PROVIDER}/dr-1/{clinic}")
    form = await shown_form(asha, path)
    pay = Payments.pay

    async def moved_first(self: Payments, *args: Any, **options: Any) -> Paid:
        moved = await environment.book.reschedule(
            PROVIDER, UUID(path.rpartition("/")[2]), environment.instant(hour + 1), environment.actor("asha")
        )
        assert moved.code == "moved"
        return await pay(self, *args, **options | ({} if is_guarded else {"shown_at": None}))

    monkeypatch.setattr(Payments, "pay", moved_first)
    answer = await asha.post(path, form)
    state = await environment.db.fetch_value("SELECT state::text FROM booking.booking")
    if is_guarded:
        assert (answer.status_code, state) == (422, "reserved")
        assert "You changed the time in another window" in answer.text
        assert await environment.db.fetch_value("SELECT count(*) FROM payments.intent") == 0
    else:
        assert (answer.status_code, state) == (303, "booked")  # at a time that nobody was shown


@pytest.mark.parametrize("is_guarded", [False, True])
async def test_a_move_that_is_under_way_books_nothing(is_guarded: bool, environment: Environment) -> None:
    """The move has the book locked, and is committed while what is paid at the clinic waits to be booked."""
    held = await environment.held(AT_CLINIC, 14)
    shown_at = environment.instant(14) if is_guarded else None
    async with environment.db.transaction() as other_window:
        moved = await other_window.fetch_value(
            "SELECT code FROM booking.reschedule($1, $2, $3, $4, NULL, NULL)",
            *(PROVIDER, held, environment.instant(15), str(environment.actor("asha"))),
        )
        assert moved == "moved"
        booking = asyncio.create_task(
            environment.book.confirm(PROVIDER, held, None, environment.actor("asha"), shown_at=shown_at)
        )
        await asyncio.sleep(0.1)
        assert not booking.done()
    assert (await booking).code == ("time_changed" if is_guarded else "booked")
