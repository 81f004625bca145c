"""The product's own limits, to the last one: test_model.py has their rules with smaller ones."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Actor, Staff
from healthplus.booking.outcomes import ACCOUNT_UNPAID_MAX, Refused
from healthplus.database import Database
from healthplus.refusals import Refusals
from tests.booking import model
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment


async def test_the_model_has_the_same_limits(db: Database) -> None:
    names = ("lapses", "ahead", "unpaid", "account_unpaid", "budget", "daily_budget")
    limits = model.Limits()
    for name in names:
        assert await db.fetch_value(f"SELECT booking.{name}_max()") == getattr(limits, name)
    assert await db.fetch_value("SELECT booking.budget_time()") == limits.budget_time
    assert await db.fetch_value("SELECT booking.names_max()") == model.NAMES_MAX


async def book(environment: Environment, day: int, provider: int, clinic: int, person: UUID | None = None) -> str:
    """Book a time of asha's on a day; return "booked", or why not."""
    at = environment.instant(9 if clinic == ONLINE else 13) + timedelta(days=day)
    held = await environment.hold(at, clinic, provider_id=provider, person_id=person)
    if isinstance(held, Refused):
        return held.code
    money = f"money for {held.booking_id}" if clinic == ONLINE else None
    return (await environment.book.confirm(provider, held.booking_id, money, environment.actor("asha"))).code


async def test_ten_ahead(environment: Environment) -> None:
    codes = [await book(environment, day, PROVIDER, ONLINE) for day in range(11)]
    assert codes == ["booked"] * 10 + ["too_many_ahead"]
    # Another person has ten of their own, and one more is possible once one is over.
    assert await book(environment, 10, PROVIDER, ONLINE, await environment.person()) == "booked"
    await environment.pass_until(environment.instant(9, 30))
    assert await book(environment, 11, PROVIDER, ONLINE) == "booked"


async def test_three_unpaid_and_any_number_paid(environment: Environment) -> None:
    codes = [await book(environment, day, PROVIDER, AT_CLINIC) for day in range(4)]
    assert codes == ["booked"] * 3 + ["too_many_unpaid"]
    assert await book(environment, 4, PROVIDER, ONLINE) == "booked"
    child = await environment.person()
    assert [await book(environment, day, OTHER_PROVIDER, AT_CLINIC, child) for day in range(4)][-1] == "too_many_unpaid"
    # Six of the account's are unpaid now: a third person may have none, but what is paid online.
    third = await environment.person()
    refused = await environment.hold(environment.instant(24 * 5 + 13), AT_CLINIC, person_id=third)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.limit_max) == ("too_many_unpaid", ACCOUNT_UNPAID_MAX)
    assert await book(environment, 5, PROVIDER, ONLINE, third) == "booked"


@pytest.mark.parametrize(("day", "code"), [(0, "same_day"), (1, "waiting")])
async def test_one_does_not_queue_for_a_day_one_has(environment: Environment, day: int, code: str) -> None:
    assert await book(environment, 0, PROVIDER, ONLINE) == "booked"
    at = environment.instant(13) + timedelta(days=day)
    assert (await environment.hold(at, AT_CLINIC, "bina")).code == "reserved"
    joined = await environment.book.join_queue(
        PROVIDER, AT_CLINIC, at, at + timedelta(minutes=30), 1, environment.ids["asha"], environment.actor("asha")
    )
    assert joined.code == code


async def test_moving_an_appointment_draws_on_the_budget(environment: Environment) -> None:
    held = await environment.held(ONLINE, 9)
    assert (await environment.book.confirm(PROVIDER, held, "money", environment.actor("asha"))).code == "booked"

    async def move(hour: int, actor: Actor) -> str:
        return (await environment.book.reschedule(PROVIDER, held, environment.instant(hour), actor)).code

    codes = [await move(9 + turn % 2, environment.actor("asha")) for turn in range(1, 12)]
    assert codes == ["moved"] * 10 + ["hold_budget"]
    # What the desk moves costs the patient nothing.
    assert await move(9, Staff(1)) == "moved"


async def test_choosing_the_person_often_draws_on_the_budget(environment: Environment) -> None:
    held, child = await environment.held(ONLINE, 9), await environment.person()
    codes = [
        (await environment.book.choose_person(PROVIDER, held, person, environment.actor("asha"))).code
        for person in [child, None] * 7
    ]
    assert codes == ["named"] * 13 + ["hold_budget"]


async def test_leaving_a_queue_draws_on_the_budget(environment: Environment) -> None:
    asha, at = environment.actor("asha"), environment.instant(13)
    assert (await environment.hold(at, AT_CLINIC, "bina")).code == "reserved"
    codes = []
    for _ in range(11):
        joined = await environment.book.join_queue(
            PROVIDER, AT_CLINIC, at, at + timedelta(minutes=30), 1, environment.ids["asha"], asha
        )
        codes.append(joined.code)
        if joined.code == "waiting":
            assert (await environment.book.leave_queue(PROVIDER, joined.ticket_id, asha)).code == "left"
    assert codes == ["waiting"] * 10 + ["hold_budget"]


def test_refusals_are_counted_until_they_are_taken() -> None:
    refusals = Refusals()
    for name in ("overlap", "lapses", "overlap"):
        refusals.count(name)
    assert refusals.take() == {"lapses": 1, "overlap": 2}
    assert refusals.take() == {}
