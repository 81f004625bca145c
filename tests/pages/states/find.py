from __future__ import annotations

from tests.pages.stage import Stage
from tests.pages.states import state


@state("find")
async def find(stage: Stage) -> None:
    await stage.go("/in/pune")


@state("find-filtered")
async def filtered(stage: Stage) -> None:
    await stage.go("/in/pune?gender=female&fee=2000&sort=distance")
    await stage.page.evaluate("document.querySelector('.filters').open = true")


@state("find-near")
async def near(stage: Stage) -> None:
    await stage.go("/find?near=18.520,73.860&within=50")


@state("find-nobody")
async def nobody(stage: Stage) -> None:
    await stage.go("/in/pune/lab?gender=female&rating=4.5&fee=5000")


@state("find-misspelt")
async def misspelt(stage: Stage) -> None:
    await stage.go("/find?need=dentst")


@state("find-suggestions")
async def suggestions(stage: Stage) -> None:
    await stage.go("/")
    await stage.page.locator("#need").press_sequentially("hos")
    await stage.page.get_by_role("option").first.wait_for()
    await stage.page.keyboard.press("ArrowDown")


@state("provider")
async def provider(stage: Stage) -> None:
    await stage.go(f"/doctor/{stage.product.data.two_clinics_doctor_id}")


@state("provider-lab")
async def lab(stage: Stage) -> None:
    await stage.go(f"/doctor/{stage.product.data.lab_id}?about")


@state("clinic")
async def clinic(stage: Stage) -> None:
    await stage.go("/clinic/1")


@state("clinic-lab")
async def clinic_lab(stage: Stage) -> None:
    clinic_id = await stage.product.database.fetch_value(
        "SELECT clinic_id FROM directory.provider_clinic WHERE provider_id = $1", stage.product.data.lab_id
    )
    await stage.go(f"/clinic/{clinic_id}")
