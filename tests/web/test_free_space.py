"""What goes on, and what is refused, while the database's disk fills up; by API and page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from litestar import Litestar

from healthplus.database import FreeSpace, free_space
from healthplus.database.free_space import RETRY_AFTER_SECONDS
from tests.fixtures.disk import Disk, small_disk
from tests.fixtures.environment import AT_CLINIC, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body

LOOK_SECONDS, STEADY_SECONDS = 0.2, 0.6
JOIN = f"providers/{PROVIDER}/waits"


@pytest.fixture
def disk(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The disk that the app believes its database to be on, at which it looks more often than elsewhere."""
    monkeypatch.setattr(free_space, "LOOK_SECONDS", LOOK_SECONDS)
    monkeypatch.setattr(free_space, "STEADY_SECONDS", STEADY_SECONDS)
    with small_disk(100) as disk:
        # Both pools of the app look at the same object.
        vars(app.state.services.database.space).update(vars(FreeSpace(disk.folder, bookings_mib=60, changes_mib=20)))
        yield disk


def window(environment: Environment) -> dict[str, object]:
    return {"clinic_id": AT_CLINIC, "from": environment.at(13), "to": environment.at(16)}


async def fill(disk: Disk, left_mib: float) -> None:
    disk.fill(left_mib)
    await asyncio.sleep(LOOK_SECONDS + 0.1)


async def test_first_what_is_new_is_refused_then_every_change(
    disk: Disk, asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    booked, released = [await hold(client, hold_body(environment, 13, AT_CLINIC), number) for client, number in (
        (asha, PROVIDER), (bina, OTHER_PROVIDER),
    )]  # fmt: skip
    await fill(disk, 40)
    for refused in (
        await asha.post(f"providers/{PROVIDER}/holds", hold_body(environment, 14, AT_CLINIC)),
        await bina.post(JOIN, window(environment)),
    ):
        told = problem(refused, 503, "disk_full")
        assert (told["reason"], refused.headers["retry-after"]) == ("bookings", str(RETRY_AFTER_SECONDS))
    assert "MiB are free" in problem(await anyone.get("ready"), 503, "not_ready")["detail"]
    assert (await anyone.get(f"providers/{PROVIDER}")).status_code == 200
    assert (await asha.post(f"{booked['url']}/payment", PAY)).status_code == 200
    assert (await bina.delete(released["url"])).status_code == 200
    consent = (await anyone.get("consent")).json()["version"]
    code = {"phone": "+919876543210", "consent": consent}
    assert (await anyone.post("codes", code)).json().get("code") != "disk_full"

    await fill(disk, 10)
    appointment = f"providers/{PROVIDER}/appointments/{booked['id']}"
    for refused in (
        await asha.delete(appointment),
        await anyone.post("codes", code),
        await anyone.post("webhooks/payments", {}),
        await bina.post(f"providers/{PROVIDER}/holds", hold_body(environment, 14, AT_CLINIC)),
    ):
        assert problem(refused, 503, "disk_full")["reason"] == "changes"
    assert (await asha.get(appointment)).json()["state"] == "booked"
    assert (await anyone.get("live")).status_code == 200

    disk.empty()
    await asyncio.sleep(2 * LOOK_SECONDS + STEADY_SECONDS)
    await hold(bina, hold_body(environment, 14, AT_CLINIC))
    assert (await asha.delete(appointment)).status_code == 200


@pytest.mark.parametrize(("language", "low", "full"), [
    ("", "Our system is nearly full", "Our system is full"),
    ("/hi", "हमारा सिस्टम लगभग भर गया है", "हमारा सिस्टम भर गया है"),
])  # fmt: skip
async def test_pages_say_so(
    disk: Disk, app: Litestar, environment: Environment, language: str, low: str, full: str
) -> None:
    browser = Browser(app, environment.tokens["asha"])
    path = f"{language}/doctor/{PROVIDER}/dr-1/{AT_CLINIC}?day={environment.at(13)[:10]}"
    for left_mib, text in ((40, low), (10, full)):
        await fill(disk, left_mib)
        refused = await browser.post(path, {"start": environment.at(13)})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, str(RETRY_AFTER_SECONDS)), refused.text
        assert text in refused.text
        assert (await browser.get(f"{language}/appointments")).status_code == 200


async def test_background_writes_pause_while_it_is_full(
    disk: Disk, asha: Client, environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    await hold(asha, hold_body(environment, 13, AT_CLINIC))
    await fill(disk, 10)
    await environment.pass_time(seconds=400)
    expired = "SELECT count(*) FROM booking.event WHERE kind = 'expired'"
    await asyncio.sleep(2)
    assert await environment.db.fetch_value(expired) == 0
    assert [said for said in caplog.messages if "HTTP Request" not in said] == [
        said for said in caplog.messages if "are free on the disk" in said
    ]
    disk.empty()
    async with asyncio.timeout(20):
        while not await environment.db.fetch_value(expired):
            await asyncio.sleep(0.1)


async def test_an_offer_and_its_ticket_can_be_read_while_it_is_full(
    disk: Disk, asha: Client, bina: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC))
    short = {"clinic_id": AT_CLINIC, "from": environment.at(13), "to": environment.at(13, 30)}
    ticket = (await bina.post(JOIN, short)).json()
    assert (await asha.delete(held["url"])).status_code == 200
    await fill(disk, 10)
    read = await bina.get(f"{JOIN}/{ticket['id']}?after={ticket['version']}")
    assert (read.status_code, read.json()["state"]) == (200, "offered")
