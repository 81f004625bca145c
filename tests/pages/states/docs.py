from __future__ import annotations

from tests.pages.states import state
from tests.pages.window import BrowserWindow


@state("docs")
async def all_operations(window: BrowserWindow) -> None:
    await window.go("/docs")


@state("docs-operation")
async def operation(window: BrowserWindow) -> None:
    await window.go("/docs/hold")


@state("docs-first-booking")
async def first_booking(window: BrowserWindow) -> None:
    await window.go("/docs/first-booking")
