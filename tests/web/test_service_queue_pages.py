"""Waiting for a service by pages."""

from __future__ import annotations

import pytest
from litestar import Litestar

from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.fixtures.services import close_service, offer_service
from tests.web.client import Browser
from tests.web.test_service_pages import CHART, EVENING, on, said


@pytest.fixture
async def asha(app: Litestar, environment: Environment) -> Browser:
    await environment.db.execute("UPDATE accounts.patient SET name = 'Asha Rao' WHERE patient_id = $1", 1)
    return Browser(app, environment.tokens["asha"])


async def test_what_is_too_long_for_the_hours_cannot_be_waited_for(asha: Browser, environment: Environment) -> None:
    crown = await offer_service(environment.db, PROVIDER, "crown", 150_000, 60)
    await environment.hold(environment.instant(18), FREE, "bina")
    line = f"{on(environment, crown).replace(CHART, EVENING).replace('?', '/line?')}&part=evening"
    refused = await asha.fill(line, what="part", who="me")
    assert refused.status_code == 422
    page = said(refused.text)
    assert "The clinic closes before all of it would be done." in page
    assert "All these times are booked" not in page


async def test_one_waits_for_a_service(asha: Browser, environment: Environment) -> None:
    filling = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30)
    held = await environment.hold(environment.instant(18), FREE, "bina")
    chart = on(environment, filling).replace(CHART, EVENING)
    assert "All times left are on hold for others" in said((await asha.get(chart)).text)
    line = f"{chart.replace('?', '/line?')}&part=evening&n=3"
    assert "Filling · ₹1,500" in said((await asha.get(line)).text)
    joined = (await asha.fill(line, what="part", who="me")).headers["location"]
    ticket = said((await asha.get(joined)).text)
    assert "You are number 1 in the queue" in ticket
    assert "Filling · ₹1,500 Clinic 3" in ticket
    assert "Any evening time" in ticket
    assert await environment.db.fetch_value("SELECT service_ids FROM booking.ticket") == [filling]
    assert held.booking_id is not None
    await environment.book.release(PROVIDER, held.booking_id, environment.actor("bina"))
    offer = said((await asha.get(joined)).text)
    assert "Filling" in offer
    assert "Take 6:00 pm and pay ₹1,500" in offer
    taken = (await asha.fill(joined, action="take")).headers["location"]
    assert "Pay ₹1,500" in said((await asha.get(taken)).text)
    # An offer that was taken can be changed to another time, too.
    assert "Change the time" in said((await asha.get(chart)).text)


async def test_joining_twice_leads_to_the_ticket_though_the_service_was_closed(
    asha: Browser, environment: Environment
) -> None:
    filling = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30)
    await environment.hold(environment.instant(18), FREE, "bina")

    def line(service_id: int) -> str:
        return f"{on(environment, service_id).replace(CHART, EVENING).replace('?', '/line?')}&part=evening"

    # Instead of what the patient holds, so that both forms are sent.
    await environment.hold(environment.instant(13), AT_CLINIC)
    form = {"key": "one", "service_what": "part", "who": "me"}
    busy = (await asha.post(line(filling), form)).headers["location"]
    assert busy.startswith("/busy?")
    claim = await environment.db.fetch_value("SELECT booking_id FROM booking.claim WHERE patient_id = 1")
    switch = {"key": "two", "has": str(claim)}
    ticket = (await asha.post(busy, switch)).headers["location"]
    assert "/wait/" in ticket
    await close_service(environment.db, PROVIDER, "filling")
    assert (await asha.post(busy, switch)).headers["location"] == ticket
    assert (await asha.post(line(filling), form)).headers["location"] == ticket
    other = await offer_service(environment.db, PROVIDER, "crown", 150_000, 30)
    await close_service(environment.db, PROVIDER, "crown")
    assert "/wait/" not in (await asha.post(line(other), form)).headers["location"]


async def test_what_is_said_of_a_window_is_without_the_time_kept_free(asha: Browser, environment: Environment) -> None:
    surgery = await offer_service(environment.db, PROVIDER, "surgery", 150_000, 150, buffer_minutes=30)
    await environment.db.execute("UPDATE schedule.shift SET slots_max = 6 WHERE clinic_id = 1")
    await environment.hold(environment.instant(9), ONLINE, "bina")
    line = f"{on(environment, surgery).replace('?', '/line?')}&part=morning"
    joined = (await asha.fill(line, service_what="part", who="me")).headers["location"]
    ticket = said((await asha.get(joined)).text)
    assert "Surgery · ₹1,500 Clinic 1" in ticket
    assert "Any morning time" in ticket


async def test_what_one_clinic_offers_is_not_waited_for_anywhere(asha: Browser, environment: Environment) -> None:
    everywhere = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30)
    here = await offer_service(environment.db, PROVIDER, "crown", 150_000, 30, clinic_id=FREE)
    for service_id, is_offered in ((everywhere, True), (here, False)):
        page = await asha.get(f"{EVENING}/line?service={service_id}")
        assert ('name="anywhere"' in page.text) == is_offered
