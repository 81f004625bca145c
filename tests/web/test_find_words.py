"""What the words of a search mean on pages: a kind of doctor, a place that nobody is in, a service's name in Hindi."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest

from healthplus.search.word_counts import count_words
from tests.fixtures.environment import Environment

# Two doctors, of whom one is a Naidu, come after a hospital and a lab by their ratings; all see to skin and teeth.
_DIRECTORY = """
INSERT INTO directory.city (slug, name) VALUES ('mumbai', 'Mumbai');
UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
UPDATE directory.clinic SET address = '1 Main Road, Kothrud, Pune', latitude = 18.5, longitude = 73.8;
INSERT INTO directory.speciality (slug, name) VALUES ('dermatology', 'Dermatology'), ('dentistry', 'Dentistry');
INSERT INTO directory.provider (identifier, type, name, rating_total, rating_count) VALUES
    ('n', 'doctor', 'Dr Ravi Naidu', 3, 1), ('m', 'doctor', 'Dr Meera Rao', 4, 1),
    ('h', 'hospital', 'Ruby Hospital', 5, 1), ('l', 'lab', 'Ruby Lab', 5, 1);
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, min(clinic_id), 50000, 'clinic' FROM directory.provider, directory.clinic
WHERE provider.identifier IN ('n', 'm', 'h', 'l') GROUP BY provider_id;
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id FROM directory.provider, directory.speciality
WHERE provider.identifier IN ('n', 'm', 'h', 'l');
INSERT INTO directory.service_type (slug, name, is_test) VALUES
    ('complete-blood-count', 'Complete blood count', true), ('moon-test', 'Moon test', true);
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
SELECT provider_id, service_type_id, 0, 30000, 'clinic' FROM directory.provider, directory.service_type
WHERE type = 'lab';
"""

pytestmark = pytest.mark.breaks_invariants  # ratings that nobody gave


@pytest.fixture
async def city(environment: Environment) -> Environment:
    await environment.db.execute(_DIRECTORY)
    await count_words(environment.db)
    return environment


async def look(http: httpx.AsyncClient, path: str, **query: str) -> str:
    page = await http.get(f"{path}?{urlencode(query)}" if query else path)
    assert page.status_code == 200, (path, query, page.headers.get("location"))
    return unescape(page.text)


def names(text: str) -> list[str]:
    return re.findall(r'<h2 lang="en"><a href="[^"]+">([^<]+)</a>', text)


async def test_doctors_come_first_for_the_word_of_a_doctor(http: httpx.AsyncClient, city: Environment) -> None:
    """Or for what doctors see to."""
    needs = ["dermatologist", "dermotologist", "skin doctor", "skin specialist", "dentist", "skin", "tooth ache"]
    for need in (*needs, "त्वचा का डॉक्टर"):
        text = await look(http, "/find", need=need, place="Pune")
        assert names(text) == ["Dr Meera Rao", "Dr Ravi Naidu", "Ruby Hospital", "Ruby Lab"], need
        assert ("Search instead for dermotologist" in text) == (need == "dermotologist")


async def test_others_come_first_where_they_are_meant(http: httpx.AsyncClient, city: Environment) -> None:
    assert names(await look(http, "/in/pune/dermatology"))[0] == "Dr Meera Rao"
    for path, query in (
        ("/find", {"need": "Ruby Hospital"}),  # by name
        ("/find", {"need": "skin clinic", "place": "Pune"}),
        ("/find", {"need": "ruby skin", "place": "Pune"}),
        ("/in/pune/dermatology", {"sort": "rating"}),
    ):
        assert names(await look(http, path, **query))[0].startswith("Ruby"), path


async def test_a_place_that_nobody_is_in_leads_to_the_cities(http: httpx.AsyncClient, city: Environment) -> None:
    """And to no doctor of a like name, as Naidu or Meera is."""
    for query, place, kept in (
        ({"need": "dentist", "place": "Noida"}, "Noida", "/find?need=dentist&place=pune"),
        ({"need": "Noida"}, "Noida", "/in/pune"),
        ({"need": "dentist noida"}, "Noida", "/find?need=dentist&place=pune"),
        ({"need": "Dermatology", "place": "Noida"}, "Noida", "/in/pune/dermatology"),
        ({"need": "dentist", "place": "Nadu"}, "Nadu", "/find?need=dentist&place=pune"),
        ({"need": "dentist", "place": "Meerut"}, "Meerut", "/find?need=dentist&place=pune"),
        ({"need": "Meerut"}, "Meerut", "/in/pune"),
        ({"need": "dentist", "place": "नोएडा"}, "नोएडा", "/find?need=dentist&place=pune"),
    ):
        text = await look(http, "/find", **query)
        assert f"Nobody can be booked in “{place}” yet" in text, query
        shown = text[text.index("<h1") :]
        assert re.search("naidu|meera|Did you mean|Showing results for", shown) is None, query
        links = re.findall(r'<a class="chip" href="([^"]+)">([^<]+)</a>', shown)
        assert [(path, name.strip()) for path, name in links] == [(kept, "Pune")]  # nobody is in Mumbai
        assert names(await look(http, kept)), query


async def test_a_misspelt_place_is_corrected_to_a_place(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/find", need="dentst", place="Kothrd")
    assert "Showing results for dentist, Kothrud." in text
    assert "Search instead for dentst, Kothrd" in text
    assert len(names(text)) == 4
    assert names(await look(http, "/find", need="skin doctor", place="Pyne"))[0] == "Dr Meera Rao"


async def test_everywhere_leads_to_each_city(http: httpx.AsyncClient, city: Environment) -> None:
    """With the same search; where a place is named already, nothing is asked."""
    await city.db.execute(
        """INSERT INTO directory.clinic (identifier, city_id, name) SELECT 'b', city_id, 'Bandra' FROM directory.city
        WHERE slug = 'mumbai';
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        SELECT provider_id, clinic_id, 0, 'free' FROM directory.provider, directory.clinic
        WHERE provider.identifier = 'm' AND clinic.identifier = 'b'"""
    )
    text = await look(http, "/find", need="skin", fee="900")
    assert 'href="/find?need=skin&place=mumbai&fee=900"' in text
    assert 'href="/find?need=skin&place=pune&fee=900"' in text
    for query in ({"need": "skin", "place": "Kothrud"}, {"need": "skin", "near": "18.500,73.800"}):
        assert "Choose a city" not in await look(http, "/find", **query)
    assert "Choose a city" not in await look(http, "/in/pune/dermatology")


async def test_an_illness_is_no_misspelt_word(http: httpx.AsyncClient, city: Environment) -> None:
    for need in ("covid", "covid 19", "corona"):
        text = await look(http, "/find", need=need)
        assert "cavity" not in text, need
        assert "Did you mean" not in text, need


async def test_filters_are_those_that_make_sense(http: httpx.AsyncClient, city: Environment) -> None:
    """Nobody chooses a laboratory or a clinic by its gender, or by how long it has practised."""
    for path, for_doctors in (
        ("/in/pune", True),
        ("/in/pune/dermatology", True),
        ("/in/pune/lab", False),
        ("/in/pune/hospital", False),
        ("/in/pune/clinic", False),  # where there is none
        ("/in/pune?service=complete-blood-count", False),
    ):
        text = await look(http, path)
        for offered in (">Women</a>", 'name="gender"', 'name="experience"'):
            assert (offered in text) == for_doctors, (path, offered)
        assert ("sort=experience" in text) == for_doctors, path


async def test_services_have_their_names_in_hindi(http: httpx.AsyncClient, city: Environment) -> None:
    row = await city.db.fetch_row(
        "SELECT provider_id, post.clinic_id, service_id FROM directory.provider JOIN directory.provider_clinic AS post "
        "USING (provider_id) JOIN directory.service USING (provider_id) JOIN directory.service_type "
        "USING (service_type_id) WHERE type = 'lab' AND slug = 'complete-blood-count'"
    )
    assert row is not None
    lab_id, clinic_id, test_id = row
    hindi = "सीबीसी (पूर्ण रक्त गणना)"
    for path in (
        f"/hi/doctor/{lab_id}/ruby-lab?about",
        f"/hi/doctor/{lab_id}/ruby-lab/{clinic_id}?service={test_id}",
        "/hi/in/pune?service=complete-blood-count",
    ):
        text = (await look(http, path)).partition("<main")[2]
        assert hindi in text, path
        assert "Complete blood count" not in text, path
    # One that is not known stays as it was typed, and is read aloud as English.
    assert '<span lang="en">Moon test</span>' in await look(http, f"/hi/doctor/{lab_id}/ruby-lab?about")
    # It is found by that name, too.
    found = await http.get(f"/hi/find?{urlencode({'need': hindi, 'place': 'Pune'})}")
    assert found.headers["location"] == "/hi/in/pune?service=complete-blood-count"


async def test_a_map_says_what_is_around(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/in/pune?view=map")
    drawing = text[text.index("<svg viewBox") : text.index("</figure>")]
    for said in (">Kothrud</text>", " km</text>", ">Middle of Pune</span>", ">Doctor</span>", "without streets"):
        assert said in drawing, said
    # A doctor's own page, too; where nobody knows the middle of the city, nothing is measured from it.
    assert "Middle of Pune" in await look(http, "/doctor/1/dr-1")
    await city.db.execute("UPDATE directory.city SET latitude = NULL")
    assert "Middle of Pune" not in await look(http, "/doctor/2/dr-2?about")


async def test_ratings_lead_to_what_patients_say(http: httpx.AsyncClient, city: Environment) -> None:
    row = await city.db.fetch_row(
        "SELECT provider_id, clinic_id FROM directory.provider JOIN directory.provider_clinic USING (provider_id) "
        "WHERE identifier = 'm'"
    )
    assert row is not None
    path = f"/doctor/{row['provider_id']}/dr-meera-rao"
    about = await look(http, f"{path}?about")
    assert re.search(r'<a href="#reviews"><span class="rating">', about)
    assert 'id="reviews"' in about
    chart = await look(http, f"{path}/{row['clinic_id']}")
    assert re.search(rf'href="{re.escape(path)}\?about#reviews"><span class="rating">', chart)
    # There is nothing to be led to where nobody has rated.
    assert "#reviews" not in await look(http, "/doctor/1/dr-1")
