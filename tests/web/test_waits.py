from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.web.conftest import Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, wanted
from tests.web.world import FREE, PROVIDER, World

WAITS = f"providers/{PROVIDER}/waits"


def evening(world: World, **more: Any) -> dict[str, Any]:
    """The third clinic's only slot of the day."""
    return {"clinic_id": FREE, "from": world.at(18), "to": world.at(18, 30), **more}


async def join(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(WAITS, body)
    assert response.status_code == 201, response.text
    wait: dict[str, Any] = response.json()
    assert response.headers["location"] == wait["url"]
    return wait


async def test_the_first_in_the_queue_gets_what_is_released(
    asha: Client, bina: Client, chand: Client, world: World
) -> None:
    held = await hold(asha, wanted(world, 18, FREE))
    first, second = await join(bina, evening(world)), await join(chand, evening(world))
    assert [(wait["state"], wait["position"], wait["offer"]) for wait in (first, second)] == [
        ("waiting", 1, None),
        ("waiting", 2, None),
    ]
    await asha.delete(held["url"])

    offered = (await bina.get(first["url"])).json()
    assert offered["state"] == "offered"
    assert 57 <= offered["offer"]["expires_in"] <= 60
    fetched = await world.database.fetch_value(
        "SELECT fetched_offer_id::text FROM booking.presence WHERE ticket_id = $1", first["id"]
    )
    assert fetched == offered["offer"]["hold_id"]
    shown = (await bina.get(f"providers/{PROVIDER}/holds/{fetched}")).json()
    assert shown["state"] == "offered"
    problem(await bina.post(f"{shown['url']}/payment", PAY), 409, "wrong_state")
    assert (await chand.get(second["url"])).json()["position"] == 1

    accepted = await bina.post(f"{first['url']}/accept", key="accept")
    assert (accepted.status_code, accepted.json()["state"]) == (201, "reserved")
    assert accepted.json()["status_text"] == "Appointment Successful"
    assert 298 <= accepted.json()["expires_in"] <= 300
    again = await bina.post(f"{first['url']}/accept", key="accept")
    assert again.json()["id"] == accepted.json()["id"]
    assert (await bina.get(first["url"])).json()["hold_url"] == accepted.json()["url"]
    assert (await bina.post(f"{accepted.json()['url']}/payment", PAY)).json()["state"] == "booked"
    assert (await chand.get(second["url"])).json()["state"] == "full"
    problem(await chand.post(f"{second['url']}/accept"), 409, "wrong_state")


async def test_another_time_may_be_chosen_instead_of_the_offer(asha: Client, world: World) -> None:
    wait = await join(asha, {"clinic_id": None, "from": world.at(9), "to": world.at(12)})
    assert wait["offer"] is not None
    problem(await asha.post(f"{wait['url']}/accept", {"clinic_id": FREE}), 422, "bad_input")
    problem(await asha.post(f"{wait['url']}/accept", {"start": world.at(9, 10)}), 422, "no_such_slot")
    accepted = await asha.post(f"{wait['url']}/accept", {"start": world.at(18), "clinic_id": FREE})
    assert (accepted.json()["clinic_id"], accepted.json()["funding"]) == (FREE, "free")


async def test_an_offer_seen_and_let_pass_is_over(asha: Client, world: World) -> None:
    wait = await join(asha, evening(world))
    assert wait["state"] == "offered"
    await world.pass_time(seconds=66)
    problem(await asha.post(f"{wait['url']}/accept"), 410, "offer_over")
    assert (await asha.get(wait["url"])).json()["state"] == "lapsed"


async def test_who_comes_back_is_served(asha: Client, bina: Client, world: World) -> None:
    held = await hold(asha, wanted(world, 18, FREE))
    wait = await join(bina, evening(world))
    await world.pass_time(seconds=61)
    await asha.delete(held["url"])
    row = await world.database.fetch_row("SELECT state::text, absent FROM booking.ticket")
    assert row is not None
    assert tuple(row) == ("waiting", True)
    assert (await bina.get(wait["url"])).json()["state"] == "offered"


async def test_waiting_in_vain_is_refused(asha: Client, bina: Client, world: World) -> None:
    held = await hold(asha, wanted(world, 18, FREE))
    await asha.post(f"{held['url']}/payment", PAY)
    counts = await world.counts()
    refused = problem(await bina.post(WAITS, evening(world)), 409, "slot_full")
    assert refused["status_text"] == "Appointment Failed – Slot Full"
    closed = {"clinic_id": FREE, "from": world.at(2), "to": world.at(3)}
    assert problem(await bina.post(WAITS, closed), 422, "no_such_slot")["reason"] == "closed"
    assert await world.counts() == counts


async def test_leaving(asha: Client, bina: Client, chand: Client, world: World) -> None:
    held = await hold(asha, wanted(world, 18, FREE))
    first, second = await join(bina, evening(world)), await join(chand, evening(world))
    problem(await bina.post(WAITS, evening(world)), 409, "claimed")
    await asha.delete(held["url"])
    left = await bina.delete(first["url"])
    assert (left.status_code, left.json()["state"]) == (200, "left")
    assert (await chand.get(second["url"])).json()["state"] == "offered"
    problem(await bina.delete(first["url"]), 409, "wrong_state")


async def test_an_hour_is_the_most_one_waits(asha: Client, bina: Client, world: World) -> None:
    held = await hold(asha, wanted(world, 18, FREE))
    wait = await join(bina, evening(world))
    joined, expires = (datetime.fromisoformat(wait[name]) for name in ("joined_at", "expires_at"))
    assert (expires - joined).total_seconds() == 3600
    await asha.post(f"{held['url']}/move", {"start": world.at(18)})
    await world.pass_time(seconds=3601)
    assert (await bina.get(wait["url"])).json()["state"] in ("timed_out", "lapsed")


async def test_somebody_elses_wait_is_not_there(asha: Client, bina: Client, anyone: Client, world: World) -> None:
    wait = await join(asha, evening(world))
    counts = await world.counts()
    problem(await bina.get(wait["url"]), 404)
    problem(await bina.delete(wait["url"]), 404)
    problem(await bina.post(f"{wait['url']}/accept"), 404)
    problem(await anyone.get(wait["url"]), 401)
    assert await world.counts() == counts
