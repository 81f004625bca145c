from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.database import Database
from healthplus.search.keyword import parse_keyword
from healthplus.search.spelling import did_you_mean
from healthplus.search.vocabulary import VOCABULARY
from healthplus.search.word_counts import count_words
from tests.search.directory import find, make_directory

SKIN = ["Meera Joshi", "Rohan Patil"]
HOSPITALS = ["Heart Care Hospital", "Krishna Hospital", "Poona Hospital"]

# In a city ("" is everywhere), a keyword, whom it finds, and which city it names.
MEANT = [
    ("", "Dermatologist", SKIN, None),
    ("", "best skin doctor near me", SKIN, None),
    ("", "त्वचा का डॉक्टर", SKIN, None),
    ("", "त्वचा", SKIN, None),
    ("", "acné", SKIN, None),
    ("", "bombay skin doctor", ["Meera Joshi"], "mumbai"),
    ("", "SKIN-DOCTOR, मुंबई!", ["Meera Joshi"], "mumbai"),
    ("", "dentist pune", ["Asha Rao"], "pune"),
    ("", "dentist kothrud", ["Asha Rao"], None),
    ("", "दांत", ["Asha Rao"], None),
    ("", "daant ka doctor", ["Asha Rao"], None),
    ("", "asha rao dentist", ["Asha Rao"], None),
    ("", "Dr. Asha Rao", ["Asha Rao"], None),
    ("", "asha", ["Asha Rao", "Hari Nair"], None),
    ("", "kothru", ["Asha Rao", "Rohan Patil"], None),
    ("", "ko", [], None),
    ("", "411038", ["Asha Rao", "Rohan Patil"], None),
    ("", "skin 411038", ["Rohan Patil"], None),
    ("", "411", [], None),
    ("", "heart", ["Hari Nair", "Heart Care Hospital"], None),
    ("", "heart specialist", ["Hari Nair"], None),
    ("", "chest pain bandra", ["Hari Nair"], None),
    ("", "back pain bombay", [], "mumbai"),
    ("", "back pain poona", ["Poona Hospital"], "pune"),
    ("", "orthopedic", ["Poona Hospital"], None),
    ("", "pediatrician", ["Ruby Hall Clinic"], None),
    ("", "gynecologist", ["Mata Clinic"], None),
    ("", "womens doctor", ["Mata Clinic"], None),
    ("", "pregnancy", ["Mata Clinic"], None),
    ("", "hospital", HOSPITALS, None),
    ("", "hospitals in mumbai", ["Heart Care Hospital"], "mumbai"),
    ("", "nursing home", ["Krishna Nursing Home", *HOSPITALS], None),
    ("", "lab", ["Sai Lab"], None),
    ("", "diagnostic centre", ["Sai Lab"], None),
    ("pune", "poona hospital", ["Poona Hospital", "Krishna Hospital"], "pune"),
    ("mumbai", "poona", ["Meera Joshi"], "pune"),
    ("", "krishna hospital", ["Krishna Hospital"], None),
    ("", "aurangabad", ["Mata Clinic", "Sai Lab"], None),
    ("aurangabad", "aurangabad", ["Sai Lab"], "aurangabad"),
    ("", "clear eye care", [], None),
    ("", "best doctor for me", ["everybody"], None),
    ("", "", ["everybody"], None),
    ("", "🦷 ✨", ["everybody"], None),
    ("", "🦷 dentist 🦷", ["Asha Rao"], None),
    ("", "\0dentist\ud800", ["Asha Rao"], None),
    ("", "\N{FULLWIDTH LATIN CAPITAL LETTER D}entist", ["Asha Rao"], None),
    ("", "'); DROP TABLE directory.city; --", [], None),
    ("", "dentist' | 'speciality:1", [], None),
    ("", "den:* & !(|)<-> tist\\", [], None),
    ("", "x" * 10_000, [], None),
    ("", "dentist " + "🦷" * 10_000, ["Asha Rao"], None),
    ("", "dentist " * 2_000, ["Asha Rao"], None),
]


