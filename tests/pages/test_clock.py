"""That a browser's clock shows what the product's does, wherever that began."""

from __future__ import annotations

import pytest

from tests.fixtures.clock import product_now
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]


async def test_a_devices_clock_is_right(window: BrowserWindow) -> None:
    await window.go("/help")
    shown: list[float] = await window.page.evaluate(
        "[Date.now(), new Date().getTime(), performance.timeOrigin + performance.now(), "
        "Date.parse(document.documentElement.dataset.now)]"
    )
    now = (await product_now(window.product.database)).timestamp()
    assert [abs(milliseconds / 1000 - now) < 10 for milliseconds in shown] == [True] * 4
    assert window.faults == []
