"""That a browser's clock shows what the product's does, wherever that began."""

from __future__ import annotations

import pytest

from tests.fixtures.clock import product_now
from tests.pages.stage import Stage

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]


async def test_a_devices_clock_is_right(stage: Stage) -> None:
    await stage.go("/help")
    shown: list[float] = await stage.page.evaluate(
        "[Date.now(), new Date().getTime(), performance.timeOrigin + performance.now(), "
        "Date.parse(document.documentElement.dataset.now)]"
    )
    now = (await product_now(stage.product.database)).timestamp()
    assert [abs(milliseconds / 1000 - now) < 10 for milliseconds in shown] == [True] * 4
    assert stage.faults == []