# In a city, a keyword that names services, whom it finds, and of each phrase the services of which any will do.
SERVICES_MEANT = [
    ("", "cbc", ["Poona Hospital", "Sai Lab"], ["complete-blood-count"]),
    ("", "Complete Blood Count", ["Poona Hospital", "Sai Lab"], ["complete-blood-count"]),
    ("", "cbc test price pune", ["Poona Hospital"], ["complete-blood-count"]),
    ("pune", "CBC near me", ["Poona Hospital"], ["complete-blood-count"]),
    ("", "mere paas cbc", ["Poona Hospital", "Sai Lab"], ["complete-blood-count"]),
    ("", "सीबीसी", ["Poona Hospital", "Sai Lab"], ["complete-blood-count"]),
    ("", "root canal kothrud", ["Asha Rao"], ["root-canal-treatment"]),
    ("", "rct", ["Asha Rao"], ["root-canal-treatment"]),
    ("mumbai", "root canal", [], ["root-canal-treatment"]),
    ("", "sonography near me", ["Poona Hospital", "Sai Lab"], ["ultrasound-abdomen|ultrasound-pelvis"]),
    ("", "सोनोग्राफी", ["Poona Hospital", "Sai Lab"], ["ultrasound-abdomen|ultrasound-pelvis"]),
    (
        "",
        "cbc sonography",
        ["Poona Hospital", "Sai Lab"],
        ["complete-blood-count", "ultrasound-abdomen|ultrasound-pelvis"],
    ),
    ("", "sonography usg abdomen", ["Sai Lab"], ["ultrasound-abdomen"]),
    ("", "usg abdomen", ["Sai Lab"], ["ultrasound-abdomen"]),
    ("", "cbc usg abdomen", ["Sai Lab"], ["complete-blood-count", "ultrasound-abdomen"]),
    ("", "mole check dermatologist", ["Rohan Patil"], ["mole-check"]),
    ("", "teeth cleaning", ["Asha Rao"], []),  # nobody offers it: those who see to teeth
]


async def test_services_are_understood(db: Database) -> None:
    cities = await make_directory(db)
    await count_words(db)
    types = await db.fetch("SELECT service_type_id, slug FROM directory.service_type")
    slug_of = {row["service_type_id"]: row["slug"] for row in types}
    for city, keyword, providers, slugs in SERVICES_MEANT:
        parsed = await parse_keyword(db, keyword, cities.get(city))
        meant = [
            "|".join(sorted(slug_of[service_type_id] for service_type_id in group)) for group in parsed.service_groups
        ]
        assert (keyword, await find(db, keyword, cities.get(city)), meant) == (keyword, providers, slugs)
    for wrong, right in (("sonografy", "sonography"), ("root cannal pune", "root canal pune"), ("hemogrm", "hemogram")):
        assert (await did_you_mean(db, wrong, None))[:1] == [right]
    # Where nobody offers it any more, a phrase means who sees to it again.
    await db.execute("UPDATE directory.service SET closed_at = now() WHERE closed_at IS NULL")
    assert await find(db, "root canal") == ["Asha Rao"]
    assert (await parse_keyword(db, "root canal", None)).service_groups == ()
    # What is renamed is found by its new name.
    await db.execute(
        "INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding) "
        "SELECT 1, service_type_id, 0, 1, 'clinic' FROM directory.service_type WHERE slug = 'scaling'"
    )
    await db.execute("UPDATE directory.service_type SET name = 'Polish Everything' WHERE slug = 'scaling'")
    assert len((await parse_keyword(db, "polish everything", None)).service_groups) == 1
    await db.execute("DELETE FROM directory.service WHERE closed_at IS NULL")
    await db.execute("DELETE FROM directory.service_type WHERE slug = 'scaling'")
    assert (await parse_keyword(db, "polish everything", None)).service_groups == ()


