from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from tests.fixtures.patients import make_patients
from tests.pages.states import state
from tests.pages.states.day import Day, a_day, record
from tests.pages.states.office import office
from tests.pages.states.staff import go, staff_id_of
from tests.pages.window import BrowserWindow

_PAY = """
WITH paid AS (UPDATE booking.booking SET funding = 'online' WHERE booking_id = $2)
INSERT INTO ledger.payment (
    provider_id, hold_id, booking_id, authorisation, amount_minor, state, at, authorised_at, authorised_source,
    captured_at)
SELECT $1, $2, $2, 'paid ' || $2::uuid, 50000, 'captured', now_at, now_at, 'answer', now_at
FROM public.app_now() AS now_at
"""
_FAILED = """
INSERT INTO ledger.refund (
    provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at, from_at,
    state, tries, failed_at)
SELECT provider_id, hold_id, authorisation, booking_id, 'state', false, 20000, 'desk', 'staff:1', captured_at,
    captured_at, 'failed', 8, captured_at
FROM ledger.payment WHERE booking_id = $1
"""
"""Has a part of a payment be owed, which the gateway could not give back."""
_TOMORROW = "SELECT (date_trunc('day', public.app_now(), 'Asia/Kolkata') + interval '1 day 12 hours')"


class Tomorrow(NamedTuple):
    """Where tomorrow's sheet is, and an appointment at twelve."""

    path: str
    booking: UUID

    @property
    def visit(self) -> str:
        return f"{self.path}/visit/{self.booking}"


async def tomorrow(window: BrowserWindow, day: Day | None = None) -> Tomorrow:
    """Have the ward administrator be logged in, and a patient be expected tomorrow: today may begin soon."""
    day = day or await a_day(window)
    db = window.product.database
    (patient,) = await make_patients(db, 1)
    noon = await db.fetch_value(_TOMORROW)
    book = Book(db)
    held = await book.hold(day.provider_id, day.clinic_id, noon, 1, patient, Patient(patient))
    assert held.booking_id is not None, held
    assert (await book.confirm(day.provider_id, held.booking_id, None, Patient(patient))).code == "booked"
    date = await db.fetch_value("SELECT ($1::timestamptz AT TIME ZONE 'Asia/Kolkata')::date", noon)
    return Tomorrow(f"/desk/{day.clinic_id}/{date}", held.booking_id)


@state("desk-change-move")
async def move(window: BrowserWindow) -> None:
    """Move what somebody else has moved meanwhile."""
    day = await tomorrow(window)
    await go(window, f"{day.visit}?do=move")
    await window.page.locator('input[name="seen"]').evaluate("field => { field.value = 'booked 0 clinic'; }")
    await window.press("Move it to another time")
    await window.page.locator(".notice.danger").wait_for()


@state("desk-change-cancel")
async def cancel(window: BrowserWindow) -> None:
    day = await tomorrow(window)
    await go(window, f"{day.visit}?do=cancel")


async def seen_and_paid(window: BrowserWindow, name: str = "Vikram Shetty") -> Day:
    """Have a patient of a day be seen, who had paid online at a bank that no process asks."""
    day = await a_day(window)
    await window.product.database.execute(_PAY, day.provider_id, day.bookings[name])
    await record(window, day, name, "arrive", "call", "enter", "finish")
    return day


@state("desk-change-refund")
async def refund(window: BrowserWindow) -> None:
    day = await seen_and_paid(window)
    await go(window, f"{day.path}/visit/{day.bookings['Vikram Shetty']}?do=refund")


@state("office-refunds")
async def refunds(window: BrowserWindow) -> None:
    """Say too little of how a refund that failed was paid."""
    day = await seen_and_paid(window)
    await window.product.database.execute(_FAILED, day.bookings["Vikram Shetty"])
    await go(window, f"/office/{day.clinic_id}/refunds")
    await window.page.locator("input[name=reference]").first.fill("1")
    await window.page.locator("form[action$='/paid'] button").first.click()
    await window.page.locator("input[name=reference][value='1']").wait_for()


@state("desk-money")
async def money(window: BrowserWindow) -> None:
    day = await seen_and_paid(window)
    await window.product.database.execute(_FAILED, day.bookings["Vikram Shetty"])
    await go(window, f"{day.path}/visit/{day.bookings['Vikram Shetty']}/money")


@state("desk-change-correct")
async def correct(window: BrowserWindow) -> None:
    day = await a_day(window)
    await record(window, day, "Lata Jadhav", "arrive")
    await go(window, f"{day.path}/visit/{day.bookings['Lata Jadhav']}?do=correct")


@state("desk-changed")
async def changed(window: BrowserWindow) -> None:
    """Have cancelled; it can be taken back."""
    day = await tomorrow(window)
    await go(window, f"{day.visit}?do=cancel")
    await window.press("Cancel it, and give all back that was paid")
    await window.page.locator(".changed").wait_for()


@state("desk-history")
async def history(window: BrowserWindow) -> None:
    day = await tomorrow(window)
    actor = f"staff:{await staff_id_of(window, 'demo-ward')}"
    await window.product.database.execute(
        "SELECT booking.cancel(provider_id, booking_id, $2, NULL) FROM booking.booking WHERE booking_id = $1",
        *(day.booking, actor),
    )
    await go(window, f"{day.visit}/history")


@state("desk-receipts")
async def receipts(window: BrowserWindow) -> None:
    day = await seen_and_paid(window)
    await window.product.database.execute("SELECT receipts.issue(200)")
    await go(window, f"{day.path}/visit/{day.bookings['Vikram Shetty']}/receipts")


@state("office-no-shows")
async def no_shows(window: BrowserWindow) -> None:
    path, _ = await office(window)
    await go(window, f"{path}/no-shows")
    await window.page.fill("#months", "99")
    await window.page.locator("main form").evaluate("form => form.setAttribute('novalidate', '')")
    await window.press("Save")
