"""Every message of the pages is in every language, says the same placeholders, and each is used."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from healthplus.ops.demo_facts import FACTS
from healthplus.search.vocabulary import VOCABULARY, plain_words
from healthplus.web.languages import ENGLISH, HINDI, HOME_ZONE, LANGUAGES, split_path
from tests.web import messages

CODES = [language.code for language in LANGUAGES if language is not ENGLISH]


@pytest.mark.parametrize("code", CODES)
def test_the_catalogues_are_whole(code: str) -> None:
    wanted = {message.id for message in messages.source() if message.id}
    assert len(wanted) > 100
    found: dict[object, str] = {}
    for area, catalogue in messages.catalogues(code).items():
        for message in catalogue:
            if not message.id or message.context:
                continue
            assert message.id not in found, f"{message.id!r} is in {area} and in {found[message.id]}"
            found[message.id] = area
            assert not message.fuzzy
            said = message.string if isinstance(message.string, tuple | list) else (message.string,)
            ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
            for text in said:
                assert text, f"{area}: nothing stands for {message.id!r}"
                assert _placeholders(text) == _placeholders(ids[-1]), f"{area}: {text!r}"
    missing = sorted(str(one) for one in wanted - found.keys())
    assert not missing, "Add to a catalogue of the area:\n" + "\n".join(
        f'\nmsgid "{one}"\nmsgstr ""' for one in missing
    )
    assert not found.keys() - wanted, "no page says these any more"


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]|\{\w+\}|</?\w+[^>]*>", text))


def test_names_of_the_demo_are_known_in_hindi() -> None:
    for name in FACTS["specialities"]:
        assert HINDI.known_name("speciality", name) != name
    for city in FACTS["cities"]:
        assert HINDI.known_name("city", city["name"]) != city["name"]
    for kind in ("services", "tests"):
        for name in (one for named in FACTS[kind].values() for one in named):
            assert HINDI.known_name("service", name) != name
            assert HINDI.own_name("service", HINDI.known_name("service", name)) == name
    assert HINDI.known_name("service", "complete blood count") == HINDI.known_name("service", "Complete Blood Count")
    assert HINDI.known_name("city", "Atlantis") == "Atlantis"


def test_symptoms_are_known_in_hindi_and_found_by_that_name() -> None:
    for phrase, meaning in VOCABULARY.phrases.items():
        if meaning.is_symptom and meaning.urgent != "mind" and phrase.isascii():
            name = HINDI.known_name("symptom", phrase)
            assert not name.isascii(), phrase
            same = VOCABULARY.phrases[" ".join(plain_words(name))]
            assert same.specialities & meaning.specialities or same.services & meaning.services, phrase
            assert not meaning.urgent or same.urgent, phrase


def test_dates_times_and_money() -> None:
    at = datetime(2026, 11, 24, 11, 50, 5, tzinfo=UTC)
    zone = '<span class="zone" data-zone="Asia/Kolkata"> IST</span>'
    assert ENGLISH.moment(at, HOME_ZONE) == f"Tue 24 Nov, 5:20 pm{zone}"
    assert ENGLISH.time(at, "Europe/London", seconds=True).striptags() == "11:50:05 am GMT"
    assert HINDI.moment(at, HOME_ZONE) == f"मंगल 24 नव॰, शाम\xa05:20{zone}"
    assert (ENGLISH.money(150_000, "INR"), ENGLISH.money(12_345_650, "INR")) == ("₹1,500", "₹1,23,456.50")
    assert (ENGLISH.money(15_000, "USD"), ENGLISH.money(9_950, "USD")) == ("$150", "$99.50")
    assert (ENGLISH.money(5_000, "JPY"), HINDI.money(5_000, "JPY")) == ("JP¥5,000", "JP¥5,000")
    assert (ENGLISH.money(12_345, "KWD"), ENGLISH.money(12_000, "KWD")) == ("KWD\xa012.345", "KWD\xa012")


def test_a_day_says_how_far_off_it_is() -> None:
    day = date(2026, 12, 31)
    days = [day + timedelta(days=ahead) for ahead in range(-1, 3)]
    assert [ENGLISH.day(one, day) for one in days] == ["Wed 30 Dec", "Today", "Tomorrow", "Sat 2 Jan"]
    assert [ENGLISH.far_day(one, day) for one in days[1:]] == ["Today, Thu 31 Dec", "Tomorrow, Fri 1 Jan", "Sat 2 Jan"]
    assert HINDI.day(day, day) == "आज"
    # It is tomorrow already where the clinic is.
    at = datetime(2026, 12, 31, 19, 0, tzinfo=UTC)
    assert ENGLISH.moment(at, HOME_ZONE, at).striptags() == "Today, Fri 1 Jan, 12:30 am IST"


def test_a_span_says_the_half_of_the_day_once() -> None:
    at = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    spans = [(at + timedelta(minutes=start), at + timedelta(minutes=end)) for start, end in ((0, 15), (15, 45))]
    assert [ENGLISH.span(*span, HOME_ZONE).striptags() for span in spans] == [
        "11:30 to 11:45 am IST",
        "11:45 am to 12:15 pm IST",
    ]
    assert [HINDI.span(*span, HOME_ZONE).striptags() for span in spans] == [
        "सुबह 11:30 से 11:45 IST",
        "सुबह 11:45 से दोपहर 12:15 IST",
    ]
    autumn = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # half past one, twice
    span = ENGLISH.span(autumn, autumn + timedelta(hours=1), "America/New_York")
    assert span.striptags() == "1:30 am EDT to 1:30 am EST"


def test_paths_and_their_languages() -> None:
    for path, language, rest in (
        ("/", ENGLISH, "/"),
        ("/hi", HINDI, "/"),
        ("/hi/", HINDI, "/"),
        ("/hi?x=1", HINDI, "/?x=1"),
        ("/hi/verify?next=/hi", HINDI, "/verify?next=/hi"),
        ("/hip", ENGLISH, "/hip"),
    ):
        assert split_path(path) == (language, rest)
