from __future__ import annotations

from tests.pages.charts import a_chart
from tests.pages.stage import Stage
from tests.pages.states import state


async def held(stage: Stage, name: str = "Asha Rao") -> str:
    """Hold a time; give the path of its page."""
    patient = await stage.patient(name)
    hold = await stage.hold(patient)
    return f"/doctor/{stage.product.data.two_clinics_doctor_id}/hold/{hold.booking_id}"


async def lapse(stage: Stage, path: str) -> None:
    await stage.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() WHERE booking_id = $1::text::uuid",
        path.rsplit("/", maxsplit=1)[-1],
    )


@state("hold")
async def hold(stage: Stage) -> None:
    await stage.go(await held(stage))


@state("hold-unnamed")
async def unnamed(stage: Stage) -> None:
    path = await held(stage)
    await stage.product.database.execute(
        "UPDATE accounts.patient SET name = '' WHERE patient_id = "
        "(SELECT patient_id FROM booking.booking WHERE booking_id = $1::text::uuid)",
        path.split("/")[-1],
    )
    await stage.go(path)
    await stage.page.locator("form .button").first.click()
    await stage.page.wait_for_selector("#error")


@state("hold-declined")
async def declined(stage: Stage) -> None:
    await stage.go(await held(stage))
    await stage.page.locator("[value=sandbox-declined]").check()
    await stage.page.locator("form .button").first.click()
    await stage.page.wait_for_url("**bank=declined")


@state("hold-unanswered")
async def unanswered(stage: Stage) -> None:
    await stage.go(await held(stage))
    await stage.page.locator("[value=sandbox-unreachable]").check()
    await stage.page.locator("form .button").first.click()
    await stage.page.wait_for_url("**bank=unanswered")


@state("hold-paying")
async def paying(stage: Stage) -> None:
    await stage.go(await held(stage) + "?bank=later")


@state("hold-over")
async def over(stage: Stage) -> None:
    """The timer has run out while the page is open, on a device that is offline."""
    await stage.go(await held(stage))
    await stage.page.route("**/news?*", lambda route: route.abort())
    await stage.page.evaluate(
        "() => { const now = Date.now; Date.now = () => now() + 360000; "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )


@state("hold-lost")
async def lost(stage: Stage) -> None:
    path = await held(stage)
    await lapse(stage, path)
    await stage.go(path)


@state("hold-given-back")
async def given_back(stage: Stage) -> None:
    await stage.go(await held(stage))
    await stage.press("Release it")


@state("hold-booked")
async def booked(stage: Stage) -> None:
    await stage.go(await held(stage))
    await stage.page.locator("form .button").first.click()
    await stage.page.wait_for_selector("a[href$='visit.ics']")


@state("busy")
async def busy(stage: Stage) -> None:
    await held(stage)
    chart = await a_chart(stage, offset=7)
    await stage.go(chart.path())
    await stage.page.locator(".slot.free input").first.check()
    await stage.page.locator(".bar button").click()
    await stage.page.wait_for_url("**/busy?*")
