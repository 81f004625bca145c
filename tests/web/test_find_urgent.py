"""What a search says and whom it shows first: in an emergency, for a symptom, a gender, a name."""

from __future__ import annotations

import httpx
import pytest

from healthplus.accounts.keys import add_key
from healthplus.search.find import SearchRequest, find
from healthplus.search.spelling import did_you_mean
from healthplus.search.urgent import urgent_need
from healthplus.search.word_counts import count_words
from tests.fixtures.environment import Environment
from tests.web.test_find_words import look, names

# Name, speciality, clinic, gender, rating: those whom a search is for are rated worst.
_DOCTORS = [
    ("Dr Asha Sen", "psychiatry", "Mind Clinic", "female", 1),
    ("Dr Kiran Das", "nephrology", "Kidney Clinic", "male", 5),
    ("Dr Ravi Pal", "cardiology", "Heart Clinic", "male", 1),
    ("Dr Uma Iyer", "neurology", "Brain Clinic", "female", 1),
    ("Dr Om Stroke", "physiotherapy", "Stroke Clinic", "male", 5),
    ("Dr Nila Bose", "general-medicine", "City Clinic", "female", 1),
    ("Dr Tara Jain", "paediatrics", "Child Clinic", "female", 5),
    ("Dr Gita Nene", "gynaecology", "Mata Clinic", "female", 1),
    ("Dr Hari Nene", "gynaecology", "Mata Clinic", "male", 5),
    ("Dr Meera Rao", "dentistry", "Smile Clinic", "female", 1),
    ("Dr Anil Shah", "dentistry", "Rao Clinic", "male", 5),
    ("Dr Nita Shah", "dentistry", "Meera Clinic", "female", 5),
    ("Dr Paro Lab", "pathology", "Blood Clinic", "female", 5),
]

pytestmark = pytest.mark.breaks_invariants  # ratings that nobody gave


@pytest.fixture
async def city(environment: Environment) -> Environment:
    db = environment.db
    await db.execute("INSERT INTO directory.city (slug, name) VALUES ('mumbai', 'Mumbai')")
    for name, speciality, clinic, gender, stars in _DOCTORS:
        await db.execute(
            """WITH clinic AS (
                INSERT INTO directory.clinic (identifier, city_id, name)
                SELECT $3, city_id, $3 FROM directory.city WHERE slug = 'pune'
                ON CONFLICT (identifier) DO UPDATE SET name = excluded.name RETURNING clinic_id
            ), speciality AS (
                INSERT INTO directory.speciality (slug, name) VALUES ($2, initcap($2))
                ON CONFLICT (slug) DO UPDATE SET name = excluded.name RETURNING speciality_id
            ), provider AS (
                INSERT INTO directory.provider (identifier, type, name, gender, rating_total, rating_count)
                VALUES ($1, 'doctor', $1, $4::directory.gender, $5, 1) RETURNING provider_id
            ), post AS (
                INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
                SELECT provider_id, clinic_id, 50000, 'clinic' FROM provider, clinic
            )
            INSERT INTO directory.provider_speciality (provider_id, speciality_id)
            SELECT provider_id, speciality_id FROM provider, speciality""",
            name,
            speciality,
            clinic,
            gender,
            stars,
        )
    await count_words(db)
    return environment


_BODY = (
    ("chest pain", "Dr Ravi Pal"),
    ("I have a heart attack", "Dr Ravi Pal"),
    ("can't breathe", "Dr Ravi Pal"),
    ("can’t breathe", "Dr Ravi Pal"),
    ("can’t breath", "Dr Ravi Pal"),
    ("stroke", "Dr Uma Iyer"),
    ("unconscious", "Dr Nila Bose"),
    ("poisoning", "Dr Nila Bose"),
    ("severe bleeding", "Dr Nila Bose"),
    ("I am not able to breathe", "Dr Ravi Pal"),
    ("labour pain", "Dr Hari Nene"),
    ("seene mein dard", "Dr Ravi Pal"),
    ("सीने में दर्द", "Dr Ravi Pal"),
    ("दिल का दौरा", "Dr Ravi Pal"),
)
_MIND = (
    "suicide", "I want to die", "kill myself", "self harm", "self-harm", "suicide hotline", "sucide",
    "आत्महत्या", "मरना चाहता हूँ", "mujhe marna hai", "jeena nahi chahta", "जीना नहीं चाहती", "no reason to live",
)  # fmt: skip


