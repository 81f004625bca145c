"""Finding somebody by pages: where results are, whom they show and count, and where each page leads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from itertools import zip_longest
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from litestar import Litestar

from healthplus.web.languages import ENGLISH
from healthplus.web.services import AppServices
from tests.fixtures.environment import IST, PROVIDER, Environment
from tests.web.client import forget_shared_reads

pytestmark = pytest.mark.dates

# Beside the environment's: sixty doctors at two clinics of Pune, each with other facts; a hospital and a lab with
# tests; one doctor in Mumbai, where nobody knows where the clinic is.
_DIRECTORY = """
INSERT INTO directory.city (slug, name, latitude, longitude) VALUES ('mumbai', 'Mumbai', NULL, NULL);
UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
INSERT INTO directory.speciality (slug, name) VALUES ('dentistry', 'Dentistry'), ('cardiology', 'Cardiology');
INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code, phone, latitude, longitude)
SELECT place.name, city_id, place.name, address, postal_code, phone, place.latitude, place.longitude
FROM (VALUES ('Smile Clinic', 'pune', 'Paud Road, Kothrud, Pune', '411038', '+912025000001', 18.5074, 73.8077),
             ('Baner Care', 'pune', 'Baner Road, Baner', '411045', '+912025000002', 18.5590, 73.7868),
             ('Hill Clinic', 'mumbai', 'Hill Road, Bandra', '400050', NULL, NULL, NULL))
    AS place(name, slug, address, postal_code, phone, latitude, longitude)
JOIN directory.city USING (slug);
INSERT INTO directory.provider (
    identifier, type, name, phone, bio, gender, languages, practising_since, max_booking_days)
SELECT 'd' || n, (CASE n WHEN 61 THEN 'hospital' WHEN 62 THEN 'lab' ELSE 'doctor' END)::directory.provider_type,
    CASE n WHEN 61 THEN 'Baner Hospital' WHEN 62 THEN 'Baner Lab' ELSE 'Dr Asha Rao ' || n END, '+9120260000' || n, '',
    CASE WHEN n <= 60 THEN (ARRAY['female', 'male', NULL])[n % 3 + 1]::directory.gender END,
    CASE WHEN n % 2 = 0 THEN ARRAY['Marathi', 'English'] ELSE ARRAY['Hindi'] END, 1980 + n % 40, 30
FROM generate_series(1, 63) AS n;
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, clinic_id, 20000 + provider_id % 10 * 5000, 'clinic'
FROM directory.provider JOIN directory.clinic
    ON clinic.name = CASE WHEN provider.identifier = 'd63' THEN 'Hill Clinic'
        WHEN provider.identifier IN ('d61', 'd62') THEN 'Baner Care'
        WHEN provider_id % 2 = 0 THEN 'Smile Clinic' ELSE 'Baner Care' END
WHERE provider.identifier LIKE 'd%';
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id FROM directory.provider JOIN directory.speciality
    ON slug = CASE WHEN provider_id % 4 = 0 THEN 'cardiology' ELSE 'dentistry' END
