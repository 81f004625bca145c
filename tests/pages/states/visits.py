from __future__ import annotations

import asyncio
import itertools
from datetime import datetime
from uuid import UUID

from healthplus.accounts.actors import Patient, Staff
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Attendance, Held
from tests.pages.stage import SignedInPatient, Stage
from tests.pages.states import state

_seats = itertools.count(1000)


def path_of(stage: Stage, visit: Held) -> str:
    return f"/appointments/{stage.product.data.two_clinics_doctor_id}/{visit.booking_id}"


async def paid(stage: Stage) -> str:
    """Book and pay for a visit, as the sandbox's bank takes money; give where its page is."""
    patient = await stage.patient("Lakshmi Venkataraman")
    return await pay(stage, patient, await stage.hold(patient))


async def unpaid(stage: Stage) -> str:
    """Book a visit whose money is not taken yet, which is quicker; give where its page is."""
    return path_of(stage, await stage.book(await stage.patient("Lakshmi Venkataraman")))


async def pay(stage: Stage, patient: SignedInPatient, held: Held) -> str:
    await stage.pay(patient, held)
    await money_is(stage, held.booking_id, "captured")
    return path_of(stage, held)


async def money_is(stage: Stage, booking_id: UUID | None, state: str) -> None:
    async with asyncio.timeout(10):
        while state != await stage.product.database.fetch_value(
            "SELECT state::text FROM ledger.payment WHERE booking_id = $1 AND due IS NULL", booking_id
        ):
            await asyncio.sleep(0.05)


async def attend(stage: Stage, path: str, *states: Attendance) -> None:
    """Have the clinic note what came of a visit."""
    _, _, provider_id, booking_id = path.split("/")
    for one in states:
        book = Book(stage.product.database)
        assert (await book.attend(int(provider_id), UUID(booking_id), one, Staff(1))).code == one


async def strand(stage: Stage, path: str) -> None:
    """Have the clinic say that it cannot see the patient then."""
    await stage.product.database.execute(
        "UPDATE booking.booking SET needs_rebooking = true WHERE booking_id = $1", UUID(path.rpartition("/")[2])
    )


async def begin(stage: Stage, path: str) -> None:
    """Have a visit have begun, without moving the clock for all tests."""
    await stage.product.database.execute(
        "UPDATE booking.booking SET seat = $2, "
        "during = tstzrange(app_now() - interval '5 min', app_now() + interval '10 min') WHERE booking_id = $1",
        UUID(path.rpartition("/")[2]),
        next(_seats),  # many have begun at once
    )


@state("visits-none")
async def none(stage: Stage) -> None:
    await stage.patient()
    await stage.go("/appointments")


@state("visits-list")
async def listed(stage: Stage) -> None:
    patient = await stage.patient()
    for number in range(5):
        path = path_of(stage, await stage.book(patient))
        if number == 0:
            await strand(stage, path)
        if number in (2, 3):
            await attend(stage, path, "arrived", "fulfilled")
        if number == 4:
            await stage.go(f"{path}/cancel")
            await stage.press("Cancel the visit")
    lost = await stage.hold(patient)
    await stage.product.database.execute(
        "UPDATE booking.booking SET deadline = app_now() - interval '1 min' WHERE booking_id = $1", lost.booking_id
    )
    await stage.go("/appointments")


@state("visit-booked")
async def booked(stage: Stage) -> None:
    await stage.go(await paid(stage))


@state("visit-needs-rebooking")
async def needs_rebooking(stage: Stage) -> None:
    path = await unpaid(stage)
    await strand(stage, path)
    await stage.go(path)


async def fulfilled(stage: Stage) -> None:
    path = await unpaid(stage)
    await attend(stage, path, "arrived", "fulfilled")
    await stage.go(path)


@state("visit-rated")
async def rated(stage: Stage) -> None:
    await fulfilled(stage)
    await stage.page.check("#stars-4")
    await stage.press("Give these stars")


@state("visit-cancel")
async def ask_whether_to_cancel(stage: Stage) -> None:
    await stage.go(f"{await unpaid(stage)}/cancel")


@state("visit-cancel-too-late")
async def cancel_too_late(stage: Stage) -> None:
    path = await unpaid(stage)
    await stage.go(f"{path}/cancel")
    await begin(stage, path)
    await stage.press("Cancel the visit")


@state("visit-cancelled")
async def cancelled(stage: Stage) -> None:
    path = await paid(stage)
    await stage.go(f"{path}/cancel")
    await stage.press("Cancel the visit")
    await money_is(stage, UUID(path.rpartition("/")[2]), "refunded")
    await stage.go(path)


async def move(stage: Stage) -> None:
    await stage.go(f"{await unpaid(stage)}/move")


@state("visit-move-taken")
async def move_taken(stage: Stage) -> None:
    """Somebody books the chosen time first."""
    await move(stage)
    await stage.page.get_by_role("radio").last.check()
    start = await stage.page.get_by_role("radio").last.input_value()
    other, _ = await add_patient(stage.product.database, "Bina Shah", stage.number())
    slots = await stage.free_slots(stage.product.data.two_clinics_doctor_id)
    slot = next(one for one in slots if one["starts_at"].timestamp() == datetime.fromisoformat(start).timestamp())
    book = Book(stage.product.database)
    provider_id = stage.product.data.two_clinics_doctor_id
    held = await book.hold(provider_id, slot["clinic_id"], slot["starts_at"], 1, other, Patient(other))
    assert held.booking_id is not None
    await stage.book_for_other(provider_id, held.booking_id, other)
    await stage.press("Move it here")


@state("visit-receipt")
async def receipt(stage: Stage) -> None:
    await stage.go(f"{await paid(stage)}/receipt")
