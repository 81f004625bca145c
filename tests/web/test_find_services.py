"""Finding a service or tests by pages: with its price, its times, and where it is asked for by other words."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from litestar import Litestar

from tests.fixtures.environment import Environment
from tests.web.client import forget_shared_reads
from tests.web.pune import counted, led, look

pytestmark = pytest.mark.dates


_PRICED = r"<b>(?:₹([\d,]+)|Ask the clinic)</b>[^\n]*[>·] ?Root canal<"
_PRICED_TESTS = r"<b>₹([\d,]+)</b>[^\n]*>Complete Blood Count, HbA1c<"


async def test_a_service_is_found_with_its_price_and_times(http: httpx.AsyncClient, city: Environment) -> None:
    for path, location in (
        ("/find?need=Root+Canal&place=Pune", "/in/pune?service=root-canal"),
        ("/find?need=complete-blood-count&place=Pune&sort=price", "/in/pune?service=complete-blood-count&sort=price"),
        ("/find?service=hba1c,complete-blood-count&place=pune", "/in/pune?service=hba1c%2Ccomplete-blood-count"),
        ("/find?service=nothing&place=pune", "/in/pune"),
        # The form as it was shown, and with something else typed.
        (
            "/find?need=HbA1c,+Complete+Blood+Count&service=hba1c,complete-blood-count&place=pune&fee=900",
            "/in/pune?service=hba1c%2Ccomplete-blood-count&fee=900",
        ),
        ("/find?need=Dentistry&service=hba1c,complete-blood-count&place=pune", "/in/pune/dentistry"),
        ("/find?service=hba1c,root-canal&place=pune", "/in/pune?service=hba1c"),
    ):
        assert await led(http, path) == (303, location), path
    text = await look(http, "/in/pune?service=root-canal&sort=price")
    assert "<h1>Root canal " in text
    assert 'aria-current="true" class="alone">Lowest fee</strong>' in text
    prices = [int(fee.replace(",", "")) if fee else None for fee in re.findall(_PRICED, text)]
    known = [fee for fee in prices if fee is not None]
    assert known == sorted(known)
    assert prices == [*known, *[None] * (len(prices) - len(known))]
    assert len(known) > 3
    last = await look(http, "/in/pune?service=root-canal&sort=price&page=2")
    assert re.findall(_PRICED, last)[-1] == ""  # "Ask the clinic" comes last
    for path in ("/in/pune?service=root-canal&fee=2000", "/find?need=rct&place=pune&fee=2000"):
        cheap = [int((fee or "0").replace(",", "")) for fee in re.findall(_PRICED, await look(http, path))]
        assert max(cheap) == 2000, path
    # Each time has the hour that it takes, and leads to the chart for it.
    links = [
        (split.path, parse_qs(split.query)) for split in map(urlsplit, re.findall(r'class="time" href="([^"]+)"', text))
    ]
    assert len(links) > 10
    for path, query in links:
        provider, clinic = path.split("/")[2], path.split("/")[4]
        fits = await city.db.fetch_value(
            """SELECT EXISTS (
                SELECT FROM directory.service CROSS JOIN LATERAL booking.seat_for(
                    $1, $2, $3, booking.need_of(1, $1, ARRAY[service_id]), (SELECT public.app_now()))
                WHERE provider_id = $1 AND service_id = $4)""",
            int(provider), int(clinic), datetime.fromisoformat(query["start"][0]), int(query["service"][0]),
        )  # fmt: skip
        assert fits, (path, query)
    # So do the names, whatever the time.
    named = {
        split.path: parse_qs(split.query)
        for split in map(urlsplit, re.findall(r'<h2 lang="en"><a href="([^"]+)"', text))
    }
    assert {path: {"service": query["service"]} for path, query in links}.items() <= named.items()
    assert all(query.keys() == {"service"} for query in named.values())
    lab = await look(http, "/in/pune?service=complete-blood-count,hba1c")
    assert re.findall(_PRICED_TESTS, lab) == ["900"]
    [first, *_] = re.findall(r'class="time" href="([^"]+)"', lab)
    assert len(parse_qs(urlsplit(first).query)["service"]) == 2
    assert re.findall(r"<b>₹450</b>[^\n]*>Complete Blood Count<", await look(http, "/find?need=cbc+test&place=pune"))
    await city.db.execute(
        """INSERT INTO directory.service_type (slug, name, is_test) VALUES ('biopsy', 'Biopsy', true);
        INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
        SELECT provider_id, service_type_id, 0, 0, 'clinic'
        FROM directory.provider, directory.service_type WHERE type = 'lab' AND slug = 'biopsy'"""
    )
    assert "₹450 and what the clinic asks</b>" in await look(http, "/in/pune?service=hba1c,biopsy")
    for odd in ("%00", ",", "," * 3000, "x" * 5000, "root-canal,", "'--", "<b>"):
        assert (await http.get(f"/in/pune?service={odd}")).status_code == 200, odd
    hindi = await look(http, "/hi/in/pune?service=root-canal&sort=price")
    assert "सबसे कम फ़ीस</strong>" in hindi


async def test_a_phrase_for_several_services_is_for_the_cheapest_of_each_provider(
    http: httpx.AsyncClient, city: Environment
) -> None:
    """Also where one provider's service is called just so: it must not hide what others call otherwise."""
    await city.db.execute(
        """INSERT INTO directory.service_type (slug, name, is_test)
        VALUES ('root-canal-treatment', 'Root canal treatment', false),
            ('ultrasound-abdomen', 'Ultrasound abdomen', true), ('ultrasound-pelvis', 'Ultrasound pelvis', true);
        INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
        SELECT provider_id, service_type_id, 60, 150000, 'clinic'::directory.funding
        FROM directory.provider, directory.service_type
        WHERE identifier IN ('d1', 'd3') AND service_type.slug = 'root-canal-treatment'
        UNION ALL
        SELECT provider_id, service_type_id, length, fee_minor, 'clinic'
        FROM directory.provider, directory.service_type
        JOIN (VALUES ('ultrasound-abdomen', 30, 120000), ('ultrasound-pelvis', 90, 90000))
            AS priced(slug, length, fee_minor) USING (slug)
        WHERE type = 'lab'"""
    )
    assert await led(http, "/find?need=Root+Canal&place=Pune") == (200, "")
    both = await look(http, "/find?need=Root+Canal&place=Pune&sort=price")
    assert counted(both) > counted(await look(http, "/in/pune?service=root-canal"))
    for number, shown in ((1, ("Root canal", "1,000")), (3, ("Root canal treatment", "1,500"))):
        card = both[both.index(f"Dr Asha Rao {number}</a></h2>") :]
        [(price, name), *_] = re.findall(r"<b>₹([\d,]+)</b>.*? min · (.*?)</span>", card)
        assert (name, price) == shown


