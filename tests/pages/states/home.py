from __future__ import annotations

from tests.pages.stage import Stage
from tests.pages.states import state


@state("home")
async def home(stage: Stage) -> None:
    await stage.go("/")


@state("home-held")
async def held(stage: Stage) -> None:
    patient = await stage.patient()
    await stage.book(patient)
    await stage.hold(patient)
    await stage.go("/")


@state("not-found")
async def not_found(stage: Stage) -> None:
    await stage.go("/nothing-here")
