"""What a chart shows while others book: who watches it is told, and it is worked out once for all."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from litestar import Litestar

from healthplus.booking.book import Book
from healthplus.errors import DatabaseUnreachable
from healthplus.waiting.waiting_users import DRAIN_SIGNAL
from healthplus.web.shared_charts import ChartKey, Charts
from tests.fixtures.environment import ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser
from tests.web.test_booking_pages import CHART, PROMPTLY_SECONDS, day_of, hold


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


@pytest.fixture
def bina(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["bina"])


@pytest.mark.dates
async def test_updates_of_a_chart_come_when_there_are_some(
    environment: Environment, asha: Browser, bina: Browser
) -> None:
    path = f"{CHART}/news?day={day_of(environment)}"
    first: dict[str, Any] = (await bina.get(path)).json()
    assert first["cells"] == ["free"] * 6
    asking = asyncio.create_task(bina.get(f"{path}&after={first['version']}"))
    await asyncio.sleep(0.2)
    assert not asking.done()
    await hold(asha, environment, 10)
    async with asyncio.timeout(PROMPTLY_SECONDS):
        answer = await asking
    news: dict[str, Any] = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (news["cells"], news["free"], news["shape"]) == (
        ["free", "free", "held", "free", "free", "free"],
        [5],
        first["shape"],
    )
    assert datetime.fromisoformat(news["held_until"][2]) > environment.day - timedelta(days=3)
    # To its owner it is their own.
    assert (await asha.get(path)).json()["cells"][2] == "mine"


@pytest.mark.dates
async def test_a_change_without_a_message_is_found(environment: Environment, bina: Browser) -> None:
    path = f"{CHART}/news?day={day_of(environment)}"
    version = (await bina.get(path)).json()["version"]
    asking = asyncio.create_task(bina.get(f"{path}&after={version}"))
    await asyncio.sleep(0.1)
    start = environment.instant(9)
    # Of another process, whose hints are lost.
    await environment.hold(start, name="chand")
    async with asyncio.timeout(PROMPTLY_SECONDS):
        assert (await asking).json()["cells"][0] == "held"


async def test_a_leave_that_cuts_slots_closes_them_in_the_chart_and_in_its_week(environment: Environment) -> None:
    day = (environment.day + timedelta(hours=6)).date()
    leave = [datetime.fromisoformat(environment.at(9, minute)) for minute in (10, 50)]
    await environment.db.execute(
        "INSERT INTO schedule.leave (provider_id, during) VALUES ($1, tstzrange($2, $3))", PROVIDER, *leave
    )
    charts = Charts(environment.db, Book(environment.db))
    chart = await charts.chart(ChartKey(PROVIDER, ONLINE, day, day, 1, "Asia/Kolkata"))
    assert chart.slots[0]["starts_at"] == datetime.fromisoformat(environment.at(10))
    assert chart.week[day] == 4


async def test_a_chart_is_worked_out_once_for_all_who_look(environment: Environment) -> None:
    reads = 0

    class Counting(Book):
        async def chart(self, *args: Any) -> Any:
            nonlocal reads
            reads += 1
            return await super().chart(*args)

    book = Counting(environment.db)
    charts = Charts(environment.db, book)
    day = (environment.day + timedelta(hours=6)).date()
    key = ChartKey(PROVIDER, ONLINE, day, day, 1, "Asia/Kolkata")
    many = await asyncio.gather(*(charts.chart(key) for _ in range(50)))
    assert reads == 1
    assert all(chart is many[0] for chart in many)
    await environment.hold(many[0].slots[0]["starts_at"])
    changed = await charts.chart(key)
    assert (reads, changed.slots[0]["state"], changed.week[day]) == (2, "held", 5)
    # Another provider's book is no reason to look again.
    await environment.hold(many[0].slots[0]["starts_at"], name="bina", provider_id=OTHER_PROVIDER)
    assert await charts.chart(key) is changed


async def test_many_changes_wake_who_watch_once_a_second(environment: Environment) -> None:
    charts = Charts(environment.db, environment.book)
    looks = 0

    async def look() -> int | None:
        nonlocal looks
        looks += 1
        return looks if looks == 4 else None

    watching = asyncio.create_task(charts.wait_for_update(PROVIDER, look))
    for _ in range(60):
        await asyncio.sleep(0.02)
        charts.on_change([PROVIDER])
    # As it began, at the first of the changes, and a second later.
    assert looks == 3
    async with asyncio.timeout(PROMPTLY_SECONDS):
        assert await watching == 4


async def test_who_watches_is_let_go_when_the_process_is_to_end(environment: Environment, asha: Browser) -> None:
    held = await hold(asha, environment)
    path = f"{CHART}/news?day={day_of(environment)}"
    version = (await asha.get(path)).json()["version"]
    paths = (f"{path}&after={version}", f"{held}/news?after=reserved")
    watching = [asyncio.create_task(asha.get(path)) for path in paths]
    await asyncio.sleep(0.2)
    os.kill(os.getpid(), DRAIN_SIGNAL)
    async with asyncio.timeout(PROMPTLY_SECONDS):
        answers = await asyncio.gather(*watching, *(asha.get(path) for path in paths))
    # To ask another process next: over this connection it would be this one again.
    assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(204, "close")] * 4


async def test_a_chart_that_could_not_be_read_is_read_again(environment: Environment) -> None:
    class Failing(Book):
        fails = True

        async def chart(self, *args: Any) -> Any:
            if self.fails:
                raise DatabaseUnreachable
            return await super().chart(*args)

    book = Failing(environment.db)
    charts = Charts(environment.db, book)
    day = (environment.day + timedelta(hours=6)).date()
    key = ChartKey(PROVIDER, ONLINE, day, day, 1, "Asia/Kolkata")
    failed = await asyncio.gather(*(charts.chart(key) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [DatabaseUnreachable] * 3
    book.fails = False
    assert len((await charts.chart(key)).slots) == 6
