"""A month of a chart: which days are free, full and closed, and how one goes on to others."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from litestar import Litestar

from healthplus.accounts.actors import Staff
from tests.fixtures.clock import INDIA
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.services import offer_service
from tests.web.client import Browser
from tests.web.test_booking_pages import CHART
from tests.web.test_service_pages import said


@pytest.fixture
def nobody(app: Litestar) -> Browser:
    return Browser(app)


async def days_of(nobody: Browser, address: str) -> dict[int, str]:
    """Return what a month says of each of its days."""
    page = (await nobody.get(address)).text
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    return {int(day): said(about).strip() for day, about in re.findall(r"<b>(\d+)</b> <i[^>]*>(.*?)</i>", table)}


@pytest.mark.dates
async def test_each_day_says_what_it_has(nobody: Browser, environment: Environment) -> None:
    day = environment.instant(9).astimezone(INDIA).date()
    address = f"{CHART}/month?month={day:%Y-%m}"
    days = await days_of(nobody, address)
    last = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    assert list(days) == list(range(1, last.day + 1))
    assert days[day.day] == "6 free"
    today = (await environment.now()).astimezone(INDIA).date()
    for one in range(1, last.day + 1):
        if date(day.year, day.month, one) < today:
            assert days[one] == "–"


@pytest.mark.dates
async def test_a_day_of_leave_is_closed(nobody: Browser, environment: Environment) -> None:
    day = environment.instant(9).astimezone(INDIA).date()
    until = environment.day + timedelta(days=1)
    await environment.book.add_leave(PROVIDER, ONLINE, environment.day, until, "", Staff(1), flag_for_rebooking=True)
    assert (await days_of(nobody, f"{CHART}/month?month={day:%Y-%m}"))[day.day] == "closed"


@pytest.mark.dates
async def test_a_chart_opens_on_the_first_day_that_is_open(nobody: Browser, environment: Environment) -> None:
    today = (await environment.now()).astimezone(INDIA).replace(hour=0, minute=0, second=0, microsecond=0)
    await environment.book.add_leave(PROVIDER, ONLINE, today, environment.day, "", Staff(1), flag_for_rebooking=True)
    page = (await nobody.get(CHART)).text
    assert f'href="{CHART}?day={environment.day.astimezone(INDIA).date()}" aria-current="date"' in page
    # Who asks for a day sees that day.
    page = (await nobody.get(f"{CHART}?day={today.date()}")).text
    assert 'aria-current="date"' not in page


@pytest.mark.dates
async def test_a_service_has_its_own_days(nobody: Browser, environment: Environment) -> None:
    day = environment.instant(9).astimezone(INDIA).date()
    only = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60, weekdays=1 << (day.isoweekday() - 1))
    days = await days_of(nobody, f"{CHART}/month?month={day:%Y-%m}&service={only}")
    assert days[day.day] == "5 free"
    assert {date(day.year, day.month, one).isoweekday() for one, about in days.items() if "free" in about} == {
        day.isoweekday()
    }
    page = (await nobody.get(f"{CHART}/month?month={day:%Y-%m}&service={only}")).text
    assert f"{CHART}?service={only}&amp;day={day}" in page


@pytest.mark.parametrize("month", ["", "2000-01", "9999-12", "2026-13", "x", "²", "2026-11-03"])
async def test_odd_months_are_the_nearest(month: str, nobody: Browser) -> None:
    answer = await nobody.get(f"{CHART}/month?month={month}")
    assert answer.status_code == 200
    assert "<table" in answer.text


async def test_there_is_nowhere_to_go_beyond_what_can_be_booked(nobody: Browser, environment: Environment) -> None:
    page = (await nobody.get(f"{CHART}/month")).text
    assert 'rel="prev"' not in page
    seen = 1
    while found := re.search(r'rel="next" href="([^"]+)"', page):
        page = (await nobody.get(found[1].replace("&amp;", "&"))).text
        seen += 1
    assert 'rel="prev"' in page or seen == 1
    ahead = await environment.db.fetch_value(
        "SELECT max_booking_days FROM directory.provider WHERE provider_id = $1", PROVIDER
    )
    assert seen <= ahead // 28 + 2
    assert (await nobody.get(f"/doctor/{PROVIDER}/dr-1/99/month")).status_code == 404
