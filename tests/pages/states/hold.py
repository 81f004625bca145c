from __future__ import annotations

from tests.fixtures.clock import look_again
from tests.pages.charts import a_chart
from tests.pages.states import state
from tests.pages.states.people import family
from tests.pages.window import BrowserWindow


async def held(window: BrowserWindow, name: str = "Asha Rao") -> str:
    """Hold a time; return the path of its page."""
    patient = await window.patient(name)
    hold = await window.hold(patient)
    return f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{hold.booking_id}"


async def lapse(window: BrowserWindow, path: str) -> None:
    await window.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() WHERE booking_id = $1::text::uuid",
        path.rsplit("/", maxsplit=1)[-1],
    )
    await look_again(window.product.database)


@state("hold")
async def hold(window: BrowserWindow) -> None:
    await window.go(await held(window))


@state("hold-unnamed")
async def unnamed(window: BrowserWindow) -> None:
    path = await held(window)
    await window.product.database.execute(
        "UPDATE accounts.patient SET name = '' WHERE patient_id = "
        "(SELECT patient_id FROM booking.booking WHERE booking_id = $1::text::uuid)",
        path.split("/")[-1],
    )
    await window.go(path)
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("#name-error")


@state("hold-household")
async def household(window: BrowserWindow) -> None:
    """Choose one of the household, and say why they come."""
    patient = await family(window)
    hold = await window.hold(patient)
    await window.go(f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{hold.booking_id}")
    await window.page.locator("[name=who]").nth(1).check()
    await window.page.fill("#reason", "Itching on both arms, two weeks")
    await window.page.locator("[data-kind=card]").check()


@state("hold-offline")
async def offline(window: BrowserWindow) -> None:
    await window.go(await held(window))
    await window.page.evaluate("Object.defineProperty(navigator, 'onLine', { value: false })")
    await window.page.locator("form .button").first.click()


@state("hold-declined")
async def declined(window: BrowserWindow) -> None:
    await window.go(await held(window))
    await window.page.locator("[value=sandbox-declined]").check()
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_url("**bank=declined")


@state("hold-unanswered")
async def unanswered(window: BrowserWindow) -> None:
    await window.go(await held(window))
    await window.page.locator("[value=sandbox-unreachable]").check()
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_url("**bank=unanswered")


@state("hold-paying")
async def paying(window: BrowserWindow) -> None:
    await window.go(await held(window) + "?bank=later")


@state("hold-cancelled-at-bank")
async def cancelled(window: BrowserWindow) -> None:
    """Come back from the gateway's page without having paid."""
    await window.go(await held(window) + "?bank=cancelled")


@state("hold-begun")
async def begun(window: BrowserWindow) -> None:
    """Come again after the gateway's page was closed."""
    path = await held(window)
    await window.go(path)
    await window.page.locator("[value=sandbox-unreachable]").check()
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_url("**bank=unanswered")
    await window.product.database.execute(
        "UPDATE payments.intent SET order_name = 'order' WHERE hold_id = $1::text::uuid", path.split("/")[-1]
    )
    await window.go(path)


@state("hold-at-clinic")
async def at_clinic(window: BrowserWindow) -> None:
    path = await held(window)
    await window.product.database.execute(
        "UPDATE booking.booking SET funding = 'clinic' WHERE booking_id = $1::text::uuid", path.split("/")[-1]
    )
    await window.go(path)


@state("hold-over")
async def over(window: BrowserWindow) -> None:
    """Have the timer run out while the page is open, on a device that is offline."""
    await window.go(await held(window))
    await window.page.route("**/news?*", lambda route: route.abort())
    await window.page.evaluate(
        "() => { const now = Date.now; Date.now = () => now() + 360000; "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )


@state("hold-lost")
async def lost(window: BrowserWindow) -> None:
    path = await held(window)
    await lapse(window, path)
    await window.go(path)


@state("hold-last-minute")
async def last_minute(window: BrowserWindow) -> None:
    path = await held(window)
    await window.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() + interval '50 seconds' "
        "WHERE booking_id = $1::text::uuid",
        path.rsplit("/", maxsplit=1)[-1],
    )
    await look_again(window.product.database)
    await window.go(path)


@state("hold-lost-unanswered")
async def lost_unanswered(window: BrowserWindow) -> None:
    """Have the time run out while the bank has not said whether it took money."""
    path = await held(window)
    await window.go(path)
    await window.page.locator("[value=sandbox-unreachable]").check()
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_url("**bank=unanswered")
    await lapse(window, path)
    await window.go(path)


@state("hold-given-back")
async def given_back(window: BrowserWindow) -> None:
    await window.go(await held(window))
    await window.press("Cancel hold")


@state("hold-booked")
async def booked(window: BrowserWindow) -> None:
    await window.go(await held(window))
    await window.page.locator("form .button").first.click()
    await window.page.wait_for_selector("a[href$='visit.ics']")


@state("busy")
async def busy(window: BrowserWindow) -> None:
    await held(window)
    chart = await a_chart(window, offset=7)
    await window.go(chart.path())
    await window.page.locator(".slot.free input").first.check()
    await window.page.locator(".bar button").click()
    await window.page.wait_for_url("**/busy?*")
