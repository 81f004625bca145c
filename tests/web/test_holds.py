from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Client
from tests.web.problem import problem

HOLDS = f"providers/{PROVIDER}/holds"
PAY = {"method": "sandbox-ok"}
FULL = "Appointment Failed – Slot Full"
RETRY = "Appointment Failed – Retry, as other users are holding reserved slots"


def hold_body(environment: Environment, hour: int = 9, clinic_id: int = ONLINE, **more: Any) -> dict[str, Any]:
    return {"clinic_id": clinic_id, "start": environment.at(hour), **more}


async def hold(client: Client, body: dict[str, Any], provider_id: int = PROVIDER) -> dict[str, Any]:
    response = await client.post(f"providers/{provider_id}/holds", body)
    assert response.status_code == 201, response.text
    held: dict[str, Any] = response.json()
    return held


async def test_a_hold_says_what_is_held_and_how_long(asha: Client, environment: Environment) -> None:
    response = await asha.post(HOLDS, hold_body(environment, slots_needed=2))
    assert response.status_code == 201
    held = response.json()
    assert response.headers["location"] == held["url"] == f"/api/v1/{HOLDS}/{held['id']}"
    assert (held["state"], held["status_text"]) == ("reserved", "Appointment Successful")
    assert (held["fee_paise"], held["funding"], held["slots_needed"]) == (50000, "online", 2)
    assert datetime.fromisoformat(held["start"]) == environment.instant(9)
    assert datetime.fromisoformat(held["end"]) == environment.instant(10)
    assert 298 <= held["expires_in"] <= 300
    deadline = await environment.db.fetch_value("SELECT deadline FROM booking.booking")
    assert (deadline - datetime.fromisoformat(held["expires_at"])).total_seconds() == 5
    assert (await asha.get(held["url"])).json()["state"] == "reserved"


async def test_a_held_slot_is_refused_in_the_briefs_words(asha: Client, bina: Client, environment: Environment) -> None:
    await hold(asha, hold_body(environment))
    refused = problem(await bina.post(HOLDS, hold_body(environment)), 409, "slot_held")
    assert (refused["status_text"], refused["can_wait"]) == (RETRY, True)
    assert datetime.fromisoformat(refused["alternatives"][0]) == environment.instant(9, 30)


