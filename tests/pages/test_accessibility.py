"""Every page and state by axe-core, and without sideways scroll.

Each is looked at in one half of the looks, the next in the other: all share styles and templates. Here two of three
are left to `make test-long`; `make screenshots` looks at each in every look.
"""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.pages.stage import NARROW, NARROWEST, WIDE, Product, Stage
from tests.pages.states import STATES

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
    async with Stage.open(
        product,
        browser,
        width=WIDE if hindi else NARROW,
        scheme="dark" if hindi else "light",
        language="hi" if hindi else "en",
    ) as stage:
        await STATES[name](stage)
        assert await stage.violations() == []
        for width in (NARROWEST, NARROW, WIDE):
            await stage.page.set_viewport_size({"width": width, "height": 800})
            assert await stage.overflow() == 0
            if width != NARROWEST:
                assert await stage.small_targets() == []
        assert stage.faults == []
