from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import Any

from litestar import Litestar

from healthplus.waiting.presence import FLUSH_SECONDS
from healthplus.waiting.waiting_users import DRAIN_SIGNAL, POLLS_PER_TICKET_MAX
from tests.fixtures.environment import FREE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body

WAITS = f"providers/{PROVIDER}/waits"


def evening(environment: Environment, **more: Any) -> dict[str, Any]:
    """Return the third clinic's only slot of the day."""
    return {"clinic_id": FREE, "from": environment.at(18), "to": environment.at(18, 30), **more}


async def join(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(WAITS, body)
    assert response.status_code == 201, response.text
    wait: dict[str, Any] = response.json()
    assert response.headers["location"] == wait["url"]
    return wait


async def test_the_first_in_the_queue_gets_what_is_released(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    first, second = await join(bina, evening(environment)), await join(chand, evening(environment))
    assert [(wait["state"], wait["position"], wait["offer"]) for wait in (first, second)] == [
        ("waiting", 1, None),
        ("waiting", 2, None),
    ]
    await asha.delete(held["url"])

    offered = (await bina.get(first["url"])).json()
    assert offered["state"] == "offered"
    assert 57 <= offered["offer"]["expires_in"] <= 60
    fetched = await environment.db.fetch_value(
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


async def test_another_time_may_be_chosen_instead_of_the_offer(asha: Client, environment: Environment) -> None:
    wait = await join(asha, {"clinic_id": None, "from": environment.at(9), "to": environment.at(12)})
    assert wait["offer"] is not None
    problem(await asha.post(f"{wait['url']}/accept", {"clinic_id": FREE}), 422, "bad_input")
    problem(await asha.post(f"{wait['url']}/accept", {"start": environment.at(9, 10)}), 422, "no_such_slot")
    accepted = await asha.post(f"{wait['url']}/accept", {"start": environment.at(18), "clinic_id": FREE})
    assert (accepted.json()["clinic_id"], accepted.json()["funding"]) == (FREE, "free")


async def test_an_offer_seen_and_let_pass_is_over(asha: Client, environment: Environment) -> None:
    wait = await join(asha, evening(environment))
    assert wait["state"] == "offered"
    await environment.pass_time(seconds=66)
    problem(await asha.post(f"{wait['url']}/accept"), 410, "offer_over")
    assert (await asha.get(wait["url"])).json()["state"] == "lapsed"


async def test_who_comes_back_is_served(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    await environment.pass_time(seconds=61)
    await asha.delete(held["url"])
    row = await environment.db.fetch_row("SELECT state::text, absent FROM booking.ticket")
    assert row is not None
    assert tuple(row) == ("waiting", True)
    assert (await bina.get(wait["url"])).json()["state"] == "offered"


async def test_waiting_in_vain_is_refused(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    await asha.post(f"{held['url']}/payment", PAY)
    counts = await environment.counts()
    refused = problem(await bina.post(WAITS, evening(environment)), 409, "slot_full")
    assert refused["status_text"] == "Appointment Failed – Slot Full"
    closed = {"clinic_id": FREE, "from": environment.at(2), "to": environment.at(3)}
    assert problem(await bina.post(WAITS, closed), 422, "no_such_slot")["reason"] == "closed"
    assert await environment.counts() == counts


async def test_leaving(asha: Client, bina: Client, chand: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    first, second = await join(bina, evening(environment)), await join(chand, evening(environment))
    problem(await bina.post(WAITS, evening(environment)), 409, "claimed")
    await asha.delete(held["url"])
    left = await bina.delete(first["url"])
    assert (left.status_code, left.json()["state"]) == (200, "left")
    assert (await chand.get(second["url"])).json()["state"] == "offered"
    problem(await bina.delete(first["url"]), 409, "wrong_state")


async def test_an_hour_is_the_most_one_waits(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    joined, expires = (datetime.fromisoformat(wait[name]) for name in ("joined_at", "expires_at"))
    assert (expires - joined).total_seconds() == 3600
    await asha.post(f"{held['url']}/move", {"start": environment.at(18)})
    await environment.pass_time(seconds=3601)
    assert (await bina.get(wait["url"])).json()["state"] in ("timed_out", "lapsed")


async def test_somebody_elses_wait_is_not_there(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    wait = await join(asha, evening(environment))
    counts = await environment.counts()
    problem(await bina.get(wait["url"]), 404)
    problem(await bina.delete(wait["url"]), 404)
    problem(await bina.post(f"{wait['url']}/accept"), 404)
    problem(await anyone.get(wait["url"]), 401)
    assert await environment.counts() == counts


async def test_a_poll_is_answered_when_there_is_an_update(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    assert (wait["position"], wait["holds_ahead"]) == (1, 1)
    assert wait["next_lapse_at"] is not None
    poll = asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]}))
    assert not (await asyncio.wait([poll], timeout=0.5))[0]
    await asha.delete(held["url"])
    async with asyncio.timeout(2):
        offered = (await poll).json()
    assert offered["state"] == "offered"
    assert offered["version"] != wait["version"]


async def test_an_update_that_came_between_two_polls_is_told_at_once(
    asha: Client, bina: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    await asha.delete(held["url"])
    async with asyncio.timeout(2):
        assert (await bina.get(wait["url"], params={"after": wait["version"]})).json()["state"] == "offered"


async def test_everyone_is_told_that_all_is_booked(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    waits = [(client, await join(client, evening(environment))) for client in (bina, chand)]
    polls = [asyncio.create_task(client.get(w["url"], params={"after": w["version"]})) for client, w in waits]
    await asyncio.sleep(0.3)
    await asha.post(f"{held['url']}/payment", PAY)
    async with asyncio.timeout(2):
        assert [(await poll).json()["state"] for poll in polls] == ["full", "full"]


async def test_what_is_said_of_the_holds_ahead_follows_them(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    morning = {"clinic_id": 1, "from": environment.at(9), "to": environment.at(10)}
    await hold(asha, hold_body(environment, 9, 1))
    other = await hold(chand, hold_body(environment, 9, 1) | {"start": environment.at(9, 30)})
    wait = await join(bina, morning)
    assert wait["holds_ahead"] == 2
    poll = asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]}))
    await asyncio.sleep(0.2)
    await chand.post(f"{other['url']}/payment", PAY)
    async with asyncio.timeout(4):
        assert (await poll).json()["holds_ahead"] == 1


async def test_a_draining_process_sends_its_pollers_elsewhere(
    app: Litestar, asha: Client, bina: Client, environment: Environment
) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    polls = [asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]})) for _ in range(2)]
    await asyncio.sleep(0.2)
    os.kill(os.getpid(), DRAIN_SIGNAL)
    async with asyncio.timeout(2):
        for poll in polls:
            answer = await poll
            assert (answer.json()["reconnect"], answer.json()["state"]) == (True, "waiting")
            assert answer.headers["connection"] == "close"
    assert (await bina.get(wait["url"], params={"after": wait["version"]})).json()["reconnect"] is True


