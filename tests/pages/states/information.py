from __future__ import annotations

from tests.pages.stage import Stage
from tests.pages.states import state


@state("help")
async def help_page(stage: Stage) -> None:
    await stage.go("/help")


@state("accessibility")
async def accessibility(stage: Stage) -> None:
    await stage.go("/accessibility")


@state("demo-messages")
async def demo_messages(stage: Stage) -> None:
    await stage.product.database.execute(
        "INSERT INTO notices.sandbox_message (at, channel, masked_address, text) "
        "VALUES (app_now(), 'sms', '••• 3210', '123456 is your HealthPlus code.')"
    )
    await stage.go("/demo")
