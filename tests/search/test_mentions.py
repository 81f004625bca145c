"""How many mentions of specialities, taken from public lists, are recognised for what they are."""

import tomllib
from pathlib import Path

from healthplus.search.recognise import recognise_speciality
from healthplus.search.vocabulary import SPECIALITY_NAMES

LISTS: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("mentions.toml").read_text("utf-8"))


def test_nine_in_ten_mentions_are_recognised() -> None:
    assert len(LISTS) >= 5
    wrong: dict[str, str | None] = {}
    for name, mentions in LISTS.items():
        named = {text: slug for text, slug in mentions.items() if slug}
        assert set(named.values()) <= SPECIALITY_NAMES.keys()
        missed = {text: found for text, slug in named.items() if (found := recognise_speciality(text).slug) != slug}
        assert len(missed) <= len(named) / 10, (name, missed)
        wrong |= missed
    total = sum(bool(slug) for mentions in LISTS.values() for slug in mentions.values())
    assert len(wrong) <= total / 20, (len(wrong), total)


def test_what_names_none_is_given_none() -> None:
    none = [text for mentions in LISTS.values() for text, slug in mentions.items() if not slug]
    assert len(none) >= 30
    assert {text: found for text in none if (found := recognise_speciality(text).slug)} == {}
