from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthplus.database import Database, load, migrate
from healthplus.search import suggest as module
from healthplus.search.suggest import Suggestion, suggest
from tests.search.directory import add_provider, find, make_directory

# The rows that must be there, by the product's own functions or without them.
_NAMES = """
SELECT 'provider' AS kind, provider_id AS id, city_id, key, rating_count AS preference
FROM directory.provider JOIN (SELECT DISTINCT provider_id, city_id FROM directory.provider_clinic
    JOIN directory.clinic USING (clinic_id)) AS at USING (provider_id), search.name_keys(name)
UNION ALL
SELECT 'clinic', clinic_id, city_id, key, count(*)
FROM directory.clinic JOIN directory.provider_clinic USING (clinic_id), search.name_keys(name) GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4"""


async def texts(db: Database, typed: str, city_id: int | None = None, limit: int = 10) -> list[str]:
    return [f"{s.kind}: {s.text}" for s in await suggest(db, typed, city_id, limit)]


async def names_are_right(db: Database) -> bool:
    stored = await db.fetch("SELECT kind::text, id, city_id, key, preference FROM search.name ORDER BY 1, 2, 3, 4")
    return [tuple(row) for row in stored] == [tuple(row) for row in await db.fetch(_NAMES)]


async def test_what_is_typed_is_completed(db: Database) -> None:
    cities = await make_directory(db)
    pune, mumbai = cities["pune"], cities["mumbai"]
    asha = Suggestion("provider", "Dr Asha Rao", city="pune", provider_id=1, details=["General Dentistry", "Pune"])
    for typed in ("rao", "asha r", "Dr. Ásha", "rao asha", "dr rao"):
        assert asha in await suggest(db, typed, None, 10), typed
    assert await suggest(db, "rao", pune, 10) == [asha]
    # Two letters are enough for a name within a city only.
    assert await texts(db, "ra", pune) == ["symptom: rash", "symptom: skin rash", "provider: Dr Asha Rao"]
    assert await texts(db, "ra") == ["symptom: rash", "symptom: skin rash"]
    assert await suggest(db, "rao", mumbai, 10) == []

    dermatology = Suggestion("speciality", "Dermatology", speciality="dermatology")
    assert dermatology in await suggest(db, "derm", None, 10)
    skin = Suggestion("speciality", "Dermatology", matched="skin", speciality="dermatology")
    rash, dry = Suggestion("symptom", "skin rash"), Suggestion("symptom", "dry skin")
    assert await suggest(db, "sk", None, 10) == [skin, rash, dry]
    assert await texts(db, "asth") == []  # nobody here sees to it
    assert await texts(db, "pain", limit=2) == ["symptom: gum pain", "symptom: jaw pain"]
    assert "symptom: back pain" in await texts(db, "back p")
    assert await suggest(db, "bomb", None, 10) == [Suggestion("city", "Mumbai", matched="bombay", city="mumbai")]
    assert await suggest(db, "त्व", None, 10) == [
        Suggestion("speciality", "Dermatology", matched="त्वचा", speciality="dermatology"),
        Suggestion("symptom", "त्वचा पर चकत्ते"),
        Suggestion("symptom", "रूखी त्वचा"),
    ]
    assert await texts(db, "eye") == ["speciality: Clear Eye Care"]
    assert (await texts(db, "p"))[:2] == ["speciality: Paediatrics", "city: Pune"]
    # A hospital is offered as what can be booked, a clinic where doctors work as a place.
    assert await texts(db, "heart care h") == ["provider: Heart Care Hospital"]
    assert await suggest(db, "smile", None, 10) == [
        Suggestion("clinic", "Smile Clinic", city="pune", clinic_id=1, details=["Pune"])
    ]
    blood = Suggestion("service", "Complete Blood Count", service="complete-blood-count")
    assert await suggest(db, "complete b", None, 10) == [blood]
    assert blood in await suggest(db, "blood c", None, 10)
    cbc = Suggestion("service", "Complete Blood Count", matched="cbc", service="complete-blood-count")
    assert (await suggest(db, "cbc", None, 10))[0] == cbc
    root = Suggestion("service", "Root Canal Treatment", service="root-canal-treatment")
    assert await suggest(db, "root ca", None, 10) == [root]
    assert await texts(db, "sonogr") == ["service: Ultrasound Abdomen", "service: Ultrasound Pelvis"]
    assert "service: Scaling" not in await texts(db, "scal")  # nobody offers it
    assert len(await suggest(db, "c", pune, 10)) > len(await suggest(db, "c", pune, 2)) == 2

    for typed in ("back p", "preg", "acn", "skin", "cbc", "root"):
        for suggestion in await suggest(db, typed, None, 10):
            assert await find(db, suggestion.text), suggestion
    for typed in ("", "dr", "🦷", "\0\ud800", "x" * 10_000, "a " * 5_000, "%", "'; --", "\\", "nobody is called so"):
        assert await suggest(db, typed, None, 10) == [], typed


