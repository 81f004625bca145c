"""Addresses of pages, in no language: readable, and stable by the ids in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from healthplus.database import Record
from healthplus.web.http import page_paths

_SLUG_LENGTH_MAX = 60


@lru_cache(5000)  # a page says most names several times
def slug(name: str) -> str:
    """Return a name as a part of an address, as "dr-asha-rao"; "-" for one without Latin letters or digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:_SLUG_LENGTH_MAX].strip("-") or "-"


def results_path(city: str, need: str = "", locality: str = "") -> str:
    """Return the address of a search's results; all three are slugs, and a locality comes only after a need."""
    return "/".join(part for part in ("/in", city, need, locality) if part)


def provider_path(provider_id: int, name: str) -> str:
    return f"/doctor/{provider_id}/{slug(name)}"


def about_path(provider_id: int, name: str) -> str:
    """Return the address of a provider's page where it does not lead on to the chart of their only clinic."""
    return f"{provider_path(provider_id, name)}?about"


def about_path_at(location: Record) -> str:
    """Return the address of the page about a row of `practice_location`: the clinic's, where the provider is that."""
    if (
        location["type"] != "doctor"
        and not location["other_clinics"]
        and location["provider"].lower() == location["clinic"].lower()
    ):
        return clinic_path(location["clinic_id"], location["clinic"])
    return about_path(location["provider_id"], location["provider"])


def speciality_path(slug: str) -> str:
    return f"/speciality/{slug}"


def report_path(provider_id: int, review_id: UUID) -> str:
    """Return the address where a patient reports a review of a provider."""
    return f"/doctor/{provider_id}/review/{review_id}/report"


def directions_url(place: Mapping[str, Any]) -> str:
    """Return where OpenStreetMap shows the way to a place, by its `latitude` and `longitude`."""
    return f"https://www.openstreetmap.org/directions?to={place['latitude']}%2C{place['longitude']}"


def call_url(phone: str) -> str:
    """Return the address by which a device calls a number."""
    return f"tel:{phone.replace(' ', '')}"


def clinic_path(clinic_id: int, name: str) -> str:
    return f"/clinic/{clinic_id}/{slug(name)}"


def chart_path(
    provider_id: int,
    name: str,
    clinic_id: int,
    *,
    services: Iterable[int] | None = None,
    day: date | None = None,
    start: datetime | None = None,
    n: int = 1,
) -> str:
    """Return the address of a provider's chart at a clinic.

    `services` are the ids of what is to be done, if it is not a visit of `n` slots in a row; `day` is the day shown, in
    the clinic's zone; `start` the slot chosen.
    """
    query: dict[str, object] = {"service": list(services)} if services else {}
    if day is not None:
        query["day"] = day.isoformat()
    if start is not None:
        query["start"] = start.isoformat()
    if n != 1:
        query["n"] = n
    return _with_query(f"{provider_path(provider_id, name)}/{clinic_id}", query)


def queue_path(provider_id: int, name: str, clinic_id: int, **query: object) -> str:
    """Return the address where a patient joins a queue; `query` may have `service`, `day`, `part`, `n` and `what`."""
    return _with_query(f"{provider_path(provider_id, name)}/{clinic_id}/line", query)


hold_path = page_paths.hold_path


def ticket_path(provider_id: int, ticket_id: UUID) -> str:
    return f"/doctor/{provider_id}/wait/{ticket_id}"


def queue_receipt_path(provider_id: int, number: int) -> str:
    return f"/doctor/{provider_id}/queue/{number}"


def calls_path(provider_id: int, session_id: object) -> str:
    """Return the address of the public record of a session's calls."""
    return f"/doctor/{provider_id}/calls/{session_id}"


def appointment_path(provider_id: int, booking_id: UUID, page: str = "") -> str:
    """Return the address of a patient's appointment, or of one of its pages, such as "/move"."""
    return f"/appointments/{provider_id}/{booking_id}{page}"


def _with_query(path: str, query: dict[str, object]) -> str:
    return f"{path}?{urlencode(query, doseq=True)}" if query else path
