from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.fixtures.environment import OTHER_PROVIDER, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_appointments import book

NOBODYS = f"providers/{PROVIDER}/appointments/{UUID(int=7)}"


async def rate(client: Client, url: str, stars: Any) -> tuple[int, float, int]:
    """Give stars; return what is answered: one's own, the provider's mean, of how many."""
    response = await client.ask("PUT", f"{url}/rating", {"stars": stars})
    assert response.status_code == 200, response.text
    answer = response.json()
    return answer["stars"], answer["rating"], answer["rating_count"]


async def can_rate(client: Client) -> list[bool]:
    return [one["can_rate"] for one in (await client.get("appointments")).json()]


async def test_a_patient_rates_after_the_appointment(asha: Client, bina: Client, environment: Environment) -> None:
    first = await book(asha, environment, 9)
    early = problem(await asha.ask("PUT", f"{first}/rating", {"stars": 4}), 409, "not_fulfilled")
    assert (early["state"], "once the clinic has noted" in early["detail"]) == ("booked", True)
    await attend(environment.db, first, "arrived")
    problem(await asha.ask("PUT", f"{first}/rating", {"stars": 4}), 409, "not_fulfilled")
    assert await can_rate(asha) == [False]
    await attend(environment.db, first, "fulfilled")
    assert await can_rate(asha) == [True]
    problem(await asha.get(f"{first}/rating"), 404)

    assert await rate(asha, first, 4) == (4, 4.0, 1)
    assert await rate(asha, first, 4) == (4, 4.0, 1)
    assert await rate(asha, first, 1) == (1, 1.0, 1)
    theirs = await book(bina, environment, 10)
    await attend(environment.db, theirs)
    assert await rate(bina, theirs, 4) == (4, 2.5, 2)

    # Another visit is no second vote; the rating names the visit it was last given for, whichever one asks by.
    second = await book(asha, environment, 11)
    await attend(environment.db, second)
    assert await rate(asha, second, 5) == (5, 4.5, 2)
    for url in (first, second):
        own = (await asha.get(f"{url}/rating")).json()
        assert datetime.fromisoformat(own.pop("rated_at")).tzinfo
        assert own == {"stars": 5, "rating": 4.5, "rating_count": 2, "text": None, "text_state": None} | {
            "appointment_id": second.rpartition("/")[2]
        }
    ratings = (await asha.get("me/export")).json()["ratings"]
    assert [(one["stars"], one["booking_id"]) for one in ratings] == [(5, second.rpartition("/")[2])]

    # What the erased have said stays, as a number.
    assert "stars" in (await asha.delete("me")).json()["detail"]
    assert await rate(bina, theirs, 3) == (3, 4.0, 2)


async def test_who_did_not_come_does_not_rate(asha: Client, bina: Client, environment: Environment) -> None:
    missed, cancelled = await book(asha, environment, 9), await book(asha, environment, 34)
    await asha.delete(cancelled)
    await environment.pass_time(days=3)
    await attend(environment.db, missed, "no_show")
    for url, said in ((missed, "it is no show"), (cancelled, "it is cancelled")):
        assert said in problem(await asha.ask("PUT", f"{url}/rating", {"stars": 1}), 409, "not_fulfilled")["detail"]
        problem(await asha.get(f"{url}/rating"), 404)


async def test_somebody_elses_appointment_is_not_there(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    url = await book(asha, environment)
    held = (await bina.post(f"providers/{PROVIDER}/holds", {"clinic_id": 1, "start": environment.at(10)})).json()
    await attend(environment.db, url)
    await rate(asha, url, 5)
    as_an_appointment = held["url"].replace("holds", "appointments")
    elsewhere = url.replace(f"providers/{PROVIDER}", f"providers/{OTHER_PROVIDER}")
    for client, one in ((bina, url), (bina, as_an_appointment), (asha, elsewhere), (asha, NOBODYS)):
        problem(await client.ask("PUT", f"{one}/rating", {"stars": 1}), 404)
        problem(await client.get(f"{one}/rating"), 404)
    for method in ("GET", "PUT"):
        problem(await anyone.ask(method, f"{url}/rating", {"stars": 1}), 401)
    wrong: list[Any] = [0, 6, -1, 2.5, "4", None, True, [4], 2**70]
    for stars in wrong:
        refused = problem(await asha.ask("PUT", f"{url}/rating", {"stars": stars}), 422)
        assert "stars" in refused["detail"]
    for body in ({}, {"stars": 3, "words": "Kind."}, {"stars": 3, "text": 4}, {"text": "Kind."}):
        problem(await asha.ask("PUT", f"{url}/rating", body), 422)
    assert await rate(asha, url, 5) == (5, 5.0, 1)
