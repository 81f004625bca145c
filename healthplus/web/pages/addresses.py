"""Where pages of the directory, charts and visits are, in no language: readable, and stable by the id in them."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from urllib.parse import urlencode
from uuid import UUID

_SLUG_LENGTH_MAX = 60


def slug(name: str) -> str:
    """Give a name as a part of an address, as "dr-asha-rao"; "-" for one without Latin letters or digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:_SLUG_LENGTH_MAX].strip("-") or "-"


def results_path(city: str, need: str = "", locality: str = "") -> str:
    """Give where the results of a search are; all three are slugs, and a locality comes only after a need."""
    return "/".join(part for part in ("/in", city, need, locality) if part)


def provider_path(provider_id: int, name: str) -> str:
    return f"/doctor/{provider_id}/{slug(name)}"


def clinic_path(clinic_id: int, name: str) -> str:
    return f"/clinic/{clinic_id}/{slug(name)}"


def chart_path(
    provider_id: int, name: str, clinic_id: int, *, day: date | None = None, start: datetime | None = None, n: int = 1
) -> str:
    """Give where a provider's chart at a clinic is: of a day there, with a start chosen, for visits of `n` slots."""
    asked: dict[str, object] = {}
    if day is not None:
        asked["day"] = day.isoformat()
    if start is not None:
        asked["start"] = start.isoformat()
    if n != 1:
        asked["n"] = n
    path = f"{provider_path(provider_id, name)}/{clinic_id}"
    return f"{path}?{urlencode(asked)}" if asked else path


def visit_path(provider_id: int, booking_id: UUID, page: str = "") -> str:
    """Give where a patient's visit is, or one of its pages, such as "/move"."""
    return f"/appointments/{provider_id}/{booking_id}{page}"


def line_path(provider_id: int, name: str, clinic_id: int, **asked: object) -> str:
    """Give where somebody joins the line; `asked` may be its `day`, `part`, `n` and `what`."""
    path = f"{provider_path(provider_id, name)}/{clinic_id}/line"
    return f"{path}?{urlencode(asked)}" if asked else path


def hold_path(provider_id: int, booking_id: UUID) -> str:
    return f"/doctor/{provider_id}/hold/{booking_id}"


def wait_path(provider_id: int, ticket_id: UUID) -> str:
    return f"/doctor/{provider_id}/wait/{ticket_id}"


def receipt_path(provider_id: int, number: int) -> str:
    return f"/doctor/{provider_id}/queue/{number}"
