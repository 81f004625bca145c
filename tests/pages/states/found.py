from __future__ import annotations

from tests.pages.states import state
from tests.pages.window import BrowserWindow


@state("specialities")
async def specialities(window: BrowserWindow) -> None:
    await window.go("/specialities")


@state("speciality")
async def speciality(window: BrowserWindow) -> None:
    await window.go("/speciality/dentistry")


@state("speciality-nobody")
async def speciality_nobody(window: BrowserWindow) -> None:
    await window.product.database.execute(
        "INSERT INTO directory.speciality (slug, name) VALUES ('sleep-medicine', 'Sleep Medicine') "
        "ON CONFLICT DO NOTHING"
    )
    await window.go("/speciality/sleep-medicine")


@state("city-all-specialities")
async def city_all(window: BrowserWindow) -> None:
    await window.go("/in/pune")
    await window.page.locator(".found summary").click()