async def test_a_test_that_has_kinds_asks_which(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        """INSERT INTO directory.service_type (slug, name, is_test) VALUES
            ('ultrasound-abdomen', 'Ultrasound abdomen', true), ('ultrasound-pelvis', 'Ultrasound pelvis', true);
        INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
        SELECT provider_id, service_type_id, length, fee_minor, 'clinic'
        FROM directory.provider, directory.service_type
        JOIN (VALUES ('ultrasound-abdomen', 30, 120000), ('ultrasound-pelvis', 90, 90000))
            AS priced(slug, length, fee_minor) USING (slug)
        WHERE type = 'lab'"""
    )
    for need in ("sonography", "ultrasound near me", "USG"):
        text = await look(http, f"/find?{urlencode({'need': need, 'place': 'Pune'})}")
        for slug, name, price, minutes in (
            ("ultrasound-abdomen", "Ultrasound abdomen", "1,200", 30),
            ("ultrasound-pelvis", "Ultrasound pelvis", "900", 90),
        ):
            assert f'<a class="chip" href="/in/pune?service={slug}">{name}</a>' in text, need
            assert re.search(rf">{name}<.*\n.*{minutes} min.*₹{price}<", text), need
        assert "<h1>Ultrasound abdomen" not in text
    # One kind is nothing to choose.
    await city.db.execute("UPDATE directory.service SET closed_at = now() WHERE fee_minor = 120000")
    text = await look(http, "/find?need=ultra+sound&place=Pune")
    assert "Which one?" not in text
    assert "<h1>Ultrasound pelvis" in text
    [start, *_] = re.findall(r'class="time" href="([^"]+)"', text)
    service_id = await city.db.fetch_value("SELECT service_id FROM directory.service WHERE fee_minor = 90000")
    assert parse_qs(urlsplit(start).query)["service"] == [str(service_id)]


async def test_a_laboratory_has_prices_by_test_and_no_fee(
    http: httpx.AsyncClient, app: Litestar, city: Environment
) -> None:
    """Where it offers tests: pages sell nothing else there."""
    row = await city.db.fetch_row(
        """SELECT provider_id, clinic_id, fee_minor / 100 AS fee
        FROM directory.provider_clinic JOIN directory.provider USING (provider_id) WHERE identifier = 'd62'"""
    )
    assert row is not None
    about, clinic = f"/doctor/{row['provider_id']}/baner-lab?about", f"/clinic/{row['clinic_id']}/baner-care"
    for fee, count in (("Prices by test", 1), (f"₹{row['fee']}", 0)):
        for path in ("/in/pune/lab", about, clinic):
            text = await look(http, path)
            at = 0 if path == about else text.index("Baner Lab</a></h")
            assert re.findall(r"<b>(Prices by test|₹[\d,]+)</b>", text[at:])[0] == fee, path
            assert "Fee: </span><b>Prices" not in text
            # Pages of a lab or clinic say it with the next free time there, too.
            assert text.count("Prices by test") == count * (1 if path == "/in/pune/lab" else 2), path
        assert ("हर जाँच का दाम अलग" in await look(http, "/hi/in/pune/lab")) == (count > 0)
        await city.db.execute(
            "UPDATE directory.service SET closed_at = now() WHERE fee_minor = 45000 AND closed_at IS NULL"
        )
        forget_shared_reads(app)


async def test_a_service_that_nobody_offers_any_more_is_searched_as_words(
    http: httpx.AsyncClient, city: Environment
) -> None:
    """As a keyword is."""
    await city.db.execute("UPDATE directory.service SET closed_at = now()")
    for need, service in (
        ("Root Canal", ""),
        ("root-canal", ""),
        ("Root canal", "root-canal"),  # the form, shown before it was closed
        ("HbA1c, Complete Blood Count", "hba1c,complete-blood-count"),
    ):
        path = f"/find?{urlencode({'need': need, 'service': service, 'place': 'Pune'})}"
        assert await led(http, path) == (200, ""), path
        # The words of one are those of dentists, too.
        assert (counted(await look(http, path)) > 0) == (service != "hba1c,complete-blood-count"), path
