"""What cancelling costs, as the API shows it before paying and before cancelling, and does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from healthplus.booking.replacements import cancel_replaced
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.services import offer_service
from tests.fixtures.terms import set_terms
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body

pytestmark = pytest.mark.dates


def step(start: datetime, hours: int, kept_minor: int) -> dict[str, Any]:
    return {"hours_before": hours, "after": written(start - timedelta(hours=hours)), "kept_minor": kept_minor}


def written(at: datetime) -> str:
    """Return an instant as the API writes it."""
    return at.isoformat().replace("+00:00", "Z")


async def test_what_is_shown_from_the_hold_on_is_what_cancelling_does(asha: Client, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {4: 60000, 24: 25000, 8000: 5000})
    start = environment.instant(9)
    steps = [step(start, 8000, 5000), step(start, 24, 25000), step(start, 4, 50000)]
    now = {"kept_minor": 5000, "returned_minor": 45000, "until": steps[1]["after"]}
    held = await hold(asha, hold_body(environment))
    assert (held["terms"], held["cancel_now"]) == (steps, now)
    read = (await asha.get(held["url"])).json()
    assert (read["terms"], read["cancel_now"]) == (steps, now)
    booked = (await asha.post(f"{held['url']}/payment", PAY)).json()
    assert (booked["terms"], booked["cancel_now"]) == (steps, now)
    await environment.pass_until(start - timedelta(hours=20))
    late = {"kept_minor": 25000, "returned_minor": 25000, "until": steps[2]["after"]}
    (listed,) = (await asha.get("appointments")).json()
    assert (listed["terms"], listed["cancel_now"]) == (steps, late)
    cancelled = (await asha.delete(booked["url"], key="cancel")).json()
    assert (cancelled["kept_minor"], cancelled["returned_minor"]) == (25000, 25000)
    assert cancelled["money"] in ("refund_due", "refunded")
    assert not {"terms", "cancel_now"} & cancelled.keys()
    again = (await asha.delete(booked["url"], key="cancel")).json()
    assert again | {"money": ""} == cancelled | {"money": ""}
    problem(await asha.delete(booked["url"]), 409, "wrong_state")


async def test_moving_shows_what_is_kept_at_least(asha: Client, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {24: "50%"})
    held = await hold(asha, hold_body(environment))
    booked = (await asha.post(f"{held['url']}/payment", PAY)).json()
    assert "kept_after_move_minor" not in booked
    await environment.pass_until(environment.instant(9) - timedelta(hours=20))
    assert (await asha.get(booked["url"])).json()["kept_after_move_minor"] == 25000
    start = environment.instant(9) + timedelta(days=9)
    moved = (await asha.post(f"{booked['url']}/move", {"start": start.isoformat()})).json()
    assert moved["terms"] == [step(start, 24, 25000)]
    assert moved["cancel_now"] == {"kept_minor": 25000, "returned_minor": 25000, "until": written(start)}
    assert moved["kept_after_move_minor"] == 25000
    # What is only held can be moved for nothing.
    held = await hold(asha, hold_body(environment))
    assert held["cancel_now"]["kept_minor"] == 25000
    assert "kept_after_move_minor" not in held


async def test_the_export_says_what_for_and_under_which_terms(asha: Client, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {24: 10_000, 2: 40_000})
    for slug in ("mri-brain", "cbc"):
        await offer_service(environment.db, PROVIDER, slug, 50_000, is_test=True)
    await hold(asha, hold_body(environment, tests=["cbc", "mri-brain"]))
    (booking,) = (await asha.get("me/export")).json()["bookings"]
    assert booking["services"] == ["Cbc", "Mri brain"]
    assert booking["terms"] == [
        {"hours_before": 24, "kept_percent": None, "kept_minor": 10_000},
        {"hours_before": 2, "kept_percent": None, "kept_minor": 40_000},
    ]
    await asha.delete(f"providers/{PROVIDER}/holds/{booking['booking_id']}")
    window = {"from": environment.at(9), "to": environment.at(12)}
    await asha.post(f"providers/{PROVIDER}/waits", {**window, "service": "cbc"})
    (wait,) = (await asha.get("me/export")).json()["waits"]
    assert wait["services"] == ["Cbc"]


async def test_what_it_costs_to_replace_one_is_shown_before_paying(asha: Client, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {8784: "20%"})
    old = (await asha.post(f"{(await hold(asha, hold_body(environment)))['url']}/payment", PAY)).json()
    instead_of = {"provider_id": PROVIDER, "id": old["id"]}
    new = await hold(asha, hold_body(environment, 13, AT_CLINIC, instead_of=instead_of), OTHER_PROVIDER)
    costs = {"kept_minor": 10000, "returned_minor": 40000, "until": old["start"]}
    shown = {**instead_of, "currency": "INR", "cancel_now": costs}
    assert old["cancel_now"] == costs
    for document in (new, (await asha.get(new["url"])).json(), (await asha.get("appointments")).json()[0]):
        assert document["instead_of"] == shown
    # If it is cancelled meanwhile, there is nothing that could cost anything.
    cancelled = (await asha.delete(old["url"])).json()
    assert cancelled["kept_minor"] == 10000
    assert (await asha.get(new["url"])).json()["instead_of"] == instead_of


async def test_what_is_replaced_keeps_what_was_shown(asha: Client, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {8784: "20%"})
    old = (await asha.post(f"{(await hold(asha, hold_body(environment)))['url']}/payment", PAY)).json()
    instead_of = {"provider_id": PROVIDER, "id": old["id"]}
    new = await hold(asha, hold_body(environment, 13, AT_CLINIC, instead_of=instead_of), OTHER_PROVIDER)
    booked = (await asha.post(f"{new['url']}/payment", PAY)).json()
    assert (await asha.get(booked["url"])).json()["instead_of"] == instead_of
    await cancel_replaced(environment.db, environment.book)
    kept = await environment.db.fetch_value("SELECT kept_minor FROM ledger.payment WHERE booking_id = $1", old["id"])
    assert kept == new["instead_of"]["cancel_now"]["kept_minor"] == 10000


@pytest.mark.parametrize("clinic_id", [ONLINE, AT_CLINIC])
async def test_without_terms_all_goes_back_until_the_visit_begins(
    asha: Client, environment: Environment, clinic_id: int
) -> None:
    if clinic_id == AT_CLINIC:  # terms are about what was paid
        await set_terms(environment.db, AT_CLINIC, {24: "50%"})
    hour, paid = (9, 50000) if clinic_id == ONLINE else (13, 0)
    held = await hold(asha, hold_body(environment, hour, clinic_id))
    now = {"kept_minor": 0, "returned_minor": paid, "until": held["start"]}
    assert (held["terms"], held["cancel_now"]) == ([], now)
    booked = (await asha.post(f"{held['url']}/payment", PAY)).json()
    assert booked["cancel_now"] == now
    cancelled = (await asha.delete(booked["url"])).json()
    assert (cancelled["kept_minor"], cancelled["returned_minor"]) == (0, paid)


async def test_what_has_begun_cannot_be_cancelled_at_any_price(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    url = (await asha.post(f"{held['url']}/payment", PAY)).json()["url"]
    await environment.pass_until(environment.instant(9, 1))
    await _until_the_clock_follows(asha, url)
    assert (await asha.get(url)).json()["terms"] == []
    assert await environment.book.terms(PROVIDER, held["id"], environment.ids["bina"]) is None


async def _until_the_clock_follows(client: Client, url: str) -> None:
    """Wait until the app knows that a test has moved the clock."""

    async def has_begun() -> bool:
        return "cancel_now" not in (await client.get(url)).json()

    await until(has_begun)
