"""What pages of results say of how a search was understood, and what they do with words of no use."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx

from healthplus.search.vocabulary import VOCABULARY, folded, plain_words
from healthplus.search.word_counts import count_words
from healthplus.web.languages import HINDI
from healthplus.web.pages.addresses import slug
from tests.fixtures.clock import move_clock_to
from tests.fixtures.environment import IST, Environment
from tests.web.pune import counted, led, look


def heading(text: str) -> str:
    [found] = re.findall(r"<h1>(.*?)</h1>", text)
    return re.sub("<[^>]+>", "", found)


def filters_in(text: str) -> list[str]:
    return re.findall(r"Remove filter:</span> ([^<]+)<", text)


def chips(text: str) -> list[str]:
    row = text[text.index('<ul class="chips quick"') :].partition("</ul>")[0]
    return [one.strip() for one in re.findall(r">([^<>]+)</a>", row)]


async def test_filters_in_words_become_filters(http: httpx.AsyncClient, city: Environment) -> None:
    for need, said, filters in (
        ("dentist under 300", "Dentist in Pune", ["Up to ₹300"]),
        ("marathi speaking dentist", "Dentist in Pune", ["Speaks Marathi"]),
        ("female dentist tomorrow", "Dentist in Pune", ["Tomorrow", "Women"]),
        ("DENTIST this weekend", "Dentist in Pune", ["This weekend"]),
    ):
        text = await look(http, f"/find?need={need}&place=Pune")
        assert (heading(text), filters_in(text)) == (said, filters), need
        assert counted(text) > 0, need
        [typed] = re.findall('id="need"[^>]* value="([^"]*)"', text)
        assert typed.lower() == "dentist", need
    assert await led(http, "/find?need=marathi speaking doctor&place=Pune") == (
        303,
        "/in/pune/doctor?language=Marathi",
    )


async def test_headings_say_what_was_understood(http: httpx.AsyncClient, city: Environment) -> None:
    await count_words(city.db)
    for query, said in (
        ("need=DENTIST PUNE", "Dentist in Pune"),
        ("need=best dentist near me&place=Pune", "Dentist in Pune"),
        ("need=doctor near me", "Doctors"),
        ("need=dr asha rao&place=Pune", "Dr Asha Rao in Pune"),
        ("need=MRI scan PUNE", "MRI scan in Pune"),
        ("need=DENTST&place=punee", "Dentist in Pune"),
    ):
        assert heading(await look(http, f"/find?{query}")) == said, query


async def test_treatments_lead_to_who_does_them(http: httpx.AsyncClient, city: Environment) -> None:
    dentists = counted(await look(http, "/in/pune/dentistry"))
    for need in ("braces", "implants", "dentures", "ब्रेसेस"):
        text = await look(http, f"/find?need={need}&place=Pune")
        assert counted(text) == dentists, need
        assert "Dr Asha Rao" in text, need


async def test_words_of_no_use_are_left_out_and_named(http: httpx.AsyncClient, city: Environment) -> None:
    await count_words(city.db)
    dentists = counted(await look(http, "/in/pune/dentistry"))
    for need, notes in (
        ("dentist xqzv", ["Nothing here is known as “xqzv”. Showing results for Dentist."]),
        ("dentst xqzv", ["Nothing here is known as “xqzv”. Showing results for Dentist."]),
        ("dentist home visit", ["Visits and samples at home can’t be booked here: you go to the clinic or lab."]),
        ("dentist open now", ["We can’t tell who is open right now. Each card shows the next free times."]),
        ("dentist hospital lab", []),
    ):
        text = await look(http, f"/find?need={need}&place=Pune")
        if notes:
            assert counted(text) == dentists, need
            assert heading(text) == "Dentist in Pune"
        said = re.findall(r'<p class="instead">([^<]+)</p>', text)
        assert said == notes, need
    # A name without a word that nobody has.
    text = await look(http, "/find?need=asha xqzv")
    assert "Nothing here is known as “xqzv”. Showing results for Asha." in text
    assert '<li class="card doc"' in text
    # Where nothing is left, nothing is shown instead; a place is never left out.
    for need in ("xqzv", "xqzv yqzw", "dentist noida"):
        text = await look(http, f"/find?need={need}")
        assert "Showing results for" not in text, need
        assert '<li class="card doc"' not in text, need
    assert "Nothing here is known as “xqzv”." in await look(http, "/find?need=xqzv")
    assert "press “Near me”" in await look(http, "/find?need=dentist near me")
    assert "press “Near me”" not in await look(http, "/find?need=dentist near me&place=Pune")


async def test_where_no_time_is_left_today_tomorrow_is_offered(http: httpx.AsyncClient, city: Environment) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    day = (city.day + IST).date() + timedelta(days=1)
    await move_clock_to(city.db, datetime.combine(day, time(8), zone))
    assert "Today" in chips(await look(http, "/in/pune/dentistry"))
    await move_clock_to(city.db, datetime.combine(day, time(20), zone))
    for path in ("/in/pune/dentistry?sort=rating", "/in/pune/cardiology", "/in/pune"):
        found = chips(await look(http, path))
        assert "Tomorrow" in found, path
        assert "Today" not in found, path
    text = await look(http, "/in/pune/dentistry?day=today")
    assert "No time is left today. These are tomorrow’s." in text
    assert filters_in(text) == ["Tomorrow"]
    assert counted(text) > 0
    # Where there is none tomorrow either, the page says what else there is.
    assert "No time is left" not in await look(http, "/in/mumbai/cardiology?day=today")


def test_what_hindi_pages_call_things_is_known_to_the_search() -> None:
    """Names of specialities and of tests, as names.po has them: whoever reads one may type it."""
    by_slug: dict[tuple[str, str], set[str]] = {}
    for phrase, meaning in VOCABULARY.phrases.items():
        for kind, slugs in (("speciality", meaning.specialities), ("service", meaning.services)):
            for one in slugs:
                by_slug.setdefault((kind, one), set()).add(phrase)
    checked = 0
    for (kind, name), hindi in HINDI._known.items():
        if phrases := by_slug.get((kind, slug(name))):
            checked += 1
            assert folded(" ".join(plain_words(hindi))) in phrases, (name, hindi)
    assert checked > 60
