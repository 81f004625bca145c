from __future__ import annotations

from uuid import UUID

from tests.pages.states import state
from tests.pages.states.appointments import unpaid
from tests.pages.window import BrowserWindow


async def soon(window: BrowserWindow) -> str:
    """Return the page of an appointment tomorrow, booked half a day ago, without moving the clock of all tests."""
    path = await unpaid(window)
    await window.product.database.execute(
        """UPDATE booking.booking SET seat = 2000 + (random() * 20000)::integer,
            created_at = created_at - interval '13 hours',
            during = tstzrange(app_now() + interval '20 hours', app_now() + interval '20 hours 15 min')
        WHERE booking_id = $1""",
        UUID(path.rpartition("/")[2]),
    )
    return path


@state("notifications")
async def notifications(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/notifications")


@state("notifications-saved")
async def saved(window: BrowserWindow) -> None:
    await notifications(window)
    await window.press("Save")


async def with_address(window: BrowserWindow, *, is_confirmed: bool) -> None:
    patient = await window.patient()
    await window.product.database.execute(
        "UPDATE accounts.patient SET email = 'asha.venkatanarasimha@mail.example' WHERE patient_id = $1",
        patient.patient_id,
    )
    await window.product.database.execute(
        "UPDATE accounts.patient SET email_verified_at = CASE WHEN $2 THEN app_now() END WHERE patient_id = $1",
        patient.patient_id,
        is_confirmed,
    )


@state("notifications-email-sent")
async def email_sent(window: BrowserWindow) -> None:
    await with_address(window, is_confirmed=False)
    await window.go("/notifications?email=sent")


@state("notifications-email-confirmed")
async def email_confirmed(window: BrowserWindow) -> None:
    await with_address(window, is_confirmed=True)
    await window.go("/notifications")


@state("notifications-email-wrong")
async def email_wrong(window: BrowserWindow) -> None:
    await notifications(window)
    await window.page.fill("#address", "a@b.c")
    await window.page.evaluate("document.querySelector('#address').type = 'text'")
    await window.page.fill("#address", "asha")
    await window.press("Send the link")


@state("appointment-coming-asked")
async def coming_asked(window: BrowserWindow) -> None:
    await window.go(await soon(window))


@state("appointment-coming")
async def coming(window: BrowserWindow) -> None:
    await coming_asked(window)
    await window.press("I am coming")


@state("appointment-earlier")
async def earlier(window: BrowserWindow) -> None:
    """Show an appointment before which times may be free."""
    path = await unpaid(window)
    # Made long ago, so that it was not just chosen instead of what is free earlier.
    await window.product.database.execute(
        "UPDATE booking.booking SET created_at = created_at - interval '13 hours' WHERE booking_id = $1",
        UUID(path.rpartition("/")[2]),
    )
    await window.go(path)


@state("appointment-earlier-on")
async def earlier_on(window: BrowserWindow) -> None:
    await earlier(window)
    await window.press("Tell me of earlier times")


@state("notifications-earlier")
async def listed(window: BrowserWindow) -> None:
    await earlier_on(window)
    await window.go("/notifications")


@state("appointment-earlier-taken")
async def taken(window: BrowserWindow) -> None:
    """Follow a message whose time somebody has by now."""
    path = await unpaid(window)
    booking = UUID(path.rpartition("/")[2])
    sql = "SELECT lower(during) - interval '1 minute' FROM booking.booking WHERE booking_id = $1"
    free_at = await window.product.database.fetch_value(sql, booking)
    await window.go(f"{path}/move?start={free_at.isoformat().replace('+', '%2B')}")
