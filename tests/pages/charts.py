"""Charts to act on: where a provider's is, and days of it that are full, held or closed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from healthplus.web.pages.addresses import chart_path
from tests.pages.window import BrowserWindow


class Chart(NamedTuple):
    """A provider at a clinic, and a day when they are there."""

    provider_id: int
    clinic_id: int
    name: str
    day: date

    def path(self, n: int = 1, day: date | None = None) -> str:
        return chart_path(self.provider_id, self.name, self.clinic_id, day=day or self.day, n=n)

    def month_path(self) -> str:
        return f"{chart_path(self.provider_id, self.name, self.clinic_id)}/month?month={self.day:%Y-%m}"


async def a_chart(window: BrowserWindow, days_ahead: int = 10, offset: int = 0) -> Chart:
    """Return the chart of a doctor whom nothing else here books, on an open day so far ahead or a little more.

    The doctor is paid online, and may be booked for several slots in a row. `offset` tells one from another.
    """
    row = await window.product.database.fetch_row(
        """SELECT provider_id, clinic_id, name,
            (SELECT min((lower(during) AT TIME ZONE 'Asia/Kolkata')::date) FROM schedule.openings(
                provider_id, clinic_id, now_at + $1, now_at + $1 + interval '8 days', now_at)) AS day
        FROM public.app_now() AS now_at, directory.provider_clinic JOIN directory.provider USING (provider_id)
        WHERE type = 'doctor' AND funding = 'online'
            AND make_interval(days => max_booking_days) > $1 + interval '8 days' AND EXISTS (
                SELECT FROM schedule.shift WHERE shift.provider_id = provider.provider_id
                AND shift.clinic_id = provider_clinic.clinic_id AND slots_max > 1 AND seats = 1)
        ORDER BY provider_id DESC, clinic_id LIMIT 1 OFFSET $2""",
        timedelta(days=days_ahead),
        offset,
    )
    assert row is not None
    return Chart(**dict(row))


async def clear(window: BrowserWindow, chart: Chart) -> None:
    """Have nobody hold or book anything of a day."""
    await window.product.database.execute(
        """DELETE FROM booking.booking
        WHERE provider_id = $1 AND (lower(during) AT TIME ZONE 'Asia/Kolkata')::date = $2""",
        chart.provider_id,
        chart.day,
    )
    await touch(window, chart)


async def touch(window: BrowserWindow, chart: Chart) -> None:
    """Make known that a book has changed, as a verb does."""
    await window.product.database.execute(
        "UPDATE booking.book SET version = version + 1 WHERE provider_id = $1", chart.provider_id
    )


async def take(window: BrowserWindow, chart: Chart, state: str, *, but: int = 0) -> None:
    """Have others book or hold the whole of a day, but for some slots at its end."""
    await clear(window, chart)
    await window.product.database.execute(
        """INSERT INTO booking.booking (
            provider_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding,
            created_at)
        SELECT $1, $2, 1, tstzrange(lower(during), upper(during) - slot * CASE
                WHEN lead(during) OVER (ORDER BY during) IS NULL THEN $5::integer ELSE 0 END),
            1, 1, $4::text::booking.booking_state,
            CASE WHEN $4 = 'reserved' THEN now_at + interval '4 minutes' END, 50000, 'online', now_at
        FROM public.app_now() AS now_at, schedule.openings(
            $1, $2, $3::date::timestamp AT TIME ZONE 'Asia/Kolkata',
            ($3::date + 1)::timestamp AT TIME ZONE 'Asia/Kolkata', now_at)""",
        chart.provider_id,
        chart.clinic_id,
        chart.day,
        state,
        but,
    )
    await touch(window, chart)