async def test_what_cannot_wait_has_a_number_to_call_above_it(http: httpx.AsyncClient, city: Environment) -> None:
    for need, first in _BODY:
        text = await look(http, "/find", need=need, place="Pune")
        said = text.index('id="urgent"')
        assert said < text.index('href="tel:112"', said) < text.index('id="result-1"'), need
        assert names(text)[0] == first, need
        assert "14416" not in text[said : text.index("</section>", said)], need
    assert 'id="urgent"' not in await look(http, "/find", need="fever", place="Pune")


async def test_who_wants_to_die_is_told_who_listens(http: httpx.AsyncClient, city: Environment) -> None:
    for need in _MIND:
        # Nobody is in Mumbai; what is misspelt is corrected where somebody is found.
        for place in ("Pune", "") if need == "sucide" else ("Pune", "", "Mumbai"):
            text = await look(http, "/find", need=need, place=place)
            said = text.index('id="urgent"')
            notice = text[said : text.index("</section>", said)]
            assert 'href="tel:14416"' in notice, need
            assert 'href="tel:112"' in notice, need
            assert "No doctors match" not in text, need
            assert names(text) == ["Dr Asha Sen"], (need, place)
            assert "Dr Kiran Das" not in text, need
    assert "आप अकेले नहीं हैं" in await look(http, "/hi/find", need="suicide")


