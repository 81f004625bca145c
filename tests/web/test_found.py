"""Being found and shared: what pages say of themselves, what search engines are told, and pages of cities."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from litestar import Litestar

from healthplus.web import sitemap
from healthplus.web.languages import ENGLISH, HINDI
from healthplus.web.pages import structured_data
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web import pictures
from tests.web.client import Browser

SITE = "http://127.0.0.1:8000"
_META = re.compile(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"')
_LINK = re.compile(r'<link rel="(?:canonical|alternate)"(?: hreflang="([^"]+)")? href="([^"]+)"')
_DATA = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)
_XML = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}

# Beside the environment's two doctors: a hospital, its cardiologist, and a lab; the doctors are dentists.
_DIRECTORY = """
UPDATE directory.city SET state = 'Maharashtra', latitude = 18.52, longitude = 73.86;
UPDATE directory.clinic SET address = '1 Main Road, Kothrud, Pune', postal_code = '411038', phone = '+912025000001',
    latitude = 18.5, longitude = 73.8;
UPDATE directory.provider SET name = 'Dr Asha Rao', languages = '{Hindi,English}' WHERE provider_id = 1;
INSERT INTO directory.speciality (slug, name)
VALUES ('dentistry', 'Dentistry'), ('cardiology', 'Cardiology'), ('urology', 'Urology');
INSERT INTO directory.provider (identifier, type, name)
VALUES ('h', 'hospital', 'Ruby Hospital'), ('c', 'doctor', 'Dr Heart'), ('l', 'lab', 'Ruby Lab');
INSERT INTO directory.clinic (identifier, city_id, name) SELECT 'ruby', city_id, 'Ruby Hospital' FROM directory.city;
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, clinic_id, 80000, 'clinic' FROM directory.provider, directory.clinic
WHERE provider.identifier IN ('h', 'c', 'l') AND clinic.identifier = 'ruby';
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id FROM directory.provider, directory.speciality
WHERE slug = CASE WHEN provider_id <= 2 THEN 'dentistry' WHEN identifier IN ('h', 'c') THEN 'cardiology' END;
"""


@pytest.fixture
async def city(environment: Environment) -> Environment:
    await environment.db.execute(_DIRECTORY)
    return environment


async def look(http: httpx.AsyncClient, path: str) -> str:
    page = await http.get(path)
    assert page.status_code == 200, (path, page.status_code, page.headers.get("location"))
    return page.text


def meta(text: str) -> dict[str, str]:
    return {name: unescape(content) for name, content in _META.findall(text)}


def data(text: str) -> list[dict[str, Any]]:
    found = [json.loads(one) for one in _DATA.findall(text)]
    assert all(one["@context"] == "https://schema.org" for one in found)
    return found


async def id_of(city: Environment, name: str) -> int:
    return int(await city.db.fetch_value("SELECT provider_id FROM directory.provider WHERE name = $1", name))


async def test_public_pages_say_what_they_are_in_both_languages(http: httpx.AsyncClient, city: Environment) -> None:
    about = f"/doctor/{PROVIDER}/dr-asha-rao?about"
    for path, own in (
        ("/", "/"),
        ("/help", "/help"),
        ("/specialities", "/specialities"),
        ("/speciality/cardiology", "/speciality/cardiology"),
        ("/in/pune", "/in/pune"),
        ("/in/pune?", "/in/pune"),
        ("/in/pune/dentistry", "/in/pune/dentistry"),
        ("/in/pune/doctor/kothrud", "/in/pune/doctor/kothrud"),
        (about, about),
        (about.removesuffix("?about"), about),
        (f"/doctor/{PROVIDER}/dr-asha-rao/{ONLINE}", about),
        ("/clinic/1/clinic-1", "/clinic/1/clinic-1"),
    ):
        for language in (ENGLISH, HINDI):
            text = await look(http, language.url(path))
            said = meta(text)
            assert "robots" not in said, path
            assert dict(_LINK.findall(text)) == {
                "": f"{SITE}{language.url(own)}",
                "en": SITE + own,
                "hi": f"{SITE}/hi{own}",
                "x-default": SITE + own,
            }
            assert said["og:url"] == f"{SITE}{language.url(own)}"
            assert said["og:locale"] == f"{language.code}_IN"
            assert said["og:title"]
            assert 40 < len(said["description"]) < 200
            assert said["description"] == said["og:description"]
            if language is HINDI:
                assert re.search("[\u0900-\u097f]", said["description"])
            picture = await http.get(urlsplit(said["og:image"]).path)
            assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")


async def test_no_other_page_is_to_be_listed(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    for path in (
        "/in/pune?gender=female",
        "/in/pune?sort=price",
        "/in/pune/dentistry?page=1&day=week",
        "/in/pune/urology",  # nobody has it
        "/find?need=dentist",
        "/find?near=18.500,73.800",
        "/speciality/urology",
        "/verify",
        f"/doctor/{PROVIDER}/dr-asha-rao/{ONLINE}/line",
    ):
        text = await look(http, path)
        assert meta(text)["robots"] == "noindex", path
        assert _LINK.findall(text) == [], path
    browser = Browser(app, city.tokens["asha"])
    for path in ("/appointments", "/people", "/privacy/erase", "/nothing"):
        assert meta((await browser.get(path)).text)["robots"] == "noindex"


async def test_a_doctor_as_data(http: httpx.AsyncClient, city: Environment) -> None:
    [one] = data(await look(http, f"/doctor/{PROVIDER}/dr-asha-rao?about"))
    assert one["@type"] == "Physician"
    assert one["url"] == one["@id"] == f"{SITE}/doctor/{PROVIDER}/dr-asha-rao?about"
    assert one["name"] == "Dr Asha Rao"
    assert one["medicalSpecialty"] == ["https://schema.org/Dentistry"]
    assert one["knowsLanguage"] == ["Hindi", "English"]
    assert one["priceRange"] == "₹300–₹500"
    assert "aggregateRating" not in one
    assert "telephone" not in one
    assert [place["name"] for place in one["location"]] == ["Clinic 1", "Clinic 2", "Clinic 3"]
    place = one["location"][0]
    assert place["@type"] == "MedicalClinic"
    assert place["telephone"] == "+912025000001"
    assert place["geo"] == {"@type": "GeoCoordinates", "latitude": 18.5, "longitude": 73.8}
    assert place["openingHours"] == ["Mo-Su 09:00-12:00"]
    assert place["makesOffer"] == [{"@type": "Offer", "price": "500.00", "priceCurrency": "INR"}]
    assert one["location"][2]["makesOffer"][0]["price"] == "0.00"
    assert one["address"][0] == place["address"]
    assert place["address"] == {
        "@type": "PostalAddress",
        "streetAddress": "1 Main Road, Kothrud, Pune",
        "addressLocality": "Pune",
        "addressRegion": "Maharashtra",
        "postalCode": "411038",
    }


async def test_a_doctor_with_a_photo_is_shared_with_it(http: httpx.AsyncClient, city: Environment) -> None:
    photo = "0123456789abcdef" * 2
    await city.db.execute("INSERT INTO directory.provider_photo VALUES ($1, $2, 'https://a.example')", PROVIDER, photo)
    text = await look(http, f"/doctor/{PROVIDER}/dr-asha-rao?about")
    address = f"{SITE}/photo/{photo}-640.webp"
    assert data(text)[0]["image"] == meta(text)["og:image"] == address


@pytest.mark.breaks_invariants  # ratings that nobody gave
async def test_ratings_types_and_places_as_data(http: httpx.AsyncClient, city: Environment) -> None:
    heart, hospital, lab = [await id_of(city, name) for name in ("Dr Heart", "Ruby Hospital", "Ruby Lab")]
    await city.db.execute("UPDATE directory.provider SET rating_total = 18, rating_count = 4 WHERE name = 'Dr Heart'")
    [one] = data(await look(http, f"/doctor/{heart}/dr-heart?about"))
    assert one["aggregateRating"] == {
        "@type": "AggregateRating", "ratingValue": 4.5, "ratingCount": 4, "bestRating": 5, "worstRating": 1,
    }  # fmt: skip
    [one] = data(await look(http, f"/doctor/{lab}/ruby-lab?about"))
    assert one["@type"] == "DiagnosticLab"
    assert "openingHours" not in one  # nobody works there yet
    # A hospital that is the place itself has one page, that of the place.
    clinic_id = await city.db.fetch_value("SELECT clinic_id FROM directory.clinic WHERE identifier = 'ruby'")
    led = await http.get(f"/doctor/{hospital}/ruby-hospital?about&reviews=1")
    assert (led.status_code, led.headers["location"]) == (303, f"/clinic/{clinic_id}/ruby-hospital?reviews=1")
    [one] = data(await look(http, f"/clinic/{clinic_id}/ruby-hospital"))
    assert (one["@type"], one["name"], one["priceRange"]) == ("Hospital", "Ruby Hospital", "₹800")
    assert one["medicalSpecialty"] == ["https://schema.org/Cardiovascular"]
    [one] = data(await look(http, "/clinic/1/clinic-1"))
    assert (one["@type"], one["openingHours"]) == ("MedicalClinic", ["Mo-Su 09:00-12:00"])


async def test_a_name_cannot_end_the_data(http: httpx.AsyncClient, city: Environment) -> None:
    name = 'Dr </script><script>alert(1)</script> & <!-- "\u2028"'
    await city.db.execute("UPDATE directory.provider SET name = $1 WHERE provider_id = $2", name, PROVIDER)
    path = (await http.get(f"/doctor/{PROVIDER}/x?about")).headers["location"]
    text = await look(http, path)
    [one] = data(text)
    assert one["name"] == name
    [written] = _DATA.findall(text)
    assert not re.search("[<>&\u2028\u2029]", written)
    assert "<script>alert" not in text


def test_days_with_the_same_hours_are_said_together() -> None:
    times = [
        *({"weekday": day, "start": "09:00", "end": "12:30"} for day in (1, 2, 3, 6)),
        *({"weekday": day, "start": "17:00", "end": "24:00"} for day in (1, 2, 3)),
    ]
    said = list(structured_data._opening_hours(times))
    assert said == ["Mo-We 09:00-12:30,17:00-23:59", "Sa 09:00-12:30"]
    assert list(structured_data._opening_hours([])) == []


async def test_results_say_where_they_lie(http: httpx.AsyncClient, city: Environment) -> None:
    [trail] = data(await look(http, "/hi/in/pune/doctor/kothrud"))
    assert trail["@type"] == "BreadcrumbList"
    assert [one["position"] for one in trail["itemListElement"]] == [1, 2, 3, 4]
    assert [one["item"] for one in trail["itemListElement"]] == [
        f"{SITE}/hi/",
        f"{SITE}/hi/in/pune",
        f"{SITE}/hi/in/pune/doctor",
        f"{SITE}/hi/in/pune/doctor/kothrud",
    ]
    [trail] = data(await look(http, "/in/pune/dentistry"))
    assert [one["name"] for one in trail["itemListElement"]] == ["Home", "Pune", "Dentistry"]
    assert data(await look(http, "/find?need=dentistry")) == []


async def counts(http: httpx.AsyncClient, path: str) -> dict[str, int]:
    """Return the counts on a page, by where each leads."""
    found = re.findall(
        r'<li><a[^>]* href="([^"]+)"><span>.*?</span> <small aria-hidden="true">(\d+)', await look(http, path)
    )
    return {path: int(count) for path, count in found}


async def results(http: httpx.AsyncClient, path: str) -> int:
    found = re.search(r"<strong>(\d+) results?</strong>", await look(http, path))
    assert found, path
    return int(found[1])


async def test_counts_are_of_what_is_found_there(http: httpx.AsyncClient, city: Environment) -> None:
    expected = {
        "/in/pune/cardiology": 2,
        "/in/pune/dentistry": 2,
        "/in/pune/doctor/kothrud": 2,
        "/in/pune/doctor": 3,
        "/in/pune/hospital": 1,
        "/in/pune/lab": 1,
    }
    assert await counts(http, "/in/pune") == expected
    for path, count in expected.items():
        assert await results(http, path) == count
    assert await counts(http, "/hi/in/pune") == {f"/hi{path}": count for path, count in expected.items()}
    assert await counts(http, "/in/pune?sort=price") == {}
    assert await counts(http, "/in/pune/dentistry") == {}
    assert await counts(http, "/specialities") == {"/speciality/cardiology": 2, "/speciality/dentistry": 2}
    assert await counts(http, "/speciality/dentistry") == {"/in/pune/dentistry": 2}


async def test_where_specialities_lead(http: httpx.AsyncClient, city: Environment) -> None:
    for path, status, location in (
        ("/speciality/heart%20doctor", 301, "/speciality/cardiology"),
        ("/hi/speciality/Cardiology", 301, "/hi/speciality/cardiology"),
        ("/speciality/nonsense", 404, None),
        ("/speciality/%00", 404, None),
        ("/in/nowhere", 404, None),
    ):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (status, location), path
    assert "/specialities" in await look(http, "/speciality/urology")
    page = unescape(await look(http, "/in/pune"))
    assert "Specialities in Pune" in page
    assert "/specialities" in page


async def read_xml(http: httpx.AsyncClient, url: str) -> ElementTree.Element:
    answer = await http.get(urlsplit(url).path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml"), url
    assert answer.headers["cache-control"] == "public, max-age=3600"
    return ElementTree.fromstring(answer.text)  # noqa: S314 - our own


async def addresses(http: httpx.AsyncClient) -> list[str]:
    """Return every address that the site lists, each of which names itself in both languages."""
    index = await read_xml(http, "/sitemap.xml")
    found = []
    for part in index.iterfind("s:sitemap/s:loc", _XML):
        pages = await read_xml(http, str(part.text))
        for entry in pages.iterfind("s:url", _XML):
            address = entry.findtext("s:loc", namespaces=_XML)
            assert address
            path = ENGLISH.url(address.removeprefix(SITE).removeprefix("/hi"))
            links = {link.get("hreflang"): link.get("href") for link in entry.iterfind("x:link", _XML)}
            assert links == {"en": f"{SITE}{path}", "hi": f"{SITE}/hi{path}"}
            found.append(address)
    return found


async def test_every_address_that_is_listed_is_there(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        "INSERT INTO directory.provider (identifier, type, name) VALUES ('n', 'doctor', 'Dr Nowhere');"
        "INSERT INTO directory.clinic (identifier, city_id, name) SELECT 'e', city_id, 'Empty' FROM directory.city"
    )
    found = await addresses(http)
    assert len(found) == len(set(found))
    paths = {address.removeprefix(SITE) for address in found}
    assert {
        "/",
        "/hi/",
        "/help",
        "/in/pune",
        "/hi/in/pune/dentistry",
        "/in/pune/lab",
        "/speciality/cardiology",
    } <= paths
    assert {f"/doctor/{PROVIDER}/dr-asha-rao?about", "/clinic/1/clinic-1"} <= paths
    assert not re.search("nowhere|empty|urology|doctor/[0-9]+/ruby-hospital", " ".join(paths))
    for path in paths:
        text = await look(http, path)
        assert "robots" not in meta(text), path
        canonical = dict(_LINK.findall(text))[""]
        assert canonical == SITE + path


async def test_parts_of_the_list_are_ranges_of_ids(
    http: httpx.AsyncClient, app: Litestar, city: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(await addresses(http))
    monkeypatch.setitem(sitemap._KINDS, "providers", sitemap._KINDS["providers"]._replace(ids=2))
    monkeypatch.setattr(sitemap, "_WRITTEN_AT_ONCE", 1)
    app.state.services = replace(app.state.services, sitemap=sitemap.kept_parts())
    index = await read_xml(http, "/sitemap.xml")
    parts = [str(part.text) for part in index.iterfind("s:sitemap/s:loc", _XML)]
    assert [part for part in parts if "providers" in part] == [f"{SITE}/sitemap/providers-{n}.xml" for n in range(3)]
    assert sorted(await addresses(http)) == before
    for name in ("providers", "providers-x.xml", "providers-01.xml", "pages-0.xml", "x-0.xml", "providers-0.xml.gz"):
        assert (await http.get(f"/sitemap/{name}")).status_code == 404
    # Ids to come are a part without addresses.
    assert len(await read_xml(http, "/sitemap/providers-9999999999.xml")) == 0


async def test_a_part_is_read_once_an_hour(http: httpx.AsyncClient, app: Litestar, city: Environment) -> None:
    first = await http.get("/sitemap/providers-0.xml")
    await city.db.execute("UPDATE directory.provider SET name = 'Dr Other'")
    again = await http.get("/sitemap/providers-0.xml", headers={"accept-encoding": "identity"})
    assert again.text == first.text
    assert "content-encoding" not in again.headers
    assert first.headers["content-encoding"] == "gzip"


async def test_robots_are_told_what_not_to_look_at(http: httpx.AsyncClient, app: Litestar) -> None:
    answer = await http.get("/robots.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert f"Sitemap: {SITE}/sitemap.xml" in answer.text
    assert "Disallow: /api/" in answer.text
    app.state.site = replace(app.state.site, shows_codes=True)
    assert (await http.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"  # a demo's doctors are made up


async def test_the_product_can_be_put_on_a_home_screen(http: httpx.AsyncClient) -> None:
    for language in (ENGLISH, HINDI):
        page = await look(http, language.url("/"))
        answer = await http.get(re.findall(r'<link rel="manifest" href="([^"]+)"', page)[0])
        assert answer.headers["content-type"] == "application/manifest+json"
        said = json.loads(answer.text)
        assert (said["display"], said["start_url"], said["lang"]) == ("standalone", language.url("/"), language.code)
        assert {icon["sizes"] for icon in said["icons"]} == {"192x192", "512x512"}
        for icon in said["icons"]:
            assert (await http.get(icon["src"])).headers["content-type"] == "image/png"
        assert "manifest-src 'self'" in (await http.get("/")).headers["content-security-policy"]


async def test_pictures_have_the_names_that_browsers_ask_for(http: httpx.AsyncClient) -> None:
    for name, kind in (("favicon.ico", "image/x-icon"), ("apple-touch-icon.png", "image/png")):
        answer = await http.get(f"/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["cache-control"] == "public, max-age=86400"
        same = await http.get(f"/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")


def test_pictures_are_as_they_are_drawn() -> None:
    drawn = pictures.pictures()
    assert {path.name for path in pictures.FOLDER.iterdir()} == drawn.keys()
    for name, picture in drawn.items():
        kept = (pictures.FOLDER / name).read_bytes()
        assert len(kept) <= 20 * 1024
        assert pictures.is_like(kept, picture), f"{name}: run python -m tests.web.pictures"
    assert not pictures.is_like(drawn["icon-192.png"], drawn["icon-512.png"])
