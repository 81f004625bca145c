"""Pictures of every page and state, narrow and wide, light and dark, in English and Hindi.

Each is also looked at by axe-core, and for sideways scroll; so it is as narrow as any, 320 pixels, without a picture.

`make screenshots` runs this, and writes to the folder `screenshots`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.pages.states import STATES
from tests.pages.window import NARROW, NARROWEST, WIDE, BrowserWindow, Product

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.screenshots]

FOLDER = Path(__file__).parents[2] / "screenshots"


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("name", STATES)
async def test_screenshots(product: Product, browser: Browser, name: str, language: str) -> None:
    await product.database.execute("DELETE FROM accounts.challenge")
    async with BrowserWindow.open(product, browser, language=language) as window:
        await STATES[name](window)
        for width in (NARROWEST, NARROW, WIDE):
            await window.page.set_viewport_size({"width": width, "height": 900 if width == WIDE else 780})
            for scheme in ("light", "dark"):
                await window.page.emulate_media(color_scheme=scheme)
                if width != NARROWEST:
                    path = FOLDER / f"{name}-{width}-{scheme}-{language}.png"
                    await window.page.screenshot(path=path, full_page=True)
                assert await window.violations() == []
                assert await window.overflow() == 0
