"""Text of twice the usual size on a phone: nothing is cut off, and nothing covers what is read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.pages.charts import a_chart
from tests.pages.states.hold import held
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def large(product: Product, browser: Browser) -> AsyncIterator[BrowserWindow]:
    """A window of a browser whose reader has chosen 32 pixels."""
    kind = browser.browser_type
    path, size = await _path(), "--blink-settings=defaultFontSize=32"
    other = await kind.launch(executable_path=path, args=["--no-sandbox", size])
    async with BrowserWindow.open(product, other) as window:
        yield window
    await other.close()


async def test_pages_are_read_without_scrolling_sideways(large: BrowserWindow) -> None:
    chart = await a_chart(large)
    for path in ("/", "/in/pune", "/find?place=pune&view=map", chart.path(), await held(large)):
        await large.go(path)
        size = "parseFloat(getComputedStyle(document.body).fontSize)"
        assert await large.page.evaluate(size) == 32
        assert await large.overflow() == 0, path
        assert await _covered(large.page) == [], path
