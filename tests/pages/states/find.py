from __future__ import annotations

from tests.pages.states import state
from tests.pages.window import BrowserWindow


@state("find")
async def find(window: BrowserWindow) -> None:
    await window.go("/in/pune")


@state("find-filtered")
async def filtered(window: BrowserWindow) -> None:
    await window.go("/in/pune?gender=female&fee=2000&sort=distance")
    await window.page.evaluate("document.querySelector('.filters').open = true")


@state("find-near")
async def near(window: BrowserWindow) -> None:
    await window.go("/find?near=18.520,73.860&within=50")


@state("find-service")
async def service(window: BrowserWindow) -> None:
    await window.go(f"/in/pune?service={await offered(window, tests_only=False, count=1)}&sort=price")


@state("find-tests")
async def several_tests(window: BrowserWindow) -> None:
    await window.go(f"/in/pune?service={await offered(window, tests_only=True, count=3)}")


async def offered(window: BrowserWindow, *, tests_only: bool, count: int) -> str:
    """Return, for an address, the slugs of what most offer: visits before tests, or tests only."""
    slugs: str = await window.product.database.fetch_value(
        "SELECT string_agg(slug, ',') FROM (SELECT slug FROM directory.service JOIN directory.service_type "
        "USING (service_type_id) WHERE closed_at IS NULL AND (is_test OR NOT $1) GROUP BY slug, is_test "
        "ORDER BY is_test, count(*) DESC, slug LIMIT $2) AS most",
        tests_only,
        count,
    )
    return slugs


@state("find-nobody")
async def nobody(window: BrowserWindow) -> None:
    await window.go("/in/pune/lab?gender=female&rating=4.5&fee=5000")


@state("find-misspelt")
async def misspelt(window: BrowserWindow) -> None:
    await window.go("/find?need=dentst")


@state("find-suggestions")
async def suggestions(window: BrowserWindow) -> None:
    await window.go("/")
    await window.page.locator("#need").press_sequentially("hos")
    await window.page.get_by_role("option").first.wait_for()
    await window.page.keyboard.press("ArrowDown")


@state("provider")
async def provider(window: BrowserWindow) -> None:
    await window.go(f"/doctor/{window.product.data.two_clinics_doctor_id}")


@state("provider-lab")
async def lab(window: BrowserWindow) -> None:
    await window.go(f"/doctor/{window.product.data.lab_id}?about")


@state("clinic")
async def clinic(window: BrowserWindow) -> None:
    await window.go("/clinic/1")


@state("clinic-lab")
async def clinic_lab(window: BrowserWindow) -> None:
    clinic_id = await window.product.database.fetch_value(
        "SELECT clinic_id FROM directory.provider_clinic WHERE provider_id = $1", window.product.data.lab_id
    )
    await window.go(f"/clinic/{clinic_id}")


@state("find-map")
async def results_on_a_map(window: BrowserWindow) -> None:
    await window.go("/in/pune?view=map")


@state("find-corrected")
async def corrected(window: BrowserWindow) -> None:
    await window.go("/find?need=dermotologist&place=pune")


@state("find-unknown-place")
async def unknown_place(window: BrowserWindow) -> None:
    await window.go("/find?need=dentist&place=Noida")


@state("find-urgent")
async def for_the_body(window: BrowserWindow) -> None:
    await window.go("/find?need=chest+pain&place=pune")


@state("find-urgent-mind")
async def for_the_mind(window: BrowserWindow) -> None:
    await window.go("/find?need=suicide")


@state("find-kinds")
async def which_kind(window: BrowserWindow) -> None:
    await window.go("/find?need=mri&place=pune")


@state("find-left-out")
async def without_words(window: BrowserWindow) -> None:
    await window.go("/find?need=dentist+xqzv+home+visit&place=pune")


@state("find-map-near")
async def around_on_a_map(window: BrowserWindow) -> None:
    await window.go("/find?need=dentist&near=18.520,73.860&view=map")


@state("find-nothing-at-all")
async def with_ways_on(window: BrowserWindow) -> None:
    await window.go("/find?need=xqzv")
