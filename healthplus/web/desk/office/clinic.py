"""The clinic that a page of the office is about."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Record, load
from healthplus.errors import NotFound
from healthplus.web.services import AnyRequest, services

_queries = load(Path(__file__).with_name("clinic.sql"))


async def read_clinic(request: AnyRequest, clinic_id: int) -> Record:
    """Return a clinic's name, currency and zone. Raises NotFound."""
    row = await services(request).database.fetch_row(_queries.clinic, clinic_id)
    if row is None:
        raise NotFound
    return row
