from __future__ import annotations

from tests.fixtures.environment import attend
from tests.pages.states import state
from tests.pages.states.appointments import path_of
from tests.pages.window import BrowserWindow


@state("home")
async def home(window: BrowserWindow) -> None:
    await window.go("/")


@state("home-held")
async def held(window: BrowserWindow) -> None:
    patient = await window.patient()
    await window.book(patient)
    await window.hold(patient)
    await window.go("/")


@state("not-found")
async def not_found(window: BrowserWindow) -> None:
    await window.go("/nothing-here")


@state("home-seen-before")
async def seen_before(window: BrowserWindow) -> None:
    path = path_of(window, await window.book(await window.patient()))
    await attend(window.product.database, path, "arrived", "fulfilled")
    await window.go("/in/pune")
    await window.go("/")