async def test_the_oldest_of_many_polls_of_one_ticket_gives_way(
    asha: Client, bina: Client, environment: Environment
) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    polls = []
    for _ in range(POLLS_PER_TICKET_MAX + 1):
        polls.append(asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]})))
        await asyncio.sleep(0.1)
    done, waiting = await asyncio.wait(polls, timeout=0.5)
    assert done == {polls[0]}
    for poll in waiting:
        poll.cancel()


async def test_somebody_elses_wait_cannot_be_polled(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    poll = asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]}))
    await asyncio.sleep(0.2)
    for path in (wait["url"], f"waits/{wait['id']}"):
        problem(await chand.get(path, params={"after": wait["version"]}), 404)
    problem(await bina.get(wait["url"], params={"after": "x" * 65}), 400)
    poll.cancel()


async def test_my_wait_is_found_without_its_provider(asha: Client, bina: Client, environment: Environment) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    assert (await bina.get("waits")).json() == [wait]
    assert (await bina.get(f"waits/{wait['id']}")).json() == wait
    assert (await asha.get("waits")).json() == []
    await bina.delete(wait["url"])
    assert (await bina.get("waits")).json() == []
    assert (await bina.get(f"waits/{wait['id']}")).json()["state"] == "left"


async def test_who_polls_is_present(asha: Client, bina: Client, app: Litestar, environment: Environment) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    await environment.pass_time(seconds=50)
    poll = asyncio.create_task(bina.get(wait["url"], params={"after": wait["version"]}))
    await asyncio.sleep(FLUSH_SECONDS + 0.5)
    poll.cancel()
    await environment.pass_time(seconds=40)
    assert await environment.db.fetch_value("SELECT booking.is_present(ticket, app_now()) FROM booking.ticket")


