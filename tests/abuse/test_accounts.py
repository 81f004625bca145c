"""What one account tries, to have more than its share; each time somebody else is served."""

from __future__ import annotations

from collections import Counter
from datetime import time, timedelta
from typing import Any

import httpx
import pytest

from healthplus.database import Database
from healthplus.refusals import refused
from tests.fixtures.clock import forget_beside_the_app
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.web.client import Client
from tests.web.phone import Phone, sign_in
from tests.web.problem import problem

HOLDS = f"providers/{PROVIDER}/holds"
PAY = {"method": "sandbox-ok"}
DAYS, SLOTS_A_DAY = 7, 72


async def book(client: Client, start: str, clinic_id: int, provider_id: int = PROVIDER) -> str:
    """Hold a time and pay for it; return what came of it: "booked", or the code of the refusal."""
    held = await client.post(f"providers/{provider_id}/holds", {"clinic_id": clinic_id, "start": start})
    if held.status_code != 201:
        return str(held.json()["code"])
    paid = await client.post(f"{held.json()['url']}/payment", PAY)
    assert paid.status_code == 200, paid.text
    return str(paid.json()["state"])


async def busy_doctor(db: Database, funding: str) -> tuple[int, int]:
    """Return a doctor with two shifts of 36 slots a day, and their clinic."""
    clinic = await make_clinic(db)
    doctor = await make_provider(db, {clinic: (50_000, funding)})
    for opens, closes in ((time(9), time(12)), (time(16), time(19))):
        await make_shift(db, doctor, clinic, DAILY, opens, closes, 5)
    return doctor, clinic


@pytest.mark.parametrize(("funding", "most"), [("online", DAYS), ("clinic", 3)])
async def test_booking_a_doctors_whole_week(
    environment: Environment, asha: Client, bina: Client, funding: str, most: int
) -> None:
    doctor, clinic = await busy_doctor(environment.db, funding)
    starts = [
        (environment.day + timedelta(days=day, hours=opens, minutes=5 * slot)).isoformat()
        for day in range(DAYS)
        for opens in (9, 16)
        for slot in range(SLOTS_A_DAY // 2)
    ]
    assert len(starts) == 504
    refused.take()
    came = Counter([await book(asha, start, clinic, doctor) for start in starts])
    assert came.pop("booked") == most
    assert set(came) == ({"same_day"} if funding == "online" else {"same_day", "too_many_unpaid"})
    counted = refused.take()
    assert {code: counted[code] for code in came} == dict(came)  # which the operator sees in the log
    assert await book(bina, starts[1], clinic, doctor) == "booked"


async def test_a_household_of_six_at_one_clinic(environment: Environment, asha: Client, bina: Client) -> None:
    """Six appointments that nobody has paid for are all that an account can have, for all its persons together."""
    persons = [None, *[await environment.person("asha") for _ in range(5)]]
    came: Counter[str] = Counter()
    for number in range(24):
        day, slot = divmod(number, 6)
        start = environment.instant(13) + timedelta(days=day, minutes=30 * slot)
        held = await environment.hold(start, AT_CLINIC, person_id=persons[slot])
        came[held.code] += 1
        if held.code == "reserved":
            await asha.post(f"{HOLDS}/{held.booking_id}/payment", PAY)
    assert came == {"reserved": 6, "too_many_unpaid": 18}
    assert await book(bina, environment.at(24 + 13), AT_CLINIC) == "booked"


async def test_being_at_28_doctors_at_the_same_minute(environment: Environment, asha: Client, bina: Client) -> None:
    doctors = [await busy_doctor(environment.db, "online") for _ in range(28)]
    start = environment.at(9)
    answers = [await asha.post(f"providers/{doctors[0][0]}/holds", {"clinic_id": doctors[0][1], "start": start})]
    booked = (await asha.post(f"{answers[0].json()['url']}/payment", PAY)).json()
    for doctor, clinic in doctors[1:]:
        answer = await asha.post(f"providers/{doctor}/holds", {"clinic_id": clinic, "start": start})
        assert problem(answer, 409, "overlap")["yours"] == booked["url"]
    assert await book(bina, start, doctors[1][1], doctors[1][0]) == "booked"


async def wal_bytes(db: Database) -> int:
    return int(await db.fetch_value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def test_holding_and_releasing_in_a_loop(environment: Environment, asha: Client, bina: Client) -> None:
    """It wrote 13 GB a day: now it is ten times in ten minutes and thirty a day, and what is refused writes nothing."""
    start = environment.at(9)

    async def loop(times: int) -> tuple[int, list[dict[str, Any]]]:
        held, problems = 0, []
        for _ in range(times):
            answer = await asha.post(HOLDS, {"clinic_id": ONLINE, "start": start})
            if answer.status_code == 201:
                held += 1
                assert (await asha.delete(answer.json()["url"])).status_code == 200
            else:
                problems.append(problem(answer, 429, "hold_budget"))
                assert int(answer.headers["retry-after"]) > 0
        return held, problems

    began = await wal_bytes(environment.db)
    held, problems = await loop(20)
    assert (held, len(problems)) == (10, 10)
    cost = (await wal_bytes(environment.db) - began) / 10
    assert cost * 30 < 10_000_000  # a day's worth

    began = await wal_bytes(environment.db)
    assert (await loop(100))[0] == 0
    assert await wal_bytes(environment.db) - began < 100 * cost / 10
    assert await book(bina, start, ONLINE) == "booked"
    start = environment.at(10)

    # The limit is over when the answer says, and the day's comes after two more such bursts.
    for _ in range(2):
        await environment.pass_time(seconds=problems[0]["retry_after"] + 1)
        held, problems = await loop(12)
        assert held >= 2
        await environment.pass_time(minutes=10)
    total = await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'released'")
    held, problems = await loop(40 - total)
    assert total + held == 30
    assert problems[-1]["retry_after"] > 22 * 3600


async def lapse_three_times(client: Client, environment: Environment) -> None:
    for hour in (9, 10, 11):
        held = await client.post(HOLDS, {"clinic_id": ONLINE, "start": environment.at(hour)})
        assert held.status_code == 201, held.text
        await environment.pass_time(minutes=6)


async def test_erasing_oneself_sheds_no_lapses(
    environment: Environment, http: httpx.AsyncClient, anyone: Client, bina: Client, phone: Phone
) -> None:
    me = Client(http, await sign_in(anyone, phone))
    await lapse_three_times(me, environment)
    hold = {"clinic_id": ONLINE, "start": environment.at(24 + 9)}
    wait = {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19)}
    problem(await me.post(HOLDS, hold), 429, "lapses")
    for _ in range(2):  # once more, to be somebody else twice
        assert (await me.delete("me")).status_code == 200
        await environment.pass_time(minutes=2)
        me = Client(http, await sign_in(anyone, phone))
    barred = problem(await me.post(HOLDS, hold), 429, "lapses")
    assert barred["retry_after"] > 23 * 3600
    blocking = await bina.post(HOLDS, {"clinic_id": FREE, "start": environment.at(18)})
    assert blocking.status_code == 201
    problem(await me.post(f"providers/{PROVIDER}/waits", wait), 429, "lapses")
    assert (await bina.post(f"{blocking.json()['url']}/payment", PAY)).status_code == 200

    # The day after, nothing is known of it any more, and the number is as good as any.
    await environment.pass_time(seconds=barred["retry_after"] + 1)
    assert (await me.post(HOLDS, hold)).status_code == 201
    await environment.pass_time(hours=1)
    await forget_beside_the_app(environment.db)
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.former_account") == 0
