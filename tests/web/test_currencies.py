"""A clinic whose fees are not in rupees, from the file that lists it to the refund."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from litestar import Litestar

from healthplus.imports.import_file import import_file
from healthplus.imports.summary import Options
from healthplus.payments.gateway import GatewayPayment
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.settings import Settings
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.test_appointments_pages import money_is, said
from tests.web.test_holds import PAY, hold

HEADER = (
    "provider_identifier,type,name,specialities,clinic_identifier,clinic_name,city,state,currency,fee,shifts,tests\n"
)
ALL_DAY = "Mon-Sun 06:00-22:00/30"


class Place(NamedTuple):
    """A clinic abroad; `fee` and `test` as in the file, in the smallest unit, and as pages write them."""

    city: str
    zone: str
    currency: str
    fee: tuple[str, int, str]
    test: tuple[str, int, str]
    symbol: str


NEW_YORK = Place(
    "New York", "America/New_York", "USD", ("99.50", 9950, "$99.50"), ("1500", 150_000, "$1,500"), "$"
)  # fmt: skip
TOKYO = Place("Tokyo", "Asia/Tokyo", "JPY", ("5000", 5000, "JP¥5,000"), ("800", 800, "JP¥800"), "JP¥")


class Abroad(NamedTuple):
    """The place, imported: its only provider and clinic, and where the provider's chart is."""

    place: Place
    provider_id: int
    clinic_id: int
    chart: str


@pytest.fixture(params=[NEW_YORK, TOKYO], ids=lambda place: place.city)
async def abroad(request: pytest.FixtureRequest, environment: Environment, tmp_path: Path) -> Abroad:
    place: Place = request.param
    row = f"doctor,doctor,Dr Lee,Cardiology,clinic,Harbour Clinic,{place.city},{place.city},{place.currency},"
    path = tmp_path / "abroad.csv"
    path.write_text(f"{HEADER}{row}{place.fee[0]},{ALL_DAY},HbA1c={place.test[0]}\n")
    summary = await import_file(environment.db, path, Options(time_zone=place.zone))
    assert (summary.accepted, summary.rejected) == (1, [])
    found = await environment.db.fetch_row(
        """SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id)
        WHERE name = 'Dr Lee'"""
    )
    assert found is not None
    provider_id, clinic_id = found
    return Abroad(place, provider_id, clinic_id, f"/doctor/{provider_id}/dr-lee/{clinic_id}")


async def held_there(client: Client, abroad: Abroad) -> dict[str, Any]:
    shown = (await client.get(f"providers/{abroad.provider_id}")).json()
    start = shown["clinics"][0]["next_free"][-1]
    return await hold(client, {"clinic_id": abroad.clinic_id, "start": start}, abroad.provider_id)


def fee(abroad: Abroad) -> dict[str, Any]:
    return {"fee_minor": abroad.place.fee[1], "currency": abroad.place.currency, "fee_paise": None}


async def test_the_directory_says_it(anyone: Client, abroad: Abroad) -> None:
    place = abroad.place
    provider = (await anyone.get(f"providers/{abroad.provider_id}")).json()
    price = {"price_minor": place.test[1], "currency": place.currency, "price_paise": None}
    assert fee(abroad).items() <= provider["clinics"][0].items()
    assert price.items() <= provider["lab_tests"][0].items()
    clinic = (await anyone.get(f"clinics/{abroad.clinic_id}")).json()
    assert fee(abroad).items() <= clinic["providers"][0].items()
    assert price.items() <= clinic["lab_tests"][0].items()
    city = provider["clinics"][0]["city"]["slug"]
    offered = (await anyone.get(f"lab-tests/hba1c/providers?city={city}")).json()
    assert price.items() <= offered["providers"][0].items()


async def test_fees_are_searched_in_whole_units(anyone: Client, http: httpx.AsyncClient, abroad: Abroad) -> None:
    place = abroad.place
    city = place.city.lower().replace(" ", "-")
    [found] = (await anyone.get(f"cities/{city}/providers")).json()
    units = float(place.fee[0])
    assert (found["fee"], found["fee_minor"], found["currency"]) == (units, place.fee[1], place.currency)
    limit = round(units + 0.1)
    for query, count in (
        (f"fee_max={limit}", 1),
        (f"fee_max={limit - 1}", 0),
        (f"fee_min={limit}", int(units == limit)),
        (f"fee_min={limit - 1}", 1),
    ):
        assert len((await anyone.get(f"cities/{city}/providers?{query}")).json()) == count, query
    page = await said(http, f"/in/{city}?fee={limit}")
    for text in (place.fee[2], f"Fee up to, in {place.symbol}", f"Up to {place.symbol}{limit:,}"):
        assert text in page
    nobody = await said(http, f"/in/{city}?fee={limit - 1}")
    assert "Any fee" in nobody
    # Rupees are written as ever.
    assert "Fee up to, in ₹" in await said(http, "/in/pune")
    [pune] = (await anyone.get("cities/pune/providers?fee_max=400")).json()[:1]
    assert (pune["fee"], pune["fee_minor"], pune["currency"]) == (300.0, 30000, "INR")


