"""Names that are typed in Devanagari, in a directory that has them in Latin letters."""

from __future__ import annotations

import pytest

from healthplus.database import Database
from healthplus.search.devanagari import in_latin
from healthplus.search.keyword import parse_keyword
from healthplus.search.suggest import suggest
from healthplus.search.word_counts import count_words
from tests.search.directory import add_provider, find, make_directory

# As they are typed, and as the directory has them; several are spelt unlike they are read.
_NAMES = {
    "मीरा वर्मा": "Meera Verma",
    "सचिन मेहता": "Sachin Mehta",
    "माधुरी भोसले": "Madhuri Bhosale",
    "सुनीता अग्रवाल": "Sunita Agarwal",
    "दीपिका श्रीवास्तव": "Deepika Srivastava",
    "देबजानी चटर्जी": "Debjani Chatterjee",
    "गायत्री अय्यर": "Gayathri Iyer",
    "वेंकटेश सुब्रमण्यम": "Venkatesh Subramanian",
    "हरप्रीत सिंह": "Harpreet Singh",
    "निलेश फर्नांडिस": "Nilesh Fernandes",
    "रवि वाघ": "Ravi Wagh",
    "ऐश्वर्या नायर": "Aishwarya Nair",
}


@pytest.fixture
async def people(db: Database) -> Database:
    await make_directory(db)
    for name in _NAMES.values():
        await add_provider(db, f"Dr {name}", "doctor", "cardiology", "Smile Clinic", "Kothrud", "411038", "pune")
    await count_words(db)
    return db


async def test_names_are_found_by_their_sound(people: Database) -> None:
    for typed, name in _NAMES.items():
        family = typed.split()[-1]
        for keyword in (typed, f"डॉ {typed}", f"डॉ. {family}", family):
            assert name in await find(people, keyword), keyword
        assert await find(people, typed) == [name], typed
        # The named come first.
        provider_id = await people.fetch_value(
            "SELECT provider_id FROM directory.provider WHERE name = $1", f"Dr {name}"
        )
        assert (await parse_keyword(people, f"डॉ {typed}", None)).own_ids == (provider_id,)


async def test_areas_and_clinics_are_found_too_and_words_keep_their_meaning(people: Database) -> None:
    assert "Asha Rao" in await find(people, "कोथरूड में दांत का डॉक्टर")
    assert await find(people, "रूबी हॉल") == ["Ruby Hall Clinic"]
    assert await find(people, "दांत") == ["Asha Rao"]
    for nobody in ("कखगघ", "दाात", "मीरा कखगघ"):
        assert await find(people, nobody) == [], nobody


async def test_names_are_completed(people: Database) -> None:
    for typed in ("मीर", "डॉ मीरा", "वर्", "वर्मा"):
        assert "Dr Meera Verma" in [one.text for one in await suggest(people, typed, None, 10)], typed


def test_a_word_is_read_as_in_hindi() -> None:
    for word, read in (("कुलकर्णी", "kulkarni"), ("देशपांडे", "deshpande"), ("चंद्र", "chandra"), ("शाह", "shah")):
        assert in_latin(word) == read