WHERE identifier LIKE 'd%';
INSERT INTO directory.service_type (slug, name, is_test)
VALUES ('hba1c', 'HbA1c', true), ('complete-blood-count', 'Complete Blood Count', true),
    ('root-canal', 'Root canal', false);
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
SELECT provider_id, service_type_id, 0, 45000, 'clinic'::directory.funding
FROM directory.provider, directory.service_type WHERE type = 'lab' AND is_test
UNION ALL  -- of every third dentist, for an hour; some say their price only themselves
SELECT provider_id, service_type_id, 60, (provider_id * 7 % 5) * 100000, 'clinic'
FROM directory.provider JOIN directory.provider_speciality USING (provider_id)
JOIN directory.speciality USING (speciality_id), directory.service_type
WHERE speciality.slug = 'dentistry' AND type = 'doctor' AND provider_id % 3 = 0 AND service_type.slug = 'root-canal';
-- Every seventh works on Mondays only, every eleventh never.
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT provider_id, clinic_id, weekday, '09:00', '12:00', 30
FROM directory.provider JOIN directory.provider_clinic USING (provider_id), generate_series(1, 7) AS weekday
WHERE identifier LIKE 'd%' AND provider_id % 11 <> 0 AND (weekday = 1 OR provider_id % 7 <> 0);
"""
# Who can be found in Pune, by a plain look at every row.
_LOOK = """
SELECT count(DISTINCT provider_id)::integer FROM directory.provider
JOIN directory.provider_clinic USING (provider_id) JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE city.slug = 'pune' AND """
_IS = """EXISTS (SELECT FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
    WHERE provider_speciality.provider_id = provider.provider_id AND speciality.slug = '{}')"""
_FREE = (
    "EXISTS (SELECT FROM booking.obtainable_runs("
    "provider.provider_id, clinic_id, '{}', '{}', 1, (SELECT public.app_now())))"
)


_PRICED = r"<b>(?:₹([\d,]+)|Ask the clinic)</b>[^\n]*[>·] ?Root canal<"
_PRICED_TESTS = r"<b>₹([\d,]+)</b>[^\n]*>Complete Blood Count, HbA1c<"


@pytest.fixture
async def city(environment: Environment) -> Environment:
    """The directory, at six in the morning of the environment's day."""
    await environment.db.execute(_DIRECTORY)
    await environment.pass_until(environment.day + timedelta(hours=6))
    return environment


async def look(http: httpx.AsyncClient, path: str) -> str:
    page = await http.get(path)
    assert page.status_code == 200, (path, page.status_code, page.headers.get("location"))
    return unescape(page.text)


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", "", page).split())


async def led(http: httpx.AsyncClient, path: str) -> tuple[int, str]:
    answer = await http.get(path)
    return answer.status_code, answer.headers.get("location", "")


def counted(text: str) -> int:
    found = re.search(r"<strong>(\d+) results?</strong>", text)
    return int(found[1]) if found else 0


def ways(text: str) -> list[tuple[str, str, str]]:
    return re.findall(r'<a href="([^"]+)">([^<]+): \+?([^<]+)</a>', text)