@pytest.mark.breaks_invariants  # ratings that nobody gave
async def test_changes_are_seen_at_once(db: Database, dsn: str) -> None:
    cities = await make_directory(db)
    assert await names_are_right(db)
    await db.execute("UPDATE directory.provider SET name = 'Dr Usha Kale' WHERE name = 'Dr Asha Rao'")
    assert (await texts(db, "asha r"), await texts(db, "usha")) == ([], ["provider: Dr Usha Kale"])
    await add_provider(db, "Dr Usha Nene", "doctor", "cardiology", "Smile Clinic", "Paud Road", "411038", "pune")
    assert await texts(db, "usha") == ["provider: Dr Usha Kale", "provider: Dr Usha Nene"]
    await db.execute("UPDATE directory.provider SET rating_count = 7, rating_total = 28 WHERE name = 'Dr Usha Nene'")
    assert await texts(db, "usha") == ["provider: Dr Usha Nene", "provider: Dr Usha Kale"]
    await db.execute("UPDATE directory.clinic SET name = 'Laugh Clinic' WHERE name = 'Smile Clinic'")
    assert (await texts(db, "smile"), await texts(db, "laugh")) == ([], ["clinic: Laugh Clinic"])
    await db.execute("UPDATE directory.clinic SET city_id = $1 WHERE name = 'Laugh Clinic'", cities["mumbai"])
    assert len(await texts(db, "usha", cities["mumbai"])) == 2
    assert await texts(db, "usha", cities["pune"]) == []
    assert await names_are_right(db)
    # A second place, in another city; then it is moved to a third, and the provider goes.
    usha = await db.fetch_value("SELECT provider_id FROM directory.provider WHERE name = 'Dr Usha Kale'")
    named = "SELECT clinic_id FROM directory.clinic WHERE name = $1"
    poona, sai = await db.fetch_value(named, "Poona Hospital"), await db.fetch_value(named, "Sai Lab")
    await db.execute("INSERT INTO directory.provider_clinic VALUES ($1, $2, 1)", usha, poona)
    assert await texts(db, "usha", cities["pune"]) == ["provider: Dr Usha Kale"]
    assert len(await texts(db, "usha")) == 2
    assert await names_are_right(db)
    move = (
        "UPDATE directory.provider_clinic SET clinic_id = $3, fee_minor = 2 WHERE provider_id = $1 AND clinic_id = $2"
    )
    await db.execute(move, usha, poona, sai)
    assert await names_are_right(db)
    assert await texts(db, "usha", cities["aurangabad"]) == ["provider: Dr Usha Kale"]
    # What is not about names rewrites none.
    written = "SELECT max(xmin::text::bigint) FROM search.name"
    before = await db.fetch_value(written)
    await db.execute(move, usha, sai, sai)
    await db.execute("UPDATE directory.provider SET bio = 'New.'")
    await db.execute("UPDATE directory.clinic SET address = 'New Road'")
    assert await db.fetch_value(written) == before
    await db.execute("DELETE FROM directory.provider WHERE name LIKE 'Dr Usha %'")
    assert await texts(db, "usha") == []
    await db.execute("DELETE FROM directory.provider_clinic")
    assert await db.fetch_value("SELECT count(*) FROM search.name") == 0

    await db.execute("INSERT INTO directory.city (slug, name) VALUES ('wai', 'Wai'), ('panvel', 'New Panvel')")
    assert await texts(db, "panv") == ["city: New Panvel"]
    await db.execute("UPDATE directory.city SET name = 'Panwel' WHERE slug = 'panvel'")
    assert (await texts(db, "panv"), await texts(db, "panw")) == ([], ["city: Panwel"])
    await db.execute("DELETE FROM directory.city WHERE slug = 'panvel'")
    assert await texts(db, "panw") == []


async def test_an_older_directory_is_taken_in(db: Database, dsn: str) -> None:
    await make_directory(db)
    before = [await texts(db, typed) for typed in ("rao", "derm", "bomb", "smile", "root c")]
    await db.execute("TRUNCATE search.name, search.term, search.service_term")
    assert await texts(db, "rao") == []
    await db.execute("DELETE FROM public.schema_migration WHERE name LIKE '%.after'")
    await migrate(dsn)
    assert [await texts(db, typed) for typed in ("rao", "derm", "bomb", "smile", "root c")] == before
    assert await names_are_right(db)


