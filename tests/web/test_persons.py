"""The persons of an account in the API: whose they are, what may be done with them, and for whom things are booked."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import HOLDS, PAY, hold, hold_body

pytestmark = pytest.mark.usefixtures("app")

TARA = {"name": " Tara Rao ", "birth_year": 2015, "sex": "female"}
WAITS = f"providers/{PROVIDER}/waits"


async def add(client: Client, body: dict[str, Any] | None = None) -> str:
    """Add a person; return their id."""
    answer = await client.post("me/persons", body or TARA)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def pay(client: Client, url: str) -> dict[str, Any]:
    paid = await client.post(f"{url}/payment", PAY)
    assert paid.status_code == 200, paid.text
    booked: dict[str, Any] = (await client.get(paid.json()["url"])).json()
    return booked


async def test_whom_i_book_for(asha: Client) -> None:
    [me] = (await asha.get("me/persons")).json()
    assert (me["name"], me["birth_year"], me["sex"], me["is_holder"]) == ("asha", None, "unknown", True)
    added = await asha.post("me/persons", TARA, key="a")
    assert added.status_code == 201
    tara = added.json()
    assert added.headers["location"] == tara["url"] == f"/api/v1/me/persons/{tara['id']}"
    assert (tara["name"], tara["birth_year"], tara["sex"], tara["is_holder"]) == ("Tara Rao", 2015, "female", False)
    assert UUID(tara["id"]).version == 4
    assert (await asha.post("me/persons", TARA, key="a")).json() == tara
    problem(await asha.post("me/persons", TARA | {"birth_year": 2014}, key="a"), 422, "key_reused")
    assert (await asha.get(tara["url"])).json() == tara
    assert (await asha.get("me/persons")).json() == [me, tara]
    changed = await asha.ask("PATCH", tara["url"], {"birth_year": 2014}, key="b")
    assert changed.json() == tara | {"birth_year": 2014}
    problem(await asha.ask("PATCH", tara["url"], {"birth_year": 2013}, key="b"), 422, "key_reused")
    assert (await asha.delete(tara["url"])).status_code == 204
    problem(await asha.delete(tara["url"]), 404)
    problem(await asha.post("me/persons", TARA, key="a"), 404)
    assert (await asha.get("me/persons")).json() == [me]


async def test_my_name_is_the_accounts(asha: Client) -> None:
    [me] = (await asha.get("me/persons")).json()
    await asha.ask("PATCH", "me", {"name": "Asha Rao"})
    assert (await asha.get(me["url"])).json()["name"] == "Asha Rao"
    await asha.ask("PATCH", me["url"], {"name": "Asha Patil"})
    assert (await asha.get("me")).json()["name"] == "Asha Patil"
    refused = problem(await asha.delete(me["url"]), 409, "holder_stays")
    assert "delete the account" in refused["detail"]


async def test_wrong_persons(asha: Client) -> None:
    tara = f"me/persons/{await add(asha)}"
    for change in (
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\ue000b"},
        {"name": 1},
        {"birth_year": "2015"},
        {"birth_year": 0},
        {"birth_year": -5},
        {"birth_year": 1800},
        {"birth_year": 2999},
        {"birth_year": 2**40},
        {"birth_year": 2015.5},
        {"sex": "f"},
        {"sex": 1},
        {"is_holder": True},
    ):
        problem(await asha.post("me/persons", TARA | change), 422)
        problem(await asha.ask("PATCH", tara, change), 422)
    problem(await asha.ask("PATCH", tara, {}), 422)
    for left_away in ("name", "birth_year"):
        problem(await asha.post("me/persons", {key: value for key, value in TARA.items() if key != left_away}), 422)
    assert [one["name"] for one in (await asha.get("me/persons")).json()] == ["asha", "Tara Rao"]


async def test_six_at_most(asha: Client) -> None:
    answers = await asyncio.gather(*(asha.post("me/persons", TARA | {"name": f"Tara {n}"}) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 3
    refused = problem(await asha.post("me/persons", TARA), 409, "too_many_persons")
    assert "remove one" in refused["detail"]


async def test_persons_of_others_are_not_there(
    http: httpx.AsyncClient, anyone: Client, asha: Client, bina: Client, environment: Environment
) -> None:
    theirs = await add(bina)
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC))
    [holder] = (await bina.get("me/persons")).json()[:1]
    for person_id in (theirs, holder["id"], str(UUID(int=7))):
        for method, change in (("GET", None), ("PATCH", {"name": "Mallory"}), ("DELETE", None)):
            problem(await asha.ask(method, f"me/persons/{person_id}", change), 404)
        problem(await asha.ask("PUT", f"{held['url']}/person", {"person_id": person_id}), 404)
    await asha.delete(held["url"])
    for person_id in (theirs, holder["id"], str(UUID(int=7))):
        problem(await asha.post(HOLDS, hold_body(environment, 13, AT_CLINIC, person_id=person_id)), 404)
        wait = {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19), "person_id": person_id}
        problem(await asha.post(WAITS, wait), 404)
    assert [one["name"] for one in (await bina.get("me/persons")).json()] == ["bina", "Tara Rao"]
    requests: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
        ("GET", "me/persons", None),
        ("POST", "me/persons", TARA),
        ("GET", f"me/persons/{theirs}", None),
        ("PATCH", f"me/persons/{theirs}", {"name": "Mallory"}),
        ("DELETE", f"me/persons/{theirs}", None),
        ("PUT", f"{HOLDS}/{UUID(int=7)}/person", {"person_id": theirs}),
    )
    for method, path, body in requests:
        problem(await anyone.ask(method, path, body), 401)
        if method not in ("GET", "PUT"):
            headers = {"Authorization": f"Bearer {environment.tokens['bina']}"}
            problem(await http.request(method, f"/api/v1/{path}", json=body, headers=headers), 400)


async def test_a_hold_is_for_whom_it_says(asha: Client, environment: Environment) -> None:
    [me] = (await asha.get("me/persons")).json()
    tara, ravi = await add(asha), await add(asha, {"name": "Ravi", "birth_year": 1950})
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC))
    shown = (await asha.get(held["url"])).json()
    assert (shown["person_id"], shown["patient_name"]) == (me["id"], "asha")
    chosen = await asha.ask("PUT", f"{held['url']}/person", {"person_id": tara})
    assert (chosen.status_code, chosen.json()["person_id"], chosen.json()["patient_name"]) == (200, tara, "Tara Rao")
    assert chosen.json()["expires_at"] == held["expires_at"]
    # A repeat changes nothing more.
    assert (await asha.ask("PUT", f"{held['url']}/person", {"person_id": tara})).json()["person_id"] == tara
    booked = await pay(asha, held["url"])
    assert (booked["person_id"], booked["patient_name"]) == (tara, "Tara Rao")
    problem(await asha.ask("PUT", f"{booked['url'].replace('appointments', 'holds')}/person", {"person_id": ravi}), 409)
    other = await hold(asha, hold_body(environment, 14, AT_CLINIC, person_id=ravi))
    assert (await pay(asha, other["url"]))["patient_name"] == "Ravi"
    for wrong in ({}, {"person_id": None}, {"person_id": "x"}, {"name": "Tara"}):
        problem(await asha.ask("PUT", f"{held['url']}/person", wrong), 422)


async def test_a_ticket_is_for_whom_it_says(asha: Client, bina: Client, environment: Environment) -> None:
    blocking = (await bina.post(HOLDS, hold_body(environment, 18, FREE))).json()
    tara = await add(asha)
    evening = {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19), "person_id": tara}
    wait = (await asha.post(WAITS, evening)).json()
    assert wait["state"] == "waiting"
    await bina.delete(blocking["url"])
    offered = (await asha.get(wait["url"])).json()
    assert offered["state"] == "offered"
    accepted = (await asha.post(f"{wait['url']}/accept", {})).json()
    assert (await asha.get(accepted["url"])).json()["patient_name"] == "Tara Rao"
    assert (await pay(asha, accepted["url"]))["person_id"] == tara


async def test_a_person_who_is_expected_stays(asha: Client, bina: Client, environment: Environment) -> None:
    tara = f"me/persons/{await add(asha)}"
    # A hold.
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC, person_id=tara[-36:]))
    refused = problem(await asha.delete(tara), 409, "person_still_booked")
    assert refused["appointments"] == [held["url"]]
    # An appointment.
    booked = await pay(asha, held["url"])
    assert problem(await asha.delete(tara), 409)["appointments"] == [booked["url"]]
    await asha.delete(booked["url"])
    # A place in a queue, and the offer that comes of it.
    blocking = (await bina.post(HOLDS, hold_body(environment, 18, FREE))).json()
    evening = {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19), "person_id": tara[-36:]}
    wait = (await asha.post(WAITS, evening)).json()
    assert problem(await asha.delete(tara), 409)["appointments"] == [wait["url"]]
    await bina.delete(blocking["url"])
    assert (await asha.get(wait["url"])).json()["state"] == "offered"
    assert problem(await asha.delete(tara), 409)["appointments"] == [wait["url"]]
    await asha.delete(wait["url"])
    assert (await asha.delete(tara)).status_code == 204
    # What was booked keeps the name, and nothing else of the person is left.
    assert (await asha.get(booked["url"])).json()["patient_name"] == "Tara Rao"
    rows = await environment.db.fetch("SELECT name, birth_year, sex FROM accounts.person WHERE removed_at IS NOT NULL")
    assert [tuple(row) for row in rows] == [("", None, None)]
    problem(await asha.post(HOLDS, hold_body(environment, 13, AT_CLINIC, person_id=tara[-36:])), 404)


async def test_an_appointment_that_is_over_keeps_nobody(asha: Client, environment: Environment) -> None:
    tara = await add(asha)
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC, person_id=tara))
    booked = await pay(asha, held["url"])
    await attend(environment.db, booked["url"])
    assert (await asha.delete(f"me/persons/{tara}")).status_code == 204
    assert (await asha.get(booked["url"])).json()["patient_name"] == "Tara Rao"
    export = (await asha.get("me/export")).json()
    assert [(one["name"], one["is_holder"]) for one in export["persons"]] == [("asha", True), ("", False)]


async def test_persons_are_exported_and_erased(asha: Client, environment: Environment) -> None:
    tara = await add(asha)
    held = await hold(asha, hold_body(environment, 13, AT_CLINIC, person_id=tara))
    booked = await pay(asha, held["url"])
    export = (await asha.get("me/export")).json()
    assert [(one["name"], one["birth_year"], one["sex"]) for one in export["persons"]] == [
        ("asha", None, None),
        ("Tara Rao", 2015, "female"),
    ]
    assert [(one["person_id"], one["patient_name"]) for one in export["bookings"]] == [(tara, "Tara Rao")]
    await asha.delete(booked["url"])
    assert (await asha.delete("me")).status_code == 200
    for table in ("accounts.person", "booking.booking", "booking.idempotency", "accounts.patient"):
        found = await environment.db.fetch_value(
            f"SELECT count(*) FROM {table} AS t WHERE t::text ~ 'Tara|asha|[(,]2015[,)]'"
        )
        assert found == 0, table
