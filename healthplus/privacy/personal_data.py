"""What patients may do with all that is kept about them: see it, withdraw their consent to it, have it erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from healthplus.database import Record, load
from healthplus.errors import Conflict, StillBooked
from healthplus.web.api.common import actor
from healthplus.web.api.models import booking_url
from healthplus.web.services import Services

queries = load(Path(__file__).with_name("personal_data.sql"))


class GivenUp(NamedTuple):
    """A hold that was given back, or a wait that was left."""

    kind: str
    provider_id: int
    id: UUID


async def export(app: Services, patient_id: int) -> dict[str, Any]:
    """Give everything that is held about a patient, as it is held."""
    phone_mac = await app.patients.phone_mac(patient_id)
    held: dict[str, Any] = await app.database.fetch_value(queries.export, patient_id, phone_mac, actor(patient_id))
    return held


async def withdraw(app: Services, patient_id: int) -> tuple[GivenUp | None, list[Record]]:
    """Withdraw consent, and sign out everywhere; give what was given up, and the visits that clinics still expect."""
    given_up = await _give_up_place(app, patient_id)
    booked = await booked_ahead(app, patient_id)
    await app.patients.withdraw_consents(patient_id)
    return given_up, booked


async def erase(app: Services, patient_id: int) -> GivenUp | None:
    """Erase a patient; give what was given up. Raises StillBooked and Conflict."""
    await _demand_nothing_booked(app, patient_id)
    given_up = await _give_up_place(app, patient_id)
    await _demand_nothing_booked(app, patient_id)  # a hold may have been paid for meanwhile
    async with app.database.transaction() as transaction:
        # From here on no hold or wait can be made: take_claim waits for this claim, and then finds nobody.
        await transaction.execute(queries.lock_claim, patient_id)
        if await transaction.fetch_value(queries.is_live, patient_id):
            raise Conflict(
                "Something was booked, held or waited for meanwhile; look at your appointments, and try again."
            )
        await app.patients.erase(transaction, patient_id)
        await transaction.execute(queries.forget_names, patient_id)
        await transaction.execute(queries.forget_notices, patient_id)
        await transaction.execute(queries.forget_keys, actor(patient_id))
    app.tokens.forget(patient_id)
    return given_up


async def booked_ahead(app: Services, patient_id: int) -> list[Record]:
    """Give the visits that clinics expect, the next first."""
    return await app.database.fetch(queries.booked_ahead, patient_id)


async def _demand_nothing_booked(app: Services, patient_id: int) -> None:
    if booked := await booked_ahead(app, patient_id):
        raise StillBooked(appointments=[booking_url(row["provider_id"], row["booking_id"], "booked") for row in booked])


async def _give_up_place(app: Services, patient_id: int) -> GivenUp | None:
    """Give back the patient's hold, or leave the queue; None when there was nothing live."""
    claim = await app.book.claim(patient_id)
    if claim is None:
        return None
    provider_id, who = claim["provider_id"], actor(patient_id)
    if claim["booking_id"] is not None:
        outcome = await app.book.release(provider_id, claim["booking_id"], patient_id, who)
        return GivenUp("hold", provider_id, claim["booking_id"]) if outcome.code == "released" else None
    outcome = await app.book.leave_queue(provider_id, claim["ticket_id"], patient_id, who)
    if outcome.state == "accepted":  # its offer was taken just now: the claim is for a hold by now
        return await _give_up_place(app, patient_id)
    return GivenUp("wait", provider_id, claim["ticket_id"]) if outcome.code == "left" else None
