"""Every page and state by axe-core, and without sideways scroll.

Each is looked at in one half of the looks, the next in the other: all share styles and templates. Here two of three
are left to `make test-long`; `make screenshots` looks at each in every look.
"""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.pages.states import STATES
from tests.pages.window import NARROW, NARROWEST, WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(number, name, marks=() if number % 3 == 0 else pytest.mark.long)
        for number, name in enumerate(STATES)
    ],
)
async def test_no_violations(product: Product, browser: Browser, number: int, name: str) -> None:
    await product.database.execute("DELETE FROM accounts.challenge")
    hindi = number % 2 == 1
    async with BrowserWindow.open(
        product,
        browser,
        width=WIDE if hindi else NARROW,
        scheme="dark" if hindi else "light",
        language="hi" if hindi else "en",
    ) as window:
        await STATES[name](window)
        assert await window.violations() == []
        for width in (NARROWEST, NARROW, WIDE):
            await window.page.set_viewport_size({"width": width, "height": 800})
            assert await window.overflow() == 0
            if width != NARROWEST:
                assert await window.small_targets() == []
        assert window.faults == []
