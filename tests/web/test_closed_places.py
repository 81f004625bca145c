"""Pages of places that have closed say so and lead to others; old addresses of cities lead on."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.web.client import Browser, forget_shared_reads
from tests.web.pune import led, look
from tests.web.pune import words as words_of
from tests.web.staff import OFFICE, words

_CLOSE = "SELECT code FROM booking.set_place_closed($1, $2, $3, true, 'system:operator', '')"


async def test_a_closed_clinic(http: httpx.AsyncClient, app: Litestar, environment: Environment) -> None:
    db = environment.db
    assert await db.fetch_value(_CLOSE, AT_CLINIC, None, True) == "changed"
    page = await look(http, f"/clinic/{AT_CLINIC}/clinic-2")
    assert "Closed since" in words_of(page)
    assert 'href="/in/pune/clinic">Other clinics<' in page
    assert "Who can be booked here" not in page
    assert "बंद" in words_of(await look(http, f"/hi/clinic/{AT_CLINIC}/clinic-2"))
    assert "Clinic 2" not in await look(http, "/in/pune")
    # The provider works on elsewhere; once closed everywhere, their page says so, too.
    assert "Closed since" not in words_of(await look(http, f"/doctor/{PROVIDER}/dr-1"))
    assert await db.fetch_value(_CLOSE, None, PROVIDER, True) == "changed"
    forget_shared_reads(app)
    page = await look(http, f"/doctor/{PROVIDER}/dr-1")
    assert "Closed since" in words_of(page)
    assert 'href="/in/pune/doctor">Other doctors<' in page
    assert (await http.get(f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}")).status_code == 200
    suggested = (await http.get("/api/v1/suggest?q=clinic+2")).json()
    assert [one for one in suggested if one["kind"] == "clinic"] == []


async def test_the_office_opens_nobody_at_what_is_closed_as_a_whole(ward: Browser, environment: Environment) -> None:
    db = environment.db
    path = f"{OFFICE}/provider/{PROVIDER}"
    await db.fetch_value(_CLOSE, AT_CLINIC, None, True)
    assert "The clinic is closed. Open it first." in words(await ward.get(path))
    await ward.post(f"{path}/open")
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NULL") == 4
    await db.fetch_value(_CLOSE, None, PROVIDER, True)
    await ward.post(f"{OFFICE}/open")
    assert "They are closed everywhere." in words(await ward.get(path))
    await db.fetch_value(_CLOSE, None, PROVIDER, False)
    assert await db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NULL") == 6


@pytest.mark.usefixtures("environment")
async def test_old_addresses_of_a_city_lead_on(http: httpx.AsyncClient, environment: Environment) -> None:
    await environment.db.execute("INSERT INTO directory.city_alias SELECT 'old-pune', city_id FROM directory.city")
    assert await led(http, "/in/old-pune") == (301, "/in/pune")
    assert await led(http, "/hi/in/old-pune/doctor?page=2") == (301, "/hi/in/pune/doctor?page=2")
    answer = await http.get("/api/v1/cities/old-pune/providers")
    assert (answer.status_code, len(answer.json())) == (200, 2)
