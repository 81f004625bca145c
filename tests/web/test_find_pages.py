"""Finding somebody by pages: where results are, whom they show and count, and where each page leads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby, zip_longest
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar import Litestar

from healthplus.web.languages import ENGLISH
from tests.fixtures.environment import IST, Environment
from tests.web.client import forget_shared_reads
from tests.web.pune import IS, LOOK, counted, led, look

pytestmark = pytest.mark.dates
_FREE = (
    "EXISTS (SELECT FROM booking.obtainable_runs("
    "provider.provider_id, clinic_id, '{}', '{}', 1, (SELECT public.app_now())))"
)


def ways(text: str) -> list[tuple[str, str, str]]:
    return re.findall(r'<a class="row" href="([^"]+)">([^<]+): ([^<]+?) results?</a>', text)


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
        LOOK + IS.format("dentistry") + " AND clinic.name = 'Smile Clinic'"
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
    total = await city.db.fetch_value(LOOK + "true")
    for path, condition in (
        ("/in/pune?", "true"),
        ("/in/pune/dentistry?", IS.format("dentistry")),
        ("/in/pune/lab?", "type = 'lab'"),
        ("/in/pune/hospital?", "type = 'hospital'"),
        ("/in/pune/cardiology?type=lab", "type = 'lab' AND " + IS.format("cardiology")),
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
            f"{days[1]} AND gender = 'male' AND fee_minor <= 40000 AND " + IS.format("dentistry"),
        ),
    ):
        text = await look(http, path)
        expected = await city.db.fetch_value(LOOK + condition)
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


def local_day(time: datetime) -> date:
    return (time + IST).date()


def spread(times: list[datetime], count: int = 3) -> list[datetime]:
    """Return some of the first day's times: the first of each part of it, or else others of the part that has most.

    Where it has fewer, those of the next day follow.
    """
    if not times or not count:
        return []
    day = [time for time in times if local_day(time) == local_day(times[0])]
    parts = [list(part) for _, part in groupby(day, lambda time: sum((time + IST).hour >= hour for hour in (12, 17)))]
    most = max(parts, key=len)
    wanted = [part[0] for part in parts] + [most[len(most) * 2 // 3], most[len(most) // 3], *day]
    chosen = sorted(list(dict.fromkeys(wanted))[:count])
    return chosen + spread(times[len(day) :], count - len(chosen))


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
                "$3::timestamptz + '9 days', 1, (SELECT public.app_now())) ORDER BY 1)",
                int(provider[1]),
                int(clinic[1]),
                begins,
            )
            that_day = sum(local_day(time) == local_day(times[0]) for time in times)
            assert not times or f"· {that_day} {'खाली' if path.startswith('/hi') else 'free'}<" in card
            times = spread(times)
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
    assert counted(text) == await city.db.fetch_value(LOOK + "clinic.name = 'Smile Clinic'")
    assert "0.1 km" in text
    by_code = await look(http, "/find?need=dentistry&place=411038&within=2")
    assert counted(by_code) == await city.db.fetch_value(
        LOOK + "clinic.name = 'Smile Clinic' AND " + IS.format("dentistry")
    )
    assert "0.0 km" in by_code
    for near in ("411038", "411039"):  # the second without entries, and both typed into the one field
        placed = await look(http, f"/find?need=dentistry&place={near}")
        assert counted(await look(http, f"/find?need=dentistry+near+{near}&place=")) == counted(placed) > 0
        assert "Within, in km" in await look(http, f"/find?need={near}&place=")
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


async def test_nobody_found_leads_on_to_somebody(http: httpx.AsyncClient, city: Environment) -> None:
    monday = next(
        day for ahead in range(7) if (day := (city.day + IST + timedelta(days=ahead)).date()).isoweekday() == 1
    )
    for path, texts in (
        ("/in/pune/lab?gender=female", ["Any gender", "Everywhere"]),
        ("/in/pune/dentistry?fee=1&gender=female", ["Without any filter"]),
        ("/in/pune/dentistry/bandra", ["In all of Pune", "Everywhere"]),
        ("/in/mumbai/cardiology", ["Everywhere"]),
        ("/in/pune?day=tomorrow&fee=250&language=Marathi&gender=other", ["Any gender"]),
    ):
        text = await look(http, path)
        assert f"No {'labs' if '/lab' in path else 'doctors'} match your search" in text, path
        found = ways(text)
        assert {said for _, said, _ in found} >= set(texts) - {"Everywhere"}, path
        for href, said, count in found:
            there = await look(http, href)
            assert count == f"More than {50 if 'day=' in href else 200}" or counted(there) == int(count) > 0, said
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
        "fee": ["-1", "abc", "1e9", "₹300", "3.", "", "9" * 5000],
        "gender": ["x", "female'--", "FEMALE"],
        "rating": ["9", "nan", "inf", "-1", "5.1"],
        "experience": ["-3", "x", "1.5"],
        "type": ["x", "doctor;"],
        "near": ["x", "1", "nan,nan", "91,0", "0,181", "inf,0", "1,2,3"],
        "within": ["-1", "x"],
        "sort": ["x", "distance; DROP TABLE directory.city"],
        "page": ["0", "-1", "x", "1.5", "2x"],
    }
    for values in zip_longest(*odd.values(), fillvalue=""):
        text = await look(http, str(httpx.URL("/in/pune", params=dict(zip(odd, values, strict=True)))))
        assert counted(text) == everybody, values
        assert "Remove filter" not in text
    for path in (
        "/find?need=%00&place=%00",
        "/find?need=%0%000&place=%0%0%0000",
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