async def called(environment: Environment, asha: Client, *others: Client) -> list[dict[str, Any]]:
    """Have others wait for what asha holds, and be called for it; return what they then read."""
    held = await hold(asha, hold_body(environment, 18, FREE))
    waits = [await join(client, evening(environment)) for client in others]
    await environment.let_turns_go()
    await asha.delete(held["url"])
    return [(await client.get(wait["url"])).json() for client, wait in zip(others, waits, strict=True)]


async def test_of_those_who_are_called_the_first_who_answers_has_it(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    first, second = await called(environment, asha, bina, chand)
    assert [(wait["state"], wait["offer"], wait["position"]) for wait in (first, second)] == [
        ("called", None, None)
    ] * 2
    call = first["call"]
    assert (call["called"], call["answered"], call["start"]) == (2, False, first["from"])
    assert 57 <= call["expires_in"] <= 60
    problem(await chand.post(f"{second['url']}/accept"), 409, "wrong_state")

    answered = await chand.post(f"{second['url']}/answer", key="mine")
    assert (answered.status_code, answered.json()["state"]) == (200, "called")
    assert answered.json()["call"]["answered"] is True
    assert answered.json()["version"] != second["version"]
    poll = asyncio.create_task(chand.get(second["url"], params={"after": answered.json()["version"]}))
    got = (await bina.post(f"{first['url']}/answer")).json()
    assert got["state"] == "accepted"
    async with asyncio.timeout(3):
        outrun = (await poll).json()
    assert (outrun["state"], outrun["position"], outrun["number"]) == ("waiting", 1, second["number"])
    problem(await chand.post(f"{second['url']}/answer"), 409, "wrong_state")
    assert (await bina.post(f"{got['hold_url']}/payment", PAY)).json()["state"] == "booked"


async def test_who_answered_has_it_once_the_time_is_over(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    first, second = await called(environment, asha, bina, chand)
    await chand.post(f"{second['url']}/answer")
    await environment.pass_time(seconds=66)
    got = (await chand.get(second["url"])).json()
    assert got["state"] == "accepted"
    assert (await bina.get(first["url"])).json()["state"] == "lapsed"
    problem(await bina.post(f"{first['url']}/answer"), 410, "offer_over")
    # The claim still names the ticket, as another verb settled the call; it is that hold all the same.
    refused = await chand.post(f"providers/{PROVIDER}/holds", hold_body(environment, 9, 1))
    assert problem(refused, 409, "claimed")["yours"] == got["hold_url"]


async def test_a_page_that_is_hidden_has_not_seen_a_call(
    asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    first, second = await join(bina, evening(environment)), await join(chand, evening(environment))
    await environment.let_turns_go()
    await asha.delete(held["url"])
    unseen = (await bina.get(first["url"], params={"seen": "false"})).json()
    assert unseen["state"] == "called"
    again = asyncio.create_task(bina.get(first["url"], params={"seen": "false", "after": unseen["version"]}))
    await chand.get(second["url"])
    await asyncio.sleep(0.2)
    again.cancel()
    await environment.pass_time(seconds=66)
    assert (await bina.get(first["url"])).json()["state"] in ("waiting", "offered")
    assert (await chand.get(second["url"])).json()["state"] == "lapsed"


async def test_after_two_turns_let_go_one_may_not_queue_there_until_tomorrow(
    asha: Client, bina: Client, environment: Environment
) -> None:
    for _ in range(2):
        held = await hold(asha, hold_body(environment, 18, FREE))
        wait = await join(bina, evening(environment))
        await asha.delete(held["url"])
        assert (await bina.delete(wait["url"])).json()["state"] == "left"
    await hold(asha, hold_body(environment, 18, FREE))
    refused = await bina.post(WAITS, evening(environment))
    told = problem(refused, 429, "turns_used")
    assert 86_300 < int(refused.headers["retry-after"]) <= 86_400
    assert datetime.fromisoformat(told["retry_at"]) > await environment.now()
    other = await bina.post(f"providers/{OTHER_PROVIDER}/waits", evening(environment))
    assert other.json()["state"] == "offered"  # other queues are open
    await bina.delete(other.json()["url"])
    await environment.pass_time(hours=24)
    await asha.post(f"providers/{PROVIDER}/holds", hold_body(environment, 18, FREE))
    assert (await bina.post(WAITS, evening(environment))).status_code == 201