async def test_results_have_readable_addresses(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute("INSERT INTO directory.city (slug, name) VALUES ('pune-goa', 'Pune')")
    for path, status, location in (
        ("/find?need=Dentistry&place=Pune", 303, "/in/pune/dentistry"),
        ("/find?need=dentistry&place=poona&fee=&gender=female&page=2", 303, "/in/pune/dentistry?gender=female&page=2"),
        ("/find?place=pune", 303, "/in/pune"),
        ("/find?need=lab&place=Pune", 303, "/in/pune/lab"),
        ("/find?need=&type=lab&place=Pune&sort=rating", 303, "/in/pune/lab?sort=rating"),
        ("/find?need=Dentistry&place=Kothrud,%20Pune", 303, "/in/pune/dentistry/kothrud"),
        ("/find?need=Dentistry&place=Pune&near=18.5,73.8&within=5", 303, "/in/pune/dentistry"),
        ("/hi/find?need=दंत चिकित्सा&place=पुणे", 303, "/hi/in/pune/dentistry"),
        ("/find?need=dentistry&place=Pune&city=pune-goa", 303, "/in/pune-goa/dentistry"),
        ("/find?need=dentistry&place=Mumbai&city=pune-goa", 303, "/in/mumbai/dentistry"),
        ("/in/Pune", 301, "/in/pune"),
        ("/in/poona/dentistry?day=week", 301, "/in/pune/dentistry?day=week"),
        ("/hi/in/PUNE", 301, "/hi/in/pune"),
        ("/in/pune?type=lab", 301, "/in/pune/lab?type=lab"),
        ("/in/pune/dentist", 303, "/find?need=dentist&place=pune"),
        ("/in/pune?page=60", 303, "/in/pune"),
        ("/in/atlantis", 404, ""),
        ("/in/atlantis/dentistry", 404, ""),
    ):
        assert await led(http, path) == (status, location), path
    for path in ("/in/pune/lab?type=doctor", "/find?need=dentist&place=Pune", "/find?need=asha&place=Kothrud", "/find"):
        assert counted(await look(http, path)) > 0, path
    assert counted(await look(http, "/in/pune/dentistry/kothrud")) == await city.db.fetch_value(
        _LOOK + _IS.format("dentistry") + " AND clinic.name = 'Smile Clinic'"
    )
    assert 'href="/in/pune/dentistry"' in await look(http, "/")  # where one has looked last
    http.cookies.clear()
    start = await look(http, "/")
    assert 'href="/in/pune"' in start
    assert 'href="/speciality/dentistry"' in start
    assert counted(await look(http, "/find?need=dentistry")) > counted(await look(http, "/in/pune/dentistry"))


async def test_each_filter_counts_what_a_plain_look_counts(http: httpx.AsyncClient, city: Environment) -> None:
    year = city.day.year
    days = [
        _FREE.format(city.day + timedelta(days=ahead), city.day + timedelta(days=ahead + days))
        for ahead, days in ((0, 1), (1, 1), (0, 7), (3, 1))
    ]
    third = (city.day + IST + timedelta(days=3)).date()
    total = await city.db.fetch_value(_LOOK + "true")
    for path, condition in (
        ("/in/pune?", "true"),
        ("/in/pune/dentistry?", _IS.format("dentistry")),
        ("/in/pune/lab?", "type = 'lab'"),
        ("/in/pune/hospital?", "type = 'hospital'"),
        ("/in/pune/cardiology?type=lab", "type = 'lab' AND " + _IS.format("cardiology")),
        ("/in/pune?fee=300", "fee_minor <= 30000"),
        ("/in/pune?gender=female", "gender = 'female'"),
        ("/in/pune?language=marathi", "'Marathi' = ANY (languages)"),
        ("/in/pune?experience=20", f"practising_since <= {year - 20}"),
        ("/in/pune?day=today", days[0]),
        ("/in/pune?day=tomorrow", days[1]),
        ("/in/pune?day=week", days[2]),
        (f"/in/pune?day={third}", days[3]),
        (
            "/in/pune/dentistry?day=tomorrow&gender=male&fee=400",
            f"{days[1]} AND gender = 'male' AND fee_minor <= 40000 AND " + _IS.format("dentistry"),
        ),
    ):
        text = await look(http, path)
        expected = await city.db.fetch_value(_LOOK + condition)
        assert 0 < expected <= total
        if "day" in path and expected > 50:
            assert "More than 50 results" in text, path
        else:
            assert counted(text) == expected, path
    # Each filter in use is a link that drops it, and alone makes a difference.
    text = await look(http, "/in/pune/dentistry?day=tomorrow&gender=male&fee=400")
    dropped = re.findall(r'class="chip on" href="([^"]+)"', text)
    assert [urlsplit(path)[2:4] for path in dropped] == [
        ("/in/pune/dentistry", "fee=400&gender=male"),
        ("/in/pune/dentistry", "day=tomorrow&gender=male"),
        ("/in/pune/dentistry", "day=tomorrow&fee=400"),
    ]
    for path in dropped:
        assert counted(await look(http, path)) > counted(text)


async def test_a_card_leads_to_the_next_times_there(http: httpx.AsyncClient, city: Environment) -> None:
    shown = 0
    for path in ("/in/pune/cardiology", "/hi/in/pune/cardiology?day=tomorrow&sort=date"):
        text = await look(http, path)
        cards = re.findall(r'<li class="card doc" id.*?\n</li>\n(?=<li|</ol>)', text, re.DOTALL)
        assert len(cards) == 10
        for card in cards:
            links = re.findall(r'class="time" href="([^"]+)">([^<]+)<', card)
            provider = re.search(r"/doctor/(\d+)/(dr-asha-rao-\d+)", card)
            clinic = re.search(r"/clinic/(\d+)/[a-z-]+", card)
            assert provider
            assert clinic
            begins = city.day + timedelta(days=1) if "tomorrow" in path else city.day
            times: list[datetime] = await city.db.fetch_value(
                "SELECT array(SELECT DISTINCT starts_at FROM booking.obtainable_runs($1, $2, $3::timestamptz, "
                "$3::timestamptz + '9 days', 1, (SELECT public.app_now())) ORDER BY 1 LIMIT 3)",
                int(provider[1]),
                int(clinic[1]),
                begins,
            )
            asked = [parse_qs(urlsplit(href).query) for href, _ in links]
            assert [datetime.fromisoformat(query["start"][0]) for query in asked] == times
            assert [query["day"][0] for query in asked] == [f"{time + IST:%Y-%m-%d}" for time in times]
            prefix = "/hi" if path.startswith("/hi") else ""
            assert all(href.startswith(f"{prefix}{provider[0]}/{clinic[1]}?") for href, _ in links)
            if times and not prefix:
                assert [said for _, said in links] == [ENGLISH.clock(time, "Asia/Kolkata") for time in times]
                assert "· IST" in card
                shown += 1
            elif not times:
                assert "No free time in the next 30 days." in card
                assert 'href="tel:+91202600' in card
    assert shown > 5


async def test_orders_pages_and_distances(http: httpx.AsyncClient, city: Environment) -> None:
    seen: list[str] = []
    path = "/in/pune/dentistry?gender=female&sort=date"
    while path:
        text = await look(http, path)
        seen += re.findall(r'<h2 lang="en"><a href="/doctor/(\d+)/', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = following[1] if following else ""
    assert len(seen) == len(set(seen)) == counted(text) > 10
    for sort in ("rating", "distance", "date"):
        assert f'href="/in/pune/dentistry?gender=female&sort={sort}"' in await look(
            http, "/in/pune/dentistry?gender=female"
        )
    assert "sort=distance" not in await look(http, "/find?need=dentist")
    nearest = await look(http, "/in/pune/dentistry?sort=distance")
    assert "Distances are from the middle of Pune." in nearest
    km = [float(text) for text in re.findall(r"([\d.]+) km<", nearest)]
    assert km == sorted(km)
    assert len(km) == 10
    assert await led(http, "/find?near=18.50741234,73.80779&within=2") == (
        303,
        "/find?near=18.507%2C73.808&within=2",
    )
    text = await look(http, "/find?near=18.507,73.808&within=2")
    assert 'name="near" value="18.507,73.808"' in text
    assert "Within 2 km of you" in text
    assert counted(text) == await city.db.fetch_value(_LOOK + "clinic.name = 'Smile Clinic'")
    assert "0.1 km" in text
    by_code = await look(http, "/find?need=dentistry&place=411038&within=2")
    assert counted(by_code) == await city.db.fetch_value(
        _LOOK + "clinic.name = 'Smile Clinic' AND " + _IS.format("dentistry")
    )
    assert "0.0 km" in by_code
    unknown = await look(http, "/find?need=dentistry&place=999999")
    assert "We do not know where that is" in unknown
    [everywhere] = ways(unknown)
    assert (everywhere[0], everywhere[1]) == ("/find?need=dentistry", "Everywhere")
    assert counted(await look(http, everywhere[0])) == int(everywhere[2])


async def test_nobody_in_a_part_of_a_city_leads_to_all_of_it(http: httpx.AsyncClient, city: Environment) -> None:
    """Whether the part was typed as the place or after the need; not what is a part of several cities, or a name."""
    await city.db.execute("UPDATE directory.service SET closed_at = now() WHERE provider_id % 2 = 0")  # in Kothrud
    for path, wider in (
        ("/find?need=rct&place=Kothrud", "/find?need=rct&place=pune"),
        ("/find?need=rct+kothrud", "/find?need=rct&place=pune"),
        ("/find?need=rct+near+kothrud&place=Pune", "/find?need=rct&place=pune"),
        ("/find?service=root-canal&place=Kothrud&fee=5000", "/in/pune?service=root-canal&fee=5000"),
    ):
        text = await look(http, path)
        assert "No doctors match your search" in text, path
        [(_, _, found)] = [way for way in ways(text) if way[:2] == (wider, "In all of Pune")]
        assert int(found) == counted(await look(http, wider)) > 3, path
    for path in ("/find?need=rct&place=Road", "/find?need=rct+hospital", "/find?need=kothrud+bandra", "/find?need=zzz"):
        assert "In all of" not in await look(http, path), path


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
    for need in ("sonography", "ultrasound near me"):
        text = await look(http, f"/find?{urlencode({'need': need, 'place': 'Pune'})}")
        assert re.findall(r"<b>₹([\d,]+)</b>.*?(\d+) min · (.*?)</span>", text) == [
            ("900", "90", "Ultrasound pelvis")
        ], need
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
            assert re.findall(r"Fee: </span><b>(.*?)</b>", text[at:])[0] == fee, path
            assert text.count("Prices by test") == count, path
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


async def test_nobody_found_leads_on_to_somebody(http: httpx.AsyncClient, city: Environment) -> None:
    monday = next(
        day for ahead in range(7) if (day := (city.day + IST + timedelta(days=ahead)).date()).isoweekday() == 1
    )
    for path, texts in (
        ("/in/pune/lab?gender=female", ["Without “Women”", "Everywhere"]),
        ("/in/pune/dentistry?fee=1&gender=female", ["Without any filter"]),
        ("/in/pune/dentistry/bandra", ["In all of Pune", "Everywhere"]),
        ("/in/mumbai/cardiology", ["Everywhere"]),
        ("/in/pune?day=tomorrow&fee=250&language=Marathi&gender=other", ["Without “Other genders”"]),
    ):
        text = await look(http, path)
        assert f"No {'labs' if '/lab' in path else 'doctors'} match your search" in text, path
        found = ways(text)
        assert {said for _, said, _ in found} >= set(texts) - {"Everywhere"}, path
        for href, said, count in found:
            there = await look(http, href)
            assert count == f"more than {50 if 'day=' in href else 200}" or counted(there) == int(count) > 0, said
    # Who works on Mondays only is offered on the next one.
    name = await city.db.fetch_value(
        "SELECT name FROM directory.provider WHERE identifier LIKE 'd%' AND provider_id % 7 = 0 "
        "AND provider_id % 11 <> 0 ORDER BY provider_id LIMIT 1"
    )
    asked = f"/find?need=asha+{name.rpartition(' ')[2]}&place=pune&day="
    text = await look(http, f"{asked}{monday + timedelta(days=1)}")
    assert [href for href, said, _ in ways(text) if said.startswith("On Mon")] == [f"{asked}{monday}"]


async def test_a_misspelt_word_shows_what_was_meant(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/find?need=dentst&place=Pune")
    assert "Showing results for dentist." in text
    assert '<a href="/find?need=dentst&place=pune&exact=1">Search instead for dentst</a>' in text
    assert counted(text) == counted(await look(http, "/find?need=dentist&place=Pune")) > 10
    exact = await look(http, "/find?need=dentst&place=pune&exact=1")
    assert "No doctors match your search" in exact
    assert 'href="/find?need=dentist&place=pune&exact=1">dentist</a>' in exact


async def test_doctors_come_before_clinics_for_who_looks_for_a_doctor(
    http: httpx.AsyncClient, city: Environment
) -> None:
    """Page by page, each once, and as many as without that order."""
    await city.db.execute(
        """INSERT INTO directory.provider_speciality (provider_id, speciality_id)
        SELECT provider_id, speciality_id FROM directory.provider, directory.speciality
        WHERE type IN ('hospital', 'lab') AND slug = 'dentistry' ON CONFLICT DO NOTHING"""
    )
    seen: list[str] = []
    path = "/find?need=dentist+doctor&place=Pune"
    while path:
        text = await look(http, path)
        seen += re.findall(r'<h2 lang="en"><a href="/doctor/\d+/([a-z-]+?)(?:-\d+)?">', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = following[1] if following else ""
    assert set(seen[:-2]) == {"dr-asha-rao"}
    assert {*seen[-2:]} == {"baner-hospital", "baner-lab"}
    assert len(seen) == counted(text) > 20


async def test_odd_input_says_nothing_or_is_told(http: httpx.AsyncClient, city: Environment) -> None:
    everybody = counted(await look(http, "/in/pune"))
    odd = {
        "day": ["", "yesterday", "2020-01-01", "9999-12-31", "2026-02-30", "0", "\0"],
        "fee": ["-1", "abc", "1e9", "₹300", "٣", "", "9" * 5000],
        "gender": ["x", "female'--", "FEMALE"],
        "rating": ["9", "nan", "inf", "-1", "5.1"],
        "experience": ["-3", "x", "1.5"],
        "type": ["x", "doctor;"],
        "near": ["x", "1", "nan,nan", "91,0", "0,181", "inf,0", "1,2,3"],
        "within": ["-1", "x"],
        "sort": ["x", "distance; DROP TABLE directory.city"],
        "page": ["0", "-1", "x", "1.5", "٢"],
    }
    for values in zip_longest(*odd.values(), fillvalue=""):
        text = await look(http, str(httpx.URL("/in/pune", params=dict(zip(odd, values, strict=True)))))
        assert counted(text) == everybody, values
        assert "Remove filter" not in text
    for path in (
        "/find?need=%00&place=%00",
        "/find?need=%ff%fe&place=%ff",
        "/find?need=" + "x" * 5000,
        "/find?need=a&need=b&place=,&place=,,",
        "/find?language=%27%3B--&need=%27%29%29%20OR%201%3D1",
        "/find?near=18.5,73.8&place=",
        "/find?need=:*|%26!()&place=%5C",
        "/find?language=" + "क" * 300,
    ):
        assert (await http.get(path)).status_code in (200, 303), path
    for path in ("/in/%00", "/in/%ff", "/in/..%2f..", "/in/pune%27", "/in/pune/%00/%ff"):
        assert (await http.get(path)).status_code in (303, 301, 404), path
    script = await http.get('/find?need=<script>alert(1)</script>&place="><img src=x>&language=<b>x&near=<i>')
    assert not re.search(r"<script>|<img|<b>x|<i>", script.text)


async def test_a_provider(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    for path, status, location in (
        ("/doctor/1", 301, "/doctor/1/dr-1"),
        ("/doctor/1/", 301, "/doctor/1/dr-1"),
        ("/hi/doctor/1/wrong?day=2026-11-27", 301, "/hi/doctor/1/dr-1?day=2026-11-27"),
        ("/doctor/999/x", 404, ""),
        ("/doctor/0/x", 404, ""),
        (f"/doctor/{10**20}/x", 404, ""),
        ("/doctor/x/y", 404, ""),
    ):
        assert await led(http, path) == (status, location), path
    text = await look(http, "/doctor/1/dr-1")
    assert [name for name in ("Clinic 1", "Clinic 2", "Clinic 3") if f">{name}</a>" in text] == [
        "Clinic 1", "Clinic 2", "Clinic 3",
    ]  # fmt: skip
    for clinic_id in (1, 2, 3):
        assert f'href="/doctor/1/dr-1/{clinic_id}"' in text
    assert re.findall(r'class="time" href="/doctor/1/dr-1/(\d)\?', text) == list("111222333")
    assert "9:00 am – 12:00 pm" in text
    assert "No ratings yet" in text
    await _rate(city)
    forget_shared_reads(app)
    text = await look(http, "/doctor/1/dr-1")
    assert "3.7 of 5, from 3 patients who came" in text
    assert re.findall(r"</meter> (\d+)<", text) == ["1", "0", "2", "0", "0"]
    # One clinic: straight to the chart there, on the day that was asked for.
    lab = await city.db.fetch_row(
        "SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id) "
        "WHERE type = 'lab'"
    )
    assert lab is not None
    path = f"/doctor/{lab['provider_id']}/baner-lab"
    assert await led(http, path) == (303, f"{path}/{lab['clinic_id']}")
    assert await led(http, f"/hi{path}?day=2026-11-27") == (303, f"/hi{path}/{lab['clinic_id']}?day=2026-11-27")
    about = await look(http, f"{path}?about")
    assert "HbA1c" in about
    assert "₹450" in about
    await city.db.execute(
        "UPDATE directory.provider SET rating_total = 0, rating_count = 0; DELETE FROM reviews.rating; "
        "DELETE FROM schedule.shift; DELETE FROM directory.provider_clinic"
    )
    forget_shared_reads(app)
    assert "They see nobody at a clinic" in await look(http, "/doctor/1/dr-1")


async def _rate(environment: Environment) -> None:
    await environment.db.execute(
        "INSERT INTO reviews.rating (provider_id, patient_id, booking_id, stars, rated_at) "
        "SELECT 1, patient_id, gen_random_uuid(), CASE WHEN patient_id = 1 THEN 5 ELSE 3 END, app_now() "
        "FROM accounts.patient"
    )
    await environment.db.execute(
        "UPDATE directory.provider SET rating_total = 11, rating_count = 3 WHERE provider_id = 1"
    )


async def test_a_clinic(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    for path, status, location in (
        ("/clinic/1", 301, "/clinic/1/clinic-1"),
        ("/clinic/1/x", 301, "/clinic/1/clinic-1"),
        ("/clinic/999/x", 404, ""),
        (f"/clinic/{10**20}", 404, ""),
        ("/clinic/1/clinic-1?page=50", 303, "/clinic/1/clinic-1"),
    ):
        assert await led(http, path) == (status, location), path
    for hours, said in ((0, "opens today at 9:00 am IST"), (4, "Open now, until 12:00 pm IST"), (6, "opens ")):
        await city.pass_time(hours=hours)
        services: AppServices = app.state.services
        await services.clock.follow()
        forget_shared_reads(app)
        assert said in words(await look(http, "/clinic/1/clinic-1")), hours
    tomorrow = city.day + timedelta(days=1, hours=9)
    opens = ENGLISH.moment(tomorrow, "Asia/Kolkata").striptags()
    assert f"opens {opens}" in words(await look(http, "/clinic/1/clinic-1"))
    text = await look(http, "/clinic/1/clinic-1")
    assert "openstreetmap" not in text
    assert re.findall(r'href="/doctor/(\d)/dr-\d">', text) == ["1", "2"]
    assert f'href="/doctor/{PROVIDER}/dr-1/1?day={tomorrow + IST:%Y-%m-%d}' in text
    clinic = await city.db.fetch_value("SELECT clinic_id FROM directory.clinic WHERE name = 'Baner Care'")
    text = await look(http, f"/hi/clinic/{clinic}/baner-care")
    assert "https://www.openstreetmap.org/?mlat=18.559&mlon=73.7868#map=17/18.559/73.7868" in text
    assert 'href="tel:+912025000002"' in text
    assert "HbA1c" in text
    first = re.findall(r'<h3 lang="en"><a href="/hi/doctor/(\d+)/', text)
    assert 'rel="next" href="?page=2"' in text
    second = re.findall(
        r'<h3 lang="en"><a href="/hi/doctor/(\d+)/', await look(http, f"/hi/clinic/{clinic}/baner-care?page=2")
    )
    working = await city.db.fetch_value("SELECT count(*) FROM directory.provider_clinic WHERE clinic_id = $1", clinic)
    assert len(first) == 20
    assert len({*first, *second}) == working


async def test_a_map_may_have_tiles_from_elsewhere(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    """Only where a setting says so, only on the page with the map, and from there alone."""
    plain = await http.get("/in/pune?view=map")
    assert "img-src 'self';" in plain.headers["content-security-policy"]
    assert "<image" not in plain.text
    app.state.site = replace(app.state.site, map_tiles="https://tiles.example/{z}/{x}/{y}.png")
    forget_shared_reads(app)
    with_tiles = await http.get("/in/pune?view=map")
    assert "img-src 'self' https://tiles.example;" in with_tiles.headers["content-security-policy"]
    assert re.search(r'<image href="https://tiles\.example/\d+/\d+/\d+\.png"', with_tiles.text)
    assert "© OpenStreetMap contributors" in with_tiles.text
    assert "tiles.example" not in str((await http.get("/in/pune")).headers)
