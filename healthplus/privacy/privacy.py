"""What patients may do with the data kept about them: export it, withdraw their consent, have it erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import Patients
from healthplus.accounts.sessions import KnownTokens
from healthplus.booking.book import Book
from healthplus.database import Database, Record, load
from healthplus.errors import Conflict, StillBooked

queries = load(Path(__file__).with_name("queries.sql"))


class GivenUpClaim(NamedTuple):
    """A hold that was released, or a wait: a ticket that left its queue. `id` is the hold's or the ticket's."""

    kind: Literal["hold", "wait"]
    provider_id: int
    id: UUID


class Privacy:
    """Exports and erases patients."""

    def __init__(self, database: Database, book: Book, patients: Patients, tokens: KnownTokens) -> None:
        self._database = database
        self._book = book
        self._patients = patients
        self._tokens = tokens

    async def export(self, patient_id: int) -> dict[str, Any]:
        """Return everything that is kept about a patient, as it is kept."""
        phone_mac = await self._patients.phone_mac(patient_id)
        kept: dict[str, Any] = await self._database.fetch_value(
            queries.export, patient_id, phone_mac, str(Patient(patient_id))
        )
        return kept

    async def booked_ahead(self, patient_id: int) -> list[Record]:
        """Return the patient's appointments that are not over, the next first."""
        return await self._database.fetch(queries.booked_ahead, patient_id)

    async def withdraw(self, patient_id: int) -> tuple[GivenUpClaim | None, list[Record]]:
        """Withdraw all consents, give up the claim, and sign out everywhere.

        Returns what was given up, and the appointments ahead, which stay.
        """
        given_up = await self._give_up_claim(patient_id)
        booked = await self.booked_ahead(patient_id)
        await self._patients.withdraw_consents(patient_id)
        return given_up, booked

    async def erase(self, patient_id: int) -> GivenUpClaim | None:
        """Erase a patient; return the claim that was given up.

        Raises StillBooked for appointments ahead, and Conflict when a hold, ticket or booking is made meanwhile.
        """
        await self._require_nothing_booked(patient_id)
        given_up = await self._give_up_claim(patient_id)
        await self._require_nothing_booked(patient_id)  # a hold may have been paid for meanwhile
        async with self._database.transaction() as transaction:
            # From here on no hold or ticket can be made: take_claim waits for this claim, and then finds no patient.
            await transaction.execute(queries.lock_claim, patient_id)
            if await transaction.fetch_value(queries.is_live, patient_id):
                raise Conflict(
                    "Something was booked, held or waited for meanwhile; look at your appointments, and try again."
                )
            await self._patients.erase(transaction, patient_id)
            await transaction.execute(queries.erase_names, patient_id)
            await transaction.execute(queries.erase_receipt_names, patient_id)
            await transaction.execute(queries.erase_no_shows, patient_id)
            await transaction.execute(queries.erase_reasons, patient_id)
            await transaction.execute(queries.erase_reviews, patient_id)
            await transaction.execute(queries.erase_reports, patient_id)
            await transaction.execute(queries.erase_notices, patient_id)
            await transaction.execute(queries.erase_asks, patient_id)
            await transaction.execute(queries.erase_idempotency_keys, str(Patient(patient_id)))
        self._tokens.forget(patient_id)
        return given_up

    async def _require_nothing_booked(self, patient_id: int) -> None:
        if booked := await self.booked_ahead(patient_id):
            raise StillBooked([(row["provider_id"], row["booking_id"]) for row in booked])

    async def _give_up_claim(self, patient_id: int) -> GivenUpClaim | None:
        """Release the patient's hold, or leave the queue. Returns None when neither was live."""
        claim = await self._book.claim(patient_id)
        if claim is None:
            return None
        provider_id, patient = claim["provider_id"], Patient(patient_id)
        if claim["booking_id"] is not None:
            released = await self._book.release(provider_id, claim["booking_id"], patient)
            return GivenUpClaim("hold", provider_id, claim["booking_id"]) if released.code == "released" else None
        left = await self._book.leave_queue(provider_id, claim["ticket_id"], patient)
        if left.state == "accepted":  # the offer was accepted just now: the claim is for a hold by now
            return await self._give_up_claim(patient_id)
        return GivenUpClaim("wait", provider_id, claim["ticket_id"]) if left.code == "left" else None
