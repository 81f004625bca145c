"""Services and tests in the API: what one books, for how long, and at which price."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.fixtures.environment import FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.services import close_service, offer_service
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import HOLDS, PAY, hold, hold_body
from tests.web.test_slots import SLOTS, morning

WAITS = f"providers/{PROVIDER}/waits"


def named(document: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["slug"], one["fee_minor"]) for one in document["services"]]


async def test_a_service_says_how_long_and_how_much(asha: Client, anyone: Client, environment: Environment) -> None:
    root_canal = await offer_service(environment.db, PROVIDER, "root-canal", 450_000, 80, buffer_minutes=10)
    document = (await anyone.get(f"providers/{PROVIDER}")).json()
    assert document["services"] == [
        {
            "id": root_canal,
            "slug": "root-canal",
            "name": "Root canal",
            "is_test": False,
            "clinic_id": None,
            "fee_minor": 450_000,
            "fee_paise": 450_000,
            "currency": "INR",
            "funding": "online",
            "length_minutes": 80,
            "weekdays": [1, 2, 3, 4, 5, 6, 7],
        }
    ]
    shown = (await anyone.get(SLOTS, params=morning(environment, service=root_canal))).json()
    assert [slot["fits"] for slot in shown["slots"]] == [True, True, True, True, False, False]
    assert named(shown) == [("root-canal", 450_000)]
    held = await hold(asha, hold_body(environment, service=root_canal))
    assert (held["fee_minor"], held["slots_needed"]) == (450_000, 1)
    # What is kept free after it is not the patient's.
    assert datetime.fromisoformat(held["end"]) == environment.instant(10, 20)
    for document in (held, (await asha.get(held["url"])).json()):
        assert document["services"] == [
            {
                "id": root_canal,
                "slug": "root-canal",
                "name": "Root canal",
                "fee_minor": 450_000,
                "fee_paise": 450_000,
                "currency": "INR",
                "funding": "online",
                "length_minutes": 80,
            }
        ]
    free = (await anyone.get(SLOTS, params=morning(environment))).json()
    assert [slot["state"] for slot in free["slots"]] == ["held", "held", "held", "free", "free", "free"]
    booked = (await asha.post(f"{held['url']}/payment", PAY)).json()
    paid = await environment.db.fetch_value("SELECT amount_minor FROM ledger.payment")
    assert (named(booked), booked["fee_minor"], paid) == ([("root-canal", 450_000)], 450_000, 450_000)
    (mine,) = (await asha.get("appointments")).json()
    assert named(mine) == [("root-canal", 450_000)]


async def test_tests_add_up_by_slug_or_id(asha: Client, anyone: Client, environment: Environment) -> None:
    db = environment.db
    await offer_service(db, PROVIDER, "cbc", 26_000, is_test=True)
    mri = await offer_service(db, PROVIDER, "mri-brain", 888_000, 60, is_test=True)
    shown = (await anyone.get(SLOTS, params=morning(environment, tests=["cbc", str(mri)]))).json()
    assert [slot["fits"] for slot in shown["slots"]] == [True] * 5 + [False]
    held = await hold(asha, hold_body(environment, tests=["cbc", mri]))
    assert named(held) == [("cbc", 26_000), ("mri-brain", 888_000)]
    assert held["fee_minor"] == 914_000
    assert datetime.fromisoformat(held["end"]) == environment.instant(10)
    # The same in another order, and one twice, is the same request.
    await asha.delete(held["url"])
    first = await asha.post(HOLDS, hold_body(environment, tests=[mri, "cbc"]), key="same")
    second = await asha.post(HOLDS, hold_body(environment, tests=["cbc", "cbc", mri]), key="same")
    assert first.json()["id"] == second.json()["id"]
    assert named(second.json()) == named(held)


@pytest.mark.dates
async def test_one_may_queue_for_a_service(asha: Client, bina: Client, environment: Environment) -> None:
    filling = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30, clinic_id=FREE)
    held = await hold(asha, hold_body(environment, 18, FREE))
    window = {"from": environment.at(18), "to": environment.at(19)}
    # That is the one clinic where it is done.
    joined = (await bina.post(WAITS, {**window, "service": "filling"})).json()
    assert (joined["state"], joined["clinic_id"], named(joined)) == ("waiting", FREE, [("filling", 150_000)])
    assert joined["services"][0]["id"] == filling
    await asha.delete(held["url"])
    offered = (await bina.get(joined["url"])).json()
    assert (offered["state"], offered["offer"]["fee_minor"], named(offered)) == (
        "offered",
        150_000,
        [("filling", 150_000)],
    )
    accepted = (await bina.post(f"{joined['url']}/accept")).json()
    assert (named(accepted), accepted["fee_minor"], accepted["funding"]) == ([("filling", 150_000)], 150_000, "online")


async def test_a_visit_without_services_is_as_it_was(asha: Client, anyone: Client, environment: Environment) -> None:
    await offer_service(environment.db, PROVIDER, "filling", 150_000, 60)
    held = await hold(asha, hold_body(environment, slots_needed=2))
    assert (held["fee_minor"], held["slots_needed"], "services" in held) == (50_000, 2, False)
    assert "services" not in (await anyone.get(SLOTS, params=morning(environment))).json()


async def test_a_new_price_is_another_service(asha: Client, environment: Environment) -> None:
    db = environment.db
    old = await offer_service(db, PROVIDER, "cbc", 26_000, is_test=True)
    held = await hold(asha, hold_body(environment, tests=["cbc"]))
    new = await offer_service(db, PROVIDER, "cbc", 28_000, is_test=True)
    # What is held keeps its price, and can be moved with it.
    moved = (await asha.post(f"{held['url']}/move", {"start": environment.at(11)})).json()
    assert (moved["fee_minor"], moved["services"][0]["id"]) == (26_000, old)
    booked = (await asha.post(f"{held['url']}/payment", PAY)).json()
    assert (booked["fee_minor"], named(booked)) == (26_000, [("cbc", 26_000)])
    assert await db.fetch_value("SELECT amount_minor FROM ledger.payment") == 26_000
    await asha.delete(booked["url"])
    refused = problem(await asha.post(HOLDS, hold_body(environment, tests=[old])), 422, "no_such_slot")
    assert refused["reason"] == "service_closed"
    assert "choose again" in refused["detail"]
    assert (await hold(asha, hold_body(environment, tests=["cbc"])))["services"][0]["id"] == new


async def test_a_repeat_is_of_what_was_offered_at_first(asha: Client, environment: Environment) -> None:
    db = environment.db
    cbc, mri = [await offer_service(db, PROVIDER, slug, 26_000, is_test=True) for slug in ("cbc", "mri")]
    body = hold_body(environment, tests=["mri", "cbc"])
    held = (await asha.post(HOLDS, body, key="one")).json()
    counts = await environment.counts()
    for change in (
        offer_service(db, PROVIDER, "cbc", 30_000, is_test=True),
        close_service(db, PROVIDER, "cbc"),
        close_service(db, PROVIDER, "mri"),
    ):
        await change
        for tests in (["mri", "cbc"], [cbc, "mri"], [str(cbc), mri]):
            again = await asha.post(HOLDS, {**body, "tests": tests}, key="one")
            assert (again.status_code, again.json()["id"], named(again.json())) == (201, held["id"], named(held))
    for tests in (["cbc"], ["cbc", "mri", "crp"]):
        problem(await asha.post(HOLDS, {**body, "tests": tests}, key="one"), 422, "no_such_slot")
    problem(await asha.post(HOLDS, body, key="two"), 422, "no_such_slot")
    await offer_service(db, PROVIDER, "crp", 26_000, is_test=True)
    problem(await asha.post(HOLDS, {**body, "tests": ["crp"]}, key="one"), 422, "key_reused")
    assert await environment.counts() == counts


@pytest.mark.parametrize("clinic_id", [FREE, None])
async def test_a_repeat_of_joining_leads_to_the_ticket(
    asha: Client, bina: Client, environment: Environment, clinic_id: int | None
) -> None:
    db = environment.db
    filling = await offer_service(db, PROVIDER, "filling", 150_000, 30, clinic_id=clinic_id)
    await hold(asha, hold_body(environment, 18, FREE))
    window = {"from": environment.at(18), "to": environment.at(19)}
    joined = (await bina.post(WAITS, {**window, "service": "filling"}, key="one")).json()
    assert joined["clinic_id"] == clinic_id
    for change in (
        offer_service(db, PROVIDER, "filling", 160_000, 30, clinic_id=clinic_id),
        close_service(db, PROVIDER, "filling", clinic_id),
    ):
        await change
        for service in ("filling", filling):
            again = await bina.post(WAITS, {**window, "service": service}, key="one")
            assert (again.status_code, again.json()["id"]) == (201, joined["id"]), again.text
    problem(await bina.post(WAITS, {**window, "service": "filling"}, key="two"), 422, "no_such_slot")


async def test_time_kept_free_need_not_be_waited_for(asha: Client, bina: Client, environment: Environment) -> None:
    await offer_service(environment.db, PROVIDER, "filling", 150_000, 30, clinic_id=ONLINE, buffer_minutes=30)
    held = await hold(asha, hold_body(environment))
    window = {"from": environment.at(9), "to": environment.instant(9, 30).isoformat(), "service": "filling"}
    problem(await bina.post(WAITS, {**window, "to": environment.instant(9, 29).isoformat()}), 409, "slot_full")
    joined = (await bina.post(WAITS, window)).json()
    assert (joined["state"], datetime.fromisoformat(joined["to"])) == ("waiting", environment.instant(9, 30))
    await asha.delete(held["url"])
    offered = (await bina.get(joined["url"])).json()
    assert datetime.fromisoformat(offered["offer"]["end"]) == datetime.fromisoformat(offered["to"])


async def test_what_cannot_be_booked_says_why(asha: Client, anyone: Client, environment: Environment) -> None:
    db, weekday = environment.db, environment.instant(9).isoweekday()
    whole_day = await offer_service(db, PROVIDER, "surgery", 900_000, 300)
    every_hour = await offer_service(db, PROVIDER, "scaling", 90_000, 30, starts_every=2)
    other_day = await offer_service(db, PROVIDER, "implant", 90_000, 30, weekdays=127 - (1 << (weekday - 1)))
    elsewhere = await offer_service(db, PROVIDER, "crown", 90_000, 30, clinic_id=FREE)
    others = await offer_service(db, OTHER_PROVIDER, "crown", 90_000, 30)
    dear = [await offer_service(db, PROVIDER, f"dear-{n}", 60_000_000, is_test=True) for n in (1, 2)]
    gone = await offer_service(db, PROVIDER, "extraction", 90_000, 30)
    await close_service(db, PROVIDER, "extraction")
    counts = await environment.counts()
    for body, reason in (
        ({"service": whole_day}, "too_long"),
        ({"service": other_day}, "not_that_day"),
        ({"service": elsewhere}, "no_such_service"),
        ({"service": others}, "no_such_service"),
        ({"service": 2**62}, "no_such_service"),
        ({"tests": ["nonsense"]}, "no_such_service"),
        ({"tests": [str(2**63)]}, "no_such_service"),
        ({"service": gone}, "service_closed"),
        ({"tests": [every_hour, whole_day]}, "not_together"),
        ({"tests": dear}, "too_dear"),
        ({"service": every_hour, "start": environment.at(9, 30)}, "off_grid"),
    ):
        refused = problem(await asha.post(HOLDS, {**hold_body(environment), **body}), 422, "no_such_slot")
        assert refused["reason"] == reason, body
        assert "; " in refused["detail"], "says what to do next"
        if reason in ("not_that_day", "off_grid"):
            assert refused["alternatives"]
        if reason not in ("too_long", "not_that_day", "off_grid"):
            query = morning(environment, clinic_id=ONLINE, **body)
            assert problem(await anyone.get(SLOTS, params=query), 422, "no_such_slot")["reason"] == reason
    assert await environment.counts() == counts


async def test_bad_services_are_problems(asha: Client, anyone: Client, environment: Environment) -> None:
    service = await offer_service(environment.db, PROVIDER, "cbc", 26_000, 30, is_test=True)
    for more, status in (
        ({"service": service, "slots_needed": 2}, 422),
        ({"tests": ["cbc"], "slots_needed": 2}, 422),
        ({"tests": [f"t{n}" for n in range(51)]}, 422),
        ({"tests": list(range(1, 52))}, 422),
        ({"service": 0}, 422),
        ({"service": "CBC"}, 422),
        ({"service": "cbc\x00"}, 422),
        ({"service": 1.5}, 422),
        ({"service": 10**30}, 422),
        ({"tests": [None]}, 422),
        ({"tests": "cbc"}, 422),
        ({"tests": ["\x00"]}, 422),
        ({"tests": ["٣"]}, 422),
        ({"tests": ["²"]}, 422),
        ({"tests": [-1]}, 422),
    ):
        problem(await asha.post(HOLDS, hold_body(environment, **more)), status)
    for query, status in (
        ({"service": service, "slots_needed": 2}, 422),
        ({"tests": [f"t{n}" for n in range(51)]}, 422),
        ({"service": "CBC"}, 422),
        ({"service": "0"}, 422),
        ({"service": "1" * 201}, 400),
        ({"tests": "\x00"}, 422),
        ({"tests": ""}, 422),
    ):
        problem(await anyone.get(SLOTS, params=morning(environment, **query)), status)
    for query in ({"tests": "cbc"}, {"service": "cbc"}, {"service": str(service)}):
        assert (await anyone.get(SLOTS, params=morning(environment, **query))).status_code == 200


async def test_slots_of_a_service_are_where_it_is_offered(anyone: Client, environment: Environment) -> None:
    crown = await offer_service(environment.db, PROVIDER, "crown", 90_000, 30, clinic_id=FREE)
    day = {"from": environment.at(0), "to": environment.at(23)}
    shown = (await anyone.get(SLOTS, params={**day, "service": crown})).json()
    assert {slot["clinic_id"] for slot in shown["slots"]} == {FREE}
    everywhere = await offer_service(environment.db, PROVIDER, "scaling", 90_000, 60, starts_every=3)
    shown = (await anyone.get(SLOTS, params={**day, "service": everywhere})).json()
    starts = [datetime.fromisoformat(slot["start"]) for slot in shown["slots"]]
    assert starts == [environment.instant(*at) for at in ((9, 0), (10, 30), (13, 0), (14, 30), (18, 0))]
    assert [slot["fits"] for slot in shown["slots"]] == [True, True, True, True, False]


@pytest.mark.parametrize("by_slug", [True, False])
async def test_the_one_clinic_that_offers_all_that_is_named_is_meant(
    anyone: Client, asha: Client, bina: Client, environment: Environment, by_slug: bool
) -> None:
    """By slug and by id, of slots and of the queue."""
    db = environment.db
    ids = {
        "here": await offer_service(db, PROVIDER, "here", 10_000, is_test=True, clinic_id=FREE),
        "everywhere": await offer_service(db, PROVIDER, "everywhere", 10_000, is_test=True),
        "there": await offer_service(db, PROVIDER, "there", 10_000, is_test=True, clinic_id=ONLINE),
        "gone": await offer_service(db, PROVIDER, "gone", 10_000, is_test=True, clinic_id=FREE),
    }
    await close_service(db, PROVIDER, "gone", FREE)
    await hold(asha, hold_body(environment, 18, FREE))
    day = {"from": environment.at(0), "to": environment.at(23)}
    window = {"from": environment.at(18), "to": environment.at(19)}
    for slugs, clinics in ((["here"], {FREE}), (["here", "everywhere"], {FREE}), (["everywhere"], {1, 2, 3})):
        names = slugs if by_slug else [str(ids[slug]) for slug in slugs]
        shown = (await anyone.get(SLOTS, params={**day, "tests": names})).json()
        assert {slot["clinic_id"] for slot in shown["slots"]} == clinics, slugs
        if clinics == {FREE}:
            joined = (await bina.post(WAITS, {**window, "tests": names})).json()
            assert (joined["clinic_id"], {one["slug"] for one in joined["services"]}) == (FREE, set(slugs))
            assert (await bina.delete(joined["url"])).status_code == 200
    for slugs, reason in (
        (["here", "there"], "no_such_service"),
        (["gone"], "no_such_service" if by_slug else "service_closed"),
    ):
        names = slugs if by_slug else [str(ids[slug]) for slug in slugs]
        for answer in (
            await anyone.get(SLOTS, params={**day, "tests": names}),
            await bina.post(WAITS, {**window, "tests": names}),
        ):
            assert problem(answer, 422, "no_such_slot")["reason"] == reason


async def test_what_differs_from_clinic_to_clinic_needs_one_named(anyone: Client, environment: Environment) -> None:
    db, day = environment.db, {"from": environment.at(0), "to": environment.at(23)}
    everywhere = await offer_service(db, PROVIDER, "scaling", 90_000, 30)
    own = await offer_service(db, PROVIDER, "scaling", 80_000, 30, clinic_id=FREE)
    said = problem(await anyone.get(SLOTS, params={**day, "service": "scaling"}), 422)
    assert said["detail"].startswith("clinic_id: 'scaling' differs from clinic to clinic;")
    for clinic_id, service_id in ((FREE, own), (ONLINE, everywhere)):
        shown = (await anyone.get(SLOTS, params={**day, "service": "scaling", "clinic_id": clinic_id})).json()
        assert [one["id"] for one in shown["services"]] == [service_id]
    # An id says which.
    shown = (await anyone.get(SLOTS, params={**day, "service": own})).json()
    assert {slot["clinic_id"] for slot in shown["slots"]} == {FREE}


async def test_a_fee_that_is_not_known_can_be_told_from_nothing(asha: Client, environment: Environment) -> None:
    await offer_service(environment.db, PROVIDER, "cbc", 26_000, is_test=True)
    await offer_service(environment.db, PROVIDER, "biopsy", 0, is_test=True, funding="clinic")
    await offer_service(environment.db, PROVIDER, "blood-group", 0, is_test=True, funding="free")
    held = await hold(asha, hold_body(environment, tests=["cbc", "biopsy", "blood-group"]))
    assert (held["fee_minor"], held["funding"]) == (26_000, "online")
    assert {one["slug"]: (one["fee_minor"], one["funding"]) for one in held["services"]} == {
        "cbc": (26_000, "online"),
        "biopsy": (0, "clinic"),
        "blood-group": (0, "free"),
    }