@pytest.mark.breaks_invariants  # ratings that nobody gave
async def test_the_preferred_are_found_among_thousands(db: Database) -> None:
    """Names that begin alike are too many to look at all of them."""
    await make_directory(db)
    await db.execute("""
        INSERT INTO directory.provider (identifier, type, name, rating_count, rating_total)
        SELECT 'many-' || n, 'doctor', 'Dr Rajesh Number' || to_char(n, 'FM0000'), n % 900, n % 900 * 4
        FROM generate_series(1, 3000) AS n;
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, funding)
        SELECT provider_id, 1, 'free' FROM directory.provider WHERE identifier LIKE 'many-%';
        ANALYZE search.name""")
    best = ["0899", "1799", "2699", "0898", "1798"]
    for city_id in (None, 1):
        assert await texts(db, "raj", city_id, 5) == [f"provider: Dr Rajesh Number{number}" for number in best]
        assert await texts(db, "rajesh number0001", city_id) == ["provider: Dr Rajesh Number0001"]
    assert await names_are_right(db)


async def test_hot_queries_use_their_indexes(db: Database) -> None:
    """Each part of a table is found by its index, or the work would grow with the directory."""
    await make_directory(db)
    await db.execute("""
        INSERT INTO search.word (city_id, word, frequency, curated)
        SELECT n % 20, 'w' || md5(n::text), 1, false FROM generate_series(1, 20000) AS n;
        INSERT INTO search.name (kind, id, city_id, key, preference)
        SELECT 'provider', n, n % 20, md5(n::text), n % 100 FROM generate_series(1, 20000) AS n;
        INSERT INTO search.term (kind, id, key, whole)
        SELECT 'city', n, md5(n::text), true FROM generate_series(100, 1000) AS n;
        ANALYZE search.word, search.name, search.term""")
    queries = load(Path(module.__file__).with_name("queries.sql"))
    for name, indexes in (
        (
            "look_up",
            [
                "city_slug_key",
                "speciality_slug_key",
                "term_pkey",
                "word_pkey",
                "service_type_slug_key",
                "service_term_pkey",
            ],
        ),
        ("near_words", ["word_trigrams", "word_sound", "word_pkey"]),
        (
            "suggested_terms",
            ["term_pkey", "city_slug_key", "speciality_slug_key", "service_type_slug_key", "service_term_pkey"],
        ),
        ("suggested_names", ["name_key", "name_start", "name_city_key", "name_city_start"]),
    ):
        async with db.transaction() as tx:
            await tx.execute(f"PREPARE {name} AS {queries[name]}")
            parameters = len(set(re.findall(r"\$\d", queries[name])))
            rows = await tx.fetch(f"EXPLAIN EXECUTE {name}({', '.join(['NULL'] * parameters)})")
        plan = "\n".join(row[0] for row in rows)
        assert "Seq Scan" not in plan, (name, plan)
        for index in indexes:
            lines = plan.partition(f" {index}")[2].splitlines()
            assert len(lines) > 1, (name, index, plan)
            assert "Cond: " in lines[1], (name, index, plan)


async def test_a_slip_is_forgiven(db: Database) -> None:
    """A letter left out, two the wrong way round, one too many, or another; a few letters lead nowhere wrong."""
    await make_directory(db)
    for typed, text in (
        ("skn", "Dermatology"),
        ("dnetist", "General Dentistry"),
        ("detn", "General Dentistry"),
        ("kardio", "Cardiology"),
        ("dermmat", "Dermatology"),
        ("dermeto", "Dermatology"),
        ("otho", "Orthopaedics"),
        ("mub", "Mumbai"),
        ("दात", "General Dentistry"),
    ):
        assert text in [one.text for one in await suggest(db, typed, None, 8)], typed
    for typed in ("abc", "xyz", "zzz", "qw"):
        assert await suggest(db, typed, None, 8) == [], typed


async def test_every_beginning_in_both_scripts_is_completed(db: Database) -> None:
    await make_directory(db)
    for name, typed in (
        ("Cardiology", "cardiology"),
        ("Cardiology", "हृदय रोग"),
        ("Paediatrics", "बाल रोग"),
        ("Pune", "pune"),
        ("Pune", "पुणे"),
        ("Mumbai", "मुंबई"),
        ("Complete Blood Count", "cbc"),
        ("Complete Blood Count", "सीबीसी"),
    ):
        for length in range(2, len(typed) + 1):
            found = [one.text for one in await suggest(db, typed[:length], None, 8)]
            assert name in found if length > 3 else found, (typed[:length], found)
