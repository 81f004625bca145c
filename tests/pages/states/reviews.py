from __future__ import annotations

from tests.pages.states import state
from tests.pages.states.appointments import fulfilled
from tests.pages.window import BrowserWindow

_MOST = "SELECT provider_id FROM reviews.review GROUP BY provider_id ORDER BY count(*) DESC, provider_id LIMIT 1"


async def reviewed(window: BrowserWindow) -> int:
    """Return the provider of whom most is written."""
    found: int = await window.product.database.fetch_value(_MOST)
    return found


@state("reviews")
async def reviews(window: BrowserWindow) -> None:
    await window.go(f"/doctor/{await reviewed(window)}?about=1#reviews")


@state("review-report")
async def report(window: BrowserWindow) -> None:
    await window.patient()
    await window.go(f"/doctor/{await reviewed(window)}?about=1")
    await window.page.locator(".review a").first.click()
    await window.page.wait_for_selector("blockquote")


@state("review-reported")
async def reported(window: BrowserWindow) -> None:
    await report(window)
    await window.press("Report")
    await window.page.get_by_role("heading", level=1, name=window.said("Thank you")).wait_for()


@state("visit-reviewed")
async def written(window: BrowserWindow) -> None:
    """Have somebody write of their visit, and have that hidden."""
    await fulfilled(window)
    await window.page.check("#stars-2")
    await window.page.fill("#review-text", "Waited two hours, and nobody said why. " * 5)
    await window.press("Send rating")
    await window.page.wait_for_selector("main [role=status]")
    await window.product.database.execute(
        "UPDATE reviews.review SET state = 'hidden' WHERE text LIKE 'Waited two%why. W%'"
    )
    await window.page.reload()
