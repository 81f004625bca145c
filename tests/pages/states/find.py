from __future__ import annotations

from tests.pages.stage import Stage
from tests.pages.states import state


@state("find")
async def find(stage: Stage) -> None:
    await stage.go("/find")


@state("find-nobody")
async def nobody(stage: Stage) -> None:
    await stage.go("/find?need=alchemist")
