"""That a reader whose clock is not the clinic's is told the clinic's zone, and nobody else."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _zone(window: BrowserWindow) -> Locator:
    return window.page.locator(".page .zone").first


async def test_who_shares_the_clinics_clock_sees_no_zone(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, zone="Asia/Colombo") as window:
        await window.go(f"/doctor/{product.data.two_clinics_doctor_id}")
        await expect(_zone(window)).to_be_hidden()
        assert await window.context.cookies() == []


async def test_who_is_elsewhere_sees_it_from_then_on(product: Product, browser: Browser) -> None:
    path = f"/doctor/{product.data.two_clinics_doctor_id}"
    async with BrowserWindow.open(product, browser, zone="Europe/London") as window:
        await window.go(path)
        await expect(_zone(window)).to_be_visible()
        await expect(_zone(window)).to_contain_text("IST")
        [cookie] = await window.context.cookies()
        assert (cookie["name"], cookie["value"]) == ("elsewhere", "1")
        answer = await window.go(path)
        assert answer
        assert " data-elsewhere" in await answer.text()
    async with BrowserWindow.open(product, browser, zone="Europe/London", scripts=False) as window:
        await window.go(path)
        await expect(_zone(window)).to_be_hidden()
        await window.context.add_cookies([{"name": "elsewhere", "value": "1", "url": product.url}])
        await window.go(path)
        await expect(_zone(window)).to_be_visible()


async def test_who_comes_home_sees_it_no_more(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser) as window:
        await window.context.add_cookies([{"name": "elsewhere", "value": "1", "url": product.url}])
        await window.go(f"/doctor/{product.data.two_clinics_doctor_id}")
        await expect(_zone(window)).to_be_hidden()
        assert await window.context.cookies() == []
