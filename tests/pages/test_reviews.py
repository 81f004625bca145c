"""What patients say of a provider, in a browser: written beside the stars, read without a name, and reported."""

from __future__ import annotations

import pytest

from tests.pages.states.appointments import fulfilled
from tests.pages.window import BrowserWindow

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_review_is_written_read_and_reported(window: BrowserWindow) -> None:
    page = window.page
    await fulfilled(window)
    provider_id = int(page.url.split("/")[-2])
    await page.check("#stars-4")
    await page.fill("#review-text", "Explains the tests; <b>kind</b>.")
    await window.press("Send rating")
    await page.wait_for_selector("main [role=status]")
    assert await page.input_value("#review-text") == "Explains the tests; <b>kind</b>."

    await window.go(f"/doctor/{provider_id}?about=1")
    review = page.locator(".review", has_text="<b>kind</b>")
    assert "4 of 5 stars" in await review.inner_text()
    await review.get_by_role("link").click()
    await window.press("Report")
    await page.wait_for_selector("h1:has-text('Thank you')")
    await page.get_by_role("link", name="Back").click()
    assert await page.locator(".review", has_text="kind").count() == 0
