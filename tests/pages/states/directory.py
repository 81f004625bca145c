"""Doctors of whom one cannot simply take the next free time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.pages.states import state
from tests.pages.states.appointments import unpaid
from tests.pages.window import BrowserWindow

_DOCTOR = "SELECT max(provider_id) FROM directory.provider WHERE type = 'doctor' AND bio <> ''"


@contextlib.asynccontextmanager
async def changed(window: BrowserWindow, change: str, back: str) -> AsyncIterator[str]:
    """Change a doctor, who is $1, while the block runs; their page's address."""
    database = window.product.database
    doctor = await database.fetch_value(_DOCTOR)
    await database.execute(change, doctor)
    try:
        yield f"/doctor/{doctor}?about"
    finally:
        await database.execute(back, doctor)


def _away(days: int) -> str:
    return (
        "INSERT INTO schedule.leave (provider_id, during) SELECT $1, "
        f"tstzrange(public.app_now(), public.app_now() + interval '{days} days')"
    )


_BACK = "DELETE FROM schedule.leave WHERE provider_id = $1"


@state("provider-away")
async def away(window: BrowserWindow) -> None:
    async with changed(window, _away(5), _BACK) as path:
        await window.go(path)


@state("provider-full")
async def full(window: BrowserWindow) -> None:
    async with changed(window, _away(400), _BACK) as path:
        await window.go(path)


@state("provider-no-new")
async def takes_nobody_new(window: BrowserWindow) -> None:
    change = "UPDATE directory.provider SET accepts_new_patients = {} WHERE provider_id = $1"
    async with changed(window, change.format("false"), change.format("true")) as path:
        await window.go(path)


@state("provider-phone")
async def by_phone(window: BrowserWindow) -> None:
    """Look at a hospital as a directory's import makes them: without hours and fees, and nobody knows more."""
    database = window.product.database
    provider_id = await database.fetch_value(
        "INSERT INTO directory.provider (identifier, type, name) VALUES ('by-phone', 'hospital', 'Sahyadri Hospital') "
        "RETURNING provider_id"
    )
    await database.execute(
        "INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) "
        "VALUES ($1, 2, 0, 'clinic')",
        provider_id,
    )
    try:
        await window.go(f"/doctor/{provider_id}?about")
    finally:
        await database.execute("DELETE FROM directory.provider_clinic WHERE provider_id = $1", provider_id)
        await database.execute("DELETE FROM directory.provider WHERE provider_id = $1", provider_id)


@state("visit-move-month")
async def move_month(window: BrowserWindow) -> None:
    await window.go(f"{await unpaid(window)}/move")
    await window.page.get_by_role("link", name=window.said("Month"), exact=True).click()
    await window.page.wait_for_selector(".month")


_CLOSE = "SELECT booking.set_place_closed($1, NULL, {}, true, 'system:operator', '')"


@state("clinic-closed")
async def closed(window: BrowserWindow) -> None:
    database = window.product.database
    clinic_id = await database.fetch_value("SELECT max(clinic_id) FROM directory.clinic")
    await database.execute(_CLOSE.format("true"), clinic_id)
    try:
        await window.go(f"/clinic/{clinic_id}")
    finally:
        await database.execute(_CLOSE.format("false"), clinic_id)
