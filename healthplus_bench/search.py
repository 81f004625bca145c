"""Finding providers among very many: a log of mixed searches, and of what is typed until a suggestion fits."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from healthplus.database import BULK, Database, load
from healthplus.ops.demo_facts import FACTS, slug
from healthplus.search.find import Available, Order, SearchRequest, find
from healthplus.search.instead import find_or_instead
from healthplus.search.spelling import did_you_mean
from healthplus.search.suggest import suggest
from healthplus.search.word_counts import count_words
from healthplus_bench.client import percentile_ms
from healthplus_bench.environment import refuse_unless_durable

queries = load(Path(__file__).with_name("search.sql"))

RELEVANCE = tomllib.loads(Path(__file__).with_name("relevance.toml").read_text("utf-8"))
MISSPELLINGS = tomllib.loads(Path(__file__).with_name("misspellings.toml").read_text("utf-8"))["misspelling"]
TESTS = (
    "CBC", "Blood Sugar", "HbA1c", "Lipid Profile", "Liver Function Test", "Kidney Function Test", "Thyroid Profile",
    "Urine Routine", "ESR", "Blood Group", "Vitamin D", "Vitamin B12", "CRP", "Dengue Test", "Widal", "ECG",
    "Chest X-Ray", "Ultrasound Abdomen", "CT Head", "MRI Brain",
)  # fmt: skip
"""What each laboratory offers; all have words of their own in words.toml."""
_VISITS = ("First Visit", "Follow-up", "Long Visit", "Procedure")
_PROVIDERS_A_STEP = 20_000
_SEED = 4
_RANKS, _NOBODY = 5, -1


@dataclass(frozen=True)
class SearchPlan:
    """`providers` in 20 cities; `searches` of the log are run, after a tenth of them to warm up."""

    providers: int = 6000
    searches: int = 1000


class SearchResult(msgspec.Struct):
    """Times are from the question until its rows are there, the database's and the driver's.

    `spelt_right`: of the `misspellings`, how many have what was meant as their first suggestion.
    `right_at_rank_one`, `right_in_three`, `right_in_five`: of the `queries` of relevance.toml, how many find what was
    meant that early; `nothing_found`: how many find nobody; `not_right` are those not right in three.
    `p50_p99_ms_by_kind`: the median and the 99th percentile of each kind of search in the log.
    """

    providers: int
    searches: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    suggest_p50_ms: float
    suggest_p99_ms: float
    spelt_right: int
    misspellings: int
    queries: int
    right_at_rank_one: int
    right_in_three: int
    right_in_five: int
    nothing_found: int
    not_right: list[str]
    found: int
    p50_p99_ms_by_kind: dict[str, tuple[float, float]]


async def bench_search(dsn: str, _folder: Path, plan: SearchPlan) -> SearchResult:
    """Fill a new database, then search it. Raises BenchFailed if it does not make its commits durable."""
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
        await refuse_unless_durable(database)
        await fill(database, plan.providers)
        cities = {row["slug"]: row["city_id"] for row in await database.fetch(queries.city_ids)}
        random = Random(_SEED)  # noqa: S311 - not for secrets
        log = [_search(random) for _ in range(plan.searches)]
        typed = [prefix for _ in range(plan.searches // 10) for prefix in _prefixes(random)]
        times: dict[str, list[float]] = {}
        found = 0
        for number, (kind, request) in enumerate([*log[: len(log) // 10], *log]):
            began = time.perf_counter()
            rows = await find(database, request, 0, 21)
            if number >= len(log) // 10:
                times.setdefault(kind, []).append(time.perf_counter() - began)
                found += bool(rows)
        suggesting = []
        for number, prefix in enumerate([*typed[: len(typed) // 10], *typed]):
            began = time.perf_counter()
            await suggest(database, prefix, None, 8)
            if number >= len(typed) // 10:
                suggesting.append(time.perf_counter() - began)
        right = [
            one["right"] in (await did_you_mean(database, one["wrong"], cities.get(one.get("city", ""))))[:1]
            for one in MISSPELLINGS
        ]
        ranks = {str(one): await _rank(database, one) for one in RELEVANCE["queries"]}
    everything = [one for kind in times.values() for one in kind]
    return SearchResult(
        providers=plan.providers,
        searches=len(log),
        p50_ms=percentile_ms(everything, 50),
        p99_ms=percentile_ms(everything, 99),
        max_ms=percentile_ms(everything, 100),
        suggest_p50_ms=percentile_ms(suggesting, 50),
        suggest_p99_ms=percentile_ms(suggesting, 99),
        spelt_right=sum(right),
        misspellings=len(MISSPELLINGS),
        queries=len(ranks),
        right_at_rank_one=sum(rank == 1 for rank in ranks.values()),
        right_in_three=sum(1 <= rank <= 3 for rank in ranks.values()),
        right_in_five=sum(1 <= rank <= _RANKS for rank in ranks.values()),
        nothing_found=sum(rank == _NOBODY for rank in ranks.values()),
        not_right=[one for one, rank in ranks.items() if not 1 <= rank <= 3],
        found=found,
        p50_p99_ms_by_kind={k: (percentile_ms(v, 50), percentile_ms(v, 99)) for k, v in sorted(times.items())},
    )


async def _rank(database: Database, query: dict[str, str]) -> int:
    """Return at which place is what was meant; 0 where others are, and _NOBODY where nobody is found."""
    request = SearchRequest(keyword=query["typed"], city=query.get("city", ""))
    rows = (await find_or_instead(database, request, 0, _RANKS)).rows
    for rank, row in enumerate(rows, start=1):
        has = {
            "name": [f"{row['name']} {row['clinic_name']}"],
            "speciality": row["specialities"],
            "type": [row["type"]],
            "town": [row["city_name"]],
            "address": [row["address"]],
            "test": row["service"]["names"] if row["service"] else [],
        }
        if all(any(text in one for one in has[kind]) for kind, text in query.items() if kind in has):
            return rank
    return 0 if rows else _NOBODY


async def fill(database: Database, providers: int) -> None:
    """Make a directory with shifts, and some evenings booked up, as search.sql says; the same each time."""
    facts = [
        {
            "name": city["name"],
            "state": city["state"],
            "latitude": city["position"][0],
            "longitude": city["position"][1],
            "localities": [(name, locality["pin"]) for name, locality in city["localities"].items()],
            "families": (names := FACTS["names"][city["region"]])["family"],
            "females": names["female"],
            "males": names["male"],
            "languages": names["languages"],
        }
        for city in FACTS["cities"]
    ]
    specialities = list(FACTS["specialities"])
    async with database.transaction() as tx:
        await tx.execute(queries.put_cities, facts)
        await tx.execute(queries.put_specialities, [slug(name) for name in specialities], specialities)
        visits = [f"{speciality} {visit}" for speciality in specialities for visit in _VISITS]
        types = [*TESTS, *visits]
        await tx.execute(queries.put_service_types, [slug(name) for name in types], types, len(TESTS))
        await tx.execute(queries.without_triggers)
        await tx.execute(queries.drop_shift_overlap)
        await tx.execute(queries.make_dice)
        await tx.execute(queries.put_clinics, facts, providers, len(facts))
        await tx.execute(queries.put_providers, facts, providers, len(facts))
        await tx.execute(queries.put_provider_specialities, len(specialities))
        await tx.execute(queries.put_posts)
        await tx.execute(queries.put_services, len(TESTS), len(_VISITS))
        await tx.execute(queries.analyze)
        await tx.execute(queries.put_shifts)
        await tx.execute(queries.analyze)
        await tx.execute(queries.put_bookings)
        await tx.fetch(queries.put_books)
        await tx.execute(queries.put_known, RELEVANCE["providers"])
    for done in range(0, providers, _PROVIDERS_A_STEP):
        await database.fetch(queries.put_listings, done, done + _PROVIDERS_A_STEP)
    await database.fetch(queries.put_known_listings)
    await database.fetch(queries.put_clinic_names)
    await count_words(database)
    await database.execute(queries.tidy)


def _search(random: Random) -> tuple[str, SearchRequest]:
    """Draw one of the log's searches, and name its kind: how often each comes is a guess, broad ones not spared."""
    city = random.choice(FACTS["cities"])
    locality = random.choice(list(city["localities"]))
    word = random.choice(
        ("dentist", "skin doctor", "child specialist", "heart", "eye", "back pain", "fever", "sugar", "ent")
    )
    speciality = slug(random.choice(list(FACTS["specialities"])))
    names = FACTS["names"][city["region"]]
    family, given = random.choice(names["family"]), random.choice(names[random.choice(("female", "male"))])
    here: dict[str, Any] = {"city": city["name"]}
    north, east = city["position"]
    near = {"latitude": north + random.uniform(-0.05, 0.05), "longitude": east + random.uniform(-0.05, 0.05)}
    when = {"available": random.choice(list(Available))}
    test = random.choice(("cbc", "sugar test", "thyroid test", "ecg", "sonography", "mri brain", "lft"))
    tests = [slug(name) for name in random.sample(TESTS, 3)]
    visit = slug(f"{random.choice(list(FACTS['specialities'])[:-2])} {random.choice(_VISITS)}")
    cheapest = {"order": Order.PRICE_ASC}
    choices: dict[str, tuple[int, dict[str, Any]]] = {
        "city, word": (20, here | {"keyword": word}),
        "city, speciality, by date": (15, here | {"specialities": [speciality], "order": Order.DATE_ASC}),
        "city, word, locality": (10, here | {"keyword": f"{word} {locality}"}),
        "city, name": (10, here | {"keyword": f"{given} {family}"}),
        "name": (5, {"keyword": f"dr {given} {family}"}),
        "word and city in the keyword": (5, {"keyword": f"{word} {city['name']}"}),
        "5 km, speciality, by distance": (
            8, near | {"radius_km": 5.0, "specialities": [speciality], "order": Order.DISTANCE_ASC}
        ),
        "postal code": (3, {"postal_code": city["localities"][locality]["pin"], "order": Order.RATING_DESC}),
        "city, speciality, free on a day": (8, here | when | {"specialities": [speciality]}),
        "city, free at an hour": (3, here | _two_hours(random) | {"specialities": [speciality]}),
        "city": (4, here),
        "city, by date": (3, here | {"order": Order.DATE_ASC}),
        "city, filters": (
            3, here | {"fee_max": 600, "gender": "female", "rating_min": 4.0, "order": Order.RATING_DESC}
        ),
        "speciality everywhere": (1, {"specialities": [speciality]}),
        "speciality everywhere, by date": (1, {"specialities": [speciality], "order": Order.DATE_TYPE_DESC}),
        "everybody, by date": (1, {"order": Order.TYPE_DATE_ASC}),
        "city, test": (8, here | {"keyword": test}),
        "test and city in the keyword, by price": (4, cheapest | {"keyword": f"{test} {city['name']}"}),
        "city, test, by price": (4, here | cheapest | {"services": tests[:1]}),
        "city, three tests, by price": (2, here | cheapest | {"services": tests}),
        "city, service": (4, here | {"services": [visit]}),
        "city, service, by price": (4, here | cheapest | {"services": [visit], "fee_max": 1500}),
        "city, service, by date": (3, here | {"services": [visit], "order": Order.DATE_ASC}),
        "city, service, free on a day": (3, here | when | {"services": [visit]}),
        "5 km, service, by distance": (
            3, near | {"radius_km": 5.0, "services": [visit], "order": Order.DISTANCE_ASC}
        ),
        "city, speciality, by price": (3, here | cheapest | {"specialities": [speciality]}),
        "city, by price": (1, here | cheapest),
        "service everywhere, by price": (1, cheapest | {"services": [visit]}),
        "city, speciality, by experience": (
            3, here | {"specialities": [speciality], "order": Order.EXPERIENCE_DESC}
        ),
        "city, by experience": (1, here | {"order": Order.EXPERIENCE_DESC}),
    }  # fmt: skip
    kind = random.choices(list(choices), [weight for weight, _ in choices.values()])[0]
    return kind, SearchRequest(**choices[kind][1])


def _two_hours(random: Random) -> dict[str, datetime]:
    tomorrow = datetime.now(UTC).replace(hour=random.randint(3, 13), minute=0) + timedelta(days=1)
    return {"starts_from": tomorrow, "starts_before": tomorrow + timedelta(hours=2)}


def _prefixes(random: Random) -> Iterator[str]:
    """Return all beginnings of a name or speciality, letter by letter, as somebody types it."""
    city = random.choice(FACTS["cities"])
    names = FACTS["names"][city["region"]]
    text = random.choice(
        (
            random.choice(names["family"]),
            f"{random.choice(names['female'])} {random.choice(names['family'])}",
            f"{random.choice(names['family'])} hospital",
            random.choice(list(FACTS["specialities"])),
            city["name"],
        )
    ).lower()
    return (text[:length] for length in range(1, len(text) + 1))
