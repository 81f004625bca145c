"""Each page and state, by axe-core: WCAG 2.2 AA in English and Hindi, light and dark, and no sideways scroll."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.pages.stage import NARROW, WIDE, Product, Stage
from tests.pages.states import STATES

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", STATES)
async def test_no_violations(product: Product, browser: Browser, name: str) -> None:
    await product.database.execute("DELETE FROM people.challenge")
    async with Stage.open(product, browser) as stage:
        await STATES[name](stage)
        assert await stage.violations() == []
        await stage.page.emulate_media(color_scheme="dark")
        assert await stage.violations("color-contrast") == []
        for width in (320, WIDE):
            await stage.page.set_viewport_size({"width": width, "height": 800})
            assert await stage.overflow() == 0
        assert stage.faults == []
    async with Stage.open(product, browser, width=320, language="hi") as stage:
        await STATES[name](stage)
        assert await stage.violations() == []
        assert await stage.overflow() == 0
