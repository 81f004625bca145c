from __future__ import annotations

from urllib.parse import quote

from tests.pages.charts import a_chart, clear, take
from tests.pages.states import state
from tests.pages.window import BrowserWindow


@state("chart")
async def chart(window: BrowserWindow) -> None:
    await window.go((await a_chart(window)).path())
    await window.page.locator(".slot.free input").nth(2).check()


@state("chart-mixed")
async def mixed(window: BrowserWindow) -> None:
    """Two in a row, with some held, some booked, one's own, and a gap that is too short."""
    patient = await window.patient()
    chart = await a_chart(window, offset=1)
    await take(window, chart, "reserved", but=6)
    await window.product.database.execute(
        """INSERT INTO booking.booking (
            provider_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding,
            created_at)
        SELECT $1, $2, who, tstzrange(upper(during) - slot * back, upper(during) - slot * (back - 1)), 1, 1, 'booked',
            NULL, 50000, 'online', now_at
        FROM public.app_now() AS now_at,
            (VALUES (1, 3), ($4::bigint, 5)) AS taken (who, back),
            (SELECT during, slot FROM schedule.openings(
                $1, $2, $3::date::timestamp AT TIME ZONE 'Asia/Kolkata',
                ($3::date + 1)::timestamp AT TIME ZONE 'Asia/Kolkata', public.app_now())
             ORDER BY during DESC LIMIT 1) AS opening""",
        chart.provider_id,
        chart.clinic_id,
        chart.day,
        patient.patient_id,
    )
    await window.go(chart.path(n=2))


@state("chart-held")
async def held(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=2)
    await take(window, chart, "reserved")
    await window.go(chart.path())


@state("chart-full")
async def full(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=3)
    await take(window, chart, "booked")
    await window.go(chart.path())


@state("chart-leave")
async def leave(window: BrowserWindow) -> None:
    chart = await a_chart(window, offset=4)
    await window.product.database.execute(
        """INSERT INTO schedule.leave (provider_id, during)
        SELECT $1, tstzrange(
            $2::date::timestamp AT TIME ZONE 'Asia/Kolkata', ($2::date + 1)::timestamp AT TIME ZONE 'Asia/Kolkata')
        WHERE NOT EXISTS (SELECT FROM schedule.leave WHERE provider_id = $1)""",
        chart.provider_id,
        chart.day,
    )
    await window.go(chart.path())


@state("chart-taken")
async def taken(window: BrowserWindow) -> None:
    """Somebody was faster."""
    await window.patient()
    chart = await a_chart(window, offset=5)
    await clear(window, chart)
    await window.go(chart.path())
    await window.page.locator(".slot.free input").first.check()
    await window.page.route("**/news?*", lambda route: route.abort())
    await take(window, chart, "booked", but=4)
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")


@state("chart-taken-held")
async def taken_held(window: BrowserWindow) -> None:
    """Somebody was faster, and nothing is free."""
    await window.patient()
    chart = await a_chart(window, offset=6)
    await clear(window, chart)
    await window.go(chart.path())
    await window.page.locator(".slot.free input").first.check()
    await window.page.route("**/news?*", lambda route: route.abort())
    await take(window, chart, "reserved")
    await window.page.locator(".bar button").click()
    await window.page.wait_for_selector("#error")


@state("chart-all-shown")
async def all_shown(window: BrowserWindow) -> None:
    """Ask for what is booked and held, beside what is free; a part of the day that is full is unfolded."""
    chart = await a_chart(window, offset=16)
    await take(window, chart, "reserved", but=6)
    await window.go(chart.path())
    await window.page.locator(".fold summary").first.click()
    if await window.page.locator("#show-all").count():
        await window.page.locator("#show-all").check()


@state("chart-gone")
async def gone(window: BrowserWindow) -> None:
    """Come to a time that somebody else has, as after signing in."""
    chart = await a_chart(window, offset=17)
    await clear(window, chart)
    await window.go(chart.path())
    start = str(await window.page.locator(".slot.free input").first.get_attribute("value"))
    await take(window, chart, "booked", but=5)
    await window.go(f"{chart.path()}&start={quote(start)}")
    await window.page.wait_for_selector("#error")


@state("chart-month")
async def month(window: BrowserWindow) -> None:
    await window.go((await a_chart(window, offset=18)).month_path())