async def test_a_booked_slot_is_refused_in_the_briefs_words(
    asha: Client, bina: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    assert (await asha.post(f"{held['url']}/payment", PAY)).status_code == 200
    refused = problem(await bina.post(HOLDS, hold_body(environment, 18, FREE)), 409, "slot_full")
    assert (refused["status_text"], refused["can_wait"]) == (FULL, False)
    assert isinstance(refused["alternatives"], list)


@pytest.mark.parametrize(("clinic_id", "hour"), [(ONLINE, 9), (AT_CLINIC, 13), (FREE, 18)])
async def test_paying_books(asha: Client, environment: Environment, clinic_id: int, hour: int) -> None:
    held = await hold(asha, hold_body(environment, hour, clinic_id))
    response = await asha.post(f"{held['url']}/payment", PAY)
    booked = response.json()
    assert (response.status_code, booked["state"], booked["status_text"]) == (200, "booked", "Appointment Successful")
    assert "expires_at" not in booked
    assert booked["url"] == f"/api/v1/providers/{PROVIDER}/appointments/{held['id']}"
    payments = await environment.db.fetch_value("SELECT count(*) FROM ledger.payment")
    assert payments == (clinic_id == ONLINE)


async def test_a_declined_payment_leaves_the_hold(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    counts = await environment.counts()
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-declined"}), 402, "payment_declined")
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-unreachable"}), 503, "payment_unavailable")
    problem(await asha.post(f"{held['url']}/payment", {"method": "gold"}), 422, "bad_input")
    assert await environment.counts() == counts
    assert (await asha.post(f"{held['url']}/payment", PAY)).json()["state"] == "booked"


async def test_an_expired_hold_is_gone_before_money_moves(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    await environment.pass_time(seconds=305.1)
    gone = problem(await asha.post(f"{held['url']}/payment", PAY), 410, "expired")
    assert "reservation has expired" in gone["detail"]
    assert (await environment.counts())["ledger.payment"] == 0
    problem(await asha.get(held["url"]), 410, "expired")
    problem(await asha.delete(held["url"]), 410, "expired")
    problem(await asha.post(f"{held['url']}/move", {"start": environment.at(10)}), 410, "expired")


async def test_the_server_grants_more_than_it_shows(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    await environment.pass_time(seconds=302)
    assert (await asha.post(f"{held['url']}/payment", PAY)).json()["state"] == "booked"


async def test_releasing_frees(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    response = await asha.delete(held["url"])
    assert (response.status_code, response.json()["state"]) == (200, "released")
    assert "status_text" not in response.json()
    problem(await asha.delete(held["url"]), 409, "wrong_state")
    problem(await asha.post(f"{held['url']}/payment", PAY), 409, "wrong_state")
    await hold(bina, hold_body(environment))


async def test_moving_a_hold(asha: Client, bina: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    await hold(bina, hold_body(environment, 11))
    moved = (await asha.post(f"{held['url']}/move", {"start": environment.at(10)})).json()
    assert (moved["id"], moved["state"]) == (held["id"], "reserved")
    assert datetime.fromisoformat(moved["start"]) == environment.instant(10)
    assert moved["expires_at"] == held["expires_at"]
    problem(await asha.post(f"{held['url']}/move", {"start": environment.at(11)}), 409, "slot_held")


async def test_one_hold_a_patient(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    for provider_id in (PROVIDER, OTHER_PROVIDER):
        refused = problem(await asha.post(f"providers/{provider_id}/holds", hold_body(environment, 10)), 409, "claimed")
        assert refused["yours"] == held["url"]


async def test_one_key_is_one_way_to_pay(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    paid = await asha.post(f"{held['url']}/payment", {"method": "sandbox-ok"}, key="pay")
    assert paid.json()["state"] == "booked"
    problem(await asha.post(f"{held['url']}/payment", {"method": "sandbox-declined"}, key="pay"), 422, "key_reused")


async def test_three_lapses_are_enough_for_a_day(asha: Client, environment: Environment) -> None:
    for hour in (9, 10, 11):
        await hold(asha, hold_body(environment, hour))
        await environment.pass_time(seconds=306)
    problem(await asha.post(HOLDS, hold_body(environment)), 429, "lapses")


async def test_somebody_elses_hold_is_not_there(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment))
    counts = await environment.counts()
    problem(await bina.get(held["url"]), 404, "not_found")
    problem(await bina.delete(held["url"]), 404, "not_found")
    problem(await bina.post(f"{held['url']}/payment", PAY), 404, "not_found")
    problem(await bina.post(f"{held['url']}/move", {"start": environment.at(10)}), 404, "not_found")
    problem(await asha.get(held["url"].replace(f"/{PROVIDER}/", f"/{OTHER_PROVIDER}/")), 404, "not_found")
    for response in (await anyone.get(held["url"]), await anyone.post(HOLDS, hold_body(environment))):
        problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
    assert await environment.counts() == counts


async def test_a_repeat_gives_the_first_result(asha: Client, environment: Environment) -> None:
    first = await asha.post(HOLDS, hold_body(environment), key="one")
    counts = await environment.counts()
    again = await asha.post(HOLDS, hold_body(environment), key="one")
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    problem(await asha.post(HOLDS, hold_body(environment, 10), key="one"), 422, "key_reused")
    assert await environment.counts() == counts

    url = first.json()["url"]
    paid = [await asha.post(f"{url}/payment", PAY, key="two") for _ in range(2)]
    assert [response.json()["state"] for response in paid] == ["booked", "booked"]
    assert (await asha.post(f"{url}/payment", PAY, key="three")).json()["id"] == first.json()["id"]
    assert (await environment.counts())["ledger.payment"] == 1
    assert await environment.db.fetch_value("SELECT due::text FROM ledger.payment") in ("capture", None)


async def test_two_payments_at_once_set_money_aside_once(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    answers = await asyncio.gather(*(asha.post(f"{held['url']}/payment", PAY) for _ in range(4)))
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(200, held["id"])}
    rows = await environment.db.fetch("SELECT due::text, state::text FROM ledger.payment")
    assert [tuple(row) for row in rows] in ([("capture", "authorised")], [(None, "captured")])


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"start": "2020-01-01T10:00:00Z"}, 422, "past"),
        ({"start": "2199-01-01T10:00:00Z"}, 422, "beyond_horizon"),
        ({"minute": 10}, 422, "off_grid"),
        ({"hour": 12}, 422, "closed"),
        ({"slots_needed": 5}, 422, "slots_needed"),
        ({"hour": 11, "slots_needed": 4}, 422, "closed"),
        ({"clinic_id": 99}, 404, "no_such_clinic"),
        ({"provider_id": 99}, 404, "no_such_provider"),
    ],
)
async def test_what_is_no_slot_is_said(
    asha: Client, environment: Environment, change: dict[str, Any], status: int, reason: str
) -> None:
    start = environment.at(change.pop("hour", 9), change.pop("minute", 0))
    provider_id = change.pop("provider_id", PROVIDER)
    counts = await environment.counts()
    body = {"clinic_id": ONLINE, "start": start, **change}
    assert problem(await asha.post(f"providers/{provider_id}/holds", body), status)["reason"] == reason
    assert await environment.counts() == counts


async def test_a_hold_names_what_it_replaces(asha: Client, environment: Environment) -> None:
    old = await hold(asha, hold_body(environment, 13, AT_CLINIC))
    assert "instead_of" not in old
    booked = (await asha.post(f"{old['url']}/payment", PAY)).json()
    assert "instead_of" not in booked
    instead_of = {"provider_id": PROVIDER, "id": booked["id"]}
    new = await hold(asha, hold_body(environment, 13, AT_CLINIC, instead_of=instead_of), OTHER_PROVIDER)
    costs = {"kept_minor": 0, "returned_minor": 0, "until": booked["start"]}  # it is paid at the clinic
    shown = {**instead_of, "currency": "INR", "cancel_now": costs}
    assert new["instead_of"] == shown
    assert (await asha.get(new["url"])).json()["instead_of"] == shown
    paid = (await asha.post(f"{new['url']}/payment", PAY)).json()
    assert (await asha.get(paid["url"])).json()["instead_of"] == instead_of
