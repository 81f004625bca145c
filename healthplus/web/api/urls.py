"""The URLs that the API's documents carry."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID


def provider_url(provider_id: int) -> str:
    return f"/api/v1/providers/{provider_id}"


def slots_url(provider_id: int, clinic_id: int, service_ids: Sequence[int] = ()) -> str:
    name = "service" if len(service_ids) == 1 else "tests"
    query = [("clinic_id", clinic_id), *((name, service_id) for service_id in service_ids)]
    return f"{provider_url(provider_id)}/slots?{urlencode(query)}"


def hold_url(provider_id: int, booking_id: UUID) -> str:
    return f"{provider_url(provider_id)}/holds/{booking_id}"


def wait_url(provider_id: int, ticket_id: UUID) -> str:
    return f"{provider_url(provider_id)}/waits/{ticket_id}"


def appointment_url(provider_id: int, booking_id: UUID) -> str:
    return f"{provider_url(provider_id)}/appointments/{booking_id}"


def person_url(person_id: UUID) -> str:
    return f"/api/v1/me/persons/{person_id}"


def booking_url(provider_id: int, booking_id: UUID, state: str) -> str:
    """Return where a booking is: as a hold before it was booked, as an appointment since."""
    if state in ("reserved", "offered", "expired", "released"):
        return hold_url(provider_id, booking_id)
    return appointment_url(provider_id, booking_id)
