"""Addresses of pages to which others lead: what the API is paid through leads a patient back to one."""

from __future__ import annotations

from uuid import UUID


def hold_path(provider_id: int, booking_id: UUID) -> str:
    """Return the address of a hold's page, in no language."""
    return f"/doctor/{provider_id}/hold/{booking_id}"
