"""Every message of the pages is in every language, says the same placeholders, and each is used."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from healthplus.ops.demo_facts import FACTS
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
            if not message.id or area == "names":
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
    assert HINDI.known_name("city", "Atlantis") == "Atlantis"


def test_dates_times_and_money() -> None:
    at = datetime(2026, 11, 24, 11, 50, 5, tzinfo=UTC)
    assert ENGLISH.moment(at, HOME_ZONE) == "Tue 24 Nov, 5:20 pm IST"
    assert ENGLISH.time(at, "Europe/London", seconds=True) == "11:50:05 am GMT"
    assert HINDI.moment(at, HOME_ZONE) == "मंगल 24 नव॰, शाम 5:20 IST"
    assert (ENGLISH.money(150_000, "INR"), ENGLISH.money(12_345_650, "INR")) == ("₹1,500", "₹1,23,456.50")
    assert (ENGLISH.money(15_000, "USD"), ENGLISH.money(9_950, "USD")) == ("$150", "$99.50")
    assert (ENGLISH.money(5_000, "JPY"), HINDI.money(5_000, "JPY")) == ("JP¥5,000", "JP¥5,000")
    assert (ENGLISH.money(12_345, "KWD"), ENGLISH.money(12_000, "KWD")) == ("KWD\xa012.345", "KWD\xa012")


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