async def test_what_is_corrected_to_an_urgent_word_has_its_help(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/find", need="kil myself", place="Pune")
    assert "Search instead for" in text
    assert 'href="tel:14416"' in text[text.index('id="urgent"') :].partition("</section>")[0]


async def test_nobody_is_taken_to_mean_violence(http: httpx.AsyncClient, city: Environment) -> None:
    for need in ("grape", "rap", "repe", "beast", "violins"):
        text = await look(http, "/find", need=need, place="Pune")
        assert 'id="urgent"' not in text, need
        assert "rape" not in text.lower().replace("grape", ""), need


async def test_after_violence_there_is_help_and_no_other_word_is_meant(
    http: httpx.AsyncClient, city: Environment
) -> None:
    for need in ("rape", "sexual assault", "domestic violence", "my husband beats me", "बलात्कार"):
        text = await look(http, "/find", need=need, place="Pune")
        notice = text[text.index('<h1 id="urgent">') :].partition("</section>")[0]
        assert notice.index('href="tel:112"') < notice.index('href="tel:181"'), need
        assert "Search instead for" not in text, need
        assert (await urgent_need(city.db, need)).numbers == ("112", "181")


_MISSPELT = {
    "body": (
        "chest pian", "chestpain", "chets pain", "heart atack", "hart attack", "unconcious", "strokee", "chocking",
        "cant braeth", "seene mein dardd",
    ),
    "mind": ("suicde", "sucide", "suside", "want to kill mysef", "atmhatya"),
}  # fmt: skip
_NOT_URGENT = (
    "cooking class", "stoke", "strike", "poisson", "dr poisonov", "chest clinic", "heart", "pain", "kidney stone",
    "snake", "brain", "zaheer", "meher", "dr ghosh", "strok", "dental bite", "heavy lifting", "life care",
    "want to dine", "sweat",
)  # fmt: skip


async def test_what_cannot_wait_is_known_misspelt(http: httpx.AsyncClient, city: Environment) -> None:
    for need, kind in [(need, kind) for kind, needs in _MISSPELT.items() for need in needs]:
        text = await look(http, "/find", need=need, place="Pune")
        notice = text[text.index('id="urgent"') :].partition("</section>")[0]
        assert ("14416" in notice) == (kind == "mind"), need
        assert 'href="tel:112"' in notice, need
        assert names(text) or need == "chocking", need  # for which nobody is there
        assert "Search instead for" in text, need
        assert 'id="urgent"' in await look(http, "/find", need=need, place="Pune", exact="1"), need
        assert (await urgent_need(city.db, need)).kind == kind


async def test_what_only_looks_like_an_emergency_is_none(http: httpx.AsyncClient, city: Environment) -> None:
    # Who has such a name is looked for by it.
    await city.db.execute(
        "UPDATE directory.provider SET name = 'Dr Strok', identifier = 'Dr Strok' WHERE identifier = 'Dr Anil Shah'"
    )
    await count_words(city.db)
    for need in _NOT_URGENT:
        assert 'id="urgent"' not in await look(http, "/find", need=need, place="Pune"), need
        assert (await urgent_need(city.db, need)).kind == "", need
    # Without the name in the directory, it is a misspelling.
    await city.db.execute("UPDATE directory.provider SET name = 'Dr Anil Shah' WHERE identifier = 'Dr Strok'")
    await count_words(city.db)
    assert (await urgent_need(city.db, "strok")).kind == "body"


_TOGETHER = {
    "body": (
        "bleeding heavily pregnant", "pregnancy bleeding", "heavily bleeding", "fits", "child having fits",
        "my son has fits", "fits in pune", "seizure", "pain in my chest", "breathing is very difficult",
        "bitten by a snake", "bleding heavily", "गर्भवती को ब्लीडिंग", "बच्चे को दौरा", "khoon beh raha hai",
    ),
    "child": ("child abuse", "abused child", "my daughter was molested", "children raped", "बाल शोषण", "बच्ची का शोषण"),
    "violence": ("husband is beating me", "domestic violence", "raped"),
    "": (
        "shoe fits", "fitness", "fitness certificate", "fit child", "fist child", "fits of anger",
        "crown that fits well", "bleeding gums pregnancy", "pregnancy", "pregnancy scan", "heavy periods",
        "khoon ki jaanch pregnancy", "child specialist", "child development", "drug abuse", "son alcohol abuse",
        "baby heart beat", "chest x ray knee pain", "breathing exercises", "breathing test", "bad breath",
        "panic attack", "heart doctor", "back pain", "stop smoking",
    ),
}  # fmt: skip


async def test_what_cannot_wait_is_known_in_any_order_and_beside_others(city: Environment) -> None:
    for need, kind in [(need, kind) for kind, needs in _TOGETHER.items() for need in needs]:
        assert (await urgent_need(city.db, need)).kind == kind, need


async def test_for_a_child_there_is_who_protects_children(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/find", need="child abuse", place="Pune")
    notice = text[text.index('<h1 id="urgent">') :].partition("</section>")[0]
    assert notice.index('href="tel:1098"') < notice.index('href="tel:112"')
    text = await look(http, "/find", need="bleeding heavily pregnant", place="Pune")
    assert (
        text.index('id="urgent"')
        < text.index('href="tel:112"', text.index('id="urgent"'))
        < text.index('id="result-1"')
    )
    assert set(names(text)) == {"Dr Gita Nene", "Dr Hari Nene"}


async def test_programs_are_told_whom_to_call(http: httpx.AsyncClient, city: Environment) -> None:
    _, key = await add_key(city.db, "tests", ["search"], 10_000, 10_000)

    async def search(keyword: str, spellcheck: str = "no") -> httpx.Response:
        params = {"api_dev_key": key, "keyword": keyword, "includeSpellcheck": spellcheck}
        return await http.get("/api/v1/doctors", params=params, headers={"Prefer": "return=envelope"})

    for keyword, call in (
        ("chest pain", "112"),
        ("heart atack", "112"),
        ("I want to die", "14416, 112"),
        ("suicde", "14416, 112"),
        ("fever", None),
        ("cooking", None),
        ("", None),
    ):
        answer = await search(keyword)
        assert isinstance(answer.json(), list)
        assert answer.headers.get("urgent-call") == call, keyword
        both = await search(keyword, "yes")
        assert both.headers.get("urgent-call") == call, keyword
        kind = None if call is None else {"kind": "body" if call == "112" else "mind", "call": call.split(", ")}
        assert both.json()["urgent"] == kind, keyword


async def test_who_sees_a_symptom_first_comes_first(http: httpx.AsyncClient, city: Environment) -> None:
    for need, order in (
        ("stroke", ["Dr Uma Iyer", "Dr Om Stroke"]),
        ("fever", ["Dr Nila Bose", "Dr Tara Jain"]),
        ("बुखार", ["Dr Nila Bose", "Dr Tara Jain"]),
        ("sardi", ["Dr Nila Bose"]),
    ):
        assert names(await look(http, "/find", need=need, place="Pune")) == order, need


async def test_who_has_no_other_speciality_sees_a_symptom_first(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        """INSERT INTO directory.provider_speciality (provider_id, speciality_id)
        SELECT provider_id, speciality_id FROM directory.provider, directory.speciality
        WHERE identifier = 'Dr Kiran Das' AND slug = 'general-medicine'"""
    )
    for need in ("fever", "बुखार", "bukhar"):
        order = ["Dr Nila Bose", "Dr Kiran Das", "Dr Tara Jain"]
        assert names(await look(http, "/find", need=need, place="Pune")) == order, need


async def test_labs_come_first_for_a_checkup(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        """UPDATE directory.provider SET type = 'lab', rating_total = 1 WHERE identifier = 'Dr Paro Lab';
        INSERT INTO directory.provider_speciality (provider_id, speciality_id)
        SELECT provider_id, speciality_id FROM directory.provider, directory.speciality
        WHERE identifier = 'Dr Kiran Das' AND slug = 'pathology'"""
    )
    for need in ("full body checkup", "health checkup", "blood test"):
        assert names(await look(http, "/find", need=need, place="Pune")) == ["Dr Paro Lab", "Dr Kiran Das"], need


async def test_signs_that_hindi_writes_in_two_ways_are_one(http: httpx.AsyncClient, city: Environment) -> None:
    for same in (
        ("खून की जांच", "खून की जाँच", "ख़ून की जाँच", "ख़ून की जांच", "khoon ki jaanch"),
        ("खांसी", "खाँसी", "khansi"),
    ):
        found = [names(await look(http, "/find", need=need, place="Pune")) for need in same]
        assert found[0] == [{"खू": "Dr Paro Lab"}.get(same[0][:2], "Dr Nila Bose")]
        assert found == [found[0]] * len(same)
    assert names(await look(http, "/find", need="दाँत", place="पुणे")) != []


async def test_a_word_for_a_gender_is_the_filter(http: httpx.AsyncClient, city: Environment) -> None:
    for need, chip, found in (
        ("female gynaecologist", "Women", ["Dr Gita Nene"]),
        ("male gynaecologist", "Men", ["Dr Hari Nene"]),
        ("lady doctor for fever", "Women", ["Dr Nila Bose", "Dr Tara Jain"]),
    ):
        text = await look(http, "/find", need=need, place="Pune")
        assert names(text) == found, need
        assert f"Remove filter:</span> {chip}<" in text, need
        assert "Showing results for" not in text, need
    for need, kept in (
        ("lady doctor", "female"),
        ("woman doctor", "female"),
        ("महिला डॉक्टर", "female"),
        ("male doctor", "male"),
    ):
        page = await http.get("/find", params={"need": need, "place": "Pune"})
        assert page.headers["location"] == f"/in/pune/doctor?gender={kept}", need
    rows = await find(city.db, SearchRequest(keyword="female gynaecologist", city="pune"), 0, 10)
    assert [row["name"] for row in rows] == ["Dr Gita Nene"]
    assert "Remove filter" not in await look(http, "/find", need="male infertility", place="Pune")
    assert await did_you_mean(city.db, "female", None) == []  # not: family
    assert (await did_you_mean(city.db, "femily", None))[0] == "family"


async def test_a_name_after_a_title_is_a_persons(http: httpx.AsyncClient, city: Environment) -> None:
    for need in ("Dr Rao", "Dr. rao", "Doctor Rao", "Dr Meera"):
        assert names(await look(http, "/find", need=need, place="Pune"))[0] == "Dr Meera Rao", need
    assert len(names(await look(http, "/find", need="Dr Rao", place="Pune"))) == 2


async def test_where_nobody_is_found_other_ways_are_shown(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/find", need="xqzv")
    assert 'href="/find?need=cardiology"' in text
    assert 'class="chip" href="/in/pune"' in text
    assert 'class="chip" href="/in/pune/cardiology"' in await look(http, "/find", need="xqzv", place="Pune")


async def test_a_city_among_the_words_is_a_place(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        """UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
        INSERT INTO directory.clinic (identifier, city_id, name) SELECT 'b', city_id, 'Bandra' FROM directory.city
        WHERE slug = 'mumbai';
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        SELECT provider_id, clinic_id, 0, 'free' FROM directory.provider, directory.clinic
        WHERE provider.identifier = 'Dr Meera Rao' AND clinic.identifier = 'b'"""
    )
    assert "Choose a city" in await look(http, "/find", need="dentist")
    assert "Choose a city" not in await look(http, "/find", need="dentist in pune")
    await city.db.execute(
        "UPDATE directory.clinic SET address = '3 Hill, Andheri' WHERE identifier IN ('Rao Clinic', 'Meera Clinic')"
    )
    text = await look(http, "/find", need="dentist in andheri")
    assert names(text) == ["Dr Anil Shah", "Dr Nita Shah"]
    assert "Choose a city" not in text
    text = await look(http, "/find", need="dentist evening", place="Pune")
    assert "We can’t search by the time of day." in text
    assert "Nothing here is known" not in text


async def test_hindi_comes_first_on_hindi_pages(http: httpx.AsyncClient, city: Environment) -> None:
    text = await look(http, "/hi/find", need="dentist", place="Pune")
    heading = text[text.index("<h1>") : text.index("</h1>")]
    assert "दंत चिकित्सा" in heading
    assert "entist" not in heading
    for need, said in (("fever", "बुखार"), ("Fever doctor", "बुखार"), ("bukhar", "बुखार"), ("chest pain", "सीने में दर्द")):
        text = await look(http, "/hi/find", need=need, place="Pune")
        assert f"<h1>{said} " in text
        assert f"<title>{said}," in text
        assert names(text) == names(await look(http, "/find", need=said, place="Pune"))
    assert "<h1>Fever " in await look(http, "/find", need="fever", place="Pune")
    found = (await http.get("/api/v1/suggest", params={"q": "feve", "language": "hi"})).json()
    assert found[0] == {"kind": "symptom", "text": "बुखार", "matched": "fever"}
    for typed in ("dent", "दंत"):
        found = (await http.get("/api/v1/suggest", params={"q": typed, "language": "hi"})).json()
        assert found[0]["text"] == "दंत चिकित्सा", typed
        assert found[0]["speciality"] == "dentistry"
    assert (await http.get("/api/v1/suggest", params={"q": "dent"})).json()[0]["text"] == "Dentistry"
    # What somebody may look for in distress is proposed to nobody.
    assert "suicid" not in (await http.get("/api/v1/suggest", params={"q": "sui"})).text


async def test_the_box_leads_to_hospitals_that_take_emergencies(http: httpx.AsyncClient, city: Environment) -> None:
    await city.db.execute(
        """UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
        UPDATE directory.provider SET type = 'hospital'
        WHERE identifier IN ('Dr Ravi Pal', 'Dr Uma Iyer', 'Dr Asha Sen');
        UPDATE directory.clinic SET facilities = '{Lift,"Emergency, day and night"}',
            latitude = 18.60, longitude = 73.86 WHERE identifier = 'Heart Clinic';
        UPDATE directory.clinic SET facilities = '{Casualty}', latitude = 18.53, longitude = 73.86
        WHERE identifier IN ('Brain Clinic', 'Kidney Clinic')"""
    )
    text = await look(http, "/find", need="chest pain", place="Pune")
    assert 'href="/emergency?city=pune"' in text[text.index('id="urgent"') :].partition("</section>")[0]
    for address in ({"city": "pune"}, {"near": "18.520,73.860"}):
        text = await look(http, "/emergency", **address)
        assert text.index("Brain Clinic") < text.index("Heart Clinic")
        assert "Mind Clinic" not in text  # says nothing of emergencies
        assert "Kidney Clinic" not in text  # is no hospital
    http.cookies.clear()  # which remember Pune
    assert 'href="/emergency?city=pune"' in await look(http, "/emergency")
    await http.get("/in/pune")
    assert "Brain Clinic" in await look(http, "/emergency")
