"""A month of a chart: every day with how many of its times are free, so that any day can be reached at once."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.database import Record
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.addresses import chart_path
from healthplus.web.pages.booking import parsed_day, practice_location
from healthplus.web.pages.chart import Text
from healthplus.web.pages.chart_request import days_bookable, requested_chart
from healthplus.web.pages.chart_view import month_path
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.service_choice import ServiceChoice
from healthplus.web.pages.shared_pages import shared_page
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import DAYS, ChartKey


@dataclass(frozen=True, kw_only=True)
class MonthView:
    """A month, from the first to the last day of it that can be booked; days that are not in `free` are closed."""

    location: Record
    key: ChartKey
    choice: ServiceChoice
    first: date
    last: date
    bookable: tuple[date, date]
    free: dict[date, int]

    @property
    def weeks(self) -> Iterator[list[date | None]]:
        """Return the month's weeks from Monday on; None stands for days of the months beside it."""
        return weeks_of(self.first)

    @property
    def earlier(self) -> str | None:
        """Return the address of the month before; None where all of it is past."""
        last_before = self.first.replace(day=1) - timedelta(days=1)
        return month_path(self.location, self.key, last_before) if last_before >= self.bookable[0] else None

    @property
    def later(self) -> str | None:
        """Return the address of the month after; None where it is further ahead than can be booked."""
        after = next_month(self.first)
        return month_path(self.location, self.key, after) if after <= self.bookable[1] else None

    def is_bookable(self, day: date) -> bool:
        return self.first <= day <= self.last

    def path(self, day: date) -> str:
        key = self.key
        where = key.provider_id, self.location["provider"], key.clinic_id
        return chart_path(*where, services=key.service_ids, day=day, n=key.slots_needed)


class ChartMonthController(Controller):
    path = "/doctor/{provider_id:int}/{name:str}/{clinic_id:int}/month"

    @get()
    async def month(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],  # noqa: ARG002 - a part of the address
        clinic_id: ClinicId,
        month: Text = "",
        n: Text = "1",
    ) -> Response[bytes]:
        async def show(request: AnyRequest) -> Response[str]:
            return await _page(request, await practice_location(request, provider_id, clinic_id), month, n)

        return await shared_page(request, show)


async def _page(request: AnyRequest, location: Record, month: str, n: str) -> Response[str]:
    key, choice = await requested_chart(request, location, f"{month}-01", n, None)
    if choice.lacks_tests or choice.fault:  # the chart says what is to be chosen
        where = key.provider_id, location["provider"], key.clinic_id
        return see_other(request, chart_path(*where, services=choice.address_ids))
    today, last = days_bookable(request, location)
    asked = min(max(parsed_day(f"{month}-01") or today, today.replace(day=1)), last)
    first = max(asked.replace(day=1), today)
    last_shown = min(next_month(first) - timedelta(days=1), last)
    view = MonthView(
        location=location,
        key=key,
        choice=choice,
        first=first,
        last=last_shown,
        bookable=(today, last),
        free=await services(request).charts.free_by_day(key, first, (last_shown - first).days + 1),
    )
    return page(request, "chart/month.html", view=view, weekdays=range(1, DAYS + 1))


def weeks_of(first: date) -> Iterator[list[date | None]]:
    """Return the weeks of a day's month from Monday on; None stands for days of the months beside it."""
    for week in calendar.Calendar().monthdatescalendar(first.year, first.month):
        yield [day if day.month == first.month else None for day in week]


def next_month(day: date) -> date:
    """Return the first day of the month after a day's."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