async def test_one_providers_wording_and_that_of_others_mean_the_same(db: Database) -> None:
    cities = await make_directory(db)
    new = await db.fetch_value(
        """WITH type AS (
            INSERT INTO directory.service_type (slug, name, is_test) VALUES ('root-canal', 'Root canal', false)
            RETURNING service_type_id)
        INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
        SELECT provider_id, service_type_id, 60, 100, 'clinic' FROM type, directory.provider
        WHERE name = 'Dr Rohan Patil'
        RETURNING service_type_id"""
    )
    old = await db.fetch_value("SELECT service_type_id FROM directory.service_type WHERE slug = 'root-canal-treatment'")
    for keyword in ("root canal", "rct", "root canal treatment"):
        assert (await parse_keyword(db, keyword, None)).service_groups == ((old, new),), keyword
        assert await find(db, keyword, cities["pune"]) == ["Asha Rao", "Rohan Patil"], keyword


async def test_what_is_typed_is_understood(db: Database) -> None:
    cities = await make_directory(db)
    await count_words(db)
    slugs = {city_id: slug for slug, city_id in cities.items()}
    for city, keyword, providers, named in MEANT:
        shown = keyword[:40]
        assert (shown, await find(db, keyword, cities.get(city))) == (shown, providers)
        parsed = await parse_keyword(db, keyword, cities.get(city))
        assert (shown, slugs.get(parsed.city_id or 0)) == (shown, named)
        assert len(parsed.words) <= 12

    # What is new in the directory is understood at once.
    await db.execute("INSERT INTO directory.city (slug, name) VALUES ('nova', 'Navi Mumbai'), ('thane', 'Thana')")
    city_id = await db.fetch_value("SELECT city_id FROM directory.city WHERE slug = 'thane'")
    assert (await parse_keyword(db, "skin thana", None)).city_id == city_id
    await db.execute("UPDATE directory.city SET name = 'Thane' WHERE slug = 'thane'")
    assert (await parse_keyword(db, "skin thane", None)).city_id == city_id
    assert (await parse_keyword(db, "skin thana", None)).city_id is None
    assert (await parse_keyword(db, "skin navi mumbai", None)).city_id == city_id - 1
    await db.execute("INSERT INTO directory.speciality (slug, name) VALUES ('sports-medicine', 'Sports Medicine')")
    new = await db.fetch_value("SELECT max(speciality_id) FROM directory.speciality")
    assert f"'speciality:{new}'" in (await parse_keyword(db, "sports medicine", None)).terms
    await db.execute("DELETE FROM directory.speciality WHERE slug = 'sports-medicine'")
    assert f"'speciality:{new}'" not in (await parse_keyword(db, "sports medicine", None)).terms


async def test_the_vocabulary_is_normal(db: Database) -> None:
    """As search.words would write it, or its phrases would never be found; and what is dropped means nothing else."""
    phrases = [*VOCABULARY.phrases, *VOCABULARY.dropped, *VOCABULARY.places]
    rows = await db.fetch(
        "SELECT phrase, array_to_string(search.words(phrase), ' ') AS normal FROM unnest($1::text[]) AS phrase", phrases
    )
    assert [row["phrase"] for row in rows if row["phrase"] != row["normal"]] == []
    assert VOCABULARY.dropped.isdisjoint(VOCABULARY.phrases)
    assert VOCABULARY.places.isdisjoint({*VOCABULARY.phrases, *VOCABULARY.dropped})


_NASTY = st.text(st.sampled_from("ab é'\"\\:*&|!()<>-@\0\ud800१कि़🦷\uff21ﷺIİ\u0301\u200d0"), max_size=60)
_PHRASES = st.lists(st.sampled_from(sorted(VOCABULARY.phrases)), max_size=20).map(" ".join)


def test_any_text_gives_valid_queries(dsn: str) -> None:
    with asyncio.Runner() as runner:
        db = runner.run(Database.connect(dsn, min_size=1, max_size=1))
        runner.run(make_directory(db))

        async def check(keyword: str) -> None:
            parsed = await parse_keyword(db, keyword, None)
            texts = (parsed.terms, parsed.name_terms)
            assert parsed.terms or not parsed.name_terms
            for text in texts:
                await db.fetch_value("SELECT $1::tsquery", text)

        @settings(
            max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(keyword=st.text(max_size=60) | _NASTY | _PHRASES)
        def any_text(keyword: str) -> None:
            runner.run(check(keyword))

        any_text()
        runner.run(db.close())
