from __future__ import annotations

import itertools
from collections.abc import Awaitable
from datetime import datetime
from uuid import UUID

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Held
from tests.fixtures.clock import look_again, until
from tests.fixtures.environment import attend
from tests.pages.states import state
from tests.pages.window import BrowserWindow, SignedInPatient

_seats = itertools.count(1000)


def path_of(window: BrowserWindow, visit: Held) -> str:
    return f"/appointments/{window.product.data.two_clinics_doctor_id}/{visit.booking_id}"


async def paid(window: BrowserWindow) -> str:
    """Book and pay for a visit, as the sandbox's bank takes money; return where its page is."""
    patient = await window.patient("Lakshmi Venkataraman")
    return await pay(window, patient, await window.hold(patient))


async def unpaid(window: BrowserWindow) -> str:
    """Book a visit whose money is not taken yet, which is quicker; return where its page is."""
    return path_of(window, await window.book(await window.patient("Lakshmi Venkataraman")))


async def pay(window: BrowserWindow, patient: SignedInPatient, held: Held) -> str:
    await window.pay(patient, held)
    await money_is(window, held.booking_id, "captured")
    return path_of(window, held)


async def money_is(window: BrowserWindow, booking_id: UUID | None, state: str) -> None:
    reached = "SELECT state::text = $2 FROM ledger.payment WHERE booking_id = $1 AND due IS NULL"
    await until(lambda: window.product.database.fetch_value(reached, booking_id, state), 10)
    due = "SELECT EXISTS (SELECT FROM receipts.due WHERE source_id = $1)"
    await until(lambda: _is_false(window.product.database.fetch_value(due, booking_id)), 20)


async def _is_false(found: Awaitable[object]) -> bool:
    return not await found


async def strand(window: BrowserWindow, path: str) -> None:
    """Have the clinic say that it cannot see the patient then."""
    await window.product.database.execute(
        "UPDATE booking.booking SET needs_rebooking = true WHERE booking_id = $1", UUID(path.rpartition("/")[2])
    )


async def begin(window: BrowserWindow, path: str) -> None:
    """Have a visit have begun, without moving the clock for all tests."""
    await window.product.database.execute(
        "UPDATE booking.booking SET seat = $2, "
        "during = tstzrange(app_now() - interval '5 min', app_now() + interval '10 min') WHERE booking_id = $1",
        UUID(path.rpartition("/")[2]),
        next(_seats),  # many have begun at once
    )


@state("visits-none")
async def none(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/appointments")


@state("visits-list")
async def listed(window: BrowserWindow) -> None:
    patient = await window.patient()
    for number in range(5):
        path = path_of(window, await window.book(patient))
        if number == 0:
            await strand(window, path)
        if number in (2, 3):
            await attend(window.product.database, path, "arrived", "fulfilled")
        if number == 4:
            await window.go(f"{path}/cancel")
            await window.press("Cancel appointment")
    lost = await window.hold(patient)
    await window.product.database.execute(
        "UPDATE booking.booking SET deadline = app_now() - interval '1 min' WHERE booking_id = $1", lost.booking_id
    )
    await look_again(window.product.database)
    await window.go("/appointments")


@state("visit-booked")
async def booked(window: BrowserWindow) -> None:
    await window.go(await paid(window))


@state("visit-needs-rebooking")
async def needs_rebooking(window: BrowserWindow) -> None:
    path = await unpaid(window)
    await strand(window, path)
    await window.go(path)


async def fulfilled(window: BrowserWindow) -> None:
    path = await unpaid(window)
    await attend(window.product.database, path, "arrived", "fulfilled")
    await window.go(path)


@state("visit-rated")
async def rated(window: BrowserWindow) -> None:
    await fulfilled(window)
    await window.page.check("#stars-4")
    await window.press("Send rating")


@state("visit-cancel")
async def ask_whether_to_cancel(window: BrowserWindow) -> None:
    await window.go(f"{await unpaid(window)}/cancel")


@state("visit-cancel-too-late")
async def cancel_too_late(window: BrowserWindow) -> None:
    path = await unpaid(window)
    await window.go(f"{path}/cancel")
    await begin(window, path)
    await window.press("Cancel appointment")


async def refunded(window: BrowserWindow) -> str:
    """Cancel a visit that was paid for; return where its page is."""
    path = await paid(window)
    await window.go(f"{path}/cancel")
    await window.press("Cancel appointment")
    await money_is(window, UUID(path.rpartition("/")[2]), "refunded")
    return path


@state("visit-cancelled")
async def cancelled(window: BrowserWindow) -> None:
    await window.go(await refunded(window))


async def to_pay(window: BrowserWindow) -> str:
    """Book a visit whose fee is to be paid at the clinic; return where its page is."""
    patient = await window.patient("Lakshmi Venkataraman")
    held, database = await window.hold(patient), window.product.database
    await database.execute("UPDATE booking.booking SET funding = 'clinic' WHERE booking_id = $1", held.booking_id)
    provider_id, actor = window.product.data.two_clinics_doctor_id, Patient(patient.patient_id)
    assert held.booking_id
    assert (await Book(database).confirm(provider_id, held.booking_id, None, actor)).code == "booked"
    return path_of(window, held)


@state("visit-to-pay")
async def visit_to_pay(window: BrowserWindow) -> None:
    await window.go(await to_pay(window))


@state("pay-online")
async def pay_online(window: BrowserWindow) -> None:
    await window.go(f"{await to_pay(window)}/pay")


@state("pay-online-declined")
async def pay_online_declined(window: BrowserWindow) -> None:
    await window.go(f"{await to_pay(window)}/pay?bank=declined")


@state("visit-money")
async def money(window: BrowserWindow) -> None:
    await window.go(f"{await refunded(window)}/money")


async def move(window: BrowserWindow) -> None:
    await window.go(f"{await unpaid(window)}/move")


@state("visit-move-taken")
async def move_taken(window: BrowserWindow) -> None:
    """Somebody books the chosen time first."""
    await move(window)
    await window.page.get_by_role("radio").last.check()
    start = await window.page.get_by_role("radio").last.input_value()
    other, _ = await add_patient(window.product.database, "Bina Shah", window.number())
    slots = await window.free_slots(window.product.data.two_clinics_doctor_id)
    slot = next(one for one in slots if one["starts_at"].timestamp() == datetime.fromisoformat(start).timestamp())
    book = Book(window.product.database)
    provider_id = window.product.data.two_clinics_doctor_id
    held = await book.hold(provider_id, slot["clinic_id"], slot["starts_at"], 1, other, Patient(other))
    assert held.booking_id is not None
    await window.book_for_other(provider_id, held.booking_id, other)
    await window.press("Reschedule")


@state("visit-receipt")
async def receipt(window: BrowserWindow) -> None:
    await window.go(f"{await paid(window)}/receipt")
