from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus.booking.book import Book
from tests.fixtures.clock import freeze_clock, set_clock
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import HOLDS, PAY, hold, hold_body

SLOTS = f"providers/{PROVIDER}/slots"


def morning(environment: Environment, **more: Any) -> dict[str, Any]:
    return {"from": environment.at(9), "to": environment.at(12), **more}


@pytest.mark.dates
async def test_free_held_booked_and_mine_are_told_apart(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    child = await environment.person("asha")
    booked = await environment.hold(environment.instant(9), person_id=child)
    assert booked.booking_id
    await asha.post(f"{HOLDS}/{booked.booking_id}/payment", PAY)
    held = await hold(asha, hold_body(environment, 10))
    shown = (await bina.get(SLOTS, params=morning(environment))).json()
    assert shown["provider_id"] == PROVIDER
    states = [slot["state"] for slot in shown["slots"]]
    assert states == ["booked", "free", "held", "free", "free", "free"]
    assert shown["slots"][2]["held_until"] == held["expires_at"]
    assert {slot["clinic_id"] for slot in shown["slots"]} == {ONLINE}
    mine = (await asha.get(SLOTS, params=morning(environment))).json()["slots"]
    assert [slot["state"] for slot in mine] == ["mine", "free", "mine", "free", "free", "free"]
    assert (await anyone.get(SLOTS, params=morning(environment))).json() == shown
    three = (await bina.get(SLOTS, params=morning(environment, slots_needed=3))).json()["slots"]
    assert [slot["fits"] for slot in three] == [False, False, False, True, False, False]


@pytest.mark.dates
async def test_without_a_window_it_is_the_day_from_now(anyone: Client, environment: Environment) -> None:
    # From midnight: within a clinic's notice, its one time of today is over, and tomorrow's is not yet in.
    await environment.pass_until(environment.instant(0))
    shown = (await anyone.get(SLOTS)).json()
    begins, ends = (datetime.fromisoformat(shown[name]) for name in ("from", "to"))
    assert (ends - begins).total_seconds() == 24 * 3600
    assert {slot["clinic_id"] for slot in shown["slots"]} == {ONLINE, AT_CLINIC, FREE}
    only = (await anyone.get(SLOTS, params={"clinic_id": FREE})).json()
    assert [slot["clinic_id"] for slot in only["slots"]] == [FREE]


async def test_an_unchanged_chart_is_not_computed_again(
    asha: Client, bina: Client, anyone: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chart(*_: object) -> None:
        raise AssertionError("computed")

    await freeze_clock(environment.db)  # with each minute that begins, slots may go out of reach
    first = await asha.get(SLOTS, params=morning(environment))
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Authorization"
    etag = first.headers["etag"]
    with monkeypatch.context() as patch:
        patch.setattr(Book, "chart", chart)
        for tags in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await asha.get(SLOTS, params=morning(environment), headers={"If-None-Match": tags})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert again.headers["vary"] == "Authorization"
    others = [
        await anyone.get(SLOTS, params=morning(environment), headers={"If-None-Match": etag}),
        await asha.get(SLOTS, params=morning(environment, slots_needed=2), headers={"If-None-Match": etag}),
    ]
    await hold(bina, hold_body(environment))
    others.append(await asha.get(SLOTS, params=morning(environment), headers={"If-None-Match": etag}))
    held = others[-1].headers["etag"]
    await set_clock(environment.db, await environment.now() + timedelta(seconds=306))
    others.append(await asha.get(SLOTS, params=morning(environment), headers={"If-None-Match": held}))
    assert [other.status_code for other in others] == [200] * 4
    assert others[-1].json()["slots"][0]["state"] == "free"


_BAD_WINDOWS = [
    ({"from": "2026-11-23T10:00:00"}, 422),
    ({"from": "0001-01-01T00:00:00+14:00"}, 422),
    ({"to": "9999-12-31T23:59:59-14:00"}, 422),
    ({"from": "1e400"}, 400),
    ({"from": "tomorrow"}, 400),
    ({"from": "-99999999999999"}, 400),
    ({"from": "\x00"}, 400),
    ({"from": "2026-11-23T10:00:00Z", "to": "2026-11-23T10:00:00Z"}, 422),
    ({"from": "2026-11-23T10:00:00Z", "to": "2026-12-25T10:00:00Z"}, 422),
    ({"slots_needed": "0"}, 400),
    ({"slots_needed": "100"}, 400),
    ({"slots_needed": "1e400"}, 400),
    ({"clinic_id": "-1"}, 400),
    ({"clinic_id": str(2**63)}, 400),
]


async def test_bad_windows_are_problems(anyone: Client) -> None:
    for query, status in _BAD_WINDOWS:
        problem(await anyone.get(SLOTS, params=query), status)


async def test_nobodys_chart(anyone: Client, environment: Environment) -> None:
    problem(await anyone.get("providers/99/slots"), 404)
    assert (await anyone.get(SLOTS, params={"from": environment.at(2), "to": environment.at(3)})).json()["slots"] == []


async def test_a_bad_token_is_not_taken_for_nobody(http: httpx.AsyncClient, app: Litestar) -> None:
    for header in ("Bearer nonsense", "Bearer", "Basic eDp5", "Bearer " + "x" * 5000, "Bearer \xff"):
        response = await http.get(f"/api/v1/{SLOTS}", headers={b"Authorization": header.encode("latin-1")})
        problem(response, 401, "unauthenticated")