async def test_it_is_held_paid_and_given_back(
    http: httpx.AsyncClient, asha: Client, environment: Environment, sandbox_bank: Settings, abroad: Abroad
) -> None:
    place, amount = abroad.place, abroad.place.fee[2]
    http.cookies.set("session", environment.tokens["asha"])
    assert amount in await said(http, abroad.chart)
    held = await held_there(asha, abroad)
    assert fee(abroad).items() <= held.items()
    assert fee(abroad).items() <= (await asha.get(held["url"])).json().items()
    assert f"Pay {amount}" in await said(http, f"/doctor/{abroad.provider_id}/hold/{held['id']}")
    paid = (await asha.post(f"{held['url']}/payment", PAY)).json()
    assert (paid["state"], paid["currency"]) == ("booked", place.currency)
    assert f"Paid: {amount}" in await said(http, f"/doctor/{abroad.provider_id}/hold/{held['id']}")
    assert [one["currency"] for one in (await asha.get("appointments")).json()] == [place.currency]

    visit = f"/appointments/{abroad.provider_id}/{held['id']}"
    await money_is(environment, visit, "captured")
    async with SandboxGateway(bank_url(sandbox_bank), "") as bank:
        [at_bank] = await bank.fetch(f"{abroad.provider_id}:{held['id']}")
    assert at_bank == GatewayPayment(at_bank.authorisation, "captured", place.fee[1], place.currency)
    assert f"Paid: {amount} on" in await said(http, visit)
    assert amount in await said(http, f"{visit}/receipt")
    assert f"The {amount} that you paid goes back" in await said(http, f"{visit}/cancel")
    cancelled = (await asha.delete(f"providers/{abroad.provider_id}/appointments/{held['id']}")).json()
    assert fee(abroad).items() <= cancelled.items()
    await money_is(environment, visit, "refunded")
    assert f"Refunded: {amount} on" in await said(http, f"{visit}/receipt")

    personal = (await asha.get("me/export")).json()
    for kind in ("bookings", "payment_intents", "payments", "ledger"):
        assert {one["currency"] for one in personal[kind]} == {place.currency}, kind


async def test_an_offer_says_it(
    app: Litestar, asha: Client, bina: Client, environment: Environment, abroad: Abroad
) -> None:
    held = await held_there(asha, abroad)
    window = {"clinic_id": abroad.clinic_id, "from": held["start"], "to": held["end"]}
    wait = (await bina.post(f"providers/{abroad.provider_id}/waits", window)).json()
    await asha.delete(held["url"])
    offered = (await bina.get(wait["url"])).json()
    assert fee(abroad).items() <= offered["offer"].items()
    page = await Browser(app, environment.tokens["bina"]).get(f"/doctor/{abroad.provider_id}/wait/{wait['id']}")
    assert f"and pay {abroad.place.fee[2]}" in page.text


async def test_both_names_are_there_for_rupees(asha: Client, environment: Environment) -> None:
    held = await hold(asha, {"clinic_id": ONLINE, "start": environment.at(9)})
    assert {"fee_minor": 50000, "currency": "INR", "fee_paise": 50000}.items() <= held.items()
    read = (await asha.get(f"providers/{PROVIDER}/holds/{held['id']}")).json()
    assert read["fee_paise"] == 50000


async def test_the_old_names_are_marked_deprecated(http: httpx.AsyncClient) -> None:
    document = (await http.get("/api/v1/openapi.json")).json()
    amounts = set()
    for name, schema in document["components"]["schemas"].items():
        properties = schema.get("properties", {})
        for field, described in properties.items():
            if re.fullmatch("(fee|price)_minor", field):
                assert "currency" in properties, name
                amounts.add(name)
            if re.fullmatch("(fee|price)_paise", field):
                assert described["deprecated"], name
                assert "Deprecated since" in described["description"]
                assert field.replace("paise", "minor") in properties
                assert field not in schema["required"]
    assert amounts == {
        "Booking", "Call", "ChosenService", "ClinicLabTest", "ClinicProvider", "Doctor", "DoctorService",
        "LabTestProvider", "Offer", "OfferedService", "PricedLabTest", "Workplace",
    }  # fmt: skip
