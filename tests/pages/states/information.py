from __future__ import annotations

from tests.pages.states import state
from tests.pages.window import BrowserWindow


@state("help")
async def help_page(window: BrowserWindow) -> None:
    await window.go("/help")


@state("accessibility")
async def accessibility(window: BrowserWindow) -> None:
    await window.go("/accessibility")


@state("demo-messages")
async def demo_messages(window: BrowserWindow) -> None:
    await window.product.database.execute(
        "INSERT INTO notices.sandbox_message (at, channel, masked_address, text) "
        "VALUES (app_now(), 'sms', '••• 3210', '123456 is your HealthPlus code.')"
    )
    await window.go("/demo")
